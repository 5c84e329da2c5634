// Element types as values. Fourteen are numeric (kernels exist); every other fixed-size type is carried as
// bytes.
#pragma once

#include <complex>
#include <cstdint>
#include <memory>
#include <morsel/array/dims.hpp>
#include <morsel/array/float16.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// The numeric types, in the order of the kernel tables, and `carried` for all others.
enum class Type : std::uint8_t {
  bool_,
  int8,
  int16,
  int32,
  int64,
  uint8,
  uint16,
  uint32,
  uint64,
  float16,
  float32,
  float64,
  complex64,
  complex128,
  carried
};
inline constexpr int numeric_type_count = 14;

// clang-format off
/// The only list of numeric element types: X(Type enumerator, C++ type).
#define MORSEL_FOR_EACH_NUMERIC(X)                                                                              \
  X(bool_, bool) X(int8, std::int8_t) X(int16, std::int16_t) X(int32, std::int32_t) X(int64, std::int64_t)       \
  X(uint8, std::uint8_t) X(uint16, std::uint16_t) X(uint32, std::uint32_t) X(uint64, std::uint64_t)              \
  X(float16, ::morsel::float16) X(float32, float) X(float64, double)                                            \
  X(complex64, std::complex<float>) X(complex128, std::complex<double>)
// clang-format on

constexpr std::size_t item_bytes_of(Type type) {
  constexpr std::size_t bytes[] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8, 8, 16, 0};
  return bytes[static_cast<int>(type)];
}
/// What addresses of elements must be a multiple of for kernels to read them in place.
constexpr std::size_t alignment_of(Type type) {
  const std::size_t bytes = item_bytes_of(type);
  return bytes == 0 ? 1 : bytes > 8 || type == Type::complex64 ? bytes / 2 : bytes;
}
constexpr bool is_bool(Type t) { return t == Type::bool_; }
constexpr bool is_signed_integer(Type t) { return t >= Type::int8 && t <= Type::int64; }
constexpr bool is_unsigned_integer(Type t) { return t >= Type::uint8 && t <= Type::uint64; }
constexpr bool is_integer(Type t) { return is_signed_integer(t) || is_unsigned_integer(t); }
constexpr bool is_floating(Type t) { return t >= Type::float16 && t <= Type::float64; }
constexpr bool is_complex(Type t) { return t == Type::complex64 || t == Type::complex128; }
/// "float32", "bool", ...; "carried" for the rest.
std::string_view name_of(Type type);

class DType;

/// One member of a record.
struct Field;

/// An element type: a numeric one, or a carried one with a size in bytes, a name and perhaps fields. In
/// memory always native byte order.
class DType {
 public:
  DType() = default;
  DType(Type type) : type_(type), item_bytes_(item_bytes_of(type)) {}  // NOLINT(google-explicit-constructor)
  /// `name`: a NumPy type string without byte order ("S5", "U3", "V16", "M8[ns]") or a Zarr v3 name
  /// ("bfloat16").
  static DType carried(std::string name, std::size_t item_bytes);
  /// A record of `item_bytes` with these fields; gaps between fields are padding.
  static DType record(std::vector<Field> fields, std::size_t item_bytes);

  Type type() const { return type_; }
  bool is_numeric() const { return type_ != Type::carried; }
  bool is_record() const;
  std::size_t item_bytes() const { return item_bytes_; }
  const std::vector<Field>& fields() const;
  /// "float32", "S5", "record[a: int32, b: float32]".
  std::string name() const;
  /// NumPy's type string in little-endian order: "<f4", "|b1", "|S5", "<M8[ns]"; for a record the Python list
  /// of a .npy header, fields by offset and padding as ('', '|V4'); the name itself where NumPy has none.
  std::string numpy() const;
  /// Bytes of each unit that byte-swapping reverses (1: none): item bytes for numbers, half of them for
  /// complex, 4 for U, 8 for M and m. Records swap field by field.
  std::size_t swap_bytes() const;
  friend bool operator==(const DType& a, const DType& b);

 private:
  struct Carried;
  Type type_ = Type::float64;
  std::size_t item_bytes_ = 8;
  std::shared_ptr<const Carried> carried_;
};

struct Field {
  std::string name;
  DType dtype;
  std::size_t offset_bytes = 0;
  Shape shape;  ///< sub-array shape, empty for a plain field
};

/// The dtype of a NumPy type string ("<f4", "f8", "float32", "|b1", "S5", "<M8[ns]", ">i2"), a name
/// ("bfloat16"), or a record as a Python or JSON list ("[('a', '<i4'), ('', '|V4')]"). `*big_endian`, if
/// given, becomes true if the text says that stored bytes need `swap_elements` on a little-endian machine.
/// **Fails**: unsupported for object types, strings of variable length and fields of different byte order;
/// syntax_error otherwise.
DType parse_dtype(std::string_view text, bool* big_endian = nullptr);

/// Reverses the byte order of `count` contiguous elements in place, records field by field.
void swap_elements(const DType& dtype, void* data, std::size_t count);

namespace detail {
template <class T>
struct TypeOf;
#define MORSEL_TYPE_OF(NAME, CPP)             \
  template <>                                 \
  struct TypeOf<CPP> {                        \
    static constexpr Type value = Type::NAME; \
  };
MORSEL_FOR_EACH_NUMERIC(MORSEL_TYPE_OF)
#undef MORSEL_TYPE_OF
// `long long` and `long` are different types of the same size; int64_t is only one of them.
using OtherInt64 = std::conditional_t<std::is_same_v<std::int64_t, long>, long long, long>;
template <>
struct TypeOf<OtherInt64> {
  static_assert(sizeof(OtherInt64) == 8);
  static constexpr Type value = Type::int64;
};
template <>
struct TypeOf<std::make_unsigned_t<OtherInt64>> {
  static constexpr Type value = Type::uint64;
};
}  // namespace detail

/// The numeric type of a C++ element type.
template <class T>
inline constexpr Type type_of = detail::TypeOf<std::remove_cv_t<T>>::value;

template <class T>
concept Element = requires {
  detail::TypeOf<std::remove_cv_t<T>>::value;
};

/// Calls f.template operator()<T>() with the C++ type of `type`. **Requires**: numeric.
template <class F>
decltype(auto) visit_type(Type type, F&& f) {
  switch (type) {
#define MORSEL_VISIT(NAME, CPP) \
  case Type::NAME:              \
    return f.template operator()<CPP>();
    MORSEL_FOR_EACH_NUMERIC(MORSEL_VISIT)
#undef MORSEL_VISIT
    case Type::carried:
      break;
  }
  fail(Errc::dtype_mismatch, "visiting a dtype: not numeric; expected one of the fourteen numeric dtypes");
}

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/array/impl/dtype.ipp>
#endif
