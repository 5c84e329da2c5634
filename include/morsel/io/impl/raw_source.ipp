#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <morsel/array/chunk_spec.hpp>
#include <morsel/io/raw_source.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// The contiguous pieces of a region in the file: `run_bytes` each, at `first` plus any combination of the
/// strides.
struct Runs {
  Index first = 0;
  std::size_t run_bytes = 0;
  Dims counts, strides;  // in C order, outermost first, neighbours merged
};

MORSEL_INLINE Runs runs_of(const RawLayout& layout, const Region& region) {
  Runs runs;
  runs.first = layout.offset_bytes;
  runs.run_bytes = layout.dtype.item_bytes();
  Dims counts, strides;  // innermost first
  for (std::size_t i = region.rank(); i-- > 0;) {
    const Index n = region.hi[i] - region.lo[i], stride = layout.strides[i];
    runs.first += region.lo[i] * stride;
    if (n == 1) continue;
    if (counts.empty() && stride == static_cast<Index>(runs.run_bytes))
      runs.run_bytes *= static_cast<std::size_t>(n);
    else if (!counts.empty() && stride == counts.back() * strides.back())
      counts.back() *= n;
    else
      counts.push_back(n), strides.push_back(stride);
  }
  for (std::size_t i = counts.size(); i-- > 0;)
    runs.counts.push_back(counts[i]), runs.strides.push_back(strides[i]);
  return runs;
}

/// Calls f(offset, count, stride) for each row of runs in file order, until it returns false.
template <class F>
bool for_each_strip(const Runs& runs, F&& f) {
  const std::size_t outer = runs.counts.empty() ? 0 : runs.counts.size() - 1;
  const Index count = runs.counts.empty() ? 1 : runs.counts.back();
  const Index stride = runs.counts.empty() ? 0 : runs.strides.back();
  Dims at(outer, 0);
  Index offset = runs.first;
  for (;;) {
    if (!f(offset, count, stride)) return false;
    std::size_t i = outer;
    for (;;) {
      if (i == 0) return true;
      --i;
      offset += runs.strides[i];
      if (++at[i] < runs.counts[i]) break;
      offset -= runs.counts[i] * runs.strides[i];
      at[i] = 0;
    }
  }
}

template <std::size_t bytes>
void gather_fixed(std::byte* to, const std::byte* from, Index count, Index stride) {
  for (Index i = 0; i < count; ++i)
    std::memcpy(to + static_cast<std::size_t>(i) * bytes, from + i * stride, bytes);
}

MORSEL_INLINE void gather_runs(std::byte* to, const std::byte* from, std::size_t run_bytes, Index count,
                               Index stride) {
  switch (run_bytes) {
    case 1:
      return gather_fixed<1>(to, from, count, stride);
    case 2:
      return gather_fixed<2>(to, from, count, stride);
    case 4:
      return gather_fixed<4>(to, from, count, stride);
    case 8:
      return gather_fixed<8>(to, from, count, stride);
    case 16:
      return gather_fixed<16>(to, from, count, stride);
    default:
      for (Index i = 0; i < count; ++i)
        std::memcpy(to + static_cast<std::size_t>(i) * run_bytes, from + i * stride, run_bytes);
  }
}

/// Reads runs one behind the other into `to`, or without a file only counts the reads. Runs and gaps below a
/// page, where another system call costs more than the bytes between, are read as one span of at most 64 KiB
/// on the stack and picked apart.
class RunReader {
 public:
  explicit RunReader(std::size_t run_bytes) : run_bytes_(run_bytes) {}
  RunReader(const File& file, std::size_t run_bytes, std::byte* to, FetchMode mode,
            const std::stop_token& stop)
      : file_(&file), run_bytes_(run_bytes), to_(to), mode_(mode), stop_(&stop) {}

  /// False: would block.
  bool add(Index offset, Index count, Index stride) {
    const Index run = static_cast<Index>(run_bytes_);
    if (run_bytes_ >= short_bytes || (count > 1 && stride - run >= gap_bytes)) {
      if (!flush()) return false;
      if (!file_) {
        requests_ += count;
        return true;
      }
      for (; count > 0; --count, offset += stride)
        if (!read(offset, run_bytes_)) return false;
      return true;
    }
    while (count > 0) {
      if (strips_ > 0 &&
          (strips_ == most_strips || offset - end_ >= gap_bytes || offset + run - begin_ > span_bytes))
        if (!flush()) return false;
      if (strips_ == 0) begin_ = offset;
      const Index fit = count == 1 ? 1 : std::min(count, 1 + (span_bytes - (offset - begin_) - run) / stride);
      strip_[strips_++] = {offset, fit, stride};
      end_ = offset + (fit - 1) * stride + run;
      offset += fit * stride;
      count -= fit;
    }
    return true;
  }

  bool flush() {
    if (strips_ == 0) return true;
    const int strips = strips_;
    strips_ = 0;
    if (strips == 1 && strip_[0].count == 1) return read(begin_, run_bytes_);
    ++requests_;
    if (!file_) return true;
    if (!file_->read(begin_, {span_, static_cast<std::size_t>(end_ - begin_)}, mode_, *stop_)) return false;
    for (int i = 0; i < strips; ++i) {
      gather_runs(to_, span_ + (strip_[i].offset - begin_), run_bytes_, strip_[i].count, strip_[i].stride);
      to_ += static_cast<std::size_t>(strip_[i].count) * run_bytes_;
    }
    return true;
  }

  Index requests() const { return requests_; }

 private:
  static constexpr std::size_t short_bytes = 4096;
  static constexpr Index gap_bytes = 4096, span_bytes = 65536;
  static constexpr int most_strips = 256;
  struct Strip {
    Index offset, count, stride;
  };

  bool read(Index offset, std::size_t bytes) {
    ++requests_;
    if (!file_) return true;
    std::byte* to = to_;
    to_ += bytes;
    return file_->read(offset, {to, bytes}, mode_, *stop_);
  }

  const File* file_ = nullptr;
  std::size_t run_bytes_;
  std::byte* to_ = nullptr;
  FetchMode mode_ = FetchMode::wait;
  const std::stop_token* stop_ = nullptr;
  Index requests_ = 0;
  Index begin_ = 0, end_ = 0;
  int strips_ = 0;
  Strip strip_[most_strips];
  std::byte span_[span_bytes];
};

MORSEL_INLINE void append_mends(const DType& dtype, bool swapped, std::size_t offset, std::size_t count,
                                std::vector<Mend>& mends) {
  const auto append = [&](Mend mend) {
    if (mend.count == 0) return;
    if (!mends.empty()) {  // one after another of the same kind is one longer mend
      Mend& last = mends.back();
      if (last.kind == mend.kind && last.unit_bytes == mend.unit_bytes && last.shift == mend.shift &&
          last.bits == mend.bits && last.offset_bytes + last.unit_bytes * last.count == mend.offset_bytes) {
        last.count += mend.count;
        return;
      }
    }
    mends.push_back(mend);
  };
  if (dtype.is_record()) {
    std::vector<Mend> of_one;
    for (const Field& field : dtype.fields())
      append_mends(field.dtype, swapped, field.offset_bytes, static_cast<std::size_t>(size_of(field.shape)),
                   of_one);
    if (of_one.empty()) return;
    constexpr std::size_t most = std::size_t{1} << 16;
    if (count > most / of_one.size())
      fail(Errc::unsupported, "record dtype: too many members to convert; expected at most " +
                                  std::to_string(most) + " per element, got " + std::to_string(count) +
                                  " x " + std::to_string(of_one.size()));
    for (std::size_t i = 0; i < count; ++i)
      for (Mend mend : of_one) {
        mend.offset_bytes += offset + i * dtype.item_bytes();
        append(mend);
      }
    return;
  }
  const std::size_t unit = dtype.swap_bytes();
  if (is_bool(dtype.type()))
    append({Mend::Kind::boolean, offset, 1, count});
  else if (swapped && unit > 1)
    append({Mend::Kind::swap, offset, unit, count * (dtype.item_bytes() / unit)});
}

}  // namespace detail

MORSEL_INLINE std::vector<Mend> mends_of(const DType& dtype, bool swapped) {
  std::vector<Mend> mends;
  detail::append_mends(dtype, swapped, 0, 1, mends);
  return mends;
}

namespace detail {

template <class U>
void mend_bits_of(const Mend& mend, std::byte* at, std::size_t units) {
  using Wide = std::uint64_t;
  const Wide mask = mend.bits >= 64 ? ~Wide{0} : (Wide{1} << mend.bits) - 1;
  const Wide sign = mend.kind == Mend::Kind::signed_bits && mend.bits > 0 ? Wide{1} << (mend.bits - 1) : 0;
  for (std::size_t k = 0; k < units; ++k, at += sizeof(U)) {
    U stored;
    std::memcpy(&stored, at, sizeof stored);
    const Wide value = (Wide{stored} >> mend.shift) & mask;
    stored = static_cast<U>((value ^ sign) - sign);
    std::memcpy(at, &stored, sizeof stored);
  }
}

MORSEL_INLINE void mend_bits(const Mend& mend, std::byte* at, std::size_t units) {
  switch (mend.unit_bytes) {
    case 1:
      return mend_bits_of<std::uint8_t>(mend, at, units);
    case 2:
      return mend_bits_of<std::uint16_t>(mend, at, units);
    case 4:
      return mend_bits_of<std::uint32_t>(mend, at, units);
    default:
      return mend_bits_of<std::uint64_t>(mend, at, units);
  }
}

MORSEL_INLINE void mend_text(const Mend& mend, std::byte* text) {
  std::size_t kept = mend.unit_bytes;
  if (mend.kind == Mend::Kind::text_to_nul)
    kept = static_cast<std::size_t>(std::find(text, text + kept, std::byte{0}) - text);
  else
    while (kept > 0 && text[kept - 1] == std::byte{' '}) --kept;
  std::memset(text + kept, 0, mend.unit_bytes - kept);
}

}  // namespace detail

MORSEL_INLINE void mend_elements(const std::vector<Mend>& mends, void* elements, std::size_t count,
                                 std::size_t item_bytes) {
  auto* bytes = static_cast<std::byte*>(elements);
  for (const Mend& mend : mends) {
    // A mend that covers the element covers all of them at once.
    const bool whole = mend.offset_bytes == 0 && mend.unit_bytes * mend.count == item_bytes;
    const std::size_t repeats = whole ? 1 : count, units = whole ? mend.count * count : mend.count;
    for (std::size_t i = 0; i < repeats; ++i) {
      std::byte* at = bytes + i * item_bytes + mend.offset_bytes;
      switch (mend.kind) {
        case Mend::Kind::swap:
          swap_bytes(at, units, mend.unit_bytes);
          break;
        case Mend::Kind::boolean:
          for (std::size_t k = 0; k < units; ++k) at[k] = std::byte{at[k] != std::byte{0}};
          break;
        case Mend::Kind::unsigned_bits:
        case Mend::Kind::signed_bits:
          detail::mend_bits(mend, at, units);
          break;
        case Mend::Kind::text_to_nul:
        case Mend::Kind::text_to_spaces:
          for (std::size_t k = 0; k < units; ++k) detail::mend_text(mend, at + k * mend.unit_bytes);
          break;
      }
    }
  }
}

MORSEL_INLINE void mend_elements(const std::vector<Mend>& mends, const BufferView& elements) {
  if (mends.empty() || size_of(elements.shape) == 0) return;
  // Trailing axes whose elements lie one behind the other are mended in one go.
  Region rows = Region::of(elements.shape);
  Index run = 1, expected = static_cast<Index>(elements.item_bytes);
  for (std::size_t i = elements.shape.size(); i-- > 0;) {
    if (elements.shape[i] != 1 && elements.strides[i] != expected) break;
    run *= elements.shape[i];
    expected *= elements.shape[i];
    rows.hi[i] = 1;
  }
  for_each_position(rows, [&](const Dims& at) {
    std::byte* row = elements.data;
    for (std::size_t i = 0; i < at.size(); ++i) row += at[i] * elements.strides[i];
    mend_elements(mends, row, static_cast<std::size_t>(run), elements.item_bytes);
  });
}

MORSEL_INLINE Shape reversed(const Shape& shape) {
  Shape out(shape.size());
  for (std::size_t i = 0; i < shape.size(); ++i) out[i] = shape[shape.size() - 1 - i];
  return out;
}

MORSEL_INLINE View reversing_view(const Shape& stored, std::size_t outer) {
  std::vector<Index> order(stored.size());
  for (std::size_t i = 0; i < stored.size(); ++i)
    order[i] = static_cast<Index>(i < outer ? outer - 1 - i : i);
  return permute_view(stored, order);
}

MORSEL_INLINE RawLayout RawLayout::contiguous(DType dtype, const Shape& shape, Index offset_bytes,
                                              std::vector<Mend> mends) {
  const Dims strides = c_strides(shape, static_cast<Index>(dtype.item_bytes()));
  return {std::move(dtype), shape, strides, offset_bytes, std::move(mends)};
}

MORSEL_INLINE Index RawLayout::end_bytes() const {
  if (size_of(shape) == 0) return offset_bytes;
  Index end = checked_add(offset_bytes, static_cast<Index>(dtype.item_bytes()), "array bytes");
  for (std::size_t i = 0; i < shape.size(); ++i)
    end = checked_add(end, checked_mul(shape[i] - 1, strides[i], "array bytes"), "array bytes");
  return end;
}

namespace detail {

MORSEL_INLINE void decode_raw(const RawLayout& layout, const std::string& path, const Region& region,
                              std::span<const std::byte> encoded, const BufferView& out) {
  const std::size_t item_bytes = layout.dtype.item_bytes(), count = static_cast<std::size_t>(region.size());
  if (encoded.size() != count * item_bytes)
    fail(Errc::corrupt_data, "reading '" + path + "': wrong number of bytes for " + to_string(region) +
                                 "; expected " + std::to_string(count * item_bytes) + ", got " +
                                 std::to_string(encoded.size()));
  if (out.data != encoded.data()) {
    std::byte* from = const_cast<std::byte*>(encoded.data());  // only read
    copy_elements(BufferView::c_order(from, region.shape(), item_bytes), out);
  }
  mend_elements(layout.mends, out);
}

}  // namespace detail

MORSEL_INLINE RawSource::RawSource(File file, RawLayout layout, RawSourceOptions options)
    : file_(std::move(file)), layout_(std::move(layout)), options_(std::move(options)) {
  const Index end = layout_.end_bytes();
  if (layout_.offset_bytes < 0 || end > file_.size_bytes())
    fail(Errc::corrupt_data, "opening '" + file_.path() + "': the file is shorter than " +
                                 layout_.dtype.name() + " " + to_string(layout_.shape) + " at offset " +
                                 std::to_string(layout_.offset_bytes) + "; expected at least " +
                                 std::to_string(end) + " bytes, got " + std::to_string(file_.size_bytes()));
  const Index size = size_of(layout_.shape);
  spec_.dtype = layout_.dtype;
  spec_.grid = resolve_chunks(ChunkSpec(), layout_.shape, layout_.dtype.item_bytes());
  spec_.reads_regions = true;
  spec_.has_native_chunks = false;
  spec_.format = options_.format;
  spec_.order = options_.order;
  spec_.stored_bytes = checked_mul(size, static_cast<Index>(layout_.dtype.item_bytes()), "array bytes");
  spec_.dims = options_.dims;
  spec_.attributes = options_.attributes;
  spec_.fill = options_.fill;
  if (options_.access == FileAccess::map && layout_.mends.empty() && size > 0) {
    mapping_ = file_.map();
    const BufferView whole{mapping_.get() + layout_.offset_bytes, layout_.dtype.item_bytes(), layout_.shape,
                           layout_.strides};
    spec_.lends = whole.is_aligned(alignment_of(layout_.dtype.type()));
  }
}

MORSEL_INLINE FetchCost RawSource::cost(const Dims&, const Region& region) const {
  FetchCost cost;
  cost.encoded_bytes = static_cast<std::size_t>(region.size()) * layout_.dtype.item_bytes();
  cost.partial = true;
  cost.in_place = true;
  return cost;
}

namespace detail {

MORSEL_INLINE Fetched fetch_raw(const File& file, const RawLayout& layout, const Region& region,
                                std::span<std::byte> room, FetchMode mode, const std::stop_token& stop) {
  const std::size_t bytes = static_cast<std::size_t>(region.size()) * layout.dtype.item_bytes();
  if (room.size() < bytes)
    fail(Errc::internal_error, "reading '" + file.path() + "': too little room; expected " +
                                   std::to_string(bytes) + " bytes, got " + std::to_string(room.size()));
  Fetched fetched;
  fetched.encoded_bytes = bytes;
  if (bytes == 0) return fetched;
  const Runs runs = runs_of(layout, region);
  bool filled;
  if (runs.counts.empty()) {
    filled = file.read(runs.first, room.first(bytes), mode, stop);
  } else {
    RunReader reader(file, runs.run_bytes, room.data(), mode, stop);
    filled = for_each_strip(
        runs, [&](Index offset, Index count, Index stride) { return reader.add(offset, count, stride); });
    filled = filled && reader.flush();
    fetched.requests = reader.requests();
  }
  if (!filled) return {Fetched::State::would_block, 0, fetched.requests};
  return fetched;
}

MORSEL_INLINE Index requests_raw(const RawLayout& layout, const Region& region) {
  if (region.size() == 0) return 0;
  const Runs runs = runs_of(layout, region);
  if (runs.counts.empty()) return 1;
  RunReader reader(runs.run_bytes);
  for_each_strip(runs,
                 [&](Index offset, Index count, Index stride) { return reader.add(offset, count, stride); });
  reader.flush();
  return reader.requests();
}

}  // namespace detail

MORSEL_INLINE Fetched RawSource::fetch(const Dims&, const Region& region, std::span<std::byte> room,
                                       FetchMode mode, std::stop_token stop) const {
  return detail::fetch_raw(file_, layout_, region, room, mode, stop);
}

MORSEL_INLINE Index RawSource::requests(const Dims&, const Region& region) const {
  return detail::requests_raw(layout_, region);
}

MORSEL_INLINE void RawSource::decode(const Dims&, const Region& region, std::span<const std::byte> encoded,
                                     BufferView out, std::span<std::byte>) const {
  detail::decode_raw(layout_, file_.path(), region, encoded, out);
}

MORSEL_INLINE BufferView RawSource::lend(const Region& region) const {
  file_.require_unchanged();
  BufferView view{mapping_.get() + layout_.offset_bytes, layout_.dtype.item_bytes(), region.shape(),
                  layout_.strides};
  for (std::size_t i = 0; i < region.rank(); ++i) view.data += region.lo[i] * layout_.strides[i];
  const detail::Runs runs = detail::runs_of(layout_, region);
  if (runs.counts.empty() && runs.run_bytes >= 64 * 1024) {
    // Starts reading ahead of the page faults: measured 33.6 against 29.9 GB/s with two threads.
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto begin = reinterpret_cast<std::uintptr_t>(view.data);
    const std::uintptr_t first = begin / page * page;
    ::madvise(reinterpret_cast<void*>(first), begin - first + runs.run_bytes, MADV_WILLNEED);
  }
  return view;
}

MORSEL_INLINE void RawSource::release(const Region& region) const {
  if (!mapping_ && !options_.drop_cache) return;
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const detail::Runs runs = detail::runs_of(layout_, region);
  if (runs.run_bytes < page) return;
  detail::for_each_strip(runs, [&](Index offset, Index count, Index stride) {
    for (; count > 0; --count, offset += stride) {
      if (mapping_) {
        const auto begin = reinterpret_cast<std::uintptr_t>(mapping_.get() + offset);
        const std::uintptr_t first = (begin + page - 1) / page * page,
                             last = (begin + runs.run_bytes) / page * page;
        if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
      }
      if (options_.drop_cache) file_.drop_cache(offset, static_cast<Index>(runs.run_bytes));
    }
    return true;
  });
}

}  // namespace morsel::inline MORSEL_ABI
