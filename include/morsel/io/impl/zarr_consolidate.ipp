#pragma once

#include <functional>
#include <morsel/io/attributes_json.hpp>
#include <morsel/io/store_key.hpp>
#include <morsel/io/zarr_hierarchy.hpp>
#include <nlohmann/json.hpp>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE void consolidate_metadata(const AnyStore& store, int zarr_format) {
  ZarrHierarchyOptions options;
  options.zarr_format = zarr_format;
  options.use_consolidated = false;
  const ZarrHierarchy hierarchy(store, "", options);
  const std::optional<ZarrNode> root = hierarchy.find("");
  if (!root || root->kind != Member::Kind::group)
    fail(Errc::invalid_argument, "consolidating '" + store.identity() +
                                     "': expected a group at the root, got " +
                                     (root ? "an array" : "nothing"));
  nlohmann::ordered_json documents = nlohmann::ordered_json::object();
  const auto add = [&](const std::string& key, const std::string& name) {
    const std::optional<std::string> text = get_text(store, key);
    if (!text) return;
    nlohmann::ordered_json document = nlohmann::ordered_json::parse(quote_non_finite(*text), nullptr, false);
    if (document.is_discarded())
      fail(Errc::corrupt_data, "consolidating '" + store.identity() + "': '" + key + "' is no JSON");
    if (zarr_format == 3) document.erase("consolidated_metadata");
    documents[name] = std::move(document);
  };
  const std::function<void(const std::string&)> visit = [&](const std::string& path) {
    if (zarr_format == 2)
      for (const char* name : {".zgroup", ".zarray", ".zattrs"})
        add(hierarchy.key(path, name), path.empty() ? name : path + "/" + name);
    else if (!path.empty())
      add(hierarchy.key(path, "zarr.json"), path);
    for (const Member& child : hierarchy.children(path))
      visit(path.empty() ? child.path : path + "/" + child.path);
  };
  visit("");
  const auto put = [&](const std::string& key, const nlohmann::ordered_json& document) {
    const std::string text = document.dump(2) + "\n";
    if (get_text(store, key) == text) return;
    store.put(key, {reinterpret_cast<const std::byte*>(text.data()), text.size()});
  };
  if (zarr_format == 2)
    return put(".zmetadata", {{"metadata", std::move(documents)}, {"zarr_consolidated_format", 1}});
  nlohmann::ordered_json document = nlohmann::ordered_json::parse(
      quote_non_finite(get_text(store, "zarr.json").value_or("")), nullptr, false);
  if (!document.is_object())
    fail(Errc::corrupt_data,
         "consolidating '" + store.identity() + "': the root's document is no JSON object");
  document["consolidated_metadata"] = {
      {"kind", "inline"}, {"must_understand", false}, {"metadata", std::move(documents)}};
  put("zarr.json", document);
}

}  // namespace morsel::inline MORSEL_ABI
