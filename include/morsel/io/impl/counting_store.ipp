#pragma once

#include <morsel/io/counting_store.hpp>
#include <mutex>

namespace morsel::inline MORSEL_ABI {

struct CountingStore::State {
  mutable std::mutex mutex;
  StoreCounts counts;
  std::shared_ptr<const std::function<void(std::string_view)>> seen;

  template <class F>
  void count(F&& add) {
    const std::scoped_lock lock(mutex);
    add(counts);
  }
};

MORSEL_INLINE std::shared_ptr<CountingStore::State> CountingStore::make_state() {
  return std::make_shared<State>();
}

MORSEL_INLINE StoreCounts CountingStore::counts() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->counts;
}

MORSEL_INLINE void CountingStore::reset() const {
  state_->count([](StoreCounts& c) { c = {}; });
}

MORSEL_INLINE void CountingStore::observe(std::function<void(std::string_view)> seen) const {
  auto shared =
      seen ? std::make_shared<const std::function<void(std::string_view)>>(std::move(seen)) : nullptr;
  const std::scoped_lock lock(state_->mutex);
  state_->seen = std::move(shared);
}

MORSEL_INLINE void CountingStore::get(std::span<GetRequest> requests, std::stop_token stop) const {
  std::shared_ptr<const std::function<void(std::string_view)>> seen;
  state_->count([&](StoreCounts& c) {
    c.gets += requests.size();
    seen = state_->seen;
  });
  if (seen)
    for (const GetRequest& request : requests) (*seen)(request.key);
  inner_.get(requests, std::move(stop));
  state_->count([&](StoreCounts& c) {
    for (const GetRequest& request : requests) {
      c.hits += request.found;
      c.read_bytes += request.filled_bytes;
    }
  });
}

MORSEL_INLINE std::optional<Index> CountingStore::size(std::string_view key) const {
  state_->count([](StoreCounts& c) { ++c.sizes; });
  return inner_.size(key);
}

MORSEL_INLINE void CountingStore::put(std::string_view key, std::span<const std::byte> value) const {
  inner_.put(key, value);
  state_->count([&](StoreCounts& c) {
    ++c.puts;
    c.written_bytes += value.size();
  });
}

MORSEL_INLINE void CountingStore::erase(std::string_view key) const {
  state_->count([](StoreCounts& c) { ++c.erases; });
  inner_.erase(key);
}

MORSEL_INLINE void CountingStore::list(std::string_view prefix,
                                       const std::function<void(std::string_view)>& visit) const {
  state_->count([](StoreCounts& c) { ++c.lists; });
  inner_.list(prefix, visit);
}

}  // namespace morsel::inline MORSEL_ABI
