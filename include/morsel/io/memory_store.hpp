// A store that is a map in memory.
#pragma once

#include <memory>
#include <morsel/io/store.hpp>

namespace morsel::inline MORSEL_ABI {

/// Keys and values in memory; copies share them.
class MemoryStore {
 public:
  MemoryStore();
  void get(std::span<GetRequest> requests, std::stop_token stop) const;
  std::optional<Index> size(std::string_view key) const;
  void put(std::string_view key, std::span<const std::byte> value) const;
  void erase(std::string_view key) const;
  void list(std::string_view prefix, const std::function<void(std::string_view)>& visit) const;
  std::string identity() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};
static_assert(Store<MemoryStore>);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/memory_store.ipp>
#endif
