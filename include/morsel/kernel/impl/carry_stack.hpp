#pragma once

#include <cstring>
#include <morsel/kernel/reducer.hpp>

namespace morsel::inline MORSEL_ABI {

template <class Slot>
void CarryStack::push(void* states, Slot&& slot) {
  int level = 0;
  for (Index c = count_; c & 1; c >>= 1, ++level) {
    void* left = slot(level);
    reducer_->merge(left, states, n_);
    states = left;
  }
  void* home = slot(level);
  if (home != states) std::memcpy(home, states, n_ * reducer_->state_bytes());
  ++count_;
}

template <class Slot>
void CarryStack::fold(void* out, Slot&& slot) {
  if (count_ == 0) return reducer_->init(out, n_);
  void* folded = nullptr;
  int level = 0;
  for (Index c = count_; c != 0; c >>= 1, ++level) {
    if (!(c & 1)) continue;
    void* left = slot(level);
    if (folded) reducer_->merge(left, folded, n_);
    folded = left;
  }
  if (folded != out) std::memcpy(out, folded, n_ * reducer_->state_bytes());
  count_ = 0;
}

}  // namespace morsel::inline MORSEL_ABI
