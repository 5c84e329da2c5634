// What the tests of elementwise kernels share: elements as bits, running one operation, distances in ulp.
#pragma once

#include <catch2/catch.hpp>
#include <cmath>
#include <complex>
#include <cstdint>
#include <cstring>
#include <limits>
#include <morsel/kernel/simd.hpp>
#include <morsel/kernel/tape.hpp>
#include <random>
#include <string>
#include <vector>

namespace test {

using namespace morsel;

inline std::vector<SimdLevel> simd_levels() {
  std::vector<SimdLevel> levels;
  for (int i = 0; i <= static_cast<int>(best_simd_level()); ++i) levels.push_back(static_cast<SimdLevel>(i));
  return levels;
}

/// Puts the level back when it goes.
struct LevelGuard {
  SimdLevel level = simd_level();
  ~LevelGuard() { set_simd_level(level); }
};

inline std::vector<Type> numeric_types() {
  std::vector<Type> types;
  for (int i = 0; i < numeric_type_count; ++i) types.push_back(static_cast<Type>(i));
  return types;
}

/// Elements of a run-time dtype.
struct Elements {
  Type type = Type::float64;
  std::vector<std::byte> bytes;

  Elements() = default;
  Elements(Type t, std::size_t n) : type(t), bytes(n * item_bytes_of(t)) {}
  std::size_t size() const { return bytes.size() / item_bytes_of(type); }
  template <class T>
  T get(std::size_t i) const {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    return value;
  }
  template <class T>
  void set(std::size_t i, T value) {
    std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
  }
  /// Real part (or the value) as a long double, exact.
  long double real(std::size_t i) const {
    return visit_type(type, [&]<class T>() -> long double {
      if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>)
        return static_cast<long double>(get<T>(i).real());
      else if constexpr (std::is_same_v<T, morsel::float16>)
        return static_cast<long double>(static_cast<float>(get<T>(i)));
      else
        return static_cast<long double>(get<T>(i));
    });
  }
  long double imag(std::size_t i) const {
    if (type == Type::complex64) return static_cast<long double>(get<std::complex<float>>(i).imag());
    if (type == Type::complex128) return static_cast<long double>(get<std::complex<double>>(i).imag());
    return 0;
  }
};

/// The same bits; NaN parts compare equal.
inline bool same_bits(const Elements& a, std::size_t i, const Elements& b, std::size_t j) {
  const std::size_t n = item_bytes_of(a.type);
  if (a.type != b.type) return false;
  if (std::memcmp(a.bytes.data() + i * n, b.bytes.data() + j * n, n) == 0) return true;
  if (!is_floating(a.type) && !is_complex(a.type)) return false;
  const auto same = [](long double x, long double y) {
    return (std::isnan(x) && std::isnan(y)) || (x == y && std::signbit(x) == std::signbit(y));
  };
  return same(a.real(i), b.real(j)) && same(a.imag(i), b.imag(j));
}
inline bool same_bits(const Elements& a, const Elements& b) {
  if (a.type != b.type || a.bytes.size() != b.bytes.size()) return false;
  if (a.bytes == b.bytes) return true;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!same_bits(a, i, b, i)) return false;
  return true;
}

inline std::string text(const Elements& a, std::size_t i) {
  char buffer[100];
  if (is_complex(a.type))
    std::snprintf(buffer, sizeof buffer, "(%.17Lg, %.17Lg)", a.real(i), a.imag(i));
  else
    std::snprintf(buffer, sizeof buffer, "%.21Lg", a.real(i));
  return buffer;
}

/// Runs a program over any number of elements, tile by tile.
inline std::vector<Elements> run_program(const TileProgram& program, const std::vector<Elements>& in,
                                         std::size_t n) {
  std::vector<std::byte> memory(program.workspace_bytes() + 64);
  std::byte* workspace = memory.data() + (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64);
  program.prepare(workspace);
  std::vector<Elements> out;
  for (const Type t : program.outputs()) out.emplace_back(t, n);
  for (std::size_t at = 0; at < n; at += tile_size) {
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
    for (const Elements& e : in) inputs.push_back(e.bytes.data() + at * item_bytes_of(e.type));
    for (Elements& e : out) outputs.push_back(e.bytes.data() + at * item_bytes_of(e.type));
    program.run(std::min(tile_size, n - at), inputs.data(), outputs.data(), workspace);
  }
  return out;
}

/// `op` on whole arrays, as the engine does it: promotion, casts, kernel.
inline Elements apply(Op op, const std::vector<Elements>& in) {
  Tape tape;
  std::vector<int> args;
  for (std::size_t i = 0; i < in.size(); ++i) args.push_back(tape.input(static_cast<int>(i), in[i].type));
  return run_program(TileProgram(tape, {tape.apply(op, args)}), in, in[0].size())[0];
}

/// Random elements of which many are special: zeros, extremes, infinities, NaN, small integers.
inline Elements random_elements(Type type, std::size_t n, std::mt19937_64& random) {
  Elements e(type, n);
  const auto real = [&](auto limits) -> double {
    using L = decltype(limits);
    const double special[] = {0.0,
                              -0.0,
                              1,
                              -1,
                              2,
                              -2,
                              0.5,
                              3,
                              static_cast<double>(L::infinity()),
                              -static_cast<double>(L::infinity()),
                              static_cast<double>(L::quiet_NaN()),
                              static_cast<double>(L::max()),
                              static_cast<double>(L::lowest()),
                              static_cast<double>(L::min()),
                              static_cast<double>(L::denorm_min())};
    switch (random() % 6) {
      case 0:
        return special[random() % std::size(special)];
      case 1:
        return static_cast<double>(static_cast<int>(random() % 41) - 20);
      case 2:
        return std::uniform_real_distribution<double>(-1, 1)(random);
      case 3:
        return std::uniform_real_distribution<double>(-800, 800)(random);
      default: {
        const double exponent = std::uniform_real_distribution<double>(-60, 60)(random);
        return std::exp(exponent) * (random() & 1 ? 1 : -1);
      }
    }
  };
  visit_type(type, [&]<class T>() {
    for (std::size_t i = 0; i < n; ++i) {
      if constexpr (std::is_same_v<T, bool>) {
        e.set(i, (random() & 1) != 0);
      } else if constexpr (std::is_integral_v<T>) {
        const T special[] = {T(0),
                             T(1),
                             T(2),
                             static_cast<T>(-1),
                             static_cast<T>(-2),
                             std::numeric_limits<T>::min(),
                             std::numeric_limits<T>::max()};
        e.set(i, random() % 3 == 0   ? special[random() % std::size(special)]
                 : random() % 2 == 0 ? static_cast<T>(random() % 20)
                                     : static_cast<T>(random()));
      } else if constexpr (std::is_same_v<T, morsel::float16>) {
        e.set(i, random() % 2 ? morsel::float16::from_bits(static_cast<std::uint16_t>(random()))
                              : morsel::float16(static_cast<float>(real(std::numeric_limits<float>{}))));
      } else if constexpr (std::is_floating_point_v<T>) {
        T value = static_cast<T>(real(std::numeric_limits<T>{}));
        if (random() % 8 == 0) {
          const std::uint64_t bits = random();
          std::memcpy(&value, &bits, sizeof value);
        }
        e.set(i, value);
      } else {
        using R = typename T::value_type;
        const R re = static_cast<R>(real(std::numeric_limits<R>{})),
                im = static_cast<R>(real(std::numeric_limits<R>{}));
        e.set(i, T(re, im));
      }
    }
  });
  return e;
}

/// |got - want| in units of the last place of `want`; 0 if both are NaN or the same infinity or zero of the
/// same sign.
template <class T>
double ulps(T got, long double want) {
  constexpr double far = 1e30;
  using L = std::numeric_limits<T>;
  if (std::isnan(want) || std::isnan(got)) return std::isnan(want) && std::isnan(got) ? 0 : far;
  const T rounded = static_cast<T>(want);
  const long double largest = static_cast<long double>(L::max());
  if (std::isinf(rounded) || std::isinf(got)) {
    if (rounded == got) return 0;
    // At the edge of overflow infinity is the neighbour of the largest number.
    const bool near = std::fabs(want) >= largest * (1 - 4 * static_cast<long double>(L::epsilon())) &&
                      std::fabs(static_cast<long double>(got)) >=
                          largest * (1 - 4 * static_cast<long double>(L::epsilon()));
    return near && std::signbit(got) == std::signbit(rounded) ? 1 : far;
  }
  if (want == 0 && got == 0) return std::signbit(want) == std::signbit(got) ? 0 : far;
  int exponent = 0;
  std::frexp(want, &exponent);
  const long double unit = std::ldexp(1.0L, std::max(exponent, L::min_exponent) - L::digits);
  return static_cast<double>(std::fabs(static_cast<long double>(got) - want) / unit);
}

}  // namespace test
