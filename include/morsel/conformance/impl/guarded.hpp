// What the suites share: memory that notices writes beside it, views with wild strides, random boxes,
// threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <morsel/array/buffer.hpp>
#include <morsel/array/grid.hpp>
#include <mutex>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace morsel::inline MORSEL_ABI {

namespace conformance {

using Random = std::mt19937_64;

inline Index random_in(Random& random, Index lo, Index hi) {
  return std::uniform_int_distribution<Index>(lo, hi)(random);
}

[[noreturn]] inline void violated(const std::string& subject, const std::string& law) {
  fail(Errc::internal_error, "checking " + subject + ": " + law);
}

/// Memory of exactly `bytes` bytes between two guards. 64-byte aligned.
class GuardedBytes {
 public:
  GuardedBytes(std::size_t bytes, std::uint64_t seed) : bytes_(bytes) {
    const std::size_t room_bytes = guard_bytes + round_up(bytes, alignment) + guard_bytes + alignment;
    memory_ = std::make_unique<std::byte[]>(room_bytes);
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.get());
    data_ = memory_.get() + (alignment - address % alignment) + guard_bytes;
    Random random(seed);
    for (std::size_t i = 0; i < bytes; ++i) data_[i] = static_cast<std::byte>(random());
    std::memset(data_ - guard_bytes, guard, guard_bytes);
    std::memset(data_ + bytes, guard, guard_bytes);
  }
  std::byte* data() { return data_; }
  std::span<std::byte> span() { return {data_, bytes_}; }
  bool is_intact() const {
    for (std::size_t i = 0; i < guard_bytes; ++i)
      if (data_[bytes_ + i] != std::byte{guard} || (data_ - guard_bytes)[i] != std::byte{guard}) return false;
    return true;
  }

 private:
  static constexpr std::size_t alignment = 64, guard_bytes = 128;
  static constexpr unsigned char guard = 0xd7;
  std::size_t bytes_;
  std::unique_ptr<std::byte[]> memory_;
  std::byte* data_ = nullptr;
};

/// Room for an array whose axes lie in memory in any order, backwards or forwards, with gaps between
/// elements.
class WildBuffer {
 public:
  WildBuffer(const Shape& shape, std::size_t item_bytes, Random& random) {
    std::vector<std::size_t> order(shape.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    view_.item_bytes = item_bytes;
    view_.shape = shape;
    view_.strides = Dims(shape.size(), 0);
    Index step = static_cast<Index>(item_bytes) * random_in(random, 1, 2), last = 0, first = 0;
    for (const std::size_t i : order) {
      const bool backwards = random_in(random, 0, 2) == 0;
      view_.strides[i] = backwards ? -step : step;
      const Index span = step * (shape[i] > 0 ? shape[i] - 1 : 0);
      if (backwards) first += span;
      last += span;
      step = step * std::max<Index>(shape[i], 1) + static_cast<Index>(item_bytes) * random_in(random, 0, 2);
    }
    bytes_ = std::make_unique<GuardedBytes>(static_cast<std::size_t>(last) + item_bytes, random());
    view_.data = bytes_->data() + first;
    before_.assign(bytes_->span().begin(), bytes_->span().end());
  }
  const BufferView& view() const { return view_; }
  /// False if a byte that belongs to no element has changed.
  bool gaps_are_intact() const {
    if (!bytes_->is_intact()) return false;
    std::vector<bool> is_element(before_.size(), false);
    for_each_position(Region::of(view_.shape), [&](const Dims& at) {
      const std::byte* element = view_.data;
      for (std::size_t i = 0; i < at.size(); ++i) element += at[i] * view_.strides[i];
      for (std::size_t b = 0; b < view_.item_bytes; ++b)
        is_element[static_cast<std::size_t>(element - bytes_->data()) + b] = true;
    });
    for (std::size_t i = 0; i < before_.size(); ++i)
      if (!is_element[i] && bytes_->data()[i] != before_[i]) return false;
    return true;
  }

 private:
  BufferView view_;
  std::unique_ptr<GuardedBytes> bytes_;
  std::vector<std::byte> before_;
};

/// A non-empty box inside a non-empty box; often thin, sometimes all of it.
inline Region random_box(const Region& within, Random& random) {
  Region box = within;
  if (random_in(random, 0, 9) == 0) return box;
  for (std::size_t i = 0; i < box.rank(); ++i) {
    if (random_in(random, 0, 3) == 0) continue;
    box.lo[i] = random_in(random, within.lo[i], within.hi[i] - 1);
    box.hi[i] = random_in(random, 0, 2) == 0 ? box.lo[i] + 1 : random_in(random, box.lo[i] + 1, within.hi[i]);
  }
  return box;
}

/// Elements of a view, in C order.
inline std::vector<std::byte> bytes_of(const BufferView& view) {
  std::vector<std::byte> bytes(view.size_bytes());
  if (!bytes.empty()) copy_elements(view, BufferView::c_order(bytes.data(), view.shape, view.item_bytes));
  return bytes;
}

/// Calls f(thread number) on several threads at once and rethrows the first exception.
template <class F>
void in_threads(int count, F&& f) {
  std::mutex mutex;
  std::exception_ptr first;
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i)
    threads.emplace_back([&, i] {
      try {
        f(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!first) first = std::current_exception();
      }
    });
  for (std::thread& thread : threads) thread.join();
  if (first) std::rethrow_exception(first);
}

}  // namespace conformance

}  // namespace morsel::inline MORSEL_ABI
