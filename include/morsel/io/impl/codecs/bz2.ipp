#pragma once

#if MORSEL_HAVE_BZIP2
#include <bzlib.h>
#endif

#include <morsel/io/impl/codecs/byte_codec.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

#if MORSEL_HAVE_BZIP2

/// One or several streams of bzip2.
class Bz2Codec : public ByteCodec {
 public:
  Bz2Codec(const CodecInfo& info, const std::string& doing) : ByteCodec(info) {
    CodecConfig config(info, doing);
    level_ = static_cast<int>(config.integer("level", 1, 1, 9));
    config.finish();
  }
  Bz2Codec prepare(const DecodedSpec&) const { return *this; }
  /// **Source**: the bzip2 manual, section 2.4; whatever level the stream was made with.
  CodecMemory library_memory() const {
    return {100'000 + 4 * 900'000, 400'000 + 8 * 100'000 * static_cast<std::size_t>(level_)};
  }

  /// **Source**: the bzip2 manual: one hundredth and 600 bytes more.
  std::size_t max_encoded_bytes(std::size_t n) const {
    return saturating_sum(saturating_sum(n, n / 100), 601);
  }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    std::size_t at = 0, done = 0;
    do {
      Stream s(in.subspan(at), out.subspan(done));
      if (BZ2_bzDecompressInit(&s.stream, 0, 0) != BZ_OK) throw std::bad_alloc();
      s.end = BZ2_bzDecompressEnd;
      int result = BZ_OK;
      while (result == BZ_OK) {
        const std::size_t before = s.left();
        s.refill();
        result = BZ2_bzDecompress(&s.stream);
        if (result == BZ_OK && s.left() == before) {
          // Neither bytes to read nor room to write: it may need either.
          if (s.read_all()) too_short(in.size() + 1, in.size());
          too_long(out.size());
        }
      }
      if (result == BZ_MEM_ERROR) throw std::bad_alloc();
      if (result != BZ_STREAM_END)
        corrupt("stream at byte " + std::to_string(at) + " is damaged; expected bzip2 data, got error " +
                std::to_string(result));
      at += s.bytes_read();
      done += s.bytes_written();
    } while (at < in.size());
    return done;
  }

  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    Stream s(in, out);
    if (BZ2_bzCompressInit(&s.stream, level_, 0, 0) != BZ_OK) throw std::bad_alloc();
    s.end = BZ2_bzCompressEnd;
    int result = BZ_RUN_OK;
    do {
      const std::size_t before = s.left();
      const bool is_last = s.refill();
      result = BZ2_bzCompress(&s.stream, is_last ? BZ_FINISH : BZ_RUN);
      if (result != BZ_STREAM_END && s.left() == before) encode_failed("no room");
    } while (result == BZ_RUN_OK || result == BZ_FINISH_OK);
    if (result != BZ_STREAM_END) encode_failed("error " + std::to_string(result) + " of libbz2");
    return s.bytes_written();
  }

 private:
  /// A stream over spans that may be longer than the library's counters.
  struct Stream {
    Stream(std::span<const std::byte> in, std::span<std::byte> out)
        : in_bytes(in.size()), out_bytes(out.size()), in_left(in.size()), out_left(out.size()) {
      // The library changes the pointer's type only.
      stream.next_in = reinterpret_cast<char*>(const_cast<std::byte*>(in.data()));
      stream.next_out = reinterpret_cast<char*>(out.data());
    }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() {
      if (end) end(&stream);
    }
    /// Gives the library what its counters can hold; true if that is all there is to read.
    bool refill() {
      constexpr std::size_t most = 1u << 30;
      if (stream.avail_in == 0) {
        stream.avail_in = static_cast<unsigned>(std::min(in_left, most));
        in_left -= stream.avail_in;
      }
      if (stream.avail_out == 0) {
        stream.avail_out = static_cast<unsigned>(std::min(out_left, most));
        out_left -= stream.avail_out;
      }
      return in_left == 0;
    }
    bool read_all() const { return in_left + stream.avail_in == 0; }
    std::size_t bytes_read() const { return in_bytes - in_left - stream.avail_in; }
    std::size_t bytes_written() const { return out_bytes - out_left - stream.avail_out; }
    std::size_t left() const { return in_left + stream.avail_in + out_left + stream.avail_out; }

    bz_stream stream{};
    int (*end)(bz_stream*) = nullptr;
    std::size_t in_bytes, out_bytes, in_left, out_left;
  };
  int level_ = 1;
};

inline std::vector<CodecDefinition> bz2_codecs() {
  return {byte_codec<Bz2Codec>({"bz2", "numcodecs.bz2", "hdf5.bzip2"})};
}

#else

inline std::vector<CodecDefinition> bz2_codecs() { return {}; }

#endif

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI
