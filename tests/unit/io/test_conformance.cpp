// The suites themselves: lawful implementations pass, and each broken law is caught and named.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstring>
#include <morsel/conformance/chunk_sink.hpp>
#include <morsel/conformance/chunk_source.hpp>
#include <morsel/conformance/codec.hpp>
#include <morsel/conformance/store.hpp>
#include <morsel/io/memory_source.hpp>
#include <morsel/io/memory_store.hpp>
#include <numeric>
#include <thread>

using namespace morsel;

namespace {

/// What a suite says; "" if it is content.
std::string verdict(const std::function<void()>& check) {
  try {
    check();
  } catch (const Error& e) {
    INFO(e.what());
    CHECK(e.code() == Errc::internal_error);
    return e.what();
  }
  return {};
}

/// Each row breaks one law, and the suite names it.
template <class Fault>
struct Broken {
  Fault fault;
  const char* says;
};

void read_something() {
  const int fd = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  char byte;
  REQUIRE(::read(fd, &byte, 1) == 1);
  ::close(fd);
}

void dawdle() { std::this_thread::sleep_for(std::chrono::microseconds(200)); }

// ------------------------------------------------------------------------------------------------ sources

enum class SourceFault {
  none,
  in_place,
  missing_chunk,
  regions,
  lending,
  empty_identity,
  identity_changes,
  version_changes,
  spec_changes,
  fill_size,
  dims_count,
  no_format,
  spec_reads,
  cost_reads,
  decode_reads,
  cost_changes,
  cost_too_small,
  claims_too_much,
  wrong_value,
  ignores_strides,
  skips_an_element,
  writes_gap,
  writes_before,
  writes_scratch,
  missing_without_fill,
  would_block,
  cached_missing,
  cached_wrong,
  stop_fails,
  changes_encoded,
  in_place_short,
  in_place_wrong,
  shared_buffer,
  damaged_writes,
  lends_wrong_shape,
  lends_wrong_values,
  depends_on_scratch
};

/// 7 x 10 int32 in chunks of 3 x 4; stored bytes are the values' bytes, each xored with 0x55, after 4 bytes
/// that hold the number of elements.
class TestSource {
 public:
  explicit TestSource(SourceFault fault)
      : fault_(fault), values_(std::make_shared<std::vector<std::int32_t>>(70)) {
    std::iota(values_->begin(), values_->end(), 100);
    spec_.dtype = Type::int32;
    spec_.grid = Grid::regular({7, 10}, {3, 4});
    spec_.format = is(SourceFault::no_format) ? "" : "test";
    spec_.reads_regions = is(SourceFault::regions);
    spec_.lends =
        is(SourceFault::lending) || is(SourceFault::lends_wrong_shape) || is(SourceFault::lends_wrong_values);
    if (is(SourceFault::fill_size)) spec_.fill.resize(3);
    if (is(SourceFault::dims_count)) spec_.dims = {"time"};
    other_spec_ = spec_;
    other_spec_.grid = Grid::regular({7, 10}, {7, 10});
    if (is(SourceFault::missing_chunk) || is(SourceFault::missing_without_fill)) {
      const std::int32_t fill = is(SourceFault::missing_chunk) ? -9 : -8;
      spec_.fill.resize(4);
      std::memcpy(spec_.fill.data(), &fill, 4);
      for (Index i = 3; i < 6; ++i)
        for (Index j = 4; j < 8; ++j) (*values_)[static_cast<std::size_t>(i * 10 + j)] = -9;
    }
  }
  std::vector<std::byte> expected() const {
    const auto bytes = std::as_bytes(std::span(*values_));
    return {bytes.begin(), bytes.end()};
  }

  const ArraySpec& spec() const {
    if (is(SourceFault::spec_reads)) read_something();
    return is(SourceFault::spec_changes) && ++*calls_ > 20 ? other_spec_ : spec_;
  }
  FetchCost cost(const Dims&, const Region& region) const {
    if (is(SourceFault::cost_reads)) read_something();
    FetchCost cost;
    cost.in_place = is_in_place();
    cost.encoded_bytes = bytes(region) + (is_in_place() ? 0 : 4);
    if (is(SourceFault::cost_too_small)) --cost.encoded_bytes;
    if (is(SourceFault::cost_changes)) cost.encoded_bytes += static_cast<std::size_t>(++*calls_);
    cost.scratch_bytes = 16;
    return cost;
  }
  Fetched fetch(const Dims& chunk, const Region& region, std::span<std::byte> room, FetchMode mode,
                std::stop_token stop) const {
    Fetched fetched;
    if (stop.stop_requested())
      fail(is(SourceFault::stop_fails) ? Errc::io_error : Errc::cancelled, "stopped");
    const bool is_absent = is(SourceFault::missing_chunk) || is(SourceFault::missing_without_fill);
    if ((is_absent && chunk == Dims{1, 1}) ||
        (is(SourceFault::cached_missing) && mode == FetchMode::cached_only)) {
      fetched.state = Fetched::State::missing;
      return fetched;
    }
    if (is(SourceFault::would_block)) {
      fetched.state = Fetched::State::would_block;
      return fetched;
    }
    std::byte* to = room.data();
    if (!is_in_place()) {
      const auto count = static_cast<std::int32_t>(region.size());
      std::memcpy(to, &count, 4);
      to += 4;
    }
    copy_elements(part(region), BufferView::c_order(to, region.shape(), 4));
    for (std::size_t i = 0; i < bytes(region); ++i) to[i] ^= std::byte{0x55};
    if (is(SourceFault::cached_wrong) && mode == FetchMode::cached_only) to[0] ^= std::byte{1};
    fetched.encoded_bytes = bytes(region) + (is_in_place() ? 0 : 4) - is(SourceFault::in_place_short);
    if (is(SourceFault::claims_too_much)) ++fetched.encoded_bytes;
    return fetched;
  }
  void decode(const Dims&, const Region& region, std::span<const std::byte> encoded, BufferView out,
              std::span<std::byte> scratch) const {
    if (is(SourceFault::decode_reads)) read_something();
    if (is_in_place()) {
      for (std::size_t i = 0; i < bytes(region); ++i) out.data[i] ^= std::byte{0x55};
      if (is(SourceFault::in_place_wrong)) out.data[0] ^= std::byte{1};
      return;
    }
    std::int32_t count = 0;
    if (encoded.size() < 4) fail(Errc::corrupt_data, "test source: cut short");
    std::memcpy(&count, encoded.data(), 4);
    if (is(SourceFault::damaged_writes) && count > region.size()) out.data[bytes(region) + 2] = std::byte{1};
    if (count != region.size() || encoded.size() != bytes(region) + 4)
      fail(Errc::corrupt_data, "test source: damaged");
    std::vector<std::int32_t> values(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < bytes(region); ++i)
      reinterpret_cast<std::byte*>(values.data())[i] = encoded[4 + i] ^ std::byte{0x55};
    if (is(SourceFault::wrong_value) && region.contains({{6, 9}, {7, 10}})) ++values.back();
    if (is(SourceFault::depends_on_scratch)) values[0] += static_cast<std::int32_t>(scratch[0]);
    if (is(SourceFault::shared_buffer)) {
      for (std::size_t i = 0; i < values.size(); ++i) (*shared_)[i] = values[i];
      dawdle();
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = (*shared_)[i];
    }
    if (is(SourceFault::changes_encoded)) const_cast<std::byte*>(encoded.data())[4] ^= std::byte{1};
    const BufferView from = BufferView::c_order(values.data(), region.shape(), 4);
    if (is(SourceFault::ignores_strides)) {
      std::memcpy(out.data, values.data(), 4);
      out.strides = c_strides(out.shape, 4);
    }
    if (is(SourceFault::skips_an_element) && out.shape[1] > 1) {
      BufferView fewer = out, values_too = from;
      --fewer.shape[1];
      --values_too.shape[1];
      return copy_elements(values_too, fewer);
    }
    copy_elements(from, out);
    if (is(SourceFault::writes_gap) && out.strides[1] == 8) out.data[5] ^= std::byte{1};
    if (is(SourceFault::writes_before)) out.data[-1] ^= std::byte{1};
    if (is(SourceFault::writes_scratch)) scratch.data()[16] ^= std::byte{1};
  }
  BufferView lend(const Region& region) const {
    BufferView view = part(region);
    if (is(SourceFault::lends_wrong_shape)) ++view.shape[0];
    if (is(SourceFault::lends_wrong_values) && region.hi[0] < 7) view.data += 40;
    return view;
  }
  std::string identity() const {
    return is(SourceFault::empty_identity)     ? ""
           : is(SourceFault::identity_changes) ? std::to_string(++*calls_)
                                               : "test source";
  }
  std::string version() const { return is(SourceFault::version_changes) ? std::to_string(++*calls_) : ""; }

 private:
  bool is(SourceFault fault) const { return fault_ == fault; }
  bool is_in_place() const {
    return is(SourceFault::in_place) || is(SourceFault::in_place_short) || is(SourceFault::in_place_wrong);
  }
  static std::size_t bytes(const Region& region) { return static_cast<std::size_t>(region.size()) * 4; }
  BufferView part(const Region& region) const {
    return BufferView::c_order(values_->data(), {7, 10}, 4).part(Region::of({7, 10}), region);
  }

  SourceFault fault_;
  std::shared_ptr<std::vector<std::int32_t>> values_;
  ArraySpec spec_, other_spec_;
  std::shared_ptr<std::atomic<int>> calls_ = std::make_shared<std::atomic<int>>(0);
  std::shared_ptr<std::array<std::atomic<std::int32_t>, 70>> shared_ =
      std::make_shared<std::array<std::atomic<std::int32_t>, 70>>();
};
static_assert(LendsRegions<TestSource>);

std::string source_verdict(SourceFault fault) {
  const TestSource source(fault);
  const std::vector<std::byte> expected = source.expected();
  return verdict([&] { conformance::check_source([&] { return AnyChunkSource(source); }, expected); });
}

}  // namespace

TEST_CASE("the suite of sources is content with lawful ones", "[io][conformance]") {
  for (const SourceFault fault : {SourceFault::none, SourceFault::in_place, SourceFault::missing_chunk,
                                  SourceFault::regions, SourceFault::lending})
    CHECK(source_verdict(fault) == "");
}

TEST_CASE("the suite of sources catches every broken law", "[io][conformance]") {
  const Broken<SourceFault> rows[] = {
      {SourceFault::empty_identity, "identity() is empty"},
      {SourceFault::identity_changes, "identity() is not constant"},
      {SourceFault::version_changes, "version() is not constant"},
      {SourceFault::spec_changes, "spec() is not constant"},
      {SourceFault::fill_size, "spec().fill is not one element"},
      {SourceFault::dims_count, "spec().dims does not fit"},
      {SourceFault::no_format, "spec().format is empty"},
      {SourceFault::cost_changes, "cost() is not constant"},
      {SourceFault::cost_too_small, "fetch writes outside of the room"},
      {SourceFault::claims_too_much, "cost() is no upper bound"},
      {SourceFault::wrong_value, "wrong value by decode into C order at (6, 9)"},
      {SourceFault::ignores_strides, "decode"},
      {SourceFault::skips_an_element, "wrong value by decode into C order"},
      {SourceFault::writes_gap, "decode writes between or beside the elements"},
      {SourceFault::writes_before, "decode writes outside of the values"},
      {SourceFault::writes_scratch, "decode writes outside of scratch"},
      {SourceFault::missing_without_fill, "wrong value by the fill value of a missing chunk"},
      {SourceFault::would_block, "fetch says would_block when told to wait"},
      {SourceFault::cached_missing, "fetch with cached_only disagrees"},
      {SourceFault::cached_wrong, "wrong value by fetch with cached_only"},
      {SourceFault::stop_fails, "a stopped fetch fails"},
      {SourceFault::changes_encoded, "decode"},
      {SourceFault::in_place_short, "in place, but the encoded bytes are not the region's elements"},
      {SourceFault::in_place_wrong, "wrong value by"},
      {SourceFault::shared_buffer, "wrong value by"},
      {SourceFault::damaged_writes, "decode of damaged bytes writes outside of the values"},
      {SourceFault::lends_wrong_shape, "lend gives another shape"},
      {SourceFault::lends_wrong_values, "wrong value by lend"},
      {SourceFault::depends_on_scratch, "wrong value by decode"},
  };
  for (const Broken<SourceFault>& row : rows) {
    const std::string says = source_verdict(row.fault);
    INFO(row.says << " <> " << says);
    CHECK(says.find(row.says) != std::string::npos);
  }
  if (conformance::issued_reads()) {
    CHECK(source_verdict(SourceFault::spec_reads).find("spec() reads") != std::string::npos);
    CHECK(source_verdict(SourceFault::cost_reads).find("cost() reads") != std::string::npos);
    CHECK(source_verdict(SourceFault::decode_reads).find("decode reads") != std::string::npos);
  }
}

TEST_CASE("the suite of sources compares the size before the values", "[io][conformance]") {
  const TestSource source(SourceFault::none);
  const std::vector<std::byte> fewer(276);
  CHECK(verdict([&] {
          conformance::check_source([&] { return AnyChunkSource(source); }, fewer);
        }).find("another size") != std::string::npos);
}

// ------------------------------------------------------------------------------------------------- stores

namespace {

enum class StoreFault {
  none,
  negative_offsets,
  clips,
  finds_missing,
  size_of_missing,
  writes_beyond,
  claims_more,
  ignores_room,
  unsorted,
  relative_names,
  lists_all,
  no_slash,
  lists_neighbours,
  takes_dots,
  takes_nul,
  torn_put,
  vanishing_put,
  erase_fails,
  erases_prefix,
  empty_identity,
  identity_changes,
  first_of_batch,
  stop_fails,
  drops_empty,
  case_blind
};

class TestStore {
 public:
  explicit TestStore(StoreFault fault) : fault_(fault) {}

  void get(std::span<GetRequest> requests, std::stop_token stop) const {
    if (stop.stop_requested() && is(StoreFault::stop_fails)) fail(Errc::io_error, "stopped");
    if (is(StoreFault::first_of_batch) && requests.size() > 2) {
      inner_.get(requests.first(2), stop);
      for (GetRequest& request : requests.subspan(2)) request.found = true, request.filled_bytes = 0;
      return;
    }
    for (GetRequest& request : requests) get_one(request, stop);
  }
  std::optional<Index> size(std::string_view key) const {
    if (let_pass(key)) return std::nullopt;
    const auto size = inner_.size(key);
    return is(StoreFault::size_of_missing) ? size.value_or(0) : size;
  }
  void put(std::string_view key, std::span<const std::byte> value) const {
    if (let_pass(key)) return;
    if (is(StoreFault::drops_empty) && value.empty()) return inner_.erase(key);
    if (is(StoreFault::torn_put)) {
      inner_.put(key, value.first(value.size() / 2));
      dawdle();
    }
    if (is(StoreFault::vanishing_put)) {
      inner_.erase(key);
      dawdle();
    }
    inner_.put(is(StoreFault::case_blind) && key == "deep/er/and/deep/er/still" ? "Deep" : key, value);
  }
  void erase(std::string_view key) const {
    if (let_pass(key)) return;
    if (is(StoreFault::erase_fails) && !inner_.size(key)) fail(Errc::not_found, "erasing what is not there");
    if (is(StoreFault::erases_prefix) && key == "b") inner_.erase("b.c/d");
    inner_.erase(key);
  }
  void list(std::string_view prefix, const std::function<void(std::string_view)>& visit) const {
    std::vector<std::string> keys;
    inner_.list(prefix, [&](std::string_view key) { keys.emplace_back(key); });
    if (is(StoreFault::unsorted)) std::reverse(keys.begin(), keys.end());
    if (is(StoreFault::lists_neighbours) && prefix == "b") keys.emplace_back("b.c/");
    for (std::string key : keys) {
      if (is(StoreFault::relative_names) && !prefix.empty())
        key = key.substr(prefix.size() + (prefix.back() != '/'));
      if (is(StoreFault::no_slash) && key.back() == '/') key.pop_back();
      visit(key);
      if (is(StoreFault::lists_all) && key.back() == '/') list(key, visit);
    }
  }
  std::string identity() const {
    return is(StoreFault::empty_identity)     ? ""
           : is(StoreFault::identity_changes) ? std::to_string(++*calls_)
                                              : inner_.identity();
  }

 private:
  bool is(StoreFault fault) const { return fault_ == fault; }
  bool let_pass(std::string_view key) const {
    return (is(StoreFault::takes_dots) && key.find("..") == 0) ||
           (is(StoreFault::takes_nul) && key.find('\0') != std::string_view::npos);
  }
  void get_one(GetRequest& request, const std::stop_token& stop) const {
    request.found = false;
    request.filled_bytes = 0;
    if (let_pass(request.key)) return;
    const std::optional<Index> size = inner_.size(request.key);
    GetRequest asked = request;
    if (size && is(StoreFault::negative_offsets) && asked.range.offset < 0) asked.range.offset = 0;
    if (size && is(StoreFault::clips)) {
      asked.range.offset = std::clamp<Index>(asked.range.offset, -*size, *size);
      const Index begin = asked.range.offset < 0 ? *size + asked.range.offset : asked.range.offset;
      asked.range.length = std::min(asked.range.length, *size - begin);
    }
    if (size && is(StoreFault::ignores_room) && asked.range.length < 0 && asked.range.offset == 0)
      asked.range.length = std::min(*size, static_cast<Index>(asked.room.size()));
    inner_.get(std::span<GetRequest>(&asked, 1), stop);
    if (is(StoreFault::writes_beyond) && asked.found) asked.room.data()[asked.room.size()] = std::byte{1};
    request.found = asked.found || is(StoreFault::finds_missing);
    request.filled_bytes = asked.filled_bytes;
    if (is(StoreFault::claims_more) && asked.found) request.filled_bytes = request.room.size() + 1;
  }

  StoreFault fault_;
  MemoryStore inner_;
  std::shared_ptr<std::atomic<int>> calls_ = std::make_shared<std::atomic<int>>(0);
};

std::string store_verdict(StoreFault fault) {
  return verdict([&] { conformance::check_store([&] { return TestStore(fault); }); });
}

}  // namespace

TEST_CASE("the suite of stores is content with a lawful one", "[io][conformance]") {
  CHECK(store_verdict(StoreFault::none) == "");
}

TEST_CASE("the suite of stores catches every broken law", "[io][conformance]") {
  const Broken<StoreFault> rows[] = {
      {StoreFault::negative_offsets, "wrong"},
      {StoreFault::clips, "does not fail; expected corrupt_data"},
      {StoreFault::finds_missing, "finds it; expected not found"},
      {StoreFault::size_of_missing, "size of the missing key"},
      {StoreFault::writes_beyond, "writes outside of the room"},
      {StoreFault::claims_more, "says that it filled more than the room"},
      {StoreFault::ignores_room, "with too little room does not fail"},
      {StoreFault::unsorted, "list of '' is wrong"},
      {StoreFault::relative_names, "is wrong"},
      {StoreFault::lists_all, "is wrong"},
      {StoreFault::no_slash, "is wrong"},
      {StoreFault::lists_neighbours, "is wrong"},
      {StoreFault::takes_dots, "takes the key '..'"},
      {StoreFault::takes_nul, "takes the key 'a'"},
      {StoreFault::torn_put, "a reader sees a value that was never put"},
      {StoreFault::vanishing_put, "is missing for a moment"},
      {StoreFault::erases_prefix, "size of 'b.c/d' is wrong"},
      {StoreFault::empty_identity, "identity() is empty"},
      {StoreFault::identity_changes, "identity() is not constant"},
      {StoreFault::first_of_batch, "get of many ranges"},
      {StoreFault::stop_fails, "a stopped get fails"},
      {StoreFault::drops_empty, "is wrong"},
      {StoreFault::case_blind, "is wrong"},
  };
  for (const Broken<StoreFault>& row : rows) {
    const std::string says = store_verdict(row.fault);
    INFO(row.says << " <> " << says);
    CHECK(says.find(row.says) != std::string::npos);
  }
  // An error of the store itself comes through as it is.
  CHECK_THROWS_WITH(conformance::check_store([] { return TestStore(StoreFault::erase_fails); }),
                    "erasing what is not there");
}

// -------------------------------------------------------------------------------------------------- sinks

namespace {

enum class SinkFault {
  none,
  whole_chunks,
  visible_early,
  left_behind,
  drops_a_piece,
  ignores_strides,
  writes_scratch,
  changes_values,
  shared_buffer,
  identity_changes,
  empty_identity,
  spec_changes,
  forgets_commit,
  wrong_size,
  stop_fails
};

/// What stands at the target: the test's file system.
struct Target {
  std::optional<std::vector<std::byte>> visible;
};

class TestSink {
 public:
  TestSink(SinkFault fault, std::shared_ptr<Target> target)
      : fault_(fault), target_(std::move(target)), state_(std::make_shared<State>(fault, target_)) {
    spec_.dtype = Type::int16;
    spec_.grid = Grid::regular({9, 11}, {4, 5});
    spec_.writes_regions = fault != SinkFault::whole_chunks;
    other_spec_ = spec_;
    other_spec_.writes_regions = !spec_.writes_regions;
    target_->visible.reset();
  }
  const SinkSpec& spec() const {
    return is(SinkFault::spec_changes) && state_->writes > 0 ? other_spec_ : spec_;
  }
  std::size_t scratch_bytes(const Region&) const { return 8; }
  void write(const Region& region, const BufferView& values, std::span<std::byte> scratch,
             std::stop_token stop) {
    if (stop.stop_requested()) fail(is(SinkFault::stop_fails) ? Errc::io_error : Errc::cancelled, "stopped");
    if (is(SinkFault::whole_chunks) && !(spec_.grid.region(spec_.grid.overlapping(region).lo) == region))
      fail(Errc::invalid_argument, "test sink: only whole chunks");
    ++state_->writes;
    if (is(SinkFault::drops_a_piece) && region.contains({{0, 0}, {1, 1}})) return;
    BufferView from = values;
    if (is(SinkFault::ignores_strides)) from.strides = c_strides(from.shape, 2);
    std::vector<std::byte> copy = conformance::bytes_of(from);
    if (is(SinkFault::shared_buffer)) {
      for (std::size_t i = 0; i < copy.size(); ++i) state_->shared[i] = copy[i];
      dawdle();
      for (std::size_t i = 0; i < copy.size(); ++i) copy[i] = state_->shared[i];
    }
    if (is(SinkFault::writes_scratch)) scratch.data()[8] ^= std::byte{1};
    if (is(SinkFault::changes_values)) values.data[0] ^= std::byte{1};
    const BufferView whole = BufferView::c_order(state_->values.data(), {9, 11}, 2);
    copy_elements(BufferView::c_order(copy.data(), region.shape(), 2),
                  whole.part(Region::of({9, 11}), region));
    if (is(SinkFault::visible_early)) {
      const std::lock_guard lock(state_->mutex);
      target_->visible = std::vector<std::byte>(198);
    }
  }
  void commit() {
    if (is(SinkFault::forgets_commit)) return;
    target_->visible = state_->values;
    if (is(SinkFault::wrong_size)) target_->visible->pop_back();
  }
  std::string identity() const {
    return is(SinkFault::empty_identity)     ? ""
           : is(SinkFault::identity_changes) ? std::to_string(++state_->writes)
                                             : "test sink";
  }

 private:
  struct State {
    State(SinkFault f, std::shared_ptr<Target> t) : fault(f), target(std::move(t)) {}
    ~State() {
      if (fault == SinkFault::left_behind && !target->visible) target->visible = values;
    }
    SinkFault fault;
    std::shared_ptr<Target> target;
    std::mutex mutex;
    std::vector<std::byte> values = std::vector<std::byte>(198);
    std::array<std::atomic<std::byte>, 198> shared{};
    std::atomic<int> writes{0};
  };
  bool is(SinkFault fault) const { return fault_ == fault; }
  SinkFault fault_;
  std::shared_ptr<Target> target_;
  std::shared_ptr<State> state_;
  SinkSpec spec_, other_spec_;
};

std::string sink_verdict(SinkFault fault,
                         conformance::Visibility visibility = conformance::Visibility::at_commit) {
  const auto target = std::make_shared<Target>();
  conformance::SinkCheckOptions options;
  options.visibility = visibility;
  return verdict([&] {
    conformance::check_sink([&] { return AnyChunkSink(TestSink(fault, target)); },
                            [&] { return target->visible; }, options);
  });
}

}  // namespace

TEST_CASE("the suite of sinks is content with lawful ones", "[io][conformance]") {
  CHECK(sink_verdict(SinkFault::none) == "");
  CHECK(sink_verdict(SinkFault::whole_chunks) == "");
  CHECK(sink_verdict(SinkFault::visible_early, conformance::Visibility::by_chunk) == "");
}

TEST_CASE("the suite of sinks catches every broken law", "[io][conformance]") {
  const Broken<SinkFault> rows[] = {
      {SinkFault::visible_early, "something stands at the target before commit"},
      {SinkFault::left_behind, "after a sink was destroyed without commit"},
      {SinkFault::drops_a_piece, "wrong values at the target, from byte 0"},
      {SinkFault::ignores_strides, "wrong values at the target"},
      {SinkFault::writes_scratch, "writes outside of scratch"},
      {SinkFault::changes_values, "changes the values"},
      {SinkFault::shared_buffer, "wrong values at the target"},
      {SinkFault::identity_changes, "identity() is not constant"},
      {SinkFault::empty_identity, "identity() is empty"},
      {SinkFault::spec_changes, "spec() is not constant"},
      {SinkFault::forgets_commit, "nothing stands at the target after commit"},
      {SinkFault::wrong_size, "the target has another size"},
      {SinkFault::stop_fails, "a stopped write fails"},
  };
  for (const Broken<SinkFault>& row : rows) {
    const std::string says = sink_verdict(row.fault);
    INFO(row.says << " <> " << says);
    CHECK(says.find(row.says) != std::string::npos);
  }
}

// ------------------------------------------------------------------------------------------------- codecs

namespace {

enum class CodecFault {
  none,
  rounding,
  loses_last,
  not_deterministic,
  too_long,
  writes_beyond,
  decode_writes_beyond,
  decode_claims_more,
  trusts_length,
  pads_short,
  other_error,
  changes_input,
  decode_changes_input,
  writes_scratch,
  renames,
  shared_buffer,
  bound_changes
};

/// A length of 4 bytes, then the bytes, each xored with 0x33.
class TestCodec {
 public:
  explicit TestCodec(CodecFault fault) : fault_(fault) {}
  std::string_view name() const { return name_; }
  TestCodec prepare(const DecodedSpec&) const {
    TestCodec codec = *this;
    if (is(CodecFault::renames)) codec.name_ = "renamed";
    return codec;
  }
  std::size_t max_encoded_bytes(std::size_t n) const {
    return n + 4 + (is(CodecFault::bound_changes) ? static_cast<std::size_t>(++*calls_) : 0);
  }
  std::size_t scratch_bytes() const { return 8; }
  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out,
                     std::span<std::byte> scratch) const {
    if (is(CodecFault::writes_beyond)) out.data()[out.size()] = std::byte{1};
    if (is(CodecFault::writes_scratch)) scratch.data()[8] ^= std::byte{1};
    if (is(CodecFault::changes_input) && !in.empty()) const_cast<std::byte*>(in.data())[0] ^= std::byte{1};
    const auto n = static_cast<std::uint32_t>(in.size());
    std::memcpy(out.data(), &n, 4);
    flip(in, out.data() + 4);
    if (is(CodecFault::loses_last) && n > 100) out[4 + n - 1] ^= std::byte{1};
    if (is(CodecFault::rounding))
      for (std::size_t i = 0; i < n; ++i) out[4 + i] |= std::byte{1};
    if (is(CodecFault::not_deterministic) && n > 4) out[4] ^= static_cast<std::byte>(++*calls_);
    return n + 4u + is(CodecFault::too_long);
  }
  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    std::uint32_t n = 0;
    if (in.size() < 4)
      fail(is(CodecFault::other_error) ? Errc::io_error : Errc::corrupt_data, "test codec: cut short");
    std::memcpy(&n, in.data(), 4);
    if (is(CodecFault::pads_short) && in.size() - 4 < n && n <= out.size()) {
      std::memset(out.data(), 0x77, n);
      return n;
    }
    if (is(CodecFault::trusts_length) && n > out.size() && n < out.size() + 100) {
      std::memset(out.data(), 0, n);
      return out.size();
    }
    if (in.size() - 4 != n || n > out.size()) fail(Errc::corrupt_data, "test codec: damaged");
    if (is(CodecFault::decode_changes_input) && n > 0) const_cast<std::byte*>(in.data())[4] ^= std::byte{1};
    flip(in.subspan(4), out.data());
    if (is(CodecFault::decode_writes_beyond)) out.data()[out.size()] = std::byte{1};
    if (is(CodecFault::shared_buffer) && n > 0) {
      *shared_ = static_cast<unsigned>(out[0]);
      dawdle();
      out[0] = static_cast<std::byte>(shared_->load());
    }
    return is(CodecFault::decode_claims_more) ? out.size() + 1 : n;
  }

 private:
  bool is(CodecFault fault) const { return fault_ == fault; }
  static void flip(std::span<const std::byte> in, std::byte* out) {
    for (std::size_t i = 0; i < in.size(); ++i) out[i] = in[i] ^ std::byte{0x33};
  }
  CodecFault fault_;
  std::string name_ = "test";
  std::shared_ptr<std::atomic<int>> calls_ = std::make_shared<std::atomic<int>>(0);
  std::shared_ptr<std::atomic<unsigned>> shared_ = std::make_shared<std::atomic<unsigned>>(0);
};

std::string codec_verdict(CodecFault fault, const conformance::CodecCheckOptions& options = {}) {
  return verdict([&] {
    conformance::check_codec(TestCodec(fault), Type::int16, conformance::codec_samples(2), options);
  });
}

}  // namespace

TEST_CASE("the suite of codecs is content with a lawful one", "[io][conformance]") {
  CHECK(codec_verdict(CodecFault::none) == "");
  conformance::CodecCheckOptions rounds;
  rounds.accepts = [](const std::vector<std::byte>& sample, const std::vector<std::byte>& got) {
    for (std::size_t i = 0; i < sample.size(); ++i)
      if ((sample[i] | std::byte{1}) != (got[i] | std::byte{1})) return false;
    return true;
  };
  CHECK(codec_verdict(CodecFault::rounding, rounds) == "");
  CHECK(codec_verdict(CodecFault::rounding) != "");
}

TEST_CASE("the suite of codecs catches every broken law", "[io][conformance]") {
  const Broken<CodecFault> rows[] = {
      {CodecFault::loses_last, "decode gives another value"},
      {CodecFault::not_deterministic, "encode is not deterministic"},
      {CodecFault::too_long, "encode writes more than max_encoded_bytes()"},
      {CodecFault::writes_beyond, "encode writes outside of its room"},
      {CodecFault::decode_writes_beyond, "decode writes outside of its room"},
      {CodecFault::decode_claims_more, "decode says that it wrote more than the room"},
      {CodecFault::trusts_length, "decode writes outside of its room"},
      {CodecFault::pads_short, "it decodes to a whole chunk of other bytes"},
      {CodecFault::other_error, "damaged bytes give another error; expected corrupt_data, got io_error"},
      {CodecFault::changes_input, "encode changes its input"},
      {CodecFault::decode_changes_input, "decode changes its input"},
      {CodecFault::writes_scratch, "encode writes outside of scratch"},
      {CodecFault::renames, "prepare() changes the name"},
      {CodecFault::shared_buffer, "gives another value"},
      {CodecFault::bound_changes, "max_encoded_bytes() is not constant"},
  };
  for (const Broken<CodecFault>& row : rows) {
    const std::string says = codec_verdict(row.fault);
    INFO(row.says << " <> " << says);
    CHECK(says.find(row.says) != std::string::npos);
  }
}

TEST_CASE("a codec that only decodes is checked against what others encoded", "[io][conformance]") {
  const conformance::CodecSamples samples = conformance::codec_samples(2);
  conformance::CodecSamples encoded;
  for (const std::vector<std::byte>& sample : samples) {
    std::vector<std::byte> room(sample.size() + 4), scratch(8);
    TestCodec(CodecFault::none).encode(sample, room, scratch);
    encoded.push_back(room);
  }
  CHECK(verdict([&] {
          conformance::check_codec_decodes(TestCodec(CodecFault::none), Type::int16, encoded, samples);
        }) == "");
  std::swap(encoded[1], encoded[2]);
  CHECK(verdict([&] {
          conformance::check_codec_decodes(TestCodec(CodecFault::none), Type::int16, encoded, samples);
        }) != "");
}
