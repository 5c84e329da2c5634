// What a run has to say reaches the handler, once.
#include "arrays.hpp"
//
#include <catch2/catch.hpp>

#include <support/failure.hpp>
#include <support/test_source.hpp>

using namespace morsel;
using morsel_test::contains;
using morsel_test::counting;
using morsel_test::text_of;

namespace {

/// The handler, for the time of a test.
struct Heard {
  std::vector<std::string> names, messages;
  WarningHandler former;
  Heard() {
    former = set_warning_handler([this](std::string_view name, std::string_view message) {
      names.emplace_back(name);
      messages.emplace_back(message);
    });
  }
  Heard(const Heard&) = delete;
  Heard& operator=(const Heard&) = delete;
  ~Heard() { set_warning_handler(former); }
};

using Names = std::vector<std::string>;

/// Zeros in native chunks that are read whole.
LazyArray<double> in_chunks(const Shape& shape, const Shape& chunk) {
  auto values = std::make_shared<test::Whole>();
  *values = {Type::float64, shape, std::vector<std::byte>(static_cast<std::size_t>(size_of(shape)) * 8)};
  test::TestSourceOptions options;
  options.grid = Grid::regular(shape, chunk);
  return from_source<double>(
      AnyChunkSource(test::TestSource(values, options, std::make_shared<test::ReadLog>())));
}

}  // namespace

TEST_CASE("a run that has nothing to say warns of nothing", "[api][warnings]") {
  const Heard heard;
  CHECK(sum(in_chunks({100, 100}, {10, 100})).item({.threads = 1}) == 0);
  CHECK(heard.names.empty());
}

TEST_CASE("cutting through native chunks is a warning, once in each run", "[api][warnings]") {
  const Heard heard;
  const auto cut = sum(in_chunks({1000, 1000}, {10, 1000}).rechunk({7, 1000}));
  CHECK(cut.item({.threads = 1}) == 0);
  REQUIRE(heard.names == Names{"chunks_cut"});
  CHECK(contains(heard.messages[0], "(10, 1000)"));
  CHECK_FALSE(contains(heard.messages[0], "chunks_cut"));
  CHECK(cut.item({.threads = 1}) == 0);
  CHECK(heard.names == Names{"chunks_cut", "chunks_cut"});
  CHECK(contains(explain(cut).text(), "note: chunks_cut: " + heard.messages[0]));
  CHECK(heard.names.size() == 2);
}

TEST_CASE("threads that the budget has no room for are a warning", "[api][warnings]") {
  const Heard heard;
  CHECK(sum(zeros<double>({1 << 20}, {.chunks = 1 << 16})).item({.memory = "1MiB", .threads = 64}) == 0);
  REQUIRE(heard.names == Names{"fewer_threads"});
  CHECK(contains(heard.messages[0], " of 64 threads run"));
}

TEST_CASE("chunks that are read again are a warning", "[api][warnings]") {
  const Heard heard;
  const auto a = in_chunks({400, 400}, {20, 20});
  CHECK(sum(a + transpose(a)).item({.memory = "512KiB", .threads = 1}) == 0);
  // Two ways of reading the one source.
  CHECK(heard.names == Names{"rereads", "chunks_cut"});
  CHECK(contains(heard.messages[0], "chunk reads repeat an earlier one"));
}

TEST_CASE("the handler that was set comes back, and none ignores warnings", "[api][warnings]") {
  int first = 0, second = 0;
  const WarningHandler none = set_warning_handler([&](std::string_view, std::string_view) { ++first; });
  warn("test", "one");
  const WarningHandler former = set_warning_handler([&](std::string_view, std::string_view) { ++second; });
  warn("test", "two");
  REQUIRE(former);
  former("test", "three");
  set_warning_handler({});
  warn("test", "four");
  set_warning_handler(none);
  CHECK(first == 2);
  CHECK(second == 1);
}
