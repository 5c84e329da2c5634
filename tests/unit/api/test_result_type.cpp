#include <catch2/catch.hpp>
#include <morsel/api/result_type.hpp>
#include <morsel/kernel/op.hpp>
#include <vector>

using namespace morsel;

namespace {

Type resolved(Op op, const std::vector<Type>& types) {
  try {
    return resolve_op(op, types).result;
  } catch (const Error& error) {
    REQUIRE(error.code() == Errc::dtype_mismatch);
    return Type::carried;
  }
}

}  // namespace

TEST_CASE("operations have the same result type at compile time and at run time", "[api][dtype]") {
  for (int o = 0; o < op_count; ++o) {
    const Op op = static_cast<Op>(o);
    const int arity = arity_of(op);
    for (int a = 0; a < numeric_type_count; ++a)
      for (int b = 0; b < (arity > 1 ? numeric_type_count : 1); ++b)
        for (int c = 0; c < (arity > 2 ? numeric_type_count : 1); ++c) {
          std::vector<Type> types{static_cast<Type>(a), static_cast<Type>(b), static_cast<Type>(c)};
          const Type compiled = operation_result(op, arity, types[0], types[1], types[2]);
          types.resize(static_cast<std::size_t>(arity));
          const Type run = resolved(op, types);
          if (compiled == run) continue;
          CAPTURE(name_of(op), name_of(types[0]), name_of(types.back()));
          CHECK(name_of(compiled) == name_of(run));
        }
  }
  SUCCEED();
}

TEST_CASE("reductions have the same result type at compile time and at run time", "[api][dtype]") {
  for (int r = 0; r <= static_cast<int>(Reduction::histogram); ++r)
    for (int t = 0; t < numeric_type_count; ++t) {
      const auto reduction = static_cast<Reduction>(r);
      const auto type = static_cast<Type>(t);
      ReductionOptions options;
      options.bins = 2;
      options.hi = 1;
      Type run = Type::carried;
      try {
        run = make_reducer(reduction, type, options)->result();
      } catch (const Error& error) {
        REQUIRE(error.code() == Errc::dtype_mismatch);
      }
      CAPTURE(name_of(reduction), name_of(type));
      CHECK(name_of(reduction_result(reduction, type)) == name_of(run));
    }
}
