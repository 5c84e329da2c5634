#include "value.hpp"

#include <algorithm>
#include <cmath>
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

/// Numbers in C order.
struct Numbers {
  Shape shape;
  std::vector<Scalar> items;
};

Numbers numbers_of(const Value& value) {
  if (!value.scalar() && !value.sequence()) refuse("making an array: not numbers", described(value));
  Numbers numbers;
  bool shape_known = false;
  flatten(value, 0, numbers.shape, shape_known, numbers.items);
  return numbers;
}

Type common_type(const Numbers& numbers) {
  Type type = numbers.items.empty() ? Type::float64 : type_for(numbers.items[0]);
  for (const Scalar& number : numbers.items) type = promote(type, type_for(number));
  return type;
}

/// **Fails**: overflow for a number that `type` cannot hold.
Edge array_of(const Numbers& numbers, Type type) {
  const std::size_t item_bytes = item_bytes_of(type);
  const auto bytes =
      std::make_shared<std::vector<std::byte>>(std::max<std::size_t>(numbers.items.size() * item_bytes, 1));
  for (std::size_t i = 0; i < numbers.items.size(); ++i) {
    const auto element = element_of(numbers.items[i], type);
    std::memcpy(bytes->data() + i * item_bytes, element.data(), item_bytes);
  }
  if (numbers.shape.empty()) return make_constant(type, bytes->data());
  const BufferView view = BufferView::c_order(bytes->data(), numbers.shape, item_bytes);
  return make_source(memory_source(type, view, bytes), View::identity(numbers.shape), {}, "list");
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

Edge array_of(const Scalar& scalar) { return array_of(Numbers{{}, {scalar}}, type_for(scalar)); }

Edge array_of(const Value& value) {
  if (const Edge* edge = value.edge()) return *edge;
  const Numbers numbers = numbers_of(value);
  return array_of(numbers, common_type(numbers));
}

Edge array_of(const Value& value, Type type) {
  if (const Edge* edge = value.edge()) return astype(*edge, type);
  Numbers numbers = numbers_of(value);
  const Type common = common_type(numbers);
  if (!is_integer(type) || is_complex(common)) return astype(array_of(numbers, common), type);
  for (Scalar& number : numbers.items)
    if (number.kind == WeakKind::floating) number = Scalar::of(std::trunc(number.number.real()));
  return array_of(numbers, type);
}

}  // namespace morsel::app
