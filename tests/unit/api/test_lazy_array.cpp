#include "arrays.hpp"
//
#include <catch2/catch.hpp>
#include <support/failure.hpp>
#include <type_traits>

using namespace morsel;
using morsel_test::contains;
using morsel_test::counting;
using morsel_test::failure_of;
using morsel_test::text_of;
using morsel_test::text_of_elements;

TEST_CASE("a handle tells what it stands for without reading", "[api][lazy_array]") {
  const auto a = counting<float>({3, 4}, {2, 3}).with_dims({"y", "x"}).with_attrs({{"units", "\"m\""}});
  CHECK(a.shape() == Shape{3, 4});
  CHECK(a.ndim() == 2);
  CHECK(a.size() == 12);
  CHECK(a.nbytes() == 48);
  CHECK(a.dtype() == DType(Type::float32));
  CHECK(a.chunks() == std::vector<std::vector<Index>>{{2, 1}, {3, 1}});
  CHECK(a.grid().count() == 4);
  CHECK(a.dims() == std::vector<std::string>{"y", "x"});
  CHECK(a.attrs() == Attributes{{"units", "\"m\""}});
  CHECK(to_string(a) == "LazyArray<float32>(shape=(3, 4), chunks=((2, 1), (3, 1)), dims=(y, x), 48 B)");
  CHECK(to_string(counting<std::int64_t>({5})) == "LazyArray<int64>(shape=(5,), chunks=((5,),), 40 B)");
  CHECK(to_string(sum(a)) == "LazyArray<float32>(shape=(), chunks=(), 4 B)");
  CHECK(
      describe(a) ==
      "LazyArray<float32> memory\n  shape   (3, 4)\n  size    12 elements, 48 B\n  chunks  ((2, 1), (3, 1))\n"
      "          4 chunks of up to (2, 3), 24 B\n  dims    y, x\n  attrs   units = \"m\"\n");
}

TEST_CASE("every way to write a slice gives the same view", "[api][lazy_array]") {
  const auto a = counting<int>({4, 5, 6}, {2, 2, 3});
  const std::string expected = text_of(a["1:3, ..., ::2"]);
  CHECK(
      expected ==
      "(2, 5, 3): 30 32 34 36 38 40 42 44 46 48 50 52 54 56 58 60 62 64 66 68 70 72 74 76 78 80 82 84 86 88");
  CHECK(text_of(a.view(range(1, 3), ellipsis, range(morsel::_, morsel::_, 2))) == expected);
  CHECK(text_of(a.view(range(1, 3), morsel::_, range(morsel::_, morsel::_, 2))) == expected);
  CHECK(text_of(a.view(xt::range(1, 3), xt::ellipsis(),
                       xt::range(xt::placeholders::_, xt::placeholders::_, 2))) == expected);
  CHECK(text_of(a.view(xt::range(1, 3), xt::all(), xt::range(0, 6, 2))) == expected);
  CHECK(text_of(a[1]) == text_of(a["1"]));
  CHECK(text_of(a[-1]) == text_of(a["-1"]));
  CHECK(text_of(a[0][1][2]) == "(): 8");
  CHECK(text_of(a[range(1, 2)]) == text_of(a["1:2"]));
  CHECK(a[ellipsis].shape() == a.shape());
  CHECK(a[newaxis].shape() == Shape{1, 4, 5, 6});
  CHECK(a.view(xt::newaxis(), 1).shape() == Shape{1, 5, 6});
  CHECK(text_of(a.view(xt::ellipsis(), xt::range(4, xt::placeholders::_, -2))) == text_of(a["..., 4::-2"]));
  CHECK(text_of(a.view(0, 0, xt::range(-3, -1))) == text_of(a["0, 0, -3:-1"]));
  CHECK(a.view(0, xt::range(2, 2)).shape() == Shape{0, 6});
  // The view is an xtensor view of the same elements.
  const xt::xarray<int> all = a.compute();
  CHECK(text_of_elements(xt::xarray<int>(xt::view(all, xt::range(1, 3), xt::all(), xt::range(0, 6, 2)))) ==
        expected);
  CHECK(contains(failure_of([&] { a["0, 0, 0, 0"]; }), "too many indices; expected at most 3, got 4"));
  CHECK(contains(failure_of([&] { a.view(0, 0, 0, xt::range(0, 1)); }),
                 "too many indices; expected at most 3, got 4"));
  CHECK(contains(failure_of([&] { a[4]; }), "out_of_range: slicing [4] of shape (4, 5, 6)"));
  CHECK(contains(failure_of([&] { a["1:x"]; }), "syntax_error"));
}

TEST_CASE("names go with their axes", "[api][lazy_array]") {
  const auto a = counting<float>({2, 3, 4}).with_dims({"t", "y", "x"});
  using Names = std::vector<std::string>;
  CHECK(a["0"].dims() == Names{"y", "x"});
  CHECK(a["..., 0"].dims() == Names{"t", "y"});
  CHECK(a["None, :, 1"].dims() == Names{"", "t", "x"});
  CHECK(a["0, 0, 0"].dims().empty());
  CHECK(permute_dims(a, {2, 0, 1}).dims() == Names{"x", "t", "y"});
  CHECK(permute_dims(a, {"y", "x", "t"}).dims() == Names{"y", "x", "t"});
  CHECK(moveaxis(a, "t", -1).dims() == Names{"y", "x", "t"});
  CHECK(moveaxis(a, {2, 0}, {0, 1}).dims() == Names{"x", "t", "y"});
  CHECK(transpose(a).dims() == Names{"x", "y", "t"});
  CHECK(expand_dims(a, 1).dims() == Names{"t", "", "y", "x"});
  CHECK(squeeze(a["0:1"]).dims() == Names{"y", "x"});
  CHECK(flip(a, "x").dims() == a.dims());
  CHECK(take(a, {0}, "y").dims() == a.dims());
  CHECK(broadcast_to(a, {5, 2, 3, 4}).dims() == Names{"", "t", "y", "x"});
  CHECK(mean(a, "y").dims() == Names{"t", "x"});
  CHECK(mean(a, {"y", 0}, {.keepdims = true}).dims() == a.dims());
  CHECK(per_chunk(mean(a, "y")).dims() == Names{"t", "", "x"});
  CHECK((a + 1).dims() == a.dims());
  CHECK((a + counting<float>({3, 4})).dims() == a.dims());
  CHECK((counting<float>({3, 4}) + a).dims() == a.dims());
  CHECK((a + a["0"]).dims() == a.dims());
  CHECK(concat({a, a}, "y").dims() == a.dims());
  CHECK(stack({a, a}, 1).dims() == Names{"t", "", "y", "x"});
  CHECK(a.rechunk(1).dims() == a.dims());
  CHECK(a.as<double>().dims() == a.dims());
  CHECK(map([](float v) { return v; }, a).dims() == a.dims());
  CHECK(failure_of([&] {
          a + a.with_dims({"t", "x", "y"});
        }) ==
        "invalid_argument: add: operands name axis 1 differently; expected 'y', got 'x' (transpose, or "
        "rename with with_dims)");
  CHECK(contains(failure_of([&] {
                   a.with_dims({"t", "y"});
                 }),
                 "wrong number of names; expected 3 for shape (2, 3, 4), got 2"));
  CHECK(contains(failure_of([&] {
                   a.with_dims({"t", "y", "t"});
                 }),
                 "one name; expected different names, got 't' twice"));
}

TEST_CASE("attributes stay with views and casts, operations drop them", "[api][lazy_array]") {
  const Attributes attrs{{"units", "\"K\""}};
  const auto a = counting<float>({2, 3}).with_attrs(attrs);
  CHECK(a["0"].attrs() == attrs);
  CHECK(transpose(a).attrs() == attrs);
  CHECK(a.rechunk(1).attrs() == attrs);
  CHECK(a.as<double>().attrs() == attrs);
  CHECK((a + 1).attrs().empty());
  CHECK(mean(a).attrs().empty());
}

TEST_CASE("an untyped array becomes typed by visit, by as, or by a checked conversion", "[api][lazy_array]") {
  const AnyLazyArray x = counting<std::int16_t>({3});
  CHECK(x.visit([](auto typed) { return sizeof(typename decltype(typed)::value_type); }) == 2);
  CHECK(text_of(x.as<double>()) == "(3,): 0 1 2");
  CHECK(text_of(LazyArray<std::int16_t>(x)) == "(3,): 0 1 2");
  CHECK(failure_of([&] { LazyArray<float>{x}; }) ==
        "dtype_mismatch: taking an array as float32: it has another dtype; expected int16, got a request for "
        "float32 "
        "(as<T>() converts)");
  const AnyArray result = x.compute();
  CHECK(result.shape() == Shape{3});
  CHECK(text_of_elements(result.to<std::int16_t>()) == "(3,): 0 1 2");
  CHECK(result.elements<std::int16_t>()[2] == 2);
  CHECK(contains(failure_of([&] { result.to<int>(); }), "dtype_mismatch: reading a result"));
  // long and long long are one element type.
  static_assert(std::is_same_v<decltype(x.as<long long>()), decltype(x.as<long>())>);
}

TEST_CASE("results go to new arrays, to scalars, or into the caller's memory", "[api][lazy_array]") {
  const auto a = counting<int>({3, 4}, {2, 3}) * 2;
  const std::string expected = "(3, 4): 0 2 4 6 8 10 12 14 16 18 20 22";
  CHECK(text_of(a) == expected);
  CHECK(a[1][2].item() == 12);
  CHECK(a["1:2, 2:3"].item() == 12);
  CHECK(failure_of([&] { a.item(); }) ==
        "invalid_argument: item: not one element; expected a shape such as (), got (3, 4)");

  std::vector<int> flat(12);
  a.compute_into(std::span<int>(flat));
  CHECK(flat == std::vector<int>{0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22});
  flat.resize(11);
  CHECK(contains(failure_of([&] { a.compute_into(std::span<int>(flat)); }), "shape_mismatch: "));

  std::vector<int> padded(3 * 10, -1);  // rows 10 apart, elements 2 apart
  a.compute_into(padded.data(), {10, 2});
  CHECK(std::vector<int>(padded.begin() + 10, padded.begin() + 18) ==
        std::vector<int>{8, -1, 10, -1, 12, -1, 14, -1});
  CHECK(contains(failure_of([&] { a.compute_into(padded.data(), {10}); }), "expected one per axis"));

  xt::xarray<int, xt::layout_type::column_major> columns = xt::zeros<int>({3, 4});
  a.compute_into(columns);
  CHECK(columns(1, 2) == 12);
  CHECK(columns.data()[1] == 8);
  xt::xtensor<int, 2> fixed_rank({3, 4});
  a.compute_into(fixed_rank);
  CHECK(text_of_elements(fixed_rank) == expected);
  xt::xtensor<int, 2> wrong({4, 3});
  CHECK(failure_of([&] { a.compute_into(wrong); }) ==
        "shape_mismatch: computing into memory: another shape; expected (3, 4), got (4, 3)");
  CHECK(a["0:0"].compute().shape() == xt::xarray<int>::shape_type{0, 4});
  CHECK(compute(a, a["0"]) == std::make_tuple(a.compute(), a["0"].compute()));
}

TEST_CASE("one run gives several results", "[api][compute]") {
  const auto a = counting<float>({100, 10}, {7, 3});
  RunReport report;
  auto [lo, hi, total, any] =
      compute({.memory = "16MiB", .threads = 2, .report = &report}, min(a), max(a), sum(a, 0), mean(a.any()));
  CHECK(lo() == 0);
  CHECK(hi() == 999);
  CHECK(total(9) == 50400);
  CHECK(any.to<float>()() == 499.5f);
  CHECK(report.peak_bytes <= report.budget_bytes);
  CHECK(report.peak_bytes > 0);
}

TEST_CASE("xtensor arrays are computed as lazy ones are", "[api][compute]") {
  const xt::xtensor<int, 2, xt::layout_type::column_major> x{{1, 2}, {3, 4}};
  const auto [same, twice, least] = compute({.memory = "16MiB"}, x, x * 2, morsel::min(x));
  static_assert(std::is_same_v<decltype(same), const xt::xarray<int>>);
  CHECK(text_of_elements(same) == "(2, 2): 1 2 3 4");
  CHECK(text_of_elements(twice) == "(2, 2): 2 4 6 8");
  CHECK(least() == 1);
  CHECK(std::get<1>(compute(x, counting<int>({2})))(1) == 1);
}

TEST_CASE("results go into memory that the expression reads only where they do not get in the way",
          "[api][lazy_array]") {
  const auto numbers = [](std::size_t n) {
    std::vector<double> x(n);
    for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<double>(i);
    return xt::xarray<double>(xt::adapt(x, std::vector<std::size_t>{n}));
  };
  const auto refusal = "invalid_argument: computing into memory: ";
  for (const int threads : {1, 3}) {
    xt::xarray<double> x = numbers(100000);
    const auto a = borrow(x);
    const ComputeOptions options{.threads = threads};
    CHECK(failure_of([&] { flip(a).compute_into(x, options); }).rfind(refusal, 0) == 0);
    CHECK(failure_of([&] { (a + flip(a)).compute_into(x, options); }).rfind(refusal, 0) == 0);
    CHECK(failure_of([&] { a["1:"].compute_into(std::span(x.data(), 99999), options); }).rfind(refusal, 0) ==
          0);
    CHECK((x == numbers(100000)));
    (a * 2.0 + a).compute_into(x, options);
    CHECK(x(99999) == 3 * 99999.0);
    (a - min(a) + 1.0).compute_into(x, options);
    CHECK((x(0) == 1 && x(99999) == 3 * 99999.0 + 1));
    a["0:1000"].compute_into(std::span(x.data() + 1000, 1000), options);
    CHECK(x(1001) == 4);
    flip(a).compute_into(x.data() + 99999, {-1}, options);
    CHECK(x(99999) == 3 * 99999.0 + 1);
  }
}
