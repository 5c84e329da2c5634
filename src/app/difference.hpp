// What two arrays of one shape differ in: how many elements, where the first ones are, the largest errors.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "session.hpp"

namespace morsel::app {

/// Numbers a and b count as equal if |a - b| <= absolute + relative * |b|, both finite. Zero: only equal
/// ones.
struct Tolerance {
  double relative = 0, absolute = 0;
};

/// An element at the same place of both arrays, native byte order.
struct ElementPair {
  Dims index;
  std::vector<std::byte> a, b;
};

/// |a - b|, or that over |b|: exact between integers of one dtype, else rounded to float64.
struct LargestError {
  std::variant<std::uint64_t, double> value;
  ElementPair at;  ///< the first place in C order that has it
};

struct Difference {
  Index different = 0;
  std::vector<ElementPair> first;                  ///< of those that differ the first few in C order
  std::optional<LargestError> absolute, relative;  ///< nothing if there is no error above 0
};

/// How many places `Difference::first` holds at most.
inline constexpr std::size_t most_places = 10;

/// True if elements of the two can be compared: numbers with numbers, other types with the same type.
bool are_comparable(const DType& a, const DType& b);

/// Compares two arrays in one pass; what differs is read once more for its values. The result depends on
/// neither threads nor budget.
///
/// NaN equals NaN (a complex number is NaN if a part is), -0 equals 0, infinities equal themselves, whatever
/// the tolerance. Numbers of different dtypes compare by their exact values, bool as 0 and 1; types that are
/// not numbers by their bytes, padding of records aside. An element with NaN on one side differs and has no
/// error; relative errors are of places where b is neither 0 nor infinite.
///
/// **Requires**: equal shapes, comparable dtypes. **Fails**: as evaluate.
Difference difference_of(Session& session, const Edge& a, const Edge& b, const Tolerance& tolerance);

}  // namespace morsel::app
