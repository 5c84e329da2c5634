#pragma once

#include <algorithm>
#include <atomic>
#include <morsel/conformance/chunk_sink.hpp>
#include <morsel/conformance/impl/guarded.hpp>

namespace morsel::inline MORSEL_ABI {

namespace conformance {

class SinkChecker {
 public:
  SinkChecker(AnyChunkSink sink, const SinkCheckOptions& options, std::uint64_t seed)
      : sink_(std::move(sink)),
        options_(options),
        random_(seed),
        spec_(sink_.spec()),
        array_(Region::of(spec_.grid.shape())) {
    values_.resize(static_cast<std::size_t>(array_.size()) * spec_.dtype.item_bytes());
    // Bytes of bool are 0 or 1; any bits make any other type.
    for (std::byte& byte : values_)
      byte = static_cast<std::byte>(is_bool(spec_.dtype.type()) ? random() & 1 : random());
  }

  const std::vector<std::byte>& values() const { return values_; }
  AnyChunkSink& sink() { return sink_; }

  void check_spec() {
    const std::string identity = sink_.identity();
    if (identity.empty()) refuse("identity() is empty; expected that of the source that reads the target");
    if (sink_.identity() != identity) refuse("identity() is not constant");
    if (spec_.dtype.item_bytes() == 0) refuse("spec().dtype has no size");
    const SinkSpec& now = sink_.spec();
    if (!(now.dtype == spec_.dtype) || !(now.grid == spec_.grid) ||
        now.writes_regions != spec_.writes_regions)
      refuse("spec() is not constant");
  }

  /// Boxes that cover the array, none twice: storage chunks, or random cuts where any box may be written.
  std::vector<Region> pieces() {
    std::vector<Region> pieces;
    if (array_.size() == 0) return pieces;
    Grid grid = spec_.grid;
    if (spec_.writes_regions) {
      std::vector<AxisGrid> axes;
      for (std::size_t i = 0; i < array_.rank(); ++i) {
        std::vector<Index> lengths;
        for (Index left = array_.hi[i]; left > 0; left -= lengths.back())
          lengths.push_back(random_in(random_, 1, std::max<Index>(1, std::min(left, array_.hi[i] / 2))));
        axes.push_back(AxisGrid::from_lengths(lengths));
      }
      grid = Grid(std::move(axes));
    }
    for (Index i = 0; i < grid.count(); ++i) pieces.push_back(grid.region(i));
    std::shuffle(pieces.begin(), pieces.end(), random_);
    return pieces;
  }

  /// Writes one piece from wild strides, with exactly the scratch that was asked for.
  void write(const Region& piece, std::uint64_t seed) {
    Random random(seed);
    const std::size_t item_bytes = spec_.dtype.item_bytes();
    WildBuffer wild(piece.shape(), item_bytes, random);
    const BufferView whole = BufferView::c_order(values_.data(), array_.shape(), item_bytes);
    const bool is_wild = random_in(random, 0, 2) > 0;
    std::vector<std::byte> plain(static_cast<std::size_t>(piece.size()) * item_bytes);
    const BufferView view =
        is_wild ? wild.view() : BufferView::c_order(plain.data(), piece.shape(), item_bytes);
    copy_elements(whole.part(array_, piece), view);
    const std::vector<std::byte> before = bytes_of(view);
    GuardedBytes scratch(sink_.scratch_bytes(piece), random());
    sink_.write(piece, view, scratch.span(), {});
    if (!scratch.is_intact()) refuse("write of " + to_string(piece) + " writes outside of scratch");
    if (bytes_of(view) != before || !wild.gaps_are_intact())
      refuse("write of " + to_string(piece) + " changes the values; expected them constant");
  }

  /// Writes the pieces from several threads at once.
  void write_all(const std::vector<Region>& pieces, std::uint64_t seed) {
    std::atomic<std::size_t> next{0};
    in_threads(options_.threads, [&](int) {
      for (std::size_t i = next++; i < pieces.size(); i = next++) write(pieces[i], seed + i);
    });
  }

  void check_read_back(const ReadBack& read_back) {
    const std::optional<std::vector<std::byte>> got = read_back();
    if (!got) refuse("nothing stands at the target after commit; expected the array");
    if (got->size() != values_.size())
      refuse("the target has another size after commit; expected " + std::to_string(values_.size()) +
             " bytes, got " + std::to_string(got->size()));
    const auto differs = std::mismatch(got->begin(), got->end(), values_.begin());
    if (differs.first != got->end())
      refuse("wrong values at the target, from byte " + std::to_string(differs.first - got->begin()) + " on");
  }

  void check_invisible(const ReadBack& read_back, const char* when) {
    if (options_.visibility == Visibility::at_commit && read_back())
      refuse(std::string("something stands at the target ") + when + "; expected nothing");
  }

  [[noreturn]] void refuse(const std::string& law) const { violated("sink " + sink_.identity(), law); }

 private:
  AnyChunkSink sink_;
  SinkCheckOptions options_;
  Random random_;
  SinkSpec spec_;
  Region array_;
  std::vector<std::byte> values_;

  std::uint64_t random() { return random_(); }
};

inline void check_sink(const std::function<AnyChunkSink()>& make_sink, const ReadBack& read_back,
                       const SinkCheckOptions& options) {
  for (int round = 0; round < options.rounds; ++round) {
    const std::uint64_t seed = options.seed + 100u * static_cast<unsigned>(round);
    SinkChecker checker(make_sink(), options, seed);
    checker.check_spec();
    checker.check_invisible(read_back, "before the first write");
    checker.write_all(checker.pieces(), seed);
    checker.check_invisible(read_back, "before commit");
    checker.sink().commit();
    checker.check_read_back(read_back);
    checker.check_spec();
  }
  // Given up half-way: nothing is left behind.
  {
    SinkChecker checker(make_sink(), options, options.seed);
    std::vector<Region> pieces = checker.pieces();
    pieces.resize(pieces.size() / 2);
    checker.write_all(pieces, options.seed);
    std::stop_source stop;
    stop.request_stop();
    if (!checker.pieces().empty()) {
      const Region piece = checker.pieces().front();
      GuardedBytes scratch(checker.sink().scratch_bytes(piece), 1);
      std::vector<std::byte> zeros(static_cast<std::size_t>(piece.size()) *
                                   checker.sink().spec().dtype.item_bytes());
      const BufferView view =
          BufferView::c_order(zeros.data(), piece.shape(), checker.sink().spec().dtype.item_bytes());
      try {
        checker.sink().write(piece, view, scratch.span(), stop.get_token());
      } catch (const Error& e) {
        if (e.code() != Errc::cancelled)
          checker.refuse(std::string("a stopped write fails; expected cancelled or success, got ") +
                         e.what());
      }
    }
  }
  if (options.visibility == Visibility::at_commit && read_back())
    violated("sink",
             "something stands at the target after a sink was destroyed without commit; expected nothing");
}

}  // namespace conformance

}  // namespace morsel::inline MORSEL_ABI
