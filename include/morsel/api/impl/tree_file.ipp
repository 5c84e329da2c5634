#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <morsel/api/tree.hpp>
#include <morsel/io/attributes_json.hpp>
#include <morsel/io/file.hpp>
#include <morsel/io/file_store.hpp>
#include <nlohmann/json.hpp>
#include <unordered_map>

namespace morsel::inline MORSEL_ABI {

namespace detail {

inline constexpr std::string_view tree_file_magic = "{\"morsel_tree\":";

/// Size and time of a file; nothing for directories and what is not there.
MORSEL_INLINE std::optional<std::pair<Index, Index>> file_stamp(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return std::pair<Index, Index>(status.st_size,
                                 Index{status.st_mtim.tv_sec} * 1000000000 + status.st_mtim.tv_nsec);
}

class TreeWriter {
 public:
  TreeWriter(const morsel::Tree& tree, const std::string& path) : doing_("saving the tree '" + path + "'") {
    directory_ = std::filesystem::path(canonical_path(path)).parent_path().string();
    std::string nodes;
    for (const auto& [place, node] : tree.nodes()) {
      nodes += nodes.empty() ? "\n" : ",\n";
      nodes += "{\"path\":" + text(place);
      if (node.leaf)
        add_leaf(nodes, place, *node.leaf);
      else
        nodes += ",\"attributes\":" + quote_non_finite(to_json(node.attributes));
      nodes += "}";
    }
    json_ = std::string(tree_file_magic) + "1";
    if (!tree.origin().empty()) json_ += ",\"origin\":" + text(relative(canonical_path(tree.origin())));
    json_ += ",\"attributes\":" + quote_non_finite(to_json(tree.attrs()));
    json_ += ",\"files\":[" + files_ + "],\"nodes\":[" + nodes + "\n]}\n";
  }
  const std::string& json() const { return json_; }

 private:
  std::string text(const std::string& bytes) const {
    std::string json = json_string(bytes);
    if (nlohmann::json::parse(json).get<std::string>() != bytes)
      fail(Errc::unsupported, doing_ + ": a name that is no UTF-8; expected one, got " + json);
    return json;
  }

  std::string relative(const std::string& path) const {
    const std::string start = directory_ == "/" ? "/" : directory_ + "/";
    return path.starts_with(start) ? path.substr(start.size()) : path == directory_ ? "." : path;
  }

  std::size_t file_number(const std::string& path) {
    const auto [at, is_new] = numbers_.emplace(path, numbers_.size());
    if (!is_new) return at->second;
    files_ += (files_.empty() ? "\n" : ",\n") + ("{\"path\":" + text(relative(path)));
    if (const auto stamp = file_stamp(path))
      files_ +=
          ",\"size\":" + std::to_string(stamp->first) + ",\"mtime_ns\":" + std::to_string(stamp->second);
    files_ += "}";
    return at->second;
  }

  static std::string grid_text(const Grid& grid) {
    std::string json = "[";
    for (std::size_t i = 0; i < grid.rank(); ++i) {
      const AxisGrid& axis = grid.axis(i);
      json += i ? "," : "";
      if (axis.is_uniform()) {
        json += "[" + std::to_string(axis.extent()) + "," +
                std::to_string(std::max<Index>(1, axis.longest())) + "]";
      } else if (axis.is_regular()) {
        json += "[" + std::to_string(axis.extent()) + "," + std::to_string(axis.length(1)) + "," +
                std::to_string(axis.length(0)) + "]";
      } else {
        json += "{\"lengths\":[";
        for (Index k = 0; k < axis.count(); ++k) json += (k ? "," : "") + std::to_string(axis.length(k));
        json += "]}";
      }
    }
    return json + "]";
  }

  void add_leaf(std::string& json, const std::string& place, const Leaf& leaf) {
    const LeafOrigin* origin = leaf.origin();
    if (!origin)
      fail(Errc::unsupported, doing_ + ": the array at '" + place +
                                  "' is computed; expected leaves that are stored, got one that was added "
                                  "(save it to a file of its own)");
    if (leaf.has_options())
      fail(Errc::unsupported, doing_ + ": the array at '" + place +
                                  "' was opened with options of its format; expected none, got some");
    json += ",\"file\":" + std::to_string(file_number(origin->path)) + ",\"inside\":" + text(origin->inside);
    json += ",\"format\":" + text(origin->format);
    if (const Error* error = leaf.error()) {
      json += ",\"code\":" + text(std::string(name_of(error->code()))) +
              ",\"error\":" + json_string(error->what());
      return;
    }
    const LeafInfo& info = leaf.info();
    const std::string dtype = info.dtype.numpy();
    if (!(parse_dtype(dtype) == info.dtype))
      fail(Errc::unsupported, doing_ + ": the dtype of '" + place +
                                  "' has no text of its own; expected a NumPy dtype, got " +
                                  info.dtype.name());
    json += ",\"version\":" + text(origin->version) + ",\"dtype\":" + text(dtype);
    json += ",\"grid\":" + grid_text(info.grid);
    if (info.native_grid) json += ",\"native\":" + grid_text(*info.native_grid);
    json += ",\"dims\":[";
    for (std::size_t i = 0; i < info.dims.size(); ++i) json += (i ? "," : "") + text(info.dims[i]);
    json += "],\"attributes\":" + quote_non_finite(to_json(info.attributes));
  }

  std::string doing_, directory_, files_, json_;
  std::unordered_map<std::string, std::size_t> numbers_;
};

class TreeReader {
  using Json = nlohmann::ordered_json;

 public:
  explicit TreeReader(const std::string& path)
      : doing_("opening the tree '" + path + "'"),
        directory_(std::filesystem::path(canonical_path(path)).parent_path().string()) {
    const File file(path);
    if (file.size_bytes() > Index{1} << 30)
      refuse("a file of at most 1 GiB", std::to_string(file.size_bytes()) + " bytes");
    std::string text(static_cast<std::size_t>(file.size_bytes()), '\0');
    file.read(0, std::as_writable_bytes(std::span(text)));
    try {
      const Json::parser_callback_t bounded = [&](int depth, Json::parse_event_t, Json&) {
        if (depth > 256) refuse("at most 256 levels", "more");
        return true;
      };
      document_ = Json::parse(text, bounded);
    } catch (const Json::exception& e) {
      refuse("a JSON document", e.what());
    }
  }

  morsel::Tree read() {
    const Index number = integer(document_, "morsel_tree");
    if (number != 1)
      fail(Errc::unsupported,
           doing_ + ": a file of another version; expected version 1, got " + std::to_string(number));
    morsel::Tree tree(document_.contains("origin") ? absolute(string(document_, "origin")) : "");
    tree.add_group("", attributes(document_));
    for (const Json& file : list(document_, "files")) add_file(file);
    for (const Json& node : list(document_, "nodes")) add_node(tree, node);
    return tree;
  }

 private:
  struct ListedFile {
    std::string path;
    std::string change;  // what is no longer as it was, or ""
  };

  [[noreturn]] void refuse(const std::string& expected, const std::string& got) const {
    fail(Errc::corrupt_data,
         doing_ + ": not a file that save_tree wrote; expected " + expected + ", got " + got);
  }
  const Json& member(const Json& object, const char* name) const {
    if (!object.is_object())
      refuse("an object with a member '" + std::string(name) + "'", object.type_name());
    const auto found = object.find(name);
    if (found == object.end()) refuse("a member '" + std::string(name) + "'", "none");
    return *found;
  }
  std::string string(const Json& object, const char* name) const {
    const Json& value = member(object, name);
    if (!value.is_string()) refuse("'" + std::string(name) + "' to be a string", value.type_name());
    return value.get<std::string>();
  }
  Index integer(const Json& object, const char* name) const { return integer_of(member(object, name), name); }
  Index integer_of(const Json& value, const char* name) const {
    if (!value.is_number_integer() ||
        (value.is_number_unsigned() &&
         value.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<Index>::max())))
      refuse("'" + std::string(name) + "' to be an integer", value.dump().substr(0, 40));
    return value.get<Index>();
  }
  const Json& list(const Json& object, const char* name) const {
    const Json& value = member(object, name);
    if (!value.is_array()) refuse("'" + std::string(name) + "' to be a list", value.type_name());
    return value;
  }
  Attributes attributes(const Json& object) const {
    return parse_attributes(member(object, "attributes").dump(-1, ' ', false, Json::error_handler_t::replace),
                            doing_);
  }
  std::string absolute(const std::string& path) const {
    if (path == ".") return directory_;
    return path.starts_with('/') ? path : directory_ + "/" + path;
  }

  void add_file(const Json& json) {
    ListedFile file{absolute(string(json, "path")), ""};
    if (json.contains("size")) {
      const auto now = file_stamp(file.path);
      if (!now)
        file.change = "the file is gone";
      else if (*now != std::pair(integer(json, "size"), integer(json, "mtime_ns")))
        file.change = "its size or time is another";
    } else if (std::error_code error; !std::filesystem::exists(file.path, error)) {
      file.change = "it is gone";
    }
    files_.push_back(std::move(file));
  }

  AxisGrid axis(const Json& json) const {
    std::vector<Index> numbers;
    const Json& values = json.is_object() ? list(json, "lengths") : json;
    if (!values.is_array()) refuse("a list of lengths", values.type_name());
    Index sum = 0;
    for (const Json& value : values) {
      numbers.push_back(integer_of(value, "grid"));
      if (numbers.back() < 0) refuse("lengths of at least 0", std::to_string(numbers.back()));
      if (json.is_object()) sum = checked_add(sum, numbers.back(), "an axis");
    }
    if (json.is_object()) return AxisGrid::from_lengths(numbers);
    if (numbers.size() < 2 || numbers.size() > 3 || numbers[1] < 1 ||
        (numbers.size() == 3 && (numbers[2] < 1 || numbers[2] > numbers[0])))
      refuse("an axis as [extent, step] or [extent, step, first]", json.dump().substr(0, 80));
    return AxisGrid::regular(numbers[0], numbers[1], numbers.size() == 3 ? numbers[2] : 0);
  }
  Grid grid(const Json& json) const {
    if (!json.is_array() || json.size() > static_cast<std::size_t>(max_rank))
      refuse("a grid of at most " + std::to_string(max_rank) + " axes", json.type_name());
    std::vector<AxisGrid> axes;
    for (const Json& one : json) axes.push_back(axis(one));
    Grid all(std::move(axes));
    Index chunks = 1;
    for (const Index count : all.counts()) chunks = checked_mul(chunks, count, "a number of chunks");
    return all;
  }

  static Errc code_of(const std::string& name) {
    for (int i = 0; i <= static_cast<int>(Errc::internal_error); ++i)
      if (name_of(static_cast<Errc>(i)) == name) return static_cast<Errc>(i);
    return Errc::internal_error;
  }

  void add_node(morsel::Tree& tree, const Json& json) const {
    const std::string path = string(json, "path");
    if (!json.contains("file")) {
      tree.add_group(path, attributes(json));
      return;
    }
    const Index number = integer(json, "file");
    if (number < 0 || number >= static_cast<Index>(files_.size()))
      refuse("the number of a file below " + std::to_string(files_.size()), std::to_string(number));
    const ListedFile& file = files_[static_cast<std::size_t>(number)];
    LeafOrigin origin{file.path, string(json, "inside"), string(json, "format"), ""};
    if (!file.change.empty()) {
      const Error error(Errc::source_changed, "open '" + place_of(origin) +
                                                  "': it changed since the tree was saved; expected what was "
                                                  "there then, got another: " +
                                                  file.change);
      tree.add(path, broken_leaf(path, std::move(origin), error));
      return;
    }
    if (json.contains("error")) {
      const Error error(code_of(string(json, "code")), string(json, "error"));
      tree.add(path, broken_leaf(path, std::move(origin), error));
      return;
    }
    origin.version = string(json, "version");
    LeafInfo info;
    try {
      info.dtype = parse_dtype(string(json, "dtype"));
    } catch (const Error& error) {
      throw error.during(doing_);
    }
    info.grid = grid(member(json, "grid"));
    checked_mul(size_of(info.grid.shape()), static_cast<Index>(info.dtype.item_bytes()), "array bytes");
    if (json.contains("native")) info.native_grid = grid(member(json, "native"));
    for (const Json& name : list(json, "dims")) {
      if (!name.is_string()) refuse("names of axes", name.type_name());
      info.dims.push_back(name.get<std::string>());
    }
    if (!info.dims.empty() && info.dims.size() != info.grid.rank())
      refuse(std::to_string(info.grid.rank()) + " names of axes", std::to_string(info.dims.size()));
    info.attributes = attributes(json);
    tree.add(path, described_leaf(path, std::move(origin), std::move(info)));
  }

  std::string doing_, directory_;
  Json document_;
  std::vector<ListedFile> files_;
};

MORSEL_INLINE bool is_tree_file(const std::string& path) {
  const File file(path);
  std::string head(tree_file_magic.size(), '\0');
  if (file.size_bytes() < static_cast<Index>(head.size())) return false;
  file.read(0, std::as_writable_bytes(std::span(head)));
  return head == tree_file_magic;
}

MORSEL_INLINE morsel::Tree read_tree_file(const std::string& path) { return TreeReader(path).read(); }

}  // namespace detail

MORSEL_INLINE void save_tree(const Tree& tree, const std::string& path, const SaveTreeOptions& options) {
  const std::string doing = "saving the tree '" + path + "'";
  std::error_code error;
  const auto type = std::filesystem::symlink_status(path, error).type();
  if (type == std::filesystem::file_type::directory || path.empty() || path.back() == '/')
    fail(Errc::invalid_argument, doing + ": not the name of a file; expected one, got a directory");
  if (type != std::filesystem::file_type::not_found && !options.overwrite)
    fail(Errc::already_exists, doing + ": it is there; expected a new name, or overwrite, got a file");
  const detail::TreeWriter written(tree, path);
  const std::filesystem::path place(canonical_path(path));
  const std::string& json = written.json();
  FileStore(place.parent_path().string())
      .put(place.filename().string(), std::as_bytes(std::span(json.data(), json.size())));
}

}  // namespace morsel::inline MORSEL_ABI
