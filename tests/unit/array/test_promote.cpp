#include <catch2/catch.hpp>
#include <morsel/array/promote.hpp>
#include <sstream>

using namespace morsel;

namespace {

/// Row a, column b: numpy.result_type(a, b) of NumPy 2.
constexpr const char* pairs[numeric_type_count] = {
    "b1  i1  i2  i4  i8  u1  u2  u4  u8  f2  f4  f8  c8  c16",  // bool
    "i1  i1  i2  i4  i8  i2  i4  i8  f8  f2  f4  f8  c8  c16",  // int8
    "i2  i2  i2  i4  i8  i2  i4  i8  f8  f4  f4  f8  c8  c16",  // int16
    "i4  i4  i4  i4  i8  i4  i4  i8  f8  f8  f8  f8  c16 c16",  // int32
    "i8  i8  i8  i8  i8  i8  i8  i8  f8  f8  f8  f8  c16 c16",  // int64
    "u1  i2  i2  i4  i8  u1  u2  u4  u8  f2  f4  f8  c8  c16",  // uint8
    "u2  i4  i4  i4  i8  u2  u2  u4  u8  f4  f4  f8  c8  c16",  // uint16
    "u4  i8  i8  i8  i8  u4  u4  u4  u8  f8  f8  f8  c16 c16",  // uint32
    "u8  f8  f8  f8  f8  u8  u8  u8  u8  f8  f8  f8  c16 c16",  // uint64
    "f2  f2  f4  f8  f8  f2  f4  f8  f8  f2  f4  f8  c8  c16",  // float16
    "f4  f4  f4  f8  f8  f4  f4  f8  f8  f4  f4  f8  c8  c16",  // float32
    "f8  f8  f8  f8  f8  f8  f8  f8  f8  f8  f8  f8  c16 c16",  // float64
    "c8  c8  c8  c16 c16 c8  c8  c16 c16 c8  c8  c16 c8  c16",  // complex64
    "c16 c16 c16 c16 c16 c16 c16 c16 c16 c16 c16 c16 c16 c16",  // complex128
};

/// Columns: numpy.result_type(a, True), (a, 1), (a, 1.0), (a, 1j) of NumPy 2.
constexpr const char* weak[numeric_type_count] = {
    "b1  i8  f8  c16",  // bool
    "i1  i1  f8  c16",  // int8
    "i2  i2  f8  c16",  // int16
    "i4  i4  f8  c16",  // int32
    "i8  i8  f8  c16",  // int64
    "u1  u1  f8  c16",  // uint8
    "u2  u2  f8  c16",  // uint16
    "u4  u4  f8  c16",  // uint32
    "u8  u8  f8  c16",  // uint64
    "f2  f2  f2  c8",   // float16
    "f4  f4  f4  c8",   // float32
    "f8  f8  f8  c16",  // float64
    "c8  c8  c8  c8",   // complex64
    "c16 c16 c16 c16",  // complex128
};

/// numpy.sqrt(numpy.zeros(1, a)).dtype.
constexpr const char* roots = "f2 f2 f4 f8 f8 f2 f4 f8 f8 f2 f4 f8 c8 c16";

std::vector<Type> types_of(const char* row) {
  std::istringstream words(row);
  std::vector<Type> types;
  for (std::string word; words >> word;) types.push_back(parse_dtype(word).type());
  return types;
}

Type type_at(int i) { return static_cast<Type>(i); }

}  // namespace

TEST_CASE("all pairs of dtypes promote as in NumPy 2", "[array]") {
  for (int a = 0; a < numeric_type_count; ++a) {
    const std::vector<Type> expected = types_of(pairs[a]);
    REQUIRE(expected.size() == numeric_type_count);
    for (int b = 0; b < numeric_type_count; ++b) {
      INFO(name_of(type_at(a)) << " with " << name_of(type_at(b)));
      CHECK(name_of(promote(type_at(a), type_at(b))) == name_of(expected[static_cast<std::size_t>(b)]));
    }
  }
}

TEST_CASE("weak scalars raise the kind and never the width, as in NumPy 2", "[array]") {
  const WeakKind kinds[] = {WeakKind::boolean, WeakKind::integer, WeakKind::floating, WeakKind::complex};
  for (int a = 0; a < numeric_type_count; ++a) {
    const std::vector<Type> expected = types_of(weak[a]);
    REQUIRE(expected.size() == 4);
    for (std::size_t k = 0; k < 4; ++k) {
      INFO(name_of(type_at(a)) << " with weak kind " << k);
      CHECK(name_of(promote_weak(type_at(a), kinds[k])) == name_of(expected[k]));
    }
  }
}

TEST_CASE("functions of integers give floats as in NumPy 2", "[array]") {
  const std::vector<Type> expected = types_of(roots);
  REQUIRE(expected.size() == numeric_type_count);
  for (int a = 0; a < numeric_type_count; ++a)
    CHECK(name_of(float_result(type_at(a))) == name_of(expected[static_cast<std::size_t>(a)]));
}

TEST_CASE("promotion at compile time equals promotion at run time", "[array]") {
  int checked = 0;
  for (int a = 0; a < numeric_type_count; ++a)
    visit_type(type_at(a), [&]<class A>() {
      for (int b = 0; b < numeric_type_count; ++b)
        visit_type(type_at(b), [&]<class B>() {
          ++checked;
          CHECK(type_of<promote_t<A, B>> == promote(type_at(a), type_at(b)));
        });
    });
  CHECK(checked == numeric_type_count * numeric_type_count);
}

TEST_CASE("each numeric dtype has one C++ type of its size", "[array]") {
  for (int a = 0; a < numeric_type_count; ++a)
    visit_type(type_at(a), [&]<class A>() {
      CHECK(type_of<A> == type_at(a));
      CHECK(sizeof(A) == item_bytes_of(type_at(a)));
      CHECK(std::is_same_v<element_t<type_of<A>>, A>);
    });
  CHECK(type_of<long> == Type::int64);
  CHECK(type_of<long long> == Type::int64);
  CHECK(type_of<unsigned long long> == Type::uint64);
  CHECK(type_of<const float> == Type::float32);
  CHECK_FALSE(Element<long double>);
  CHECK_FALSE(Element<std::string>);
  CHECK_THROWS_AS(visit_type(Type::carried, []<class T>() {}), Error);
}

TEST_CASE("the parts of a complex dtype are its float dtype", "[array]") {
  CHECK(real_of(Type::complex64) == Type::float32);
  CHECK(real_of(Type::complex128) == Type::float64);
  CHECK(real_of(Type::int8) == Type::int8);
}
