// The same bits from every compiler, on every SIMD level, wherever an element lies: what no oracle built by
// the same compiler can tell.
#include <bit>
#include <catch2/catch.hpp>
#include <complex>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <morsel/api/library_versions.hpp>
#include <morsel/kernel/simd.hpp>
#include <sstream>
#include <support/evaluate.hpp>
#include <support/seed.hpp>
#include <support/skip.hpp>

namespace {

using namespace morsel;
using test::Whole;

/// Values of all magnitudes and signs, zeros, infinities, NaN, denormals; exact arithmetic only.
template <class T>
std::vector<T> values(std::size_t n, std::uint64_t seed) {
  std::vector<T> all(n);
  std::uint64_t state = seed;
  for (std::size_t i = 0; i < n; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const auto bits = state >> 11;
    if constexpr (std::is_floating_point_v<T>) {
      const T small = static_cast<T>(static_cast<double>(bits % 16001) / 1024 - 8);
      const int special = static_cast<int>(state >> 58);
      all[i] = special == 0   ? std::numeric_limits<T>::infinity()
               : special == 1 ? std::numeric_limits<T>::quiet_NaN()
               : special == 2 ? std::numeric_limits<T>::denorm_min() * static_cast<T>(bits % 100)
               : special == 3 ? T(-0.0)
               : special < 8  ? small * static_cast<T>(1e18)
               : special < 12 ? small * static_cast<T>(1e-9)
                              : small;
    } else {
      all[i] = static_cast<T>(static_cast<std::int64_t>(bits) % 1000);
    }
  }
  return all;
}

template <class T>
Edge array(const Shape& shape, const Shape& chunk, std::uint64_t seed) {
  auto data = std::make_shared<std::vector<T>>(values<T>(static_cast<std::size_t>(size_of(shape)), seed));
  auto whole = std::make_shared<Whole>(test::detail::empty_of(type_of<T>, shape));
  std::memcpy(whole->bytes.data(), data->data(), whole->bytes.size());
  test::TestSourceOptions options;
  options.grid = Grid::regular(shape, chunk);
  return make_source(test::TestSource(whole, options, std::make_shared<test::ReadLog>()),
                     View::identity(shape), {}, "values");
}

/// FNV-1a of the elements; every NaN counts as one and the same.
std::uint64_t digest(const Whole& w) {
  std::uint64_t hash = 14695981039346656037u;
  const auto add = [&](std::uint64_t bits, int bytes) {
    for (int i = 0; i < bytes; ++i) hash = (hash ^ ((bits >> (8 * i)) & 0xff)) * 1099511628211u;
  };
  const Type type = w.dtype.type();
  const bool doubles = type == Type::float64 || type == Type::complex128;
  const bool floats = type == Type::float32 || type == Type::complex64;
  if (doubles)
    for (std::size_t i = 0; i < w.bytes.size() / 8; ++i) {
      double v;
      std::memcpy(&v, w.bytes.data() + 8 * i, 8);
      add(v != v ? 1 : std::bit_cast<std::uint64_t>(v), 8);
    }
  else if (floats)
    for (std::size_t i = 0; i < w.bytes.size() / 4; ++i) {
      float v;
      std::memcpy(&v, w.bytes.data() + 4 * i, 4);
      add(v != v ? 1 : std::bit_cast<std::uint32_t>(v), 4);
    }
  else
    for (const std::byte b : w.bytes) add(static_cast<std::uint64_t>(b), 1);
  return hash;
}

/// One line per operation and dtype: "exp float64 -> digest".
std::string all_digests() {
  std::ostringstream out;
  const auto line = [&](const std::string& what, const Edge& e) {
    char hex[32];
    std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(digest(test::value_of(e))));
    out << what << " " << hex << "\n";
  };
  const Shape shape{37, 41}, chunk{10, 16};
  const Edge doubles[] = {array<double>(shape, chunk, 1), array<double>(shape, chunk, 2),
                          array<double>(shape, chunk, 3)};
  const Edge singles[] = {array<float>(shape, chunk, 4), array<float>(shape, chunk, 5),
                          array<float>(shape, chunk, 6)};
  const Edge longs[] = {array<std::int64_t>(shape, chunk, 7), array<std::int64_t>(shape, chunk, 8),
                        array<std::int64_t>(shape, chunk, 9)};
  for (const auto* operands : {doubles, singles, longs})
    for (int k = 0; k < op_count; ++k) {
      const Op op = static_cast<Op>(k);
      std::vector<Edge> in(operands, operands + arity_of(op));
      if (op == Op::where) in[0] = morsel::apply(Op::less, {operands[1], operands[2]});
      if (op == Op::clip) in[2] = morsel::apply(Op::maximum, {operands[1], operands[2]});
      if (operands == longs &&
          (op == Op::pow || op == Op::bitwise_left_shift || op == Op::bitwise_right_shift))
        in[1] = morsel::apply(Op::remainder, {operands[1], Scalar::of(std::int64_t{9})});
      std::vector<Operand> operands_of(in.begin(), in.end());
      try {
        line(std::string(name_of(op)) + " " + operands[0].dtype().name(), morsel::apply(op, operands_of));
      } catch (const Error& error) {
        if (error.code() != Errc::dtype_mismatch) throw;  // NumPy has none either
      }
    }
  ReductionOptions options;
  options.bins = 7;
  options.lo = -8;
  options.hi = 8;
  for (const auto* operands : {doubles, singles, longs})
    for (int k = 0; k <= static_cast<int>(Reduction::histogram); ++k)
      for (const bool skip_nan : {false, true}) {
        options.skip_nan = skip_nan;
        for (const std::vector<Index>& axes : {std::vector<Index>{0}, {1}, {0, 1}}) {
          const ReducerPtr reducer =
              make_reducer(static_cast<Reduction>(k), operands[0].dtype().type(), options);
          std::string what = reducer->name() + " " + operands[0].dtype().name() + " over";
          for (const Index axis : axes) what += " " + std::to_string(axis);
          line(what, morsel::reduce(reducer, operands[0], axes, false));
        }
      }
  const Edge centred =
      morsel::apply(Op::subtract, {doubles[0], test::reduced(Reduction::mean, doubles[0], {0}, true)});
  line("a - mean(a, 0)", centred);
  line("complex",
       morsel::apply(Op::exp, {morsel::apply(Op::multiply, {morsel::astype(doubles[0], Type::complex128),
                                                            morsel::astype(doubles[1], Type::complex128)})}));
  return out.str();
}

}  // namespace

TEST_CASE("operations give the committed bits, whatever the compiler and the SIMD level",
          "[property][bits]") {
  if (library_versions().sleef.empty()) MORSEL_SKIP("built without SLEEF");
  const std::string path = std::string(MORSEL_SOURCE_DIR) + "/tests/data/bits.txt";
  struct LevelGuard {
    SimdLevel level = simd_level();
    ~LevelGuard() { set_simd_level(level); }
  } guard;
  std::string first;
  for (int level = 0; level <= static_cast<int>(best_simd_level()); ++level) {
    set_simd_level(static_cast<SimdLevel>(level));
    const std::string got = all_digests();
    if (!test::environment("MORSEL_UPDATE_BITS").empty()) std::ofstream(path) << got;
    std::ifstream file(path);
    std::istringstream lines(got);
    std::string want, have;
    int different = 0;
    while (std::getline(file, want) && std::getline(lines, have))
      if (want != have && ++different < 10) UNSCOPED_INFO("expected " << want << "\n  got " << have);
    INFO("level " << name_of(simd_level()) << "; MORSEL_UPDATE_BITS=1 writes " << path);
    CHECK(different == 0);
    CHECK(!std::getline(file, want));
    CHECK(!std::getline(lines, have));
  }
}

TEST_CASE("an element's value does not depend on where it lies or how the array is formed",
          "[property][bits]") {
  const Index n = 1100;
  const Edge a = array<double>({n}, {400}, 11), b = array<double>({n}, {300}, 12);
  const auto f = [](const Edge& x, const Edge& y) {
    const Edge sum = morsel::apply(Op::add, {morsel::apply(Op::multiply, {x, y}), y});
    return morsel::apply(Op::atan2, {morsel::apply(Op::exp, {sum}), morsel::apply(Op::divide, {x, y})});
  };
  const Whole all = test::value_of(f(a, b));
  for (const std::vector<std::string>& skip :
       {std::vector<std::string>{}, {"fuse"}, {"super"}, {"fuse", "super", "share", "push_views"}}) {
    ComputeOptions options;
    options.skip_passes = skip;
    // Every offset within a tile of 256, forwards and backwards.
    for (const Index from : {0, 1, 2, 3, 7, 15, 31, 100, 255, 256, 257, 500}) {
      const std::string ahead = std::to_string(from) + ":";
      const auto part = [&](const Edge& e) { return slice(e, parse_slice(ahead)); };
      CHECK(test::difference(test::value_of(part(f(a, b))), test::value_of(f(part(a), part(b)), options)) ==
            "");
      const auto back = [&](const Edge& e) { return flip(part(e), {0}); };
      CHECK(test::difference(test::value_of(back(f(a, b))), test::value_of(f(back(a), back(b)), options)) ==
            "");
    }
    const Edge m = array<double>({61, 83}, {20, 30}, 13), k = array<double>({61, 83}, {61, 11}, 14);
    const auto turned = [](const Edge& e) { return permute_dims(e, {1, 0}); };
    CHECK(test::difference(test::value_of(turned(f(m, k))),
                           test::value_of(f(turned(m), turned(k)), options)) == "");
  }
}
