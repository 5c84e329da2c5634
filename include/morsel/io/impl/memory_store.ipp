#pragma once

#include <cstring>
#include <map>
#include <morsel/io/memory_source.hpp>
#include <morsel/io/memory_store.hpp>
#include <morsel/io/store_key.hpp>
#include <mutex>
#include <set>
#include <shared_mutex>

namespace morsel::inline MORSEL_ABI {

struct MemoryStore::State {
  using Value = std::shared_ptr<const std::vector<std::byte>>;
  mutable std::shared_mutex mutex;
  std::map<std::string, Value, std::less<>> values;
  std::uint64_t serial = detail::next_source_serial();

  // Readers copy from a value they share, outside the lock.
  Value find(std::string_view key) const {
    const std::shared_lock lock(mutex);
    const auto it = values.find(key);
    return it == values.end() ? nullptr : it->second;
  }
};

MORSEL_INLINE MemoryStore::MemoryStore() : state_(std::make_shared<State>()) {}

MORSEL_INLINE void MemoryStore::get(std::span<GetRequest> requests, std::stop_token stop) const {
  for (GetRequest& request : requests) {
    check_key(request.key, "reading");
    if (stop.stop_requested()) fail(Errc::cancelled, "reading '" + std::string(request.key) + "': cancelled");
    const State::Value value = state_->find(request.key);
    request.found = value != nullptr;
    request.filled_bytes = 0;
    if (!value) continue;
    const ByteRange range =
        resolve_range(request.range, static_cast<Index>(value->size()), request.room.size(), request.key);
    request.filled_bytes = static_cast<std::size_t>(range.length);
    if (range.length > 0)
      std::memcpy(request.room.data(), value->data() + range.offset, request.filled_bytes);
  }
}

MORSEL_INLINE std::optional<Index> MemoryStore::size(std::string_view key) const {
  check_key(key, "asking for the size of");
  const State::Value value = state_->find(key);
  if (!value) return std::nullopt;
  return static_cast<Index>(value->size());
}

MORSEL_INLINE void MemoryStore::put(std::string_view key, std::span<const std::byte> value) const {
  check_key(key, "writing");
  auto copy = std::make_shared<const std::vector<std::byte>>(value.begin(), value.end());
  const std::unique_lock lock(state_->mutex);
  state_->values.insert_or_assign(std::string(key), std::move(copy));
}

MORSEL_INLINE void MemoryStore::erase(std::string_view key) const {
  check_key(key, "erasing");
  const std::unique_lock lock(state_->mutex);
  const auto it = state_->values.find(key);
  if (it != state_->values.end()) state_->values.erase(it);
}

MORSEL_INLINE void MemoryStore::list(std::string_view prefix,
                                     const std::function<void(std::string_view)>& visit) const {
  const std::string_view directory = check_prefix(prefix);
  const std::string start = directory.empty() ? std::string() : std::string(directory) + "/";
  std::set<std::string> keys;
  {
    const std::shared_lock lock(state_->mutex);
    for (auto it = state_->values.lower_bound(start); it != state_->values.end();) {
      const std::string& key = it->first;
      if (key.compare(0, start.size(), start) != 0) break;
      const std::size_t slash = key.find('/', start.size());
      if (slash == std::string::npos) {
        keys.insert(key);
        ++it;
      } else {
        // '0' follows '/': the first key that is not below this directory.
        keys.insert(key.substr(0, slash + 1));
        it = state_->values.lower_bound(key.substr(0, slash) + "0");
      }
    }
  }
  for (const std::string& key : keys) visit(key);
}

MORSEL_INLINE std::string MemoryStore::identity() const {
  return "memory_store#" + std::to_string(state_->serial);
}

}  // namespace morsel::inline MORSEL_ABI
