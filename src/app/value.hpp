// What an expression's parts stand for: arrays, literals, and the tuples, strings and None of arguments.
#pragma once

#include <morsel/api/evaluate.hpp>
#include <string>
#include <variant>
#include <vector>

namespace morsel::app {

struct Value;

struct None {};

/// A tuple or a list.
struct Sequence {
  std::vector<Value> items;
};

struct Value {
  using Data = std::variant<None, Scalar, Edge, std::string, Sequence>;
  Data data;

  Value() = default;
  template <class T>
  requires(!std::is_same_v<std::remove_cvref_t<T>, Value> && std::is_constructible_v<Data, T&&>)
      Value(T&& value)
      : data(std::forward<T>(value)) {}  // NOLINT(google-explicit-constructor)

  bool is_none() const { return std::holds_alternative<None>(data); }
  const Scalar* scalar() const { return std::get_if<Scalar>(&data); }
  const Edge* edge() const { return std::get_if<Edge>(&data); }
  const std::string* text() const { return std::get_if<std::string>(&data); }
  const Sequence* sequence() const { return std::get_if<Sequence>(&data); }
};

/// "an array of shape (3, 4)", "the number 2.5", "a string", ...: what a message says it got.
std::string described(const Value& value);

/// A 0-d array of the dtype that NumPy gives a Python scalar: bool, int64 (uint64 above 2^63), float64,
/// complex128.
Edge array_of(const Scalar& scalar);

/// An array of what NumPy's asarray makes of a value: the array itself, a scalar, or nested sequences of
/// numbers.
/// **Fails**: invalid_argument for anything else, ragged nesting included.
Edge array_of(const Value& value);

/// The same in a dtype: an array converted as `astype` does, numbers as NumPy converts Python's; a float
/// loses its fraction in an integer dtype. **Fails**: as above; overflow for a number that an integer dtype
/// cannot hold; dtype_mismatch for complex numbers in a real one.
Edge array_of(const Value& value, Type type);

}  // namespace morsel::app
