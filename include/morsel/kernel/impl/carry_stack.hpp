#pragma once

#include <morsel/kernel/reducer.hpp>
#include <utility>

namespace morsel::inline MORSEL_ABI {

inline CarryStack::CarryStack(const Reducer& reducer, std::size_t n) : reducer_(&reducer), n_(n) {
  for (std::size_t i = 0; i < sizeof place_; ++i) place_[i] = static_cast<std::uint8_t>(i);
}

template <class Slot>
void CarryStack::push(void* states, Slot&& slot) {
  void* up = states;
  int level = 0;
  for (Index c = count_; c & 1; c >>= 1, ++level) {
    void* left = slot(static_cast<int>(place_[level]));
    reducer_->merge(left, up, n_);
    reducer_->destroy(up, n_);
    up = left;
  }
  // What was merged stays in its array; the level takes that array over.
  if (level == 0)
    reducer_->relocate(slot(static_cast<int>(place_[0])), states, n_);
  else
    std::swap(place_[level], place_[level - 1]);
  ++count_;
}

template <class Slot>
void CarryStack::fold(void* out, Slot&& slot) {
  if (count_ == 0) return reducer_->init(out, n_);
  void* folded = nullptr;
  int level = 0;
  for (Index c = count_; c != 0; c >>= 1, ++level) {
    if (!(c & 1)) continue;
    void* left = slot(static_cast<int>(place_[level]));
    if (folded) {
      reducer_->merge(left, folded, n_);
      reducer_->destroy(folded, n_);
    }
    folded = left;
  }
  reducer_->relocate(out, folded, n_);
  count_ = 0;
}

template <class Slot>
void CarryStack::clear(Slot&& slot) {
  int level = 0;
  for (Index c = count_; c != 0; c >>= 1, ++level)
    if (c & 1) reducer_->destroy(slot(static_cast<int>(place_[level])), n_);
  count_ = 0;
}

}  // namespace morsel::inline MORSEL_ABI
