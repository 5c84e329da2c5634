// Any text as an expression: it parses or fails with an error that names a column, and what it builds
// evaluates or fails with an error. Nothing else may happen.
#include <app/interpret.hpp>
#include <app/session.hpp>
#include <cstdio>
#include <cstdlib>
#include <morsel/io/memory_source.hpp>
#include <string>

using namespace morsel;

namespace {

Edge array_of_type(Type type, const Shape& shape) {
  static std::byte zeros[4096] = {};
  return make_source(borrowed_source(type, BufferView::c_order(zeros, shape, item_bytes_of(type))),
                     View::identity(shape), {}, "input");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const app::Lookup lookup = [](const std::string& name) -> std::optional<app::Value> {
    if (name == "a") return app::Value(array_of_type(Type::float64, {3, 2, 4}));
    if (name == "b") return app::Value(array_of_type(Type::float32, {2, 4}));
    if (name == "i") return app::Value(array_of_type(Type::int32, {2, 4}));
    if (name == "u") return app::Value(array_of_type(Type::uint8, {5}));
    if (name == "m") return app::Value(array_of_type(Type::bool_, {2, 4}));
    if (name == "c") return app::Value(array_of_type(Type::complex128, {4}));
    if (name == "e") return app::Value(array_of_type(Type::float64, {0, 4}));
    return std::nullopt;
  };
  try {
    const app::ExprPtr tree = app::parse_expression(text);
    const Edge edge = app::array_of(app::interpret(*tree, lookup));
    // Shapes may be as large as they like as long as nothing is computed.
    Index elements = 1;
    for (const Index extent : edge.shape())
      if (__builtin_mul_overflow(elements, extent, &elements)) return 0;
    if (elements > 1000) return 0;
    app::Elements result(edge);
    ComputeOptions options;
    options.threads = 1;
    options.memory = std::size_t{16} << 20;
    evaluate({edge}, {MemoryTarget{result.view()}}, options);
  } catch (const Error& error) {
    const std::string message = error.what();
    const bool has_column = message.compare(0, 7, "column ") == 0;
    if ((error.code() == Errc::syntax_error && !has_column) || error.code() == Errc::internal_error) {
      std::fprintf(stderr, "%s\n", message.c_str());
      std::abort();
    }
  }
  return 0;
}
