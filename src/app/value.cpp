#include "value.hpp"

#include <algorithm>
#include <cstring>
#include <morsel/io/memory_source.hpp>

#include "scalar.hpp"

namespace morsel::app {
namespace {

Type type_for(const Scalar& scalar) {
  switch (scalar.kind) {
    case WeakKind::boolean:
      return Type::bool_;
    case WeakKind::integer:
      return scalar.is_unsigned ? Type::uint64 : Type::int64;
    case WeakKind::floating:
      return Type::float64;
    case WeakKind::complex:
      return Type::complex128;
  }
  return Type::float64;
}

[[noreturn]] void refuse(const std::string& what, const std::string& got) {
  fail(Errc::invalid_argument, what + "; expected an array, a number or nested lists of numbers, got " + got);
}

/// The numbers of nested sequences in C order, and their shape.
void flatten(const Value& value, std::size_t depth, Shape& shape, bool& shape_known,
             std::vector<Scalar>& numbers) {
  if (const Scalar* scalar = value.scalar()) {
    if (shape_known && depth != shape.size())
      refuse("making an array of a list: its rows have different lengths", "a ragged list");
    shape_known = true;
    numbers.push_back(*scalar);
    return;
  }
  const Sequence* sequence = value.sequence();
  if (!sequence) refuse("making an array of a list: not a number", described(value));
  const auto length = static_cast<Index>(sequence->items.size());
  if (depth == shape.size()) {
    if (shape_known || shape.size() == max_rank)
      refuse("making an array of a list: its rows have different lengths", "a ragged list");
    shape.push_back(length);
  } else if (shape[depth] != length) {
    refuse("making an array of a list: its rows have different lengths", "a ragged list");
  }
  for (const Value& item : sequence->items) flatten(item, depth + 1, shape, shape_known, numbers);
  if (length == 0) shape_known = true;
}

}  // namespace

std::string described(const Value& value) {
  if (value.is_none()) return "None";
  if (const Scalar* scalar = value.scalar()) return to_string(*scalar);
  if (const Edge* edge = value.edge())
    return "an array of " + edge->dtype().name() + " with shape " + to_string(edge->shape());
  if (const std::string* text = value.text()) return "'" + *text + "'";
  return value.sequence()->items.empty() ? "an empty list"
                                         : "a list of " + std::to_string(value.sequence()->items.size());
}

Edge array_of(const Scalar& scalar) {
  const Type type = type_for(scalar);
  const auto element = element_of(scalar, type);
  return make_constant(type, element.data());
}

Edge array_of(const Value& value) {
  if (const Edge* edge = value.edge()) return *edge;
  if (const Scalar* scalar = value.scalar()) return array_of(*scalar);
  if (!value.sequence()) refuse("making an array: not numbers", described(value));
  Shape shape;
  bool shape_known = false;
  std::vector<Scalar> numbers;
  flatten(value, 0, shape, shape_known, numbers);
  Type type = numbers.empty() ? Type::float64 : type_for(numbers[0]);
  for (const Scalar& number : numbers) type = promote(type, type_for(number));
  const std::size_t item_bytes = item_bytes_of(type);
  const auto bytes =
      std::make_shared<std::vector<std::byte>>(std::max<std::size_t>(numbers.size() * item_bytes, 1));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto element = element_of(numbers[i], type);
    std::memcpy(bytes->data() + i * item_bytes, element.data(), item_bytes);
  }
  const BufferView view = BufferView::c_order(bytes->data(), shape, item_bytes);
  return make_source(memory_source(type, view, bytes), View::identity(shape), {}, "list");
}

}  // namespace morsel::app
