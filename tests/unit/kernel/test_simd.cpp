#include <catch2/catch.hpp>
#include <morsel/kernel/impl/tile_table.hpp>
#include <morsel/kernel/simd.hpp>
#include <support/seed.hpp>

#include "elements.hpp"

using namespace morsel;

namespace {

// Calls a kernel on elements at any byte offset from alignment, and checks that it writes its n results and
// no more.
test::Elements call(TileFn kernel, const std::vector<test::Elements>& in, Type result, std::size_t n,
                    std::size_t misalign) {
  const std::size_t bytes = item_bytes_of(result);
  std::vector<std::vector<std::byte>> copies;
  std::vector<const void*> args;
  for (const test::Elements& e : in) {
    const std::size_t item = item_bytes_of(e.type), offset = misalign * item;
    copies.emplace_back(offset + n * item + 1);
    std::copy_n(e.bytes.begin(), n * item, copies.back().begin() + static_cast<std::ptrdiff_t>(offset));
    args.push_back(copies.back().data() + offset);
  }
  constexpr std::byte mark{0xa5};
  std::vector<std::byte> out((misalign + n + 8) * bytes, mark);
  kernel(n, out.data() + misalign * bytes, args.data(), nullptr);
  for (std::size_t i = 0; i < out.size(); ++i)
    if (i < misalign * bytes || i >= (misalign + n) * bytes) {
      if (out[i] != mark) FAIL_CHECK("a kernel writes outside its output");
    }
  test::Elements e(result, n);
  std::copy_n(out.begin() + static_cast<std::ptrdiff_t>(misalign * bytes), n * bytes, e.bytes.begin());
  return e;
}

struct Kernel {
  std::string name;
  std::vector<Type> in;
  Type result;
  TileFn (*find)(const Kernel&);
  Op op = Op::add;
  OpTypes types{};
};

std::vector<Kernel> all_kernels() {
  std::vector<Kernel> kernels;
  const auto add_op = [&](Op op, const std::vector<Type>& operands) {
    OpTypes types;
    try {
      types = resolve_op(op, operands);
    } catch (const Error&) {
      return;
    }
    const std::vector<Type> in(types.in.begin(), types.in.begin() + arity_of(op));
    std::string name(name_of(op));
    for (const Type t : in) name += " " + std::string(name_of(t));
    kernels.push_back(
        {name, in, types.result, [](const Kernel& k) { return op_kernel(k.op, k.types); }, op, types});
  };
  for (int i = 0; i < op_count; ++i)
    for (const Type t : test::numeric_types()) {
      const Op op = static_cast<Op>(i);
      std::vector<Type> operands(static_cast<std::size_t>(arity_of(op)), t);
      if (op == Op::where) operands[0] = Type::bool_;
      add_op(op, operands);
      if (op >= Op::equal && op <= Op::greater_equal && t == Type::int64) {
        add_op(op, {Type::int64, Type::uint64});
        add_op(op, {Type::uint64, Type::int64});
      }
    }
  for (const Type from : test::numeric_types())
    for (const Type to : test::numeric_types())
      kernels.push_back({"cast " + std::string(name_of(from)) + " to " + std::string(name_of(to)),
                         {from},
                         to,
                         [](const Kernel& k) { return cast_kernel(k.in[0], k.result); }});
  return kernels;
}

// Integer powers refuse negative exponents.
void make_valid(const Kernel& kernel, std::vector<test::Elements>& in) {
  if (kernel.name.find("pow") != 0 || !is_signed_integer(in[1].type)) return;
  visit_type(in[1].type, [&]<class T>() {
    if constexpr (std::is_integral_v<T> && std::is_signed_v<T>)
      for (std::size_t i = 0; i < in[1].size(); ++i)
        if (in[1].get<T>(i) < 0) in[1].set<T>(i, static_cast<T>(in[1].get<T>(i) & 15));
  });
}

}  // namespace

TEST_CASE("every kernel gives the same bits on every SIMD level, for any length and alignment", "[kernel]") {
  const test::LevelGuard guard;
  std::mt19937_64 random(test::first_seed());
  const std::vector<Kernel> kernels = all_kernels();
  CHECK(kernels.size() > 700);
  const std::size_t lengths[] = {256, 255, 129, 64, 33, 17, 16, 15, 9, 8, 7, 5, 4, 3, 2, 1, 0};
  for (const Kernel& kernel : kernels) {
    std::vector<test::Elements> in;
    for (const Type t : kernel.in) in.push_back(test::random_elements(t, tile_size, random));
    make_valid(kernel, in);
    set_simd_level(SimdLevel::baseline);
    const test::Elements whole = call(kernel.find(kernel), in, kernel.result, tile_size, 0);
    for (const SimdLevel level : test::simd_levels()) {
      set_simd_level(level);
      const TileFn run = kernel.find(kernel);
      for (const std::size_t n : lengths) {
        const test::Elements part = call(run, in, kernel.result, n, n % 4);
        for (std::size_t i = 0; i < n; ++i)
          if (!test::same_bits(part, i, whole, i)) {
            std::string args;
            for (const test::Elements& e : in) args += " " + test::text(e, i);
            FAIL_CHECK(kernel.name << " at level " << name_of(level) << ", n = " << n << ":" << args
                                   << " gives " << test::text(part, i) << ", on baseline "
                                   << test::text(whole, i));
            break;
          }
      }
    }
  }
}

TEST_CASE("functions give the same bits on every SIMD level over many random numbers", "[kernel]") {
  const test::LevelGuard guard;
  std::mt19937_64 random(test::first_seed());
  for (int i = 0; i < op_count; ++i) {
    const Op op = static_cast<Op>(i);
    for (const Type t : {Type::float32, Type::float64, Type::complex64, Type::complex128}) {
      const std::vector<Type> operands(static_cast<std::size_t>(arity_of(op)), t);
      try {
        resolve_op(op, operands);
      } catch (const Error&) {
        continue;
      }
      const std::size_t n = static_cast<std::size_t>(test::effort(6000));
      std::vector<test::Elements> in;
      for (const Type o : operands) in.push_back(test::random_elements(o, n, random));
      set_simd_level(SimdLevel::baseline);
      const test::Elements baseline = test::apply(op, in);
      for (const SimdLevel level : test::simd_levels()) {
        set_simd_level(level);
        INFO(name_of(op) << " " << name_of(t) << " " << name_of(level));
        CHECK(test::same_bits(test::apply(op, in), baseline));
      }
    }
  }
}

TEST_CASE("a level this processor does not have is refused, and the others have names", "[kernel]") {
  const test::LevelGuard guard;
  CHECK(name_of(SimdLevel::baseline) == "baseline");
  CHECK(name_of(SimdLevel::avx2) == "avx2");
  CHECK(name_of(SimdLevel::avx512) == "avx512");
  CHECK(find_simd_level("avx2") == SimdLevel::avx2);
  CHECK(!find_simd_level("sse9"));
  CHECK(simd_level() <= best_simd_level());
  for (const SimdLevel level : test::simd_levels()) {
    set_simd_level(level);
    CHECK(simd_level() == level);
  }
  if (best_simd_level() < SimdLevel::avx512)
    CHECK_THROWS_WITH(set_simd_level(SimdLevel::avx512), Catch::Contains("not available here"));
}
