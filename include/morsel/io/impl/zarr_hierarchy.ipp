#pragma once

#include <algorithm>
#include <map>
#include <morsel/io/impl/json_text.hpp>
#include <morsel/io/impl/zarr_v3.ipp>
#include <morsel/io/store_key.hpp>
#include <morsel/io/zarr_hierarchy.hpp>
#include <mutex>
#include <set>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// The documents of one node, wherever they come from.
struct NodeDocuments {
  std::optional<std::string> zarr_json, zarray, zgroup, zattrs, n5;
  bool is_node() const { return zarr_json || zarray || zgroup; }
};

/// Consolidated metadata of one group: what each key below it said when it was written.
class Consolidated {
 public:
  /// `metadata`: paths to documents of v3, or keys of v2 documents ("a/.zarray") to theirs.
  Consolidated(std::string text, bool is_v3, const std::string& doing)
      : document_(text, doing), is_v3_(is_v3) {
    add_all(document_.root(), "");
    // A group that only consists of what is below it.
    std::set<std::string> above;
    for (const auto& [path, documents] : nodes_)
      for (std::size_t end = path.rfind('/'); end != path.npos && end > 0; end = path.rfind('/', end - 1)) {
        const std::string parent = path.substr(0, end);
        if (nodes_.count(parent) || !above.insert(parent).second) break;
      }
    for (const std::string& path : above) nodes_[path];
  }

  bool covers(const std::string& path) const { return path.empty() || nodes_.count(path) > 0; }
  /// Nothing if the path is not there.
  std::optional<NodeDocuments> find(const std::string& path) const {
    const auto it = nodes_.find(path);
    if (it == nodes_.end()) return std::nullopt;
    NodeDocuments documents;
    for (const auto& [name, value] : it->second) {
      const std::string text(value.text());
      if (name == "zarr.json")
        documents.zarr_json = text;
      else if (name == ".zarray")
        documents.zarray = text;
      else if (name == ".zgroup")
        documents.zgroup = text;
      else if (name == ".zattrs")
        documents.zattrs = text;
    }
    return documents;
  }
  std::vector<Member> children(const std::string& path) const {
    const std::string start = path.empty() ? "" : path + "/";
    std::vector<Member> members;
    for (auto it = nodes_.lower_bound(start); it != nodes_.end() && it->first.starts_with(start); ++it) {
      const std::string name = it->first.substr(start.size());
      if (!name.empty() && name.find('/') == name.npos) members.push_back({name, kind(it->second)});
    }
    return members;
  }

 private:
  using Documents = std::vector<std::pair<std::string, JsonValue>>;

  void add_all(JsonValue consolidated, const std::string& above) {
    for (const JsonMember& member : consolidated.members())
      if (member.name == "metadata")
        for (const JsonMember& entry : member.value.members()) add(joined(above, entry.name), entry.value);
  }
  void add(std::string path, JsonValue value) {
    std::string name = "zarr.json";
    if (!is_v3_) {
      const std::size_t slash = path.rfind('/');
      name = path.substr(slash == path.npos ? 0 : slash + 1);
      path = slash == path.npos ? "" : path.substr(0, slash);
      if (name != ".zarray" && name != ".zgroup" && name != ".zattrs") return;
    }
    if (!value.is_object()) return;
    // Paths that no store could have are no nodes.
    try {
      if (!path.empty()) check_key(path, "reading");
    } catch (const Error&) {
      return;
    }
    const bool is_new = nodes_.count(path) == 0;
    nodes_[path].emplace_back(std::move(name), value);
    // A group within may carry what is below it itself.
    if (is_v3_ && is_new)
      for (const JsonMember& member : value.members())
        if (member.name == "consolidated_metadata" && member.value.is_object()) add_all(member.value, path);
  }
  static Member::Kind kind(const Documents& documents) {
    for (const auto& [name, value] : documents) {
      if (name == ".zarray") return Member::Kind::array;
      if (name != "zarr.json") continue;
      for (const JsonMember& member : value.members())
        if (member.name == "node_type" && member.value.string() == "array") return Member::Kind::array;
    }
    return Member::Kind::group;
  }

  JsonDocument document_;
  bool is_v3_;
  std::map<std::string, Documents> nodes_;
};

}  // namespace detail

struct ZarrHierarchy::State {
  AnyStore store;
  std::string prefix;
  ZarrHierarchyOptions options;
  std::mutex mutex;
  /// By path of the group; null: it has none.
  std::map<std::string, std::shared_ptr<const detail::Consolidated>> consolidated;

  std::string key(std::string_view path, std::string_view name) const {
    return detail::joined(detail::joined(prefix, path), name);
  }
  std::string doing(const std::string& path) const {
    const std::string place = key(path, "");
    return "reading metadata of '" + (place.empty() ? "/" : place) + "'";
  }
  std::optional<std::string> text(std::string_view path, std::string_view name) const {
    return get_text(store, key(path, name), detail::max_document_bytes);
  }

  /// The documents that decide what a node is; those of the format that is preferred.
  detail::NodeDocuments own_documents(const std::string& path) const {
    detail::NodeDocuments documents;
    if (options.zarr_format != 2) documents.zarr_json = text(path, "zarr.json");
    if (documents.zarr_json || options.zarr_format == 3) return documents;
    documents.zarray = text(path, ".zarray");
    if (!documents.zarray) documents.zgroup = text(path, ".zgroup");
    if (documents.is_node()) {
      documents.zattrs = text(path, ".zattrs");
      return documents;
    }
    if (options.zarr_format == 0) documents.n5 = text(path, "attributes.json");
    return documents;
  }

  /// What the document of a v3 or v2 group says of all below it; null if it says nothing.
  std::shared_ptr<const detail::Consolidated> consolidated_of(const std::string& path) {
    {
      const std::lock_guard lock(mutex);
      if (const auto it = consolidated.find(path); it != consolidated.end()) return it->second;
    }
    std::shared_ptr<const detail::Consolidated> found = read_consolidated(path);
    const std::lock_guard lock(mutex);
    return consolidated.emplace(path, std::move(found)).first->second;
  }
  std::shared_ptr<const detail::Consolidated> read_consolidated(const std::string& path) const {
    if (options.zarr_format != 2)
      if (const auto document = text(path, "zarr.json")) {
        const detail::JsonDocument json(*document, doing(path));
        for (const detail::JsonMember& member : json.root().members()) {
          if (member.name != "consolidated_metadata" || !member.value.is_object()) continue;
          const detail::JsonObject object(member.value, doing(path));
          const detail::JsonValue* kind = object.find("kind");
          if (kind && kind->string() != "inline") continue;
          return std::make_shared<const detail::Consolidated>(std::string(member.value.text()), true,
                                                              doing(path));
        }
        return nullptr;
      }
    if (options.zarr_format == 3) return nullptr;
    auto document = text(path, ".zmetadata");
    if (!document) return nullptr;
    const detail::JsonDocument json(*document, doing(path));
    const detail::JsonObject object(json.root(), doing(path));
    const detail::JsonValue* version = object.find("zarr_consolidated_format");
    if (!version || version->integer() != 1) return nullptr;
    return std::make_shared<const detail::Consolidated>(std::move(*document), false, doing(path));
  }
  /// The consolidated metadata that covers a path, and the path within it.
  std::pair<std::shared_ptr<const detail::Consolidated>, std::string> covering(const std::string& path) {
    if (!options.use_consolidated && options.can_list) return {};
    if (auto root = consolidated_of(""); root && root->covers(path)) return {root, path};
    if (!path.empty())
      if (auto own = consolidated_of(path)) return {own, ""};
    return {};
  }

  /// Names of the directories directly below a path.
  std::vector<std::string> directories(const std::string& path) const {
    std::vector<std::string> names;
    const std::string place = key(path, "");
    store.list(place, [&](std::string_view found) {
      if (!found.ends_with('/')) return;
      found.remove_suffix(1);
      const std::string_view name = found.substr(place.empty() ? 0 : place.size() + 1);
      if (!name.empty()) names.emplace_back(name);
    });
    std::sort(names.begin(), names.end());
    return names;
  }
  /// Names that no document makes a node of: version 3 keeps "__" for itself, and tools leave ".git" behind.
  static bool is_junk(std::string_view name) { return name.starts_with("__") || name.starts_with("."); }

  /// The format of a node somewhere below a directory that has no documents; "" if there is none. Looks at a
  /// bounded number of directories.
  std::string format_below(const std::string& path, int& left, int depth) const {
    if (depth > 32) return "";
    for (const std::string& name : directories(path)) {
      if (is_junk(name)) continue;
      if (--left < 0) return "";
      const std::string below = detail::joined(path, name);
      if (options.zarr_format != 2 && store.size(key(below, "zarr.json"))) return "zarr_v3";
      if (options.zarr_format != 3 &&
          (store.size(key(below, ".zarray")) || store.size(key(below, ".zgroup"))))
        return "zarr_v2";
      if (std::string format = format_below(below, left, depth + 1); !format.empty()) return format;
    }
    return "";
  }
  /// Whether a path is inside an N5 container and not inside one of its data sets.
  bool is_within_n5(const std::string& path) const {
    if (options.zarr_format != 0) return false;
    for (std::string above = path; !above.empty();) {
      const std::size_t slash = above.rfind('/');
      above = slash == above.npos ? "" : above.substr(0, slash);
      const detail::NodeDocuments documents = own_documents(above);
      if (documents.is_node()) return false;
      if (!documents.n5) continue;
      const detail::JsonDocument json(*documents.n5, doing(above));
      const detail::JsonObject object(json.root(), doing(above));
      if (is_n5_array(object)) return false;
      if (object.find("n5")) return true;
    }
    return false;
  }
  static bool is_n5_array(const detail::JsonObject& object) {
    return object.find("dimensions") && object.find("dataType");
  }
  /// A directory without documents: nothing, or a group that only consists of what is in it.
  std::optional<ZarrNode> implicit_group(const std::string& path) const {
    if (!options.can_list) return std::nullopt;
    ZarrNode node;
    int left = 1000;
    node.format = format_below(path, left, 0);
    if (!node.format.empty()) return node;
    bool is_directory = false;
    store.list(key(path, ""), [&](std::string_view) { is_directory = true; });
    if (!is_directory || path.empty() || !is_within_n5(path)) return std::nullopt;
    node.format = "n5";
    return node;
  }

  /// The array of a document, or why there is none.
  template <class Parse>
  static void read_array(ZarrNode& node, Parse&& parse) {
    node.kind = Member::Kind::array;
    RefusedArray seen;
    try {
      node.array = parse(&seen);
      node.attributes = node.array->attributes;
      node.shape = node.array->grid.shape();
    } catch (const Error& e) {
      node.refused = e.what();
      node.refused_code = e.code();
      node.shape = seen.shape;
      node.dtype = seen.dtype;
    }
  }
  static void keep(ZarrNode& node, const char* name, const std::optional<std::string>& text) {
    if (text) node.documents_text += std::string(name) + "\n" + *text + "\n";
  }

  std::optional<ZarrNode> node_of(const std::string& path, const detail::NodeDocuments& documents) const {
    ZarrNode node;
    const std::string what = doing(path);
    keep(node, "zarr.json", documents.zarr_json);
    keep(node, ".zarray", documents.zarray);
    keep(node, ".zgroup", documents.zgroup);
    keep(node, ".zattrs", documents.zattrs);
    keep(node, "attributes.json", documents.n5);
    if (documents.zarr_json) {
      node.format = "zarr_v3";
      read_v3(node, *documents.zarr_json, what);
    } else if (documents.zarray) {
      node.format = "zarr_v2";
      const std::string zattrs = documents.zattrs.value_or("");
      read_array(node,
                 [&](RefusedArray* seen) { return parse_zarr_v2(*documents.zarray, zattrs, what, seen); });
      if (!node.array && !zattrs.empty()) node.attributes = parse_attributes(zattrs, what);
    } else if (documents.zgroup) {
      node.format = "zarr_v2";
      const detail::JsonDocument json(*documents.zgroup, what);
      const detail::JsonObject object(json.root(), what);
      if (object.at("zarr_format").integer() != 2) object.wrong("zarr_format", "2", object.at("zarr_format"));
      if (documents.zattrs) {
        const detail::JsonDocument attributes(*documents.zattrs, what + " (.zattrs)");
        node.attributes = detail::attributes_of(attributes.root());
      }
    } else if (documents.n5) {
      node.format = "n5";
      const detail::JsonDocument json(*documents.n5, what);
      const detail::JsonObject object(json.root(), what);
      if (is_n5_array(object)) {
        read_array(node, [&](RefusedArray* seen) { return parse_n5(*documents.n5, what, seen); });
      } else {
        for (auto& attribute : detail::attributes_of(json.root()))
          if (attribute.first != "n5") node.attributes.push_back(std::move(attribute));
      }
    } else {
      return std::nullopt;
    }
    return node;
  }

  static void read_v3(ZarrNode& node, const std::string& text, const std::string& what) {
    const detail::JsonDocument json(text, what);
    const detail::JsonObject object(json.root(), what);
    const detail::ZarrV3Reader reader(json.root(), what);
    const detail::JsonValue* type = object.find("node_type");
    if (type && type->string() == "array") {
      read_array(node, [&](RefusedArray* seen) { return parse_zarr_v3(text, what, seen); });
      if (!node.array) {
        const detail::JsonValue* attributes = object.find("attributes");
        if (attributes) node.attributes = detail::attributes_of(*attributes);
      }
      return;
    }
    reader.check_kind("group");
    reader.check_members({"zarr_format", "node_type", "attributes", "consolidated_metadata"});
    node.attributes = reader.attributes();
  }
};

MORSEL_INLINE ZarrHierarchy::ZarrHierarchy(AnyStore store, std::string root_prefix,
                                           const ZarrHierarchyOptions& options)
    : state_(std::make_shared<State>()) {
  if (options.zarr_format != 0 && options.zarr_format != 2 && options.zarr_format != 3)
    fail(Errc::invalid_argument,
         "opening Zarr: bad zarr_format; expected 2 or 3, got " + std::to_string(options.zarr_format));
  state_->store = std::move(store);
  state_->prefix = tidy_path(root_prefix, "looking up");
  state_->options = options;
}

MORSEL_INLINE const AnyStore& ZarrHierarchy::store() const { return state_->store; }

MORSEL_INLINE std::string ZarrHierarchy::key(std::string_view path, std::string_view name) const {
  return state_->key(tidy_path(path, "looking up"), name);
}

MORSEL_INLINE std::optional<ZarrNode> ZarrHierarchy::find(std::string_view path,
                                                          ZarrDocuments documents) const {
  const std::string place = tidy_path(path, "looking up");
  if (documents == ZarrDocuments::consolidated && !place.empty()) {
    const auto [consolidated, within] = state_->covering(place);
    if (consolidated && !within.empty())
      if (const auto found = consolidated->find(within)) {
        if (auto node = state_->node_of(place, *found)) return node;
        ZarrNode group;
        group.format = state_->options.zarr_format == 2 ? "zarr_v2" : "zarr_v3";
        return group;
      }
  }
  if (auto node = state_->node_of(place, state_->own_documents(place))) return node;
  return state_->implicit_group(place);
}

MORSEL_INLINE std::vector<Member> ZarrHierarchy::children(std::string_view path) const {
  const std::string place = tidy_path(path, "looking up");
  if (const auto [consolidated, within] = state_->covering(place); consolidated)
    return consolidated->children(within);
  if (!state_->options.can_list)
    fail(Errc::unsupported,
         state_->doing(place) +
             ": the store cannot list; expected consolidated metadata that covers the group");
  const auto group = find(place);
  if (!group || group->kind == Member::Kind::array) return {};
  std::vector<Member> members;
  for (const std::string& name : state_->directories(place)) {
    const std::string below = detail::joined(place, name);
    std::optional<ZarrNode> node;
    try {
      const detail::NodeDocuments documents = state_->own_documents(below);
      if (name.starts_with("__") && !documents.zarray && !documents.zgroup && !documents.n5) continue;
      node = state_->node_of(below, documents);
    } catch (const Error& e) {
      if (e.code() != Errc::corrupt_data && e.code() != Errc::unsupported) throw;
      node.emplace();
    }
    if (!node && !State::is_junk(name)) {
      // Every directory of an N5 container is a group.
      if (group->format == "n5")
        node.emplace();
      else
        node = state_->implicit_group(below);
    }
    if (node) members.push_back({name, node->kind});
  }
  return members;
}

}  // namespace morsel::inline MORSEL_ABI
