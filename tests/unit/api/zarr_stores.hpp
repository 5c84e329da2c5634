// Stores of Zarr arrays as tests look at them.
#pragma once

#include <map>
#include <morsel/io/store_key.hpp>
#include <morsel/io/zarr_hierarchy.hpp>
#include <morsel/morsel.hpp>
#include <string>
#include <vector>

namespace morsel_test {

inline std::vector<std::string> keys_of(const morsel::AnyStore& store, const std::string& prefix = "") {
  std::vector<std::string> keys;
  store.list(prefix, [&](std::string_view key) {
    if (key.back() != '/') keys.emplace_back(key);
    if (key.back() == '/')
      for (std::string& below : keys_of(store, std::string(key.substr(0, key.size() - 1))))
        keys.push_back(std::move(below));
  });
  return keys;
}

inline std::map<std::string, std::string> content_of(const morsel::AnyStore& store) {
  std::map<std::string, std::string> content;
  for (const std::string& key : keys_of(store)) content[key] = morsel::get_text(store, key).value_or("");
  return content;
}

template <class T>
std::vector<std::byte> bytes_of(const morsel::LazyArray<T>& a) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(a.size()) * sizeof(T));
  a.compute_into(std::span(reinterpret_cast<T*>(bytes.data()), static_cast<std::size_t>(a.size())));
  return bytes;
}

/// As the consolidated metadata say it.
inline morsel::Shape hierarchy_shape(const morsel::AnyStore& store, const std::string& path) {
  const std::optional<morsel::ZarrNode> node =
      morsel::ZarrHierarchy(store).find(path, morsel::ZarrDocuments::consolidated);
  return node && node->shape ? *node->shape : morsel::Shape{};
}

inline void put(const morsel::AnyStore& store, const std::string& key, const std::string& text) {
  store.put(key, std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace morsel_test
