#include <app/interpret.hpp>
#include <app/scalar.hpp>
#include <app/session.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <morsel/io/memory_source.hpp>
#include <nlohmann/json.hpp>
#include <support/paths.hpp>

using namespace morsel;
using nlohmann::json;

namespace {

std::shared_ptr<std::vector<std::byte>> from_hex(const std::string& text) {
  auto bytes = std::make_shared<std::vector<std::byte>>(text.size() / 2 + 1);
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    (*bytes)[i / 2] = static_cast<std::byte>(std::stoi(text.substr(i, 2), nullptr, 16));
  return bytes;
}

Shape shape_of(const json& entry) {
  Shape shape;
  for (const auto& extent : entry["shape"]) shape.push_back(extent.get<Index>());
  return shape;
}

std::map<std::string, Edge> inputs_of(const json& table) {
  std::map<std::string, Edge> inputs;
  for (const auto& [name, entry] : table["inputs"].items()) {
    const auto bytes = from_hex(entry["hex"]);
    const DType dtype = parse_dtype(entry["dtype"].get<std::string>());
    const Shape shape = shape_of(entry);
    inputs[name] = make_source(
        memory_source(dtype, BufferView::c_order(bytes->data(), shape, dtype.item_bytes()), bytes),
        View::identity(shape), {}, name);
  }
  return inputs;
}

Edge edge_of(const std::string& expression, const std::map<std::string, Edge>& inputs) {
  const auto lookup = [&](const std::string& name) -> std::optional<app::Value> {
    const auto found = inputs.find(name);
    if (found == inputs.end()) return std::nullopt;
    return app::Value(found->second);
  };
  return app::array_of(app::interpret(*app::parse_expression(expression), lookup));
}

template <class T>
long double part(const T& value, std::size_t which) {
  if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>)
    return which == 0 ? value.real() : value.imag();
  else if constexpr (std::is_same_v<T, float16>)
    return static_cast<float>(value);
  else
    return static_cast<long double>(value);
}

/// The same rules as tests/app/oracle.py.
template <class T>
bool agree(const std::string& section, const std::vector<T>& got, const std::vector<T>& want) {
  const double eps = sizeof(T) == 2                                                       ? 0x1p-10
                     : std::is_same_v<T, float> || std::is_same_v<T, std::complex<float>> ? 0x1p-23
                                                                                          : 0x1p-52;
  const std::size_t parts =
      std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>> ? 2 : 1;
  const auto modulus = [&](const T& v) { return std::hypot(part(v, 0), parts == 2 ? part(v, 1) : 0.0L); };
  long double largest = 1e-300L;
  for (const T& v : want)
    if (std::isfinite(modulus(v))) largest = std::max(largest, modulus(v));
  for (std::size_t i = 0; i < got.size(); ++i)
    for (std::size_t k = 0; k < parts; ++k) {
      const long double g = part(got[i], k), w = part(want[i], k);
      if (std::isnan(g) && std::isnan(w)) continue;
      if (section == "exact" || (!std::is_floating_point_v<T> && parts == 1 && !std::is_same_v<T, float16>)) {
        if (g != w || std::signbit(g) != std::signbit(w)) return false;
        continue;
      }
      if (g == w) continue;
      if (!std::isfinite(g) || !std::isfinite(w) || section == "value") return false;
      const long double size =
          parts == 2 ? modulus(want[i])
                     : std::max<long double>(std::fabs(w), sizeof(T) == 8 ? 0x1p-1022L : 0x1p-126L);
      const long double close = sizeof(T) == 2 ? 4e-3L : eps > 1e-10 ? 2e-6L : 1e-12L;
      const long double limit = section == "close" ? close * largest : 4 * eps * size;
      if (std::fabs(g - w) > limit) return false;
    }
  return true;
}

}  // namespace

TEST_CASE("expressions give NumPy's dtypes, shapes and values", "[app]") {
  std::ifstream file(test::data_dir() / "expressions_expected.json");
  const json table = json::parse(file);
  const auto inputs = inputs_of(table);
  std::size_t checked = 0;
  for (const auto& entry : table["expressions"]) {
    const std::string expression = entry["expression"];
    INFO(expression);
    const Edge edge = edge_of(expression, inputs);
    REQUIRE(edge.dtype() == parse_dtype(entry["dtype"].get<std::string>()));
    REQUIRE(edge.shape() == shape_of(entry));
    app::Elements elements(edge);
    ComputeOptions options;
    options.threads = 1;
    evaluate({edge}, {MemoryTarget{elements.view()}}, options);
    const auto expected = from_hex(entry["hex"]);
    const bool good = visit_type(edge.dtype().type(), [&]<class T>() {
      std::vector<T> got, want;
      for (Index i = 0; i < elements.size(); ++i) {
        T value;
        std::memcpy(&value, elements.element(i), sizeof(T));
        got.push_back(value);
        std::memcpy(&value, expected->data() + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
        want.push_back(value);
      }
      return agree<T>(entry["section"], got, want);
    });
    CHECK(good);
    ++checked;
  }
  CHECK(checked > 1000);
}

TEST_CASE("arithmetic on literals is Python's", "[app]") {
  const struct {
    const char *text, *value;
  } table[] = {
      {"1 + 2", "3"},
      {"True + True", "2"},
      {"7 // 2", "3"},
      {"-7 // 2", "-4"},
      {"7 // -2", "-4"},
      {"7 % -3", "-2"},
      {"-7 % 3", "2"},
      {"5.5 // -2", "-3.0"},
      {"5.5 % -2", "-0.5"},
      {"-0.0 % 3", "0.0"},
      {"1 / 4", "0.25"},
      {"6 / 3", "2.0"},
      {"2 ** 10", "1024"},
      {"2 ** -1", "0.5"},
      {"2 ** 0.5", "1.4142135623730951"},
      {"2 ** 63", "9223372036854775808"},
      {"-2 ** 63", "-9223372036854775808"},
      {"2 ** 3 ** 2", "512"},
      {"18446744073709551615 - 1", "18446744073709551614"},
      {"18446744073709551615 / 2", "9223372036854775808.0"},
      {"9007199254740993 / 1", "9007199254740992.0"},
      {"1 / 3", "0.3333333333333333"},
      {"10 ** 19 / 3", "3333333333333333504.0"},
      {"5 & 3", "1"},
      {"5 | 3", "7"},
      {"5 ^ 3", "6"},
      {"True & False", "False"},
      {"True ^ True", "False"},
      {"~5", "-6"},
      {"~True", "-2"},
      {"1 << 62", "4611686018427387904"},
      {"-1 >> 70", "-1"},
      {"-5 >> 1", "-3"},
      {"1 < 2", "True"},
      {"2 <= 1", "False"},
      {"1 == 1.0", "True"},
      {"9007199254740993 == 9007199254740992.0", "False"},
      {"nan == nan", "False"},
      {"nan != nan", "True"},
      {"nan < 1", "False"},
      {"1j * 1j", "(-1+0j)"},
      {"(1+2j) / (3-4j)", "(-0.2+0.4j)"},
      {"2 * (1+1j)", "(2+2j)"},
      {"-(1+2j)", "(-1-2j)"},
      {"+True", "1"},
      {"-True", "-1"},
      {"2 * pi", "6.283185307179586"},
      {"1e308 * 10", "inf"},
      {"inf - inf", "nan"},
      {"(-8.0) ** 2", "64.0"},
      {"(-1) ** 3", "-1"},
      {"0 ** 0", "1"},
      {"1j == 1j", "True"},
      {"-inf", "-inf"},
      {"3.0", "3.0"},
      {"1e22", "1e+22"},
      {"0.1 + 0.2", "0.30000000000000004"},
  };
  const app::Lookup none = [](const std::string&) { return std::optional<app::Value>(); };
  for (const auto& row : table) {
    INFO(row.text);
    const app::Value value = app::interpret(*app::parse_expression(row.text), none);
    REQUIRE(value.scalar());
    CHECK(app::to_string(*value.scalar()) == row.value);
  }
}

TEST_CASE("errors of evaluation name the column and say what was expected", "[app]") {
  std::vector<std::byte> bytes(8 * 6);
  const Shape shape{2, 3};
  std::map<std::string, Edge> inputs;
  inputs["a"] = make_source(borrowed_source(Type::float64, BufferView::c_order(bytes.data(), shape, 8)),
                            View::identity(shape), {}, "a");
  const struct {
    const char* text;
    Errc code;
    const char* message;
  } table[] = {
      {"a + nosuch", Errc::not_found,
       "column 5: unknown name 'nosuch'; expected a name given as nosuch=SRC, or one of pi, e, inf, nan, "
       "True, False, None"},
      {"1 + meen(a)", Errc::not_found, "column 5: unknown function 'meen'; expected 'mean' or 'min'"},
      {"np.zzzzzzz(a)", Errc::not_found,
       "column 4: unknown function 'zzzzzzz'; expected one that `morsel eval --functions` lists"},
      {"sum(a, axes=0)", Errc::invalid_argument,
       "column 13: sum: no argument 'axes'; expected x, axis, dtype, keepdims, got axes"},
      {"sum(a, 0, axis=1)", Errc::invalid_argument,
       "column 16: sum: the argument axis is given twice; expected it once"},
      {"sum()", Errc::invalid_argument,
       "column 1: sum: the argument x is missing; expected sum(x, axis=None, dtype=None, *, keepdims=False)"},
      {"sum(a, 0, None, True)", Errc::invalid_argument,
       "column 17: sum: too many arguments; expected sum(x, axis=None, dtype=None, *, keepdims=False), got 4 "
       "without a name"},
      {"sum(a, axis='x')", Errc::invalid_argument,
       "column 13: sum: axis is not usable; expected an integer or a list of integers, got 'x'"},
      {"mean(a, keepdims=2.5)", Errc::invalid_argument,
       "column 18: mean: keepdims is not usable; expected True or False, got 2.5"},
      {"a + None", Errc::invalid_argument,
       "column 3: +: not a number; expected an array or a number, got None"},
      {"a[a > 0]", Errc::unsupported,
       "column 5: indexing with a mask: the shape of the result is not known; expected where(mask, a, 0), or "
       "a reduction of it, got an array of "
       "bool with shape (2, 3)"},
      {"a['x']", Errc::invalid_argument,
       "column 3: not an index; expected integers, slices, ..., None or one list of integers, got 'x'"},
      {"a * (2 ** 64)", Errc::overflow,
       "column 8: ** of integers: the result needs more than 64 bits; expected one between "
       "-9223372036854775808 and 18446744073709551615 (write "
       "2.0 for a float)"},
      {"a / (1 / 0)", Errc::invalid_argument,
       "column 8: / of numbers: division by zero; expected a divisor other than 0"},
      {"sum", Errc::invalid_argument, "column 1: 'sum' is a function; expected a call, sum(...)"},
      {"a.foo", Errc::not_found,
       "column 3: unknown attribute '.foo'; expected T, mT, real, imag, shape, ndim, size, nbytes, dtype or "
       "a method call"},
      {"astype(a, 'S5')", Errc::dtype_mismatch,
       "column 11: astype: dtype 'S5': not a numeric dtype; expected one such as bool, int16, uint8, float32 "
       "or complex64"},
  };
  for (const auto& row : table) {
    INFO(row.text);
    try {
      edge_of(row.text, inputs);
      FAIL_CHECK("accepted");
    } catch (const Error& error) {
      CHECK(error.code() == row.code);
      CHECK(std::string(error.what()) == row.message);
    }
  }
}

TEST_CASE("a name is looked up only where the expression uses it, and hides constants", "[app]") {
  std::vector<std::string> asked;
  const app::Lookup lookup = [&](const std::string& name) -> std::optional<app::Value> {
    asked.push_back(name);
    if (name == "e") return app::Value(Scalar::of(std::int64_t{5}));
    return std::nullopt;
  };
  const app::Value value = app::interpret(*app::parse_expression("abs(e + pi * 0)"), lookup);
  REQUIRE(value.edge());
  CHECK(asked == std::vector<std::string>{"e", "pi"});
}
