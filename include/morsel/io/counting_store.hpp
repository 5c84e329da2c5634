// A store around another that counts what is asked of it.
#pragma once

#include <cstdint>
#include <memory>
#include <morsel/io/store.hpp>

namespace morsel::inline MORSEL_ABI {

/// What went through a store since it was made or reset.
struct StoreCounts {
  std::uint64_t gets = 0;  ///< ranges asked for
  std::uint64_t hits = 0;  ///< ranges found
  std::uint64_t read_bytes = 0;
  std::uint64_t sizes = 0;
  std::uint64_t puts = 0;
  std::uint64_t written_bytes = 0;
  std::uint64_t erases = 0;
  std::uint64_t lists = 0;
  friend bool operator==(const StoreCounts&, const StoreCounts&) = default;
};

/// Passes every call on and counts it; copies share the counts. Same identity as the store within.
class CountingStore {
 public:
  // A template, so that asking whether a CountingStore converts to AnyStore does not ask itself.
  template <std::same_as<AnyStore> S>
  explicit CountingStore(S inner) : CountingStore(std::move(inner), make_state()) {}
  StoreCounts counts() const;
  void reset() const;
  /// Calls `seen` with the key of every range asked for, from the thread that asks; null stops it.
  void observe(std::function<void(std::string_view)> seen) const;

  void get(std::span<GetRequest> requests, std::stop_token stop) const;
  std::optional<Index> size(std::string_view key) const;
  std::optional<std::uint64_t> stamp(std::string_view key) const { return inner_.stamp(key); }
  void put(std::string_view key, std::span<const std::byte> value) const;
  void erase(std::string_view key) const;
  void list(std::string_view prefix, const std::function<void(std::string_view)>& visit) const;
  std::string identity() const { return inner_.identity(); }

 private:
  struct State;
  static std::shared_ptr<State> make_state();
  CountingStore(AnyStore inner, std::shared_ptr<State> state)
      : inner_(std::move(inner)), state_(std::move(state)) {}

  AnyStore inner_;
  std::shared_ptr<State> state_;
};
static_assert(Store<CountingStore>);

inline CountingStore counting_store(AnyStore inner) { return CountingStore(std::move(inner)); }

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/counting_store.ipp>
#endif
