#pragma once

#include <cstring>
#include <morsel/api/partial.hpp>
#include <typeinfo>

namespace morsel::inline MORSEL_ABI {
namespace detail {

inline constexpr char partial_magic[] = "MORSEL partial 2";

// Numbers and text, little-endian, lengths first.
MORSEL_INLINE void put_number(std::vector<std::byte>& out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<std::byte>(value >> (8 * i)));
}
MORSEL_INLINE void put_text(std::vector<std::byte>& out, const std::string& text) {
  put_number(out, text.size());
  const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
  out.insert(out.end(), bytes, bytes + text.size());
}

[[noreturn]] MORSEL_INLINE void fail_partial_bytes(const std::string& what) {
  fail(Errc::corrupt_data, "reading a partial result: " + what);
}
MORSEL_INLINE std::uint64_t take_number(std::span<const std::byte>& in) {
  if (in.size() < 8) fail_partial_bytes("cut short; expected 8 more bytes, got " + std::to_string(in.size()));
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i)
    value |= std::to_integer<std::uint64_t>(in[static_cast<std::size_t>(i)]) << (8 * i);
  in = in.subspan(8);
  return value;
}
MORSEL_INLINE std::string take_text(std::span<const std::byte>& in) {
  const std::uint64_t length = take_number(in);
  if (length > in.size())
    fail_partial_bytes("cut short; expected " + std::to_string(length) + " more bytes, got " +
                       std::to_string(in.size()));
  std::string text(reinterpret_cast<const char*>(in.data()), length);
  in = in.subspan(length);
  return text;
}

MORSEL_INLINE PartialStates::PartialStates(const AnyLazyArray& reduced) : shape_(reduced.shape()) {
  const Edge raw = raw_states(reduced.edge());  // refuses what is no reduction
  reducer_ = std::get<ReduceNode>(raw.node->payload).reducer;
  states_count_ = size_of(raw.shape());
  const Index bytes =
      checked_mul(states_count_, static_cast<Index>(reducer_->state_bytes()), "partial states");
  states_.resize(static_cast<std::size_t>(bytes));
  reducer_->init(states_.data(), static_cast<std::size_t>(states_count_));
}

MORSEL_INLINE void PartialStates::compute(const AnyLazyArray& reduced, const ComputeOptions& options) {
  const Edge raw = raw_states(reduced.edge());
  const auto& call = std::get<ReduceNode>(raw.node->payload);
  evaluate_to({raw}, {BufferView::c_order(states_.data(), raw.shape(), reducer_->state_bytes())}, options);
  count_ = 1;
  for (const int axis : call.axes) count_ *= call.input.shape()[static_cast<std::size_t>(axis)];
}

MORSEL_INLINE std::string PartialStates::described() const {
  return reducer_->name() + " of " + std::string(name_of(reducer_->input())) + " with shape " +
         to_string(shape_);
}

/// What the bytes of states say of their reduction's parameters.
MORSEL_INLINE std::uint64_t PartialStates::parameters_digest() const {
  return digest_of(reducer_->parameters(), {});
}

MORSEL_INLINE void PartialStates::fail_parameters(const char* doing) const {
  fail(Errc::invalid_argument, std::string(doing) + ": the parameters differ; expected " + described() +
                                   " with the same edges, range or prototype, got others");
}

MORSEL_INLINE void PartialStates::merge(const PartialStates& right) {
  // Names and parameters say what built-in states mean; a user's states also have to be of one type.
  const Reducer &mine = *reducer_, &other = *right.reducer_;
  if (described() != right.described() || typeid(mine) != typeid(other))
    fail(Errc::invalid_argument, "merging partial results: of different reductions; expected " + described() +
                                     ", got " + right.described());
  if (mine.parameters() != other.parameters()) fail_parameters("merging partial results");
  const Index count = checked_add(count_, right.count_, "elements in a partial result");
  std::vector<std::byte> copy = right.states_;
  reducer_->shift_index(copy.data(), static_cast<std::size_t>(states_count_), count_);
  reducer_->merge(states_.data(), copy.data(), static_cast<std::size_t>(states_count_));
  count_ = count;
}

MORSEL_INLINE void PartialStates::finish(void* out) const {
  if (count_ == 0 && reducer_->refuses_empty() && states_count_ > 0)
    fail(Errc::invalid_argument, "finishing a partial result: " + reducer_->name() +
                                     " of nothing has no value; expected at least one element, got 0");
  reducer_->finish(states_.data(), static_cast<std::size_t>(states_count_), count_, out);
}

MORSEL_INLINE std::vector<std::byte> PartialStates::to_bytes() const {
  std::vector<std::byte> out;
  put_text(out, partial_magic);
  put_text(out, described());
  put_number(out, parameters_digest());
  put_number(out, static_cast<std::uint64_t>(states_count_));
  put_number(out, static_cast<std::uint64_t>(count_));
  reducer_->to_bytes(states_.data(), static_cast<std::size_t>(states_count_), out);
  return out;
}

MORSEL_INLINE void PartialStates::from_bytes(std::span<const std::byte> bytes) {
  if (take_text(bytes) != partial_magic)
    fail_partial_bytes("not one; expected bytes that to_bytes() gave, got others");
  const std::string what = take_text(bytes);
  if (what != described())
    fail(Errc::invalid_argument,
         "reading a partial result: of another reduction; expected " + described() + ", got " + what);
  if (take_number(bytes) != parameters_digest()) fail_parameters("reading a partial result");
  if (take_number(bytes) != static_cast<std::uint64_t>(states_count_))
    fail_partial_bytes("another number of states; expected " + std::to_string(states_count_));
  const auto count = static_cast<Index>(take_number(bytes));
  if (count < 0)
    fail_partial_bytes("a negative number of elements; expected at least 0, got " + std::to_string(count));
  reducer_->from_bytes(bytes, states_.data(), static_cast<std::size_t>(states_count_));
  count_ = count;
}

}  // namespace detail
}  // namespace morsel::inline MORSEL_ABI
