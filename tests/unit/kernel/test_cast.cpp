#include <catch2/catch.hpp>
#include <support/seed.hpp>

#include "elements.hpp"

using namespace morsel;

namespace {

test::Elements cast(const test::Elements& in, Type to) {
  Tape tape;
  const int step = tape.cast(tape.input(0, in.type), to);
  return test::run_program(TileProgram(tape, {step}), {in}, in.size())[0];
}

// The half nearest to an exact value, ties to even, by search: slow and obvious.
std::uint16_t nearest_half(long double x) {
  if (std::isnan(x)) return 0x7e00;
  const std::uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  const long double m = std::fabs(x);
  if (m >= 65520.0L) return static_cast<std::uint16_t>(sign | 0x7c00);
  std::uint16_t low = 0, high = 0x7bff;  // value(low) <= m
  const auto value = [](std::uint16_t b) { return static_cast<long double>(half_bits_to_float(b)); };
  while (low < high) {
    const std::uint16_t middle = static_cast<std::uint16_t>((low + high + 1) / 2);
    if (value(middle) <= m)
      low = middle;
    else
      high = static_cast<std::uint16_t>(middle - 1);
  }
  if (low == 0x7bff) return static_cast<std::uint16_t>(sign | low);
  const long double below = m - value(low), above = value(static_cast<std::uint16_t>(low + 1)) - m;
  const bool up = above < below || (above == below && (low & 1));
  return static_cast<std::uint16_t>(sign | (low + up));
}

// What a conversion must give, from the exact real value.
template <class To>
bool is_right(long double x, const test::Elements& got, std::size_t i) {
  if constexpr (std::is_same_v<To, bool>) {
    return got.get<bool>(i) == (x != 0);
  } else if constexpr (std::is_integral_v<To>) {
    const long double low = static_cast<long double>(std::numeric_limits<To>::min());
    const long double high = static_cast<long double>(std::numeric_limits<To>::max());
    const To want = std::isnan(x)           ? To(0)
                    : std::trunc(x) <= low  ? std::numeric_limits<To>::min()
                    : std::trunc(x) >= high ? std::numeric_limits<To>::max()
                                            : static_cast<To>(x);
    return got.get<To>(i) == want;
  } else if constexpr (std::is_same_v<To, morsel::float16>) {
    const std::uint16_t bits = got.get<morsel::float16>(i).bits;
    return std::isnan(x) ? (bits & 0x7fff) > 0x7c00 : bits == nearest_half(x);
  } else {
    const To want = static_cast<To>(x);
    const To value = got.get<To>(i);
    return std::isnan(x) ? std::isnan(value) : value == want && std::signbit(value) == std::signbit(want);
  }
}

}  // namespace

TEST_CASE("conversions between real dtypes are rounded once, saturate, and turn NaN into 0", "[kernel]") {
  const test::LevelGuard guard;
  std::mt19937_64 random(test::first_seed());
  for (const SimdLevel level : test::simd_levels()) {
    set_simd_level(level);
    for (const Type from : test::numeric_types()) {
      if (is_complex(from)) continue;
      const test::Elements in = test::random_elements(from, 3000, random);
      for (const Type to : test::numeric_types()) {
        if (is_complex(to)) continue;
        const test::Elements got = cast(in, to);
        int wrong = 0;
        visit_type(to, [&]<class To>() {
          if constexpr (!std::is_same_v<To, std::complex<float>> && !std::is_same_v<To, std::complex<double>>)
            for (std::size_t i = 0; i < in.size(); ++i) {
              // Integers wrap among themselves.
              bool right = is_right<To>(in.real(i), got, i);
              if constexpr (std::is_integral_v<To> && !std::is_same_v<To, bool>) {
                if (is_integer(from) || is_bool(from))
                  right = visit_type(from, [&]<class From>() {
                    if constexpr (std::is_integral_v<From>)
                      return got.get<To>(i) == static_cast<To>(in.get<From>(i));
                    return false;
                  });
              }
              if (!right && wrong++ < 3)
                FAIL_CHECK(name_of(level) << " " << name_of(from) << " " << test::text(in, i) << " gives "
                                          << name_of(to) << " " << test::text(got, i));
            }
        });
        CHECK(wrong == 0);
      }
    }
  }
}

TEST_CASE("float to integer saturates at the edges of the range", "[kernel]") {
  const test::LevelGuard guard;
  struct Row {
    double x;
    std::int32_t i32;
    std::int64_t i64;
    std::uint8_t u8;
    std::uint64_t u64;
  };
  constexpr auto min32 = std::numeric_limits<std::int32_t>::min(),
                 max32 = std::numeric_limits<std::int32_t>::max();
  constexpr auto min64 = std::numeric_limits<std::int64_t>::min(),
                 max64 = std::numeric_limits<std::int64_t>::max();
  constexpr auto maxu64 = std::numeric_limits<std::uint64_t>::max();
  constexpr double inf = std::numeric_limits<double>::infinity();
  const Row rows[] = {
      {std::nan(""), 0, 0, 0, 0},
      {inf, max32, max64, 255, maxu64},
      {-inf, min32, min64, 0, 0},
      {2147483647.5, max32, 2147483647, 255, 2147483647},
      {2147483648.0, max32, 2147483648, 255, 2147483648},
      {-2147483648.9, min32, -2147483648, 0, 0},
      {9223372036854775807.0, max32, max64, 255, std::uint64_t{1} << 63},
      {-9223372036854775808.0, min32, min64, 0, 0},
      {9223372036854774784.0, max32, 9223372036854774784, 255, 9223372036854774784u},
      {18446744073709549568.0, max32, max64, 255, 18446744073709549568u},
      {18446744073709551616.0, max32, max64, 255, maxu64},
      {-0.9, 0, 0, 0, 0},
      {255.9, 255, 255, 255, 255},
      {256, 256, 256, 255, 256},
      {-1, -1, -1, 0, 0},
  };
  test::Elements in(Type::float64, std::size(rows));
  for (std::size_t i = 0; i < std::size(rows); ++i) in.set(i, rows[i].x);
  for (const SimdLevel level : test::simd_levels()) {
    set_simd_level(level);
    const test::Elements i32 = cast(in, Type::int32), i64 = cast(in, Type::int64), u8 = cast(in, Type::uint8),
                         u64 = cast(in, Type::uint64);
    for (std::size_t i = 0; i < std::size(rows); ++i) {
      INFO(name_of(level) << " " << rows[i].x);
      CHECK(i32.get<std::int32_t>(i) == rows[i].i32);
      CHECK(i64.get<std::int64_t>(i) == rows[i].i64);
      CHECK(u8.get<std::uint8_t>(i) == rows[i].u8);
      CHECK(u64.get<std::uint64_t>(i) == rows[i].u64);
    }
  }
}

TEST_CASE("every float16 converts exactly to float, keeping NaN bits, and back", "[kernel]") {
  const test::LevelGuard guard;
  test::Elements halves(Type::float16, 65536);
  for (std::size_t i = 0; i < 65536; ++i)
    halves.set(i, morsel::float16::from_bits(static_cast<std::uint16_t>(i)));
  for (const SimdLevel level : test::simd_levels()) {
    set_simd_level(level);
    const test::Elements floats = cast(halves, Type::float32);
    int wrong = 0;
    for (std::size_t i = 0; i < 65536; ++i) {
      std::uint32_t bits;
      std::memcpy(&bits, floats.bytes.data() + 4 * i, 4);
      // In integers: an x87 or signalling NaN must not be touched by the comparison.
      wrong += bits != std::bit_cast<std::uint32_t>(half_bits_to_float(static_cast<std::uint16_t>(i)));
    }
    CHECK(wrong == 0);
    const test::Elements back = cast(floats, Type::float16);
    for (std::size_t i = 0; i < 65536; ++i) {
      const std::uint16_t bits = back.get<morsel::float16>(i).bits;
      const bool is_nan = (i & 0x7fff) > 0x7c00;
      wrong += bits != (is_nan ? i | 0x200 : i);
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("float to float16 agrees with float16 itself on all bit patterns of a fine grid", "[kernel]") {
  const test::LevelGuard guard;
  for (const SimdLevel level : test::simd_levels()) {
    set_simd_level(level);
    test::Elements in(Type::float32, 1u << 20);
    for (std::uint32_t i = 0; i < (1u << 20); ++i)
      in.set<std::uint32_t>(i, i * 4096u + (i * 2654435761u >> 20));
    const test::Elements got = cast(in, Type::float16);
    int wrong = 0;
    for (std::uint32_t i = 0; i < (1u << 20); ++i)
      wrong += got.get<std::uint16_t>(i) !=
               float_to_half_bits(std::bit_cast<float>(i * 4096u + (i * 2654435761u >> 20)));
    CHECK(wrong == 0);
  }
}

TEST_CASE("double to float16 is rounded once, not by way of float", "[kernel]") {
  const test::LevelGuard guard;
  // Halfway between two halves, moved by less than float sees; next to it the neighbours.
  std::vector<double> values;
  for (int h = 0; h < 0x7bff; h += 7) {
    const double a = static_cast<double>(half_bits_to_float(static_cast<std::uint16_t>(h)));
    const double b = static_cast<double>(half_bits_to_float(static_cast<std::uint16_t>(h + 1)));
    const double middle = (a + b) / 2;
    for (const double x : {middle, std::nextafter(middle, 1e9), std::nextafter(middle, -1e9),
                           middle * (1 + 0x1p-40), middle * (1 - 0x1p-40)})
      for (const double sign : {1.0, -1.0}) values.push_back(sign * x);
  }
  for (const double x :
       {65519.999999999, 65520.0, 1e300, 0x1p-25, 0x1p-25 * (1 + 0x1p-52), 0x1p-26, 1e-300, 0.0})
    values.push_back(x);
  test::Elements in(Type::float64, values.size());
  for (std::size_t i = 0; i < values.size(); ++i) in.set(i, values[i]);
  for (const SimdLevel level : test::simd_levels()) {
    set_simd_level(level);
    const test::Elements got = cast(in, Type::float16);
    int wrong = 0;
    for (std::size_t i = 0; i < values.size(); ++i)
      wrong += got.get<std::uint16_t>(i) != nearest_half(static_cast<long double>(values[i]));
    CHECK(wrong == 0);
  }
}

TEST_CASE("conversions to and from complex numbers keep or drop the imaginary part", "[kernel]") {
  test::Elements z(Type::complex128, 3);
  z.set(0, std::complex<double>(3.5, -1));
  z.set(1, std::complex<double>(0, 2));
  z.set(2, std::complex<double>(-7, 0));
  const test::Elements narrow = cast(z, Type::complex64), integer = cast(z, Type::int16),
                       truth = cast(z, Type::bool_);
  CHECK(narrow.get<std::complex<float>>(0) == std::complex<float>(3.5f, -1));
  CHECK(integer.get<std::int16_t>(0) == 3);
  CHECK(integer.get<std::int16_t>(2) == -7);
  CHECK(truth.get<bool>(1));
  CHECK(cast(integer, Type::complex128).get<std::complex<double>>(2) == std::complex<double>(-7, 0));
}

TEST_CASE("a conversion to the same dtype keeps every bit of a NaN", "[kernel]") {
  const test::LevelGuard guard;
  for (const SimdLevel level : test::simd_levels()) {
    set_simd_level(level);
    for (const Type t : {Type::float32, Type::float64, Type::complex64}) {
      test::Elements in(t, 5);
      for (std::size_t i = 0; i < in.bytes.size(); ++i)
        in.bytes[i] = std::byte{static_cast<unsigned char>(i % 2 ? 0x7f : 0xb1)};
      test::Elements out(t, 5);
      const void* args[] = {in.bytes.data()};
      cast_kernel(t, t)(5, out.bytes.data(), args, nullptr);
      CHECK(out.bytes == in.bytes);
    }
  }
}
