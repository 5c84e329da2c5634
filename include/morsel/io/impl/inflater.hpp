// Deflated bytes of a file, given one after another. For the bodies of zip readers alone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <morsel/base/bytes.hpp>
#include <morsel/io/file.hpp>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#if MORSEL_HAVE_ZLIB
#include <zlib.h>

namespace morsel::inline MORSEL_ABI::detail {

/// Where inflating can start: `bits` bits of the byte before `in` belong to the next block.
struct InflatePoint {
  Index out = 0, in = 0;
  int bits = 0;
  std::vector<unsigned char> window;
};

/// Gives the bytes of a deflated range of a file one after another.
class Inflater {
 public:
  Inflater(const File& file, Index begin, Index stored_bytes, std::string doing)
      : file_(file), begin_(begin), stored_bytes_(stored_bytes), doing_(std::move(doing)), input_(64 * KiB) {
    if (inflateInit2(&stream_, -15) != Z_OK)
      fail(Errc::internal_error, doing_ + ": zlib cannot start; expected memory for its state");
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream_); }

  Index position() const { return out_; }
  bool at_end() const { return ended_; }
  /// Compressed bytes used up so far.
  Index used_bytes() const { return in_ - static_cast<Index>(stream_.avail_in); }

  void start_at(const InflatePoint& point) {
    if (point.out == 0) return;
    in_ = point.in;
    if (point.bits != 0) {
      std::byte before;
      file_.read(begin_ + point.in - 1, {&before, 1});
      inflatePrime(&stream_, point.bits, std::to_integer<int>(before) >> (8 - point.bits));
    }
    inflateSetDictionary(&stream_, point.window.data(), static_cast<uInt>(point.window.size()));
    out_ = point.out;
  }

  /// A point at the present position, if that is the end of a block.
  bool mark(InflatePoint& point) {
    if (ended_ || (stream_.data_type & 128) == 0 || (stream_.data_type & 64) != 0) return false;
    point.out = out_;
    point.in = used_bytes();
    point.bits = stream_.data_type & 7;
    point.window.resize(32 * KiB);
    uInt bytes = 0;
    inflateGetDictionary(&stream_, point.window.data(), &bytes);
    point.window.resize(bytes);
    return true;
  }

  /// Writes up to `most` bytes to `to`; with `to_block_end` it stops at the end of a block. Returns how many,
  /// 0 only at a block's end. **Fails**: corrupt_data when the stream is damaged or ends.
  std::size_t read(std::byte* to, std::size_t most, bool to_block_end, const std::stop_token& stop) {
    stream_.next_out = reinterpret_cast<Bytef*>(to);
    stream_.avail_out = static_cast<uInt>(std::min<std::size_t>(most, 1 << 20));
    const uInt wanted = stream_.avail_out;
    for (;;) {
      if (ended_) damaged("the data ends too early");
      if (stop.stop_requested()) fail(Errc::cancelled, doing_ + ": stopped on request");
      refill();
      const int result = inflate(&stream_, to_block_end ? Z_BLOCK : Z_NO_FLUSH);
      const std::size_t got = wanted - stream_.avail_out;
      ended_ = result == Z_STREAM_END;
      if (!ended_ && result != Z_OK && result != Z_BUF_ERROR)
        damaged(stream_.msg ? stream_.msg : "zlib refuses it");
      if (!ended_ && got == 0 && stream_.avail_in == 0 && in_ == stored_bytes_)
        damaged("the compressed data ends too early");
      if (got > 0 || (to_block_end && (stream_.data_type & 128) != 0)) {
        out_ += static_cast<Index>(got);
        return got;
      }
    }
  }

  /// After the last byte: reads the end mark of the stream.
  void finish(const std::stop_token& stop) {
    std::byte more;
    while (!ended_) {
      if (stop.stop_requested()) fail(Errc::cancelled, doing_ + ": stopped on request");
      stream_.next_out = reinterpret_cast<Bytef*>(&more);
      stream_.avail_out = 1;
      refill();
      const int result = inflate(&stream_, Z_NO_FLUSH);
      ended_ = result == Z_STREAM_END;
      if (stream_.avail_out == 0) damaged("there is more data than the directory says");
      if (!ended_ && (result != Z_OK || (stream_.avail_in == 0 && in_ == stored_bytes_)))
        damaged("the end of the compressed data is missing");
    }
  }

  [[noreturn]] void damaged(const std::string& what) const {
    fail(Errc::corrupt_data, doing_ + ": damaged deflate data, " + what + "; expected a whole stream, got " +
                                 std::to_string(out_) + " bytes from " + std::to_string(used_bytes()) +
                                 " of " + std::to_string(stored_bytes_) + " compressed ones");
  }

 private:
  void refill() {
    if (stream_.avail_in != 0 || in_ == stored_bytes_) return;
    const Index bytes = std::min(static_cast<Index>(input_.size()), stored_bytes_ - in_);
    file_.read(begin_ + in_, std::span(input_).first(static_cast<std::size_t>(bytes)));
    in_ += bytes;
    stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
    stream_.avail_in = static_cast<uInt>(bytes);
  }

  File file_;
  Index begin_, stored_bytes_;
  std::string doing_;
  std::vector<std::byte> input_;
  z_stream stream_{};
  Index in_ = 0, out_ = 0;  // read from the file; given out
  bool ended_ = false;
};

}  // namespace morsel::inline MORSEL_ABI::detail
#endif
