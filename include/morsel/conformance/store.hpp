// The laws of a Store as a suite that any implementation can be run through.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <morsel/io/store.hpp>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

namespace conformance {

struct StoreCheckOptions {
  std::uint64_t seed = 1;
  int threads = 4;
  int replacements = 100;  ///< puts of one key that readers watch
};

/// Puts, gets, lists and erases in a store that `make_store` gives empty each time: byte ranges, missing
/// keys, room that is too small, order of listing, hostile keys, replacement under readers.
/// **Fails**: internal_error naming the law that is violated; what the store fails with.
void check_store(const std::function<AnyStore()>& make_store, const StoreCheckOptions& options = {});

/// The reading half, for stores that cannot be written: the store holds exactly these keys and values.
void check_store_reads(const AnyStore& store, const std::map<std::string, std::vector<std::byte>>& values,
                       const StoreCheckOptions& options = {});

}  // namespace conformance

}  // namespace morsel::inline MORSEL_ABI

#include <morsel/conformance/impl/store.ipp>
