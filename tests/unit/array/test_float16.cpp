#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <morsel/array/float16.hpp>
#include <vector>

using namespace morsel;

namespace {

constexpr std::uint32_t half_count = 65536;

std::uint16_t half(std::uint32_t bits) { return static_cast<std::uint16_t>(bits); }

bool is_nan_half(std::uint32_t bits) { return (bits & 0x7fff) > 0x7c00; }

/// The value of a finite binary16 from its definition.
double value_of(std::uint32_t bits) {
  const int exponent = static_cast<int>((bits >> 10) & 31);
  const double fraction = bits & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

/// FNV-1a over the little-endian bytes of `values`.
template <class T>
std::uint64_t digest(const std::vector<T>& values) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const T value : values)
    for (std::size_t i = 0; i < sizeof(T); ++i) hash = (hash ^ ((value >> (8 * i)) & 255u)) * 0x100000001b3u;
  return hash;
}

}  // namespace

TEST_CASE("every binary16 widens to the float of its value", "[array]") {
  std::uint32_t wrong = 0;
  for (std::uint32_t bits = 0; bits < half_count; ++bits) {
    const float value = half_bits_to_float(half(bits));
    if (is_nan_half(bits)) {
      // The payload moves up, the sign stays.
      const auto f = std::bit_cast<std::uint32_t>(value);
      wrong += !std::isnan(value) || f >> 31 != bits >> 15 || ((f >> 13) & 0x3ff) != (bits & 0x3ff);
    } else if ((bits & 0x7fff) == 0x7c00) {
      wrong += !std::isinf(value) || std::signbit(value) != (bits > 0x7fff);
    } else {
      wrong += static_cast<double>(value) != value_of(bits) || std::signbit(value) != (bits > 0x7fff);
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("widening agrees with NumPy on all 65536 binary16 numbers", "[array]") {
  std::vector<std::uint32_t> bits;
  for (std::uint32_t h = 0; h < half_count; ++h) {
    const float value = half_bits_to_float(half(h));
    bits.push_back(std::isnan(value) ? 0x7fc00000u : std::bit_cast<std::uint32_t>(value));
  }
  CHECK(digest(bits) ==
        0x1f87f165810ea7c5u);  // of arange(65536, dtype='u2').view('f2').astype('f4').view('u4')
}

TEST_CASE("every binary16 survives the way to float and back; NaN becomes quiet", "[array]") {
  std::uint32_t wrong = 0;
  for (std::uint32_t bits = 0; bits < half_count; ++bits) {
    const std::uint32_t expected = is_nan_half(bits) ? bits | 0x200u : bits;
    wrong += float_to_half_bits(half_bits_to_float(half(bits))) != expected;
  }
  CHECK(wrong == 0);
}

TEST_CASE("floats round to the nearest binary16, ties to even, at every boundary", "[array]") {
  std::uint32_t wrong = 0;
  std::vector<float> inputs;
  for (std::uint32_t bits = 0; bits < 0x7c00; ++bits) {
    const auto low = static_cast<float>(value_of(bits));
    const auto high = static_cast<float>(bits == 0x7bff ? 65536.0 : value_of(bits + 1));
    const float middle = (low + high) / 2;
    const float below = std::nextafter(middle, -1.0f);
    const float above = std::nextafter(middle, 1e9f);
    const std::uint32_t even = bits & 1 ? bits + 1 : bits;
    for (const std::uint32_t sign : {0u, 0x8000u}) {
      const float s = sign ? -1.0f : 1.0f;
      wrong += float_to_half_bits(s * low) != (sign | bits);
      wrong += float_to_half_bits(s * below) != (sign | bits);
      wrong += float_to_half_bits(s * middle) != (sign | even);
      wrong += float_to_half_bits(s * above) != (sign | (bits + 1));
    }
    inputs.insert(inputs.end(), {low, below, middle, above});
  }
  CHECK(wrong == 0);
  const std::size_t positive = inputs.size();
  for (std::size_t i = 0; i < positive; ++i) inputs.push_back(-inputs[i]);
  std::vector<std::uint16_t> outputs;
  for (const float x : inputs) outputs.push_back(float_to_half_bits(x));
  CHECK(digest(outputs) == 0x027b10759c433e45u);  // of numpy.float32(inputs).astype('f2').view('u2')
}

TEST_CASE("doubles round to binary16 once", "[array]") {
  std::uint32_t wrong = 0;
  for (std::uint32_t bits = 0; bits < 0x7c00; ++bits) {
    const double low = value_of(bits);
    const double middle = (low + (bits == 0x7bff ? 65536.0 : value_of(bits + 1))) / 2;
    const std::uint32_t even = bits & 1 ? bits + 1 : bits;
    for (const std::uint32_t sign : {0u, 0x8000u}) {
      const double s = sign ? -1.0 : 1.0;
      wrong += half_of(s * low).bits != (sign | bits);
      wrong += half_of(s * middle).bits != (sign | even);
      // Nearer to the middle than a float can say.
      wrong += half_of(s * std::nextafter(middle, -1.0)).bits != (sign | bits);
      wrong += half_of(s * std::nextafter(middle, 1e9)).bits != (sign | (bits + 1));
    }
  }
  CHECK(wrong == 0);
  constexpr double inf = std::numeric_limits<double>::infinity();
  const std::pair<double, std::uint32_t> table[] = {
      {0.0, 0},      {-0.0, 0x8000},    {1e300, 0x7c00}, {-1e300, 0xfc00}, {1e-300, 0},
      {inf, 0x7c00}, {-1e-300, 0x8000}, {-inf, 0xfc00},  {1e39, 0x7c00},   {1e-46, 0},
  };
  for (const auto& [value, bits] : table) CHECK(half_of(value).bits == bits);
  CHECK(is_nan_half(half_of(NAN).bits));
  static_assert(half_of(1.0).bits == 0x3c00);
}

TEST_CASE("floats beyond binary16 become infinity or zero and NaN stays NaN", "[array]") {
  constexpr float inf = std::numeric_limits<float>::infinity();
  const std::pair<float, std::uint32_t> table[] = {
      {65504.0f, 0x7bff},
      {65519.996f, 0x7bff},
      {65520.0f, 0x7c00},
      {1e30f, 0x7c00},
      {inf, 0x7c00},
      {-inf, 0xfc00},
      {-65520.0f, 0xfc00},
      {0.0f, 0},
      {-0.0f, 0x8000},
      {1e-30f, 0},
      {-1e-30f, 0x8000},
      {std::numeric_limits<float>::denorm_min(), 0},
      {std::ldexp(1.0f, -25), 0},
      {std::nextafter(std::ldexp(1.0f, -25), 1.0f), 1},
      {std::ldexp(1.0f, -24), 1},
      {std::ldexp(3.0f, -25), 2},
  };
  for (const auto& [value, bits] : table) CHECK(float_to_half_bits(value) == bits);
  for (const std::uint32_t bits : {0x7f800001u, 0x7fc00000u, 0xffc12345u, 0x7fffffffu}) {
    const std::uint16_t h = float_to_half_bits(std::bit_cast<float>(bits));
    CHECK(is_nan_half(h));
    CHECK((h & 0x200) != 0);
    CHECK(h >> 15 == static_cast<int>(bits >> 31));
  }
}

TEST_CASE("arithmetic on float16 rounds after every operation", "[array]") {
  const float16 a(2048.0f), one(1.0f);
  CHECK(float(a + one) == 2048.0f);
  CHECK(float(a + one + one) == 2048.0f);
  CHECK(float(a + float16(3.0f)) == 2052.0f);
  CHECK(float(float16(0.1f) * float16(3.0f)) == float(float16(float(float16(0.1f)) * 3.0f)));
  CHECK(float(float16(1.0f) / float16(3.0f)) == half_bits_to_float(0x3555));
  CHECK(float(float16(60000.0f) + float16(60000.0f)) == std::numeric_limits<float>::infinity());
  CHECK((-float16(0.0f)).bits == 0x8000);
  CHECK(float16(0.0f) == -float16(0.0f));
  CHECK(float16(1.0f) < float16(1.5f));
  CHECK_FALSE(float16(NAN) == float16(NAN));
  CHECK_FALSE(float16(NAN) < float16(1.0f));
}
