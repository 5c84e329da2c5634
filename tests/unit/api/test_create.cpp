#include "arrays.hpp"
//
#include <catch2/catch.hpp>

#include <support/failure.hpp>

using namespace morsel;
using morsel_test::contains;
using morsel_test::failure_of;
using morsel_test::text_of;
using morsel_test::text_of_elements;

TEST_CASE("from_array copies an lvalue, takes an rvalue over, and evaluates an expression", "[api][create]") {
  xt::xarray<int> x{{1, 2}, {3, 4}};
  const auto copied = from_array(x, {.chunks = {1, 2}, .dims = {"y", "x"}, .attrs = {{"n", "1"}}});
  x(0, 0) = 9;
  CHECK(text_of(copied) == "(2, 2): 1 2 3 4");
  CHECK(copied.chunks() == std::vector<std::vector<Index>>{{1, 1}, {2}});
  CHECK(copied.dims() == std::vector<std::string>{"y", "x"});
  CHECK(copied.attrs() == Attributes{{"n", "1"}});
  const int* address = x.data();
  const auto taken = from_array(std::move(x));
  CHECK(std::get<SourceNode>(taken.edge().node->payload).source.lend(Region::of({2, 2})).data ==
        reinterpret_cast<const std::byte*>(address));
  CHECK(text_of(taken) == "(2, 2): 9 2 3 4");
  xt::xtensor<double, 2, xt::layout_type::column_major> columns{{1, 2}, {3, 4}};
  const double* first = columns.data();
  const auto kept = from_array(std::move(columns));
  CHECK(std::get<SourceNode>(kept.edge().node->payload).source.lend(Region::of({2, 2})).data ==
        reinterpret_cast<const std::byte*>(first));
  CHECK(text_of(kept) == "(2, 2): 1 2 3 4");
  const xt::xarray<float> f{1, 2};
  CHECK(text_of(from_array(f * 2)) == "(2,): 2 4");
  CHECK(text_of(from_array(xt::xtensor<float, 1>{1, 2})) == "(2,): 1 2");
  CHECK(text_of(from_array(xt::xarray<bool>{true, false})) == "(2,): 1 0");
  CHECK(text_of(from_array(std::vector<double>{1, 2, 3, 4}, {2, 2})) == "(2, 2): 1 2 3 4");
  CHECK(contains(failure_of([] {
                   from_array(std::vector<double>{1, 2}, {3});
                 }),
                 "shape_mismatch: from_array: another number of elements; expected 3 for shape (3,), got 2"));
}

TEST_CASE("borrow reads the caller's memory, in whatever layout", "[api][create]") {
  xt::xarray<int, xt::layout_type::column_major> x{{1, 2}, {3, 4}};
  const auto a = borrow(x, {.chunks = 1});
  CHECK(text_of(a) == "(2, 2): 1 2 3 4");
  x(0, 1) = 7;
  CHECK(text_of(a) == "(2, 2): 1 7 3 4");
  const std::vector<float> v{0, 1, 2, 3, 4, 5};
  CHECK(text_of(borrow(v.data(), {2, 3})) == "(2, 3): 0 1 2 3 4 5");
  CHECK(text_of(borrow_strided(v.data(), {3}, {2})) == "(3,): 0 2 4");
  CHECK(text_of(borrow_strided(v.data() + 5, {3}, {-2})) == "(3,): 5 3 1");
  CHECK(contains(failure_of([&] {
                   borrow_strided(v.data(), {3}, {1, 1});
                 }),
                 "expected one per axis of (3,)"));
}

TEST_CASE("from_function computes elements from their position", "[api][create]") {
  CHECK(text_of(from_function<double>({2, 3}, [](Index i, Index j) { return 10.0 * double(i) + double(j); },
                                      {.chunks = {1, 2}})) == "(2, 3): 0 1 2 10 11 12");
  CHECK(text_of(from_function<int>({3}, [](auto i) { return i * i; })) == "(3,): 0 1 4");
  CHECK(text_of(from_function<int>({2, 2}, [](const Dims& at) { return at[0] * 2 + at[1]; })) ==
        "(2, 2): 0 1 2 3");
  CHECK(text_of(from_function<int>({}, [] { return 5; })) == "(): 5");
  const auto sum_of_indices = [](auto... i) { return (Index{0} + ... + i); };
  CHECK(text_of(from_function<int>({2, 2}, sum_of_indices)) == "(2, 2): 0 1 1 2");
  CHECK(text_of(from_function<int>({3}, sum_of_indices)) == "(3,): 0 1 2");
  CHECK(contains(
      failure_of([] {
        from_function<int>({2, 2}, [](Index i) { return i; });
      }),
      "invalid_argument: from_function: the function cannot be called; expected one that takes 2 indices"));
}

TEST_CASE("constants and ranges", "[api][create]") {
  CHECK(text_of(zeros<float>({2, 2}, {.chunks = 1})) == "(2, 2): 0 0 0 0");
  CHECK(text_of(ones<std::uint8_t>({3})) == "(3,): 1 1 1");
  CHECK(text_of(full<double>({2}, 2.5)) == "(2,): 2.5 2.5");
  CHECK(text_of(full<int>({2}, 3.0)) == "(2,): 3 3");
  CHECK(text_of(full<bool>({2}, true)) == "(2,): 1 1");
  CHECK(contains(failure_of([] { full<std::uint8_t>({2}, 300); }), "overflow: "));
  CHECK(contains(failure_of([] { full<int>({2}, 0.5); }), "overflow: "));
  CHECK(text_of(arange<int>(5, {.chunks = 2})) == "(5,): 0 1 2 3 4");
  CHECK(text_of(arange<int>(2, 9, 3)) == "(3,): 2 5 8");
  CHECK(text_of(arange<int>(5, 0, -2)) == "(3,): 5 3 1");
  CHECK(text_of(arange<double>(0.0, 1.0, 0.25)) == "(4,): 0 0.25 0.5 0.75");
  CHECK(text_of(linspace(0, 1, 5)) == "(5,): 0 0.25 0.5 0.75 1");
  CHECK(text_of(linspace<float>(0, 1, 4, Endpoint::excluded, {.chunks = 3})) == "(4,): 0 0.25 0.5 0.75");
  CHECK(zeros<float>({1000000, 1000000}).nbytes() == 4000000000000u);
  CHECK(zeros<float>({1000000, 1000000})["5, :3"].compute()(2) == 0);
  CHECK(contains(failure_of([] { zeros<float>({-1}); }), "negative extent"));
}

TEST_CASE("from_source checks the dtype", "[api][create]") {
  const float one = 1;
  const auto source = full_source(DType(Type::float32), {2}, &one);
  CHECK(text_of(from_source<float>(source)) == "(2,): 1 1");
  CHECK(from_source(source).dtype() == DType(Type::float32));
  CHECK(contains(failure_of([&] { from_source<int>(source); }), "dtype_mismatch"));
}
