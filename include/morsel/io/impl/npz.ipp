#pragma once

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <morsel/base/bytes.hpp>
#include <morsel/io/impl/inflater.hpp>
#include <morsel/io/impl/npy.ipp>
#include <morsel/io/impl/raw_source.ipp>
#include <morsel/io/npz.hpp>
#include <mutex>
#include <optional>
#include <utility>

namespace morsel::inline MORSEL_ABI {

#if MORSEL_HAVE_ZLIB
namespace detail {

/// A deflated member, read from front to back once and from the points kept on the way afterwards.
class DeflatedMember {
 public:
  DeflatedMember(const ZipDirectory& directory, const ZipMember& member, const std::string& doing)
      : file_(directory.file()),
        begin_(directory.data_offset(member)),
        member_(member),
        doing_(doing),
        frontier_(std::make_unique<Inflater>(file_, begin_, member.stored_bytes, doing)) {
    points_.emplace(0, InflatePoint{});
  }

  const File& file() const { return file_; }
  const ZipMember& member() const { return member_; }

  /// Appends what comes next of the first reading until `bytes` holds `count`, or all there is. Before any
  /// other read.
  void read_head(std::vector<std::byte>& bytes, std::size_t count) {
    const std::size_t had = bytes.size();
    bytes.resize(std::max(had, std::min(count, static_cast<std::size_t>(member_.bytes))));
    const std::unique_lock lock(mutex_);
    take(bytes.data() + had, static_cast<Index>(bytes.size() - had), {});
  }

  /// Calls reading(skip_to, read) where skip_to(position) goes forward and read(to, bytes) takes what is
  /// next, starting at or before `begin`. The member's end is checked when `end` is reached in the first
  /// reading.
  template <class F>
  void read_from(Index begin, Index end, const std::stop_token& stop, F&& reading) {
    std::unique_lock lock(mutex_, std::defer_lock);
    while (!lock.try_lock_for(std::chrono::milliseconds(20)))
      if (stop.stop_requested()) fail(Errc::cancelled, doing_ + ": stopped on request");
    if (broken_) throw *broken_;
    if (position_ <= begin) {
      try {
        reading([&](Index to) { take(nullptr, to - position_, stop); },
                [&](std::byte* to, std::size_t bytes) { take(to, static_cast<Index>(bytes), stop); });
        if (position_ == end) take(nullptr, member_.bytes - position_, stop);
      } catch (const Error& error) {
        if (error.code() == Errc::corrupt_data) broken_ = error;  // what was read before is in doubt, too
        throw;
      }
      return;
    }
    const InflatePoint point = std::prev(points_.upper_bound(begin))->second;
    lock.unlock();
    Inflater inflater(file_, begin_, member_.stored_bytes, doing_);
    inflater.start_at(point);
    const auto read = [&](std::byte* to, std::size_t bytes) {
      for (std::size_t got; bytes > 0; to += got, bytes -= got) got = inflater.read(to, bytes, false, stop);
    };
    std::vector<std::byte> discard(discard_bytes);
    reading(
        [&](Index to) {
          for (Index left = to - inflater.position(); left > 0; left = to - inflater.position())
            read(discard.data(), static_cast<std::size_t>(std::min<Index>(left, discard_bytes)));
        },
        read);
  }

 private:
  static constexpr Index discard_bytes = 64 * 1024;
  static constexpr std::size_t most_points = 256;  // 8 MiB of windows

  /// Under the mutex. The next `bytes` of the first reading, to memory or (null) nowhere.
  void take(std::byte* to, Index bytes, const std::stop_token& stop) {
    std::vector<std::byte> discard(to ? 0 : static_cast<std::size_t>(std::min(bytes, discard_bytes)));
    while (bytes > 0) {
      const std::size_t most =
          static_cast<std::size_t>(std::min<Index>(bytes, to ? 256 * 1024 : discard_bytes));
      std::byte* room = to ? to : discard.data();
      const std::size_t got = frontier_->read(room, most, position_ >= next_point_, stop);
      crc_ = ::crc32(crc_, reinterpret_cast<const Bytef*>(room), static_cast<uInt>(got));
      position_ += static_cast<Index>(got);
      bytes -= static_cast<Index>(got);
      if (to) to += got;
      if (position_ >= next_point_) keep_point();
    }
    if (position_ == member_.bytes && frontier_) {
      frontier_->finish(stop);
      if (frontier_->used_bytes() != member_.stored_bytes) frontier_->damaged("bytes are left over");
      if (crc_ != member_.crc32)
        fail(Errc::corrupt_data, doing_ + ": wrong checksum; expected CRC-32 " +
                                     std::to_string(member_.crc32) + ", got " + std::to_string(crc_));
      frontier_.reset();
    }
  }

  /// Keeps a point to start from, if a block ends here; thins them out when they get many.
  void keep_point() {
    InflatePoint point;
    if (!frontier_->mark(point)) return;
    points_.emplace(position_, std::move(point));
    if (points_.size() > most_points) {
      interval_ *= 2;
      for (auto at = std::next(points_.begin()); at != points_.end();) {
        at = points_.erase(at);
        if (at != points_.end()) ++at;
      }
    }
    next_point_ = position_ + interval_;
  }

  File file_;
  Index begin_;
  ZipMember member_;
  std::string doing_;
  std::timed_mutex mutex_;
  std::unique_ptr<Inflater> frontier_;  // null when the end was reached
  Index position_ = 0;                  // of the first reading
  uLong crc_ = 0;
  std::map<Index, InflatePoint> points_;
  Index interval_ = static_cast<Index>(4 * MiB), next_point_ = static_cast<Index>(4 * MiB);
  std::optional<Error> broken_;
};

/// An array in a deflated member. `fetch` inflates, so that the encoded bytes are the elements.
class DeflatedNpySource {
 public:
  DeflatedNpySource(std::shared_ptr<DeflatedMember> member, NpyHeader header, std::string identity)
      : member_(std::move(member)),
        identity_(std::move(identity)),
        layout_(header.layout(header.data_offset)) {
    // Chunks are runs of bytes: single indices on the first axes, a piece of one axis, whole axes after it.
    Shape chunk = layout_.shape;
    Index fits = std::max<Index>(1, static_cast<Index>(4 * MiB / layout_.dtype.item_bytes()));
    for (std::size_t i = chunk.size(); i-- > 0;) {
      const Index length = std::max<Index>(1, std::min(chunk[i], fits));
      fits = length == chunk[i] ? fits / length : 1;
      chunk[i] = length;
    }
    spec_.dtype = layout_.dtype;
    spec_.grid = Grid::regular(layout_.shape, chunk);
    spec_.format = "npz";
    spec_.order = header.fortran_order ? "F" : "C";
    spec_.codecs = {{"deflate", "{}"}};
    spec_.stored_bytes = member_->member().stored_bytes;
  }

  const ArraySpec& spec() const { return spec_; }
  FetchCost cost(const Dims&, const Region& region) const {
    FetchCost cost;
    cost.encoded_bytes = static_cast<std::size_t>(region.size()) * layout_.dtype.item_bytes();
    cost.in_place = true;
    return cost;
  }
  Fetched fetch(const Dims& chunk, const Region& region, std::span<std::byte> room, FetchMode mode,
                std::stop_token stop) const {
    Fetched fetched;
    fetched.encoded_bytes = cost(chunk, region).encoded_bytes;
    if (mode == FetchMode::cached_only) return {Fetched::State::would_block, 0, 0};
    if (room.size() < fetched.encoded_bytes)
      fail(Errc::internal_error, "reading '" + member_->file().path() + "': too little room; expected " +
                                     std::to_string(fetched.encoded_bytes) + " bytes, got " +
                                     std::to_string(room.size()));
    const Runs runs = runs_of(layout_, region);
    std::byte* to = room.data();
    member_->read_from(runs.first, layout_.end_bytes(), stop, [&](const auto& skip_to, const auto& read) {
      for_each_strip(runs, [&](Index offset, Index count, Index stride) {
        for (; count > 0; --count, offset += stride, to += runs.run_bytes) {
          skip_to(offset);
          read(to, runs.run_bytes);
        }
        return true;
      });
    });
    return fetched;
  }
  void decode(const Dims&, const Region& region, std::span<const std::byte> encoded, BufferView out,
              std::span<std::byte>) const {
    decode_raw(layout_, member_->file().path(), region, encoded, out);
  }
  std::string identity() const { return identity_; }
  std::string version() const { return member_->file().version(); }
  std::vector<std::string> files() const { return {member_->file().path()}; }

 private:
  std::shared_ptr<DeflatedMember> member_;
  std::string identity_;
  RawLayout layout_;
  ArraySpec spec_;
};

MORSEL_INLINE OpenedArray open_deflated_npy(const ZipDirectory& directory, const ZipMember& member,
                                            const std::string& doing, std::string identity,
                                            const NpyOptions& options) {
  const auto unpacked = std::make_shared<DeflatedMember>(directory, member, doing);
  std::vector<std::byte> bytes;
  unpacked->read_head(bytes, npy_prefix_bytes);
  unpacked->read_head(bytes, npy_header_bytes(bytes, doing));
  NpyHeader header = parse_npy_header(bytes, doing);
  if (options.keep_bool_bytes) keep_bool_bytes(header);
  check_npy_size(header, member.bytes, doing);
  const View view = header.view();
  return {DeflatedNpySource(unpacked, header, std::move(identity)), view};
}

}  // namespace detail
#endif

namespace detail {

MORSEL_INLINE bool is_npy_name(std::string_view name) {
  return name.size() > 4 && name.substr(name.size() - 4) == ".npy";
}

MORSEL_INLINE std::vector<std::string> npz_names(const ZipDirectory& directory) {
  std::vector<std::string> names;
  for (const ZipMember& member : directory.members())
    if (is_npy_name(member.name)) names.push_back(member.name.substr(0, member.name.size() - 4));
  return names;
}

MORSEL_INLINE OpenedArray open_stored_npy(const ZipDirectory& directory, const ZipMember& member,
                                          const std::string& doing, std::string identity,
                                          const NpyOptions& options) {
  if (member.bytes != member.stored_bytes)
    fail(Errc::corrupt_data, doing + ": sizes of a stored member differ; expected " +
                                 std::to_string(member.bytes) + " bytes, got " +
                                 std::to_string(member.stored_bytes));
  const Index begin = directory.data_offset(member);
  const File& file = directory.file();
  std::vector<std::byte> bytes(static_cast<std::size_t>(std::min<Index>(member.bytes, 4096)));
  file.read(begin, bytes);
  const std::size_t header_bytes = npy_header_bytes(bytes, doing);
  if (header_bytes > bytes.size() && static_cast<Index>(header_bytes) <= member.bytes) {
    bytes.resize(header_bytes);
    file.read(begin, bytes);
  }
  NpyHeader header = parse_npy_header(bytes, doing);
  if (options.keep_bool_bytes) keep_bool_bytes(header);
  check_npy_size(header, member.bytes, doing);
  RawSourceOptions source;
  source.format = "npz";
  source.identity = std::move(identity);
  source.order = header.fortran_order ? "F" : "C";
  source.access = options.access;
  source.drop_cache = options.drop_cache;
  return {RawSource(file, header.layout(begin + header.data_offset), std::move(source)), header.view()};
}

}  // namespace detail

MORSEL_INLINE std::vector<std::string> list_npz(const std::string& path) {
  return detail::npz_names(ZipDirectory(File(path)));
}

MORSEL_INLINE OpenedArray open_npz(const std::string& path, const std::string& name,
                                   const NpyOptions& options) {
  const ZipDirectory directory{File(path)};
  const ZipMember* member = directory.find(name + ".npy");
  if (!member && detail::is_npy_name(name)) member = directory.find(name);
  if (!member) {
    const std::vector<std::string> names = detail::npz_names(directory);
    std::string list;
    for (std::size_t i = 0; i < names.size() && i < 10; ++i) list += (i ? ", " : "") + names[i];
    if (names.size() > 10) list += ", ... " + std::to_string(names.size() - 10) + " more";
    fail(Errc::not_found, "opening '" + path + "': no such array; expected " +
                              (names.empty() ? "an archive with .npy members" : "one of " + list) +
                              ", got '" + name + "'");
  }
  const std::string doing = "opening '" + path + "/" + member->name + "'";
  const std::string identity =
      "npz:" + directory.file().path() + "#" + member->name + (options.keep_bool_bytes ? "?bool_bytes" : "");
  if (member->method == 0) return detail::open_stored_npy(directory, *member, doing, identity, options);
#if MORSEL_HAVE_ZLIB
  if (member->method == 8) return detail::open_deflated_npy(directory, *member, doing, identity, options);
#endif
  fail(Errc::unsupported, doing + ": compressed with " +
                              (member->method == 8 ? "deflate, and this build is without zlib"
                                                   : "zip method " + std::to_string(member->method)) +
                              "; expected a member that is stored or that zlib can inflate");
}

}  // namespace morsel::inline MORSEL_ABI
