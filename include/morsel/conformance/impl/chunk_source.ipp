#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <morsel/conformance/chunk_source.hpp>
#include <morsel/conformance/impl/guarded.hpp>
#include <optional>

namespace morsel::inline MORSEL_ABI {

namespace conformance {

/// Reads that this thread has issued so far; nothing where the system does not tell.
inline std::optional<long long> issued_reads() {
  const int fd = ::open("/proc/thread-self/io", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  char text[1024];
  const ssize_t n = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  if (n <= 0) return std::nullopt;
  text[n] = '\0';
  const char* found = std::strstr(text, "syscr: ");
  if (found == nullptr) return std::nullopt;
  return std::atoll(found + 7);
}

/// Runs f and says whether the thread issued reads meanwhile.
template <class F>
bool issues_reads(F&& f) {
  // Twice: malloc itself reads a file of the system now and then.
  for (int i = 0; i < 2; ++i) {
    const auto first = issued_reads(), second = issued_reads();
    f();
    const auto third = issued_reads();
    if (!first || !second || !third || *third - *second == *second - *first) return false;
  }
  return true;
}

/// The checks of one source; `random` and all memory are this thread's own.
class SourceChecker {
 public:
  SourceChecker(const AnyChunkSource& source, const ExpectedValues& expected, std::uint64_t seed)
      : source_(source), expected_(expected), random_(seed), item_bytes_(source.spec().dtype.item_bytes()) {}

  void check_spec() {
    const ArraySpec& spec = source_.spec();
    const std::size_t rank = spec.grid.rank();
    if (item_bytes_ == 0) refuse("spec().dtype has no size; expected at least one byte per element");
    size_of(spec.shape());
    if (!spec.dims.empty() && spec.dims.size() != rank)
      refuse("spec().dims does not fit; expected none or " + std::to_string(rank) + " names, got " +
             std::to_string(spec.dims.size()));
    if (!spec.fill.empty() && spec.fill.size() != item_bytes_)
      refuse("spec().fill is not one element; expected 0 or " + std::to_string(item_bytes_) + " bytes, got " +
             std::to_string(spec.fill.size()));
    if (spec.format.empty()) refuse("spec().format is empty; expected a name");
    if (source_.identity().empty()) refuse("identity() is empty; expected a text that says which data");
    const ArraySpec before = spec;
    const std::string identity = source_.identity(), version = source_.version();
    if (issues_reads([&] { (void)source_.spec(); })) refuse("spec() reads; expected no I/O");
    for (int i = 0; i < 3; ++i) {
      if (source_.identity() != identity)
        refuse("identity() is not constant; expected '" + identity + "', got '" + source_.identity() + "'");
      if (source_.version() != version)
        refuse("version() is not constant while nothing changes; expected '" + version + "', got '" +
               source_.version() + "'");
    }
    check_same_spec(before);
  }

  /// spec() still is what it was.
  void check_same_spec(const ArraySpec& before) {
    const ArraySpec& now = source_.spec();
    if (!(now.dtype == before.dtype) || !(now.grid == before.grid) ||
        now.reads_regions != before.reads_regions || now.lends != before.lends ||
        now.does_io != before.does_io || now.fill != before.fill || now.dims != before.dims)
      refuse("spec() is not constant; expected the same dtype, grid, abilities, fill and dims at all times");
  }

  /// Reads `region` of `chunk` in every way and compares.
  void check_region(const Dims& chunk, const Region& region) {
    const ArraySpec& spec = source_.spec();
    const Shape shape = region.shape();
    std::vector<std::byte> want(static_cast<std::size_t>(region.size()) * item_bytes_);
    expected_(region, BufferView::c_order(want.data(), shape, item_bytes_));
    const FetchCost cost = source_.cost(chunk, region);
    FetchCost again;
    if (issues_reads([&] { again = source_.cost(chunk, region); }))
      refuse("cost() reads; expected no I/O", region);
    if (again.encoded_bytes != cost.encoded_bytes || again.scratch_bytes != cost.scratch_bytes ||
        again.strided_scratch_bytes != cost.strided_scratch_bytes || again.in_place != cost.in_place ||
        again.partial != cost.partial)
      refuse("cost() is not constant; expected the same cost for the same region", region);
    if (spec.does_io)
      check_with_io(chunk, region, cost, want);
    else
      decode_everyway(chunk, region, cost, {}, want);
    if (spec.lends) check_lending(region, want);
  }

  void check_random(const Region& array) {
    const ArraySpec& spec = source_.spec();
    Region box = array;
    if (!spec.reads_regions || random_in(random_, 0, 1) == 0) {
      Dims position(box.rank());
      for (std::size_t i = 0; i < position.size(); ++i)
        position[i] = random_in(random_, 0, spec.grid.axis(i).count() - 1);
      box = spec.grid.region(position);
    }
    const Region region = random_box(box, random_);
    check_region(chunk_of(region), region);
  }

  /// Grid position of the low corner.
  Dims chunk_of(const Region& region) const {
    Dims position(region.rank());
    for (std::size_t i = 0; i < position.size(); ++i)
      position[i] = source_.spec().grid.axis(i).chunk_of(region.lo[i]);
    return position;
  }

  [[noreturn]] void refuse(const std::string& law) const { violated("source " + source_.identity(), law); }
  [[noreturn]] void refuse(const std::string& law, const Region& region) const {
    violated("source " + source_.identity() + ", region " + to_string(region), law);
  }

 private:
  void check_with_io(const Dims& chunk, const Region& region, const FetchCost& cost,
                     const std::vector<std::byte>& want) {
    const ArraySpec& spec = source_.spec();
    GuardedBytes room(cost.encoded_bytes, random_());
    const Fetched fetched = source_.fetch(chunk, region, room.span(), FetchMode::wait, {});
    check_guards(room, "fetch", "the room", region);
    switch (fetched.state) {
      case Fetched::State::would_block:
        refuse("fetch says would_block when told to wait; expected filled or missing", region);
      case Fetched::State::missing: {
        const std::vector<std::byte> zero(item_bytes_);
        std::vector<std::byte> filled(want.size());
        fill_elements(BufferView::c_order(filled.data(), region.shape(), item_bytes_),
                      spec.fill.empty() ? zero.data() : spec.fill.data());
        compare(filled, want, "the fill value of a missing chunk", region);
        check_cached(chunk, region, cost, fetched, want);
        return;
      }
      case Fetched::State::filled:
        break;
    }
    if (fetched.encoded_bytes > cost.encoded_bytes)
      refuse("cost() is no upper bound; expected at most " + std::to_string(cost.encoded_bytes) +
                 " encoded bytes, got " + std::to_string(fetched.encoded_bytes),
             region);
    if (cost.in_place) {
      if (fetched.encoded_bytes != want.size())
        refuse("in place, but the encoded bytes are not the region's elements; expected " +
                   std::to_string(want.size()) + " bytes, got " + std::to_string(fetched.encoded_bytes),
               region);
      decode_in_place(chunk, region, cost, room, want);
    } else {
      // In memory that ends where the encoded bytes end, so that an address sanitizer sees reads beyond them.
      const std::vector<std::byte> encoded(room.data(), room.data() + fetched.encoded_bytes);
      decode_everyway(chunk, region, cost, encoded, want);
      check_damaged(chunk, region, cost, encoded);
    }
    check_cached(chunk, region, cost, fetched, want);
    check_stop(chunk, region, cost);
  }

  void decode_in_place(const Dims& chunk, const Region& region, const FetchCost& cost, GuardedBytes& room,
                       const std::vector<std::byte>& want) {
    GuardedBytes scratch(cost.scratch_bytes, random_());
    const BufferView there = BufferView::c_order(room.data(), region.shape(), item_bytes_);
    source_.decode(chunk, region, room.span().first(want.size()), there, scratch.span());
    check_guards(room, "decode", "the values", region);
    check_guards(scratch, "decode", "scratch", region);
    compare(bytes_of(there), want, "decode in place", region);
  }

  void decode_everyway(const Dims& chunk, const Region& region, const FetchCost& cost,
                       const std::vector<std::byte>& encoded, const std::vector<std::byte>& want) {
    if (cost.in_place && !source_.spec().does_io)
      refuse("in place without I/O; expected encoded bytes to mend", region);
    const std::vector<std::byte> before = encoded;
    {
      GuardedBytes out(want.size(), random_()), scratch(cost.scratch_bytes, random_());
      const BufferView there = BufferView::c_order(out.data(), region.shape(), item_bytes_);
      if (issues_reads([&] { source_.decode(chunk, region, encoded, there, scratch.span()); }))
        refuse("decode reads; expected computation only", region);
      check_guards(out, "decode", "the values", region);
      check_guards(scratch, "decode", "scratch", region);
      compare(bytes_of(there), want, "decode into C order", region);
    }
    WildBuffer wild(region.shape(), item_bytes_, random_);
    GuardedBytes scratch(cost.scratch_bytes + cost.strided_scratch_bytes, random_());
    source_.decode(chunk, region, encoded, wild.view(), scratch.span());
    if (!wild.gaps_are_intact())
      refuse("decode writes between or beside the elements of a view with strides " +
                 to_string(wild.view().strides),
             region);
    check_guards(scratch, "decode", "scratch", region);
    compare(bytes_of(wild.view()), want, "decode into strides " + to_string(wild.view().strides), region);
    if (encoded != before) refuse("decode changes the encoded bytes; expected them constant", region);
  }

  void check_cached(const Dims& chunk, const Region& region, const FetchCost& cost, const Fetched& waited,
                    const std::vector<std::byte>& want) {
    GuardedBytes room(cost.encoded_bytes, random_());
    const Fetched fetched = source_.fetch(chunk, region, room.span(), FetchMode::cached_only, {});
    check_guards(room, "fetch with cached_only", "the room", region);
    if (fetched.state == Fetched::State::would_block) return;
    if (fetched.state != waited.state)
      refuse("fetch with cached_only disagrees; expected would_block or what waiting gives", region);
    if (fetched.state == Fetched::State::missing) return;
    if (fetched.encoded_bytes > cost.encoded_bytes)
      refuse("cost() is no upper bound of fetch with cached_only", region);
    GuardedBytes scratch(cost.scratch_bytes, random_());
    GuardedBytes out(want.size(), random_());
    const BufferView there =
        BufferView::c_order(cost.in_place ? room.data() : out.data(), region.shape(), item_bytes_);
    source_.decode(chunk, region, room.span().first(fetched.encoded_bytes), there, scratch.span());
    compare(bytes_of(there), want, "fetch with cached_only", region);
  }

  void check_stop(const Dims& chunk, const Region& region, const FetchCost& cost) {
    std::stop_source stop;
    stop.request_stop();
    GuardedBytes room(cost.encoded_bytes, random_());
    try {
      source_.fetch(chunk, region, room.span(), FetchMode::wait, stop.get_token());
    } catch (const Error& e) {
      if (e.code() != Errc::cancelled)
        refuse(std::string("a stopped fetch fails; expected cancelled or success, got ") + e.what(), region);
    }
    check_guards(room, "a stopped fetch", "the room", region);
  }

  /// Damaged bytes may give an error or wrong values, but nothing is written outside.
  void check_damaged(const Dims& chunk, const Region& region, const FetchCost& cost,
                     const std::vector<std::byte>& encoded) {
    if (encoded.empty()) return;
    for (int i = 0; i < 4; ++i) {
      std::vector<std::byte> damaged = encoded;
      if (i % 2 == 0)
        damaged.resize(
            static_cast<std::size_t>(random_in(random_, 0, static_cast<Index>(encoded.size()) - 1)));
      for (std::size_t hits = 0; i > 0 && !damaged.empty() && hits < 1 + damaged.size() / 64; ++hits)
        damaged[static_cast<std::size_t>(random_in(random_, 0, static_cast<Index>(damaged.size()) - 1))] =
            static_cast<std::byte>(random_());
      const std::vector<std::byte> exact(damaged.begin(), damaged.end());
      GuardedBytes out(static_cast<std::size_t>(region.size()) * item_bytes_, random_()),
          scratch(cost.scratch_bytes, random_());
      try {
        source_.decode(chunk, region, exact, BufferView::c_order(out.data(), region.shape(), item_bytes_),
                       scratch.span());
      } catch (const Error&) {
        // What damaged bytes should give.
      }
      check_guards(out, "decode of damaged bytes", "the values", region);
      check_guards(scratch, "decode of damaged bytes", "scratch", region);
    }
  }

  void check_lending(const Region& region, const std::vector<std::byte>& want) {
    const BufferView lent = source_.lend(region);
    if (lent.shape != region.shape() || lent.item_bytes != item_bytes_ ||
        lent.strides.size() != region.rank())
      refuse("lend gives another shape or item size; expected " + to_string(region.shape()) + " of " +
                 std::to_string(item_bytes_) + " bytes, got " + to_string(lent.shape) + " of " +
                 std::to_string(lent.item_bytes),
             region);
    compare(bytes_of(lent), want, "lend", region);
    source_.release(region);
    compare(bytes_of(source_.lend(region)), want, "lend after release", region);
  }

  void check_guards(const GuardedBytes& memory, const char* who, const char* what,
                    const Region& region) const {
    if (!memory.is_intact()) refuse(std::string(who) + " writes outside of " + what, region);
  }

  void compare(const std::vector<std::byte>& got, const std::vector<std::byte>& want, const std::string& how,
               const Region& region) const {
    if (got == want) return;
    std::size_t at = 0;
    while (got[at] == want[at]) ++at;
    Index element = static_cast<Index>(at / item_bytes_);
    const auto hex = [&](const std::vector<std::byte>& bytes) {
      static constexpr char digits[] = "0123456789abcdef";
      std::string text;
      for (std::size_t i = at / item_bytes_ * item_bytes_;
           text.size() < 2 * std::min<std::size_t>(item_bytes_, 16); ++i)
        text += {digits[static_cast<unsigned>(bytes[i]) >> 4], digits[static_cast<unsigned>(bytes[i]) & 15]};
      return text;
    };
    Dims index(region.rank());
    for (std::size_t i = region.rank(); i-- > 0;) {
      const Index extent = region.hi[i] - region.lo[i];
      index[i] = region.lo[i] + element % extent;
      element /= extent;
    }
    refuse("wrong value by " + how + " at " + to_string(index) + "; expected bytes " + hex(want) + ", got " +
               hex(got),
           region);
  }

  const AnyChunkSource& source_;
  const ExpectedValues& expected_;
  Random random_;
  std::size_t item_bytes_;
};

inline void check_source(const std::function<AnyChunkSource()>& make_source, const ExpectedValues& expected,
                         const SourceCheckOptions& options) {
  const AnyChunkSource source = make_source();
  SourceChecker checker(source, expected, options.seed);
  checker.check_spec();
  checker.check_same_spec(make_source().spec());
  const ArraySpec before = source.spec();
  const Grid& grid = before.grid;
  const Region array = Region::of(before.shape());
  if (array.size() == 0) return;
  // 1. Whole chunks: all, or a random choice.
  Random random(options.seed);
  const Index chunks = grid.count();
  for (Index i = 0; i < std::min(chunks, options.max_chunks); ++i) {
    const Dims chunk = grid.position(chunks <= options.max_chunks ? i : random_in(random, 0, chunks - 1));
    checker.check_region(chunk, grid.region(chunk));
  }
  // 2. Random boxes, on this thread and on several at once.
  for (int i = 0; i < options.regions; ++i) checker.check_random(array);
  in_threads(options.threads, [&](int thread) {
    SourceChecker own(source, expected, options.seed + 1000u + static_cast<unsigned>(thread));
    for (int i = 0; i < options.regions; ++i) own.check_random(array);
  });
  // 3. A copy outlives what it was copied from, and nothing has changed.
  AnyChunkSource copy = make_source();
  const AnyChunkSource survivor = copy;
  copy = AnyChunkSource();
  SourceChecker(survivor, expected, options.seed).check_random(array);
  checker.check_same_spec(before);
}

inline void check_source(const std::function<AnyChunkSource()>& make_source,
                         std::span<const std::byte> expected_c_order, const SourceCheckOptions& options) {
  const AnyChunkSource source = make_source();
  const Shape shape = source.spec().shape();
  const std::size_t item_bytes = source.spec().dtype.item_bytes();
  const std::size_t array_bytes = static_cast<std::size_t>(size_of(shape)) * item_bytes;
  if (expected_c_order.size() != array_bytes)
    violated("source " + source.identity(),
             "the array has another size; expected " + std::to_string(expected_c_order.size()) +
                 " bytes, got " + std::to_string(array_bytes) + " as shape " + to_string(shape));
  // Only read from.
  const BufferView whole =
      BufferView::c_order(const_cast<std::byte*>(expected_c_order.data()), shape, item_bytes);
  check_source(
      make_source,
      [&](const Region& region, const BufferView& out) {
        copy_elements(whole.part(Region::of(shape), region), out);
      },
      options);
}

}  // namespace conformance

}  // namespace morsel::inline MORSEL_ABI
