// When a target is one of the sources.
#include <catch2/catch.hpp>
#include <morsel/io/chunk_sink.hpp>

using namespace morsel;

namespace {

struct Reader {
  std::string name;
  std::vector<std::string> paths;
  ArraySpec array;
  const ArraySpec& spec() const { return array; }
  FetchCost cost(const Dims&, const Region&) const { return {}; }
  Fetched fetch(const Dims&, const Region&, std::span<std::byte>, FetchMode, std::stop_token) const {
    return {};
  }
  void decode(const Dims&, const Region&, std::span<const std::byte>, BufferView,
              std::span<std::byte>) const {}
  std::string identity() const { return name; }
  std::string version() const { return "1"; }
  std::vector<std::string> files() const { return paths; }
};

struct Writer {
  std::string name;
  std::vector<std::string> paths;
  SinkSpec array;
  const SinkSpec& spec() const { return array; }
  std::size_t scratch_bytes(const Region&) const { return 0; }
  void write(const Region&, const BufferView&, std::span<std::byte>, std::stop_token) {}
  void commit() {}
  std::string identity() const { return name; }
  std::vector<std::string> files() const { return paths; }
};

}  // namespace

TEST_CASE("a sink writes onto a source of equal identity, or whose files it replaces", "[io]") {
  const struct {
    Writer sink;
    Reader source;
    bool onto;
  } table[] = {{{"x", {}, {}}, {"x", {}, {}}, true},
               {{"x", {}, {}}, {"y", {}, {}}, false},
               {{"x", {"/a/b"}, {}}, {"y", {"/a/b"}, {}}, true},
               {{"x", {"/a/b"}, {}}, {"y", {"/a/bc"}, {}}, false},
               {{"x", {"/a/bc"}, {}}, {"y", {"/a/b"}, {}}, false},
               {{"x", {"/a/b"}, {}}, {"y", {"/a/b/c/0"}, {}}, true},
               {{"x", {"/a/b/c/0"}, {}}, {"y", {"/a/b"}, {}}, true},
               {{"x", {"/q", "/a/b"}, {}}, {"y", {"/r", "/a/b"}, {}}, true},
               {{"x", {"/a/b"}, {}}, {"y", {}, {}}, false}};
  for (const auto& row : table)
    CHECK(writes_onto(AnyChunkSink(row.sink), AnyChunkSource(row.source)) == row.onto);
}
