#pragma once

#include <morsel/io/impl/codecs/elements.hpp>
#include <morsel/io/impl/codecs/filter_parameters.hpp>

#if MORSEL_HAVE_ZFP
#include <zfp.h>

namespace morsel::inline MORSEL_ABI::detail {

/// How much of a number zfp keeps.
struct ZfpMode {
  enum class Kind : std::uint8_t { reversible, expert, accuracy, rate, precision };
  Kind kind = Kind::reversible;
  double amount = 0;  ///< tolerance, bits per element or bits of precision
  unsigned min_bits = 0, max_bits = 0, max_precision = 0;
  int min_exponent = 0;
};

/// The objects of the library, together. Its streams read words beyond what they are given if the data say
/// so: they are only ever opened on memory that holds all that blocks can take.
class ZfpWork {
 public:
  ZfpWork(zfp_type type, const Shape& shape, void* elements, void* bytes, std::size_t room)
      : bits_(stream_open(bytes, room)), stream_(zfp_stream_open(bits_)), field_(zfp_field_alloc()) {
    if (!bits_ || !stream_ || !field_) {
      close();
      fail(Errc::internal_error, "opening zfp: out of memory");
    }
    zfp_stream_rewind(stream_);
    zfp_field_set_type(field_, type);
    zfp_field_set_pointer(field_, elements);
    const auto extent = [&](std::size_t from_last) {
      return static_cast<std::size_t>(shape[shape.size() - 1 - from_last]);
    };
    switch (shape.size()) {
      case 0:
        zfp_field_set_size_1d(field_, 1);
        break;
      case 1:
        zfp_field_set_size_1d(field_, extent(0));
        break;
      case 2:
        zfp_field_set_size_2d(field_, extent(0), extent(1));
        break;
      case 3:
        zfp_field_set_size_3d(field_, extent(0), extent(1), extent(2));
        break;
      default:
        zfp_field_set_size_4d(field_, extent(0), extent(1), extent(2), extent(3));
    }
  }
  ZfpWork(const ZfpWork&) = delete;
  ZfpWork& operator=(const ZfpWork&) = delete;
  ~ZfpWork() { close(); }

  zfp_stream* stream() { return stream_; }
  zfp_field* field() { return field_; }
  /// False if the library does not take the numbers.
  bool set(const ZfpMode& mode) {
    switch (mode.kind) {
      case ZfpMode::Kind::reversible:
        zfp_stream_set_reversible(stream_);
        return true;
      case ZfpMode::Kind::expert:
        return zfp_stream_set_params(stream_, mode.min_bits, mode.max_bits, mode.max_precision,
                                     mode.min_exponent) != 0;
      case ZfpMode::Kind::accuracy:
        zfp_stream_set_accuracy(stream_, mode.amount);
        return true;
      case ZfpMode::Kind::rate:
        zfp_stream_set_rate(stream_, mode.amount, field_->type, zfp_field_dimensionality(field_), 0);
        return true;
      case ZfpMode::Kind::precision:
        zfp_stream_set_precision(stream_, static_cast<unsigned>(mode.amount));
        return true;
    }
    return false;
  }
  std::size_t most_bytes() const { return zfp_stream_maximum_size(stream_, field_); }

 private:
  void close() {
    if (field_) zfp_field_free(field_);
    if (stream_) zfp_stream_close(stream_);
    if (bits_) stream_close(bits_);
  }
  bitstream* bits_;
  zfp_stream* stream_;
  zfp_field* field_;
};

/// Numbers through zfp: as the registry of Zarr v3 has it, without a header, or as numcodecs has it, with one
/// that must agree with the chunk. Numbers of fewer than 32 bits are widened as zfp's own functions do;
/// unsigned ones of 32 and 64 bits are taken for signed ones, at most the highest of those. **Source**:
/// zarr-extensions, codec `zfp`; numcodecs, `zfpy`.
class ZfpCodec {
 public:
  enum class Header : std::uint8_t { none, full };
  ZfpCodec(std::string name, Header header, ZfpMode mode)
      : name_(std::move(name)), header_(header), mode_(mode) {}
  std::string_view name() const { return name_; }
  ZfpCodec prepare(const DecodedSpec& spec) const {
    need_array(name_, spec);
    ZfpCodec codec = *this;
    codec.spec_ = spec;
    const std::optional<Type> type = numeric_type(spec.dtype);
    if (!type || is_bool(*type) || is_complex(*type) ||
        (header_ == Header::full && item_bytes_of(*type) < 4) ||
        (header_ == Header::full && is_unsigned_integer(*type)))
      fail(Errc::unsupported,
           "codec '" + name_ + "': elements that zfp does not take; expected " +
               (header_ == Header::none ? "integers or floats" : "int32, int64, float32 or float64") +
               ", got " + spec.dtype.name());
    codec.type_ = *type;
    codec.work_type_ = *type == Type::float64 || *type == Type::float32 ? *type
                       : *type == Type::float16                         ? Type::float32
                       : item_bytes_of(*type) == 8                      ? Type::int64
                                                                        : Type::int32;
    if (spec.shape.size() > 4)
      fail(Errc::unsupported, "codec '" + name_ + "': too many axes; expected at most 4, got " +
                                  std::to_string(spec.shape.size()));
    if (spec.bytes >> 48 != 0)
      fail(Errc::overflow, "codec '" + name_ + "': chunks too large; expected less than 2^48 bytes, got " +
                               std::to_string(spec.bytes));
    codec.count_ = spec.bytes / item_bytes_of(*type);
    if (codec.count_ == 0) return codec;
    for (const Shape& shape : {spec.shape, codec.flat()}) {
      ZfpWork work(codec.zfp(), shape, nullptr, nullptr, 0);
      // Without loss no block can take more bits, but for what a mode asks to be filled up.
      zfp_stream_set_reversible(work.stream());
      codec.most_read_ = std::max(codec.most_read_, work.most_bytes());
      if (!work.set(mode_))
        fail(Errc::corrupt_data, "codec '" + name_ + "': numbers of the mode that zfp does not take");
      codec.most_encoded_ = std::max(codec.most_encoded_, round_up(work.most_bytes(), word_bytes));
    }
    codec.most_read_ = std::max(codec.most_read_, codec.most_encoded_);
    return codec;
  }
  std::size_t max_encoded_bytes(std::size_t) const { return most_encoded_; }
  std::size_t scratch_bytes() const {
    return count_ == 0 ? 0 : alignment + work_bytes() + round_up(most_read_, alignment) + slack_bytes;
  }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out,
                     std::span<std::byte> scratch) const {
    if (count_ == 0) {
      check_decode_sizes(name_, in.size(), 0, out.size(), 0);
      return 0;
    }
    if (out.size() < spec_.bytes) wrong_size(name_, "room for the decoded data", spec_.bytes, out.size());
    if (in.empty() || in.size() > most_read_) wrong_size(name_, "encoded data", most_read_, in.size());
    const Room room = divide(scratch);
    std::memcpy(room.encoded.data(), in.data(), in.size());
    std::memset(room.encoded.data() + in.size(), 0, room.encoded.size() - in.size());
    const bool is_direct = type_for_zfp_is_own() && is_aligned(out.data());
    std::byte* elements = is_direct ? out.data() : room.elements;
    ZfpWork work(zfp(), spec_.shape, elements, room.encoded.data(), room.encoded.size());
    if (header_ == Header::full)
      read_header(work);
    else
      work.set(mode_);
    check_filling(work, in.size());
    const std::size_t read = zfp_decompress(work.stream(), work.field());
    const auto is_zero = [](std::byte byte) { return byte == std::byte{0}; };
    if (read == 0 || read > in.size() || (read != in.size() && round_up(read, word_bytes) != in.size()) ||
        !std::all_of(in.begin() + static_cast<std::ptrdiff_t>(read), in.end(), is_zero))
      wrong_size(name_, "encoded data", round_up(read, word_bytes), in.size());
    if (!is_direct) narrow(elements, out.data());
    return spec_.bytes;
  }
  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out,
                     std::span<std::byte> scratch) const {
    check_encode_sizes(name_, in.size(), spec_.bytes, out.size(), most_encoded_);
    if (count_ == 0) return 0;
    const Room room = divide(scratch);
    widen(in.data(), room.elements);
    ZfpWork work(zfp(), spec_.shape, room.elements, room.encoded.data(), room.encoded.size());
    work.set(mode_);
    bool is_right =
        header_ == Header::none || zfp_write_header(work.stream(), work.field(), ZFP_HEADER_FULL) != 0;
    const std::size_t written = is_right ? zfp_compress(work.stream(), work.field()) : 0;
    if (written == 0 || written > most_encoded_)
      fail(Errc::unsupported, "encoding by '" + name_ +
                                  "': zfp refuses; expected a chunk that its header "
                                  "describes, got " +
                                  to_string(spec_.shape));
    const std::size_t padded = round_up(written, word_bytes);
    std::memset(room.encoded.data() + written, 0, padded - written);
    std::memcpy(out.data(), room.encoded.data(), padded);
    return padded;
  }

 private:
  static constexpr std::size_t alignment = 64, slack_bytes = 64;
  /// The library can be built to write words of 1 to 8 bytes; others read and write 8.
  static constexpr std::size_t word_bytes = 8;
  struct Room {
    std::byte* elements;
    std::span<std::byte> encoded;
  };
  zfp_type zfp() const {
    return work_type_ == Type::float32   ? zfp_type_float
           : work_type_ == Type::float64 ? zfp_type_double
           : work_type_ == Type::int32   ? zfp_type_int32
                                         : zfp_type_int64;
  }
  bool type_for_zfp_is_own() const { return type_ == work_type_; }
  bool is_aligned(const std::byte* data) const {
    return reinterpret_cast<std::uintptr_t>(data) % item_bytes_of(work_type_) == 0;
  }
  std::size_t work_bytes() const { return round_up(count_ * item_bytes_of(work_type_), alignment); }
  Room divide(std::span<std::byte> scratch) const {
    if (scratch.size() < scratch_bytes())
      fail(Errc::internal_error, "codec '" + name_ + "': too little scratch; expected " +
                                     std::to_string(scratch_bytes()) + " bytes, got " +
                                     std::to_string(scratch.size()));
    const auto address = reinterpret_cast<std::uintptr_t>(scratch.data());
    std::byte* start = scratch.data() + (alignment - address % alignment) % alignment;
    return {start, {start + work_bytes(), round_up(most_read_, alignment) + slack_bytes}};
  }
  /// Reads what the stream says of its array and its mode. Old numcodecs flattened arrays that it gave to
  /// zfp.
  void read_header(ZfpWork& work) const {
    void* const elements = work.field()->data;
    if (zfp_read_header(work.stream(), work.field(), ZFP_HEADER_FULL) == 0)
      fail(Errc::corrupt_data, "codec '" + name_ + "': bad header; expected one that zfp wrote");
    const zfp_field& got = *work.field();
    bool is_right = false;
    for (const Shape& shape : {spec_.shape, flat()}) {
      ZfpWork expected(zfp(), shape, nullptr, nullptr, 0);
      const zfp_field& want = *expected.field();
      is_right |= got.type == want.type && got.nx == want.nx && got.ny == want.ny && got.nz == want.nz &&
                  got.nw == want.nw;
    }
    if (!is_right)
      fail(Errc::corrupt_data, "codec '" + name_ + "': the header describes another array; expected " +
                                   std::string(name_of(work_type_)) + " " + to_string(spec_.shape) +
                                   ", got extents " + std::to_string(got.nw) + ", " + std::to_string(got.nz) +
                                   ", " + std::to_string(got.ny) + ", " + std::to_string(got.nx) +
                                   " (0: no such axis) of type " +
                                   std::to_string(static_cast<int>(got.type)));
    zfp_field_set_pointer(work.field(), elements);
  }
  Shape flat() const { return {static_cast<Index>(count_)}; }
  /// Blocks that are filled up to a number of bits must be there.
  void check_filling(ZfpWork& work, std::size_t in_bytes) const {
    const std::size_t blocks = zfp_field_blocks(work.field()), least = work.stream()->minbits;
    if (least > 0 && blocks > in_bytes * 8 / least)
      fail(Errc::corrupt_data, "codec '" + name_ + "': encoded data of the wrong size; expected at least " +
                                   std::to_string(blocks) + " blocks of " + std::to_string(least) +
                                   " bits, got " + std::to_string(in_bytes) + " bytes");
  }
  template <class From, class To, class F>
  void map_items(const std::byte* from, std::byte* to, F&& f) const {
    for (std::size_t i = 0; i < count_; ++i) {
      From x;
      std::memcpy(&x, from + i * sizeof x, sizeof x);
      const To y = f(x);
      std::memcpy(to + i * sizeof y, &y, sizeof y);
    }
  }
  /// Integers of N bits, as signed ones, times 2^(31 - N).
  template <class T>
  static std::int32_t widened(T x) {
    constexpr int bits = 8 * sizeof(T);
    const int centred = static_cast<int>(x) - (std::is_signed_v<T> ? 0 : 1 << (bits - 1));
    return static_cast<std::int32_t>(centred * (1 << (31 - bits)));
  }
  template <class T>
  static T narrowed(std::int32_t x) {
    constexpr int bits = 8 * sizeof(T);
    const int whole = (x >> (31 - bits)) + (std::is_signed_v<T> ? 0 : 1 << (bits - 1));
    return static_cast<T>(
        std::clamp<int>(whole, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
  }
  void widen(const std::byte* from, std::byte* to) const {
    visit_type(type_, [&]<class T>() {
      if constexpr (std::is_same_v<T, float16>)
        map_items<T, float>(from, to, [](T x) { return static_cast<float>(x); });
      else if constexpr (is_integer_v<T> && sizeof(T) < 4)
        map_items<T, std::int32_t>(from, to, [](T x) { return widened(x); });
      else if constexpr (is_integer_v<T> && std::is_unsigned_v<T>)
        map_items<T, std::make_signed_t<T>>(from, to, [](T x) {
          using S = std::make_signed_t<T>;
          return static_cast<S>(std::min(x, static_cast<T>(std::numeric_limits<S>::max())));
        });
      else
        std::memcpy(to, from, spec_.bytes);
    });
  }
  void narrow(const std::byte* from, std::byte* to) const {
    visit_type(type_, [&]<class T>() {
      if constexpr (std::is_same_v<T, float16>)
        map_items<float, T>(from, to, [](float x) { return float16(x); });
      else if constexpr (is_integer_v<T> && sizeof(T) < 4)
        map_items<std::int32_t, T>(from, to, [](std::int32_t x) { return narrowed<T>(x); });
      else if constexpr (is_integer_v<T> && std::is_unsigned_v<T>)
        map_items<std::make_signed_t<T>, T>(from, to, [](std::make_signed_t<T> x) {
          return static_cast<T>(std::max<std::make_signed_t<T>>(x, 0));
        });
      else
        std::memcpy(to, from, spec_.bytes);
    });
  }
  std::string name_;
  Header header_;
  ZfpMode mode_;
  DecodedSpec spec_;
  Type type_ = Type::float64, work_type_ = Type::float64;
  std::size_t count_ = 0, most_encoded_ = 0, most_read_ = 0;
};

/// Numbers through zfp as HDF5's registered filter 32013 stores them: behind its version, cd_values are the
/// header of the stream, which says type, extents and mode.
class ZfpFilterCodec : public FilterCodec {
 public:
  ZfpFilterCodec(const CodecInfo& info, const std::string& doing) : FilterCodec(info) {
    const std::vector<std::uint32_t> numbers = filter_parameters(info, doing, 3);
    std::uint64_t header[16] = {};
    std::memcpy(header, numbers.data() + 1, std::min(sizeof header - 8, (numbers.size() - 1) * 4));
    ZfpWork work(zfp_type_none, {}, nullptr, header, sizeof header);
    if (zfp_read_header(work.stream(), work.field(), ZFP_HEADER_FULL) == 0)
      fail(Errc::unsupported, doing + ": codec '" + info.name +
                                  "': cd_values are no header that this version of zfp reads; expected one "
                                  "of codec " +
                                  std::to_string(ZFP_CODEC));
    const zfp_field& field = *work.field();
    const Type type = field.type == zfp_type_float    ? Type::float32
                      : field.type == zfp_type_double ? Type::float64
                      : field.type == zfp_type_int32  ? Type::int32
                                                      : Type::int64;
    Shape shape;
    std::uint64_t count = 1;
    for (const std::size_t extent : {field.nw, field.nz, field.ny, field.nx}) {
      if (extent == 0) continue;
      shape.push_back(static_cast<Index>(extent));
      if (__builtin_mul_overflow(count, std::uint64_t{extent}, &count) || count >> 44 != 0)
        fail(Errc::corrupt_data, doing + ": codec '" + info.name + "': the header's extents are too large");
    }
    const zfp_stream& stream = *work.stream();
    ZfpMode mode;
    mode.kind = ZfpMode::Kind::expert;
    mode.min_bits = stream.minbits;
    mode.max_bits = stream.maxbits;
    mode.max_precision = stream.maxprec;
    mode.min_exponent = stream.minexp;
    numbers_ =
        ZfpCodec(info.name, ZfpCodec::Header::none, mode).prepare(DecodedSpec::array(DType(type), shape));
  }
  ZfpFilterCodec prepare(const DecodedSpec&) const { return *this; }
  std::size_t max_encoded_bytes(std::size_t n) const { return std::max(n, numbers_.max_encoded_bytes(n)); }
  std::size_t scratch_bytes() const { return numbers_.scratch_bytes(); }
  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out,
                     std::span<std::byte> scratch) const {
    return numbers_.decode(in, out, scratch);
  }

 private:
  ZfpCodec numbers_{"", ZfpCodec::Header::none, {}};
};

inline std::vector<CodecDefinition> zfp_codecs() {
  using Kind = ZfpMode::Kind;
  const auto number = [](CodecConfig& config, const char* name, double lo, double hi) {
    const nlohmann::json* value = config.find(name);
    if (!value || !value->is_number() || !(value->get<double>() >= lo && value->get<double>() <= hi))
      config.wrong(name, "a number of at least " + std::to_string(lo), value ? *value : nullptr);
    return value->get<double>();
  };
  const auto zfp = [number](const CodecInfo& info, const std::string& doing) -> AnyCodec {
    CodecConfig config(info, doing);
    const std::string name = config.text("mode", "");
    ZfpMode mode;
    if (name == "reversible") {
      mode.kind = Kind::reversible;
    } else if (name == "expert") {
      mode.kind = Kind::expert;
      for (const char* member : {"minbits", "maxbits", "maxprec", "minexp"})
        if (!config.has(member)) config.wrong(member, "an integer", nullptr);
      mode.min_bits = static_cast<unsigned>(config.integer("minbits", 0, 0, 1 << 15));
      mode.max_bits = static_cast<unsigned>(config.integer("maxbits", 0, 1, 1 << 15));
      mode.max_precision = static_cast<unsigned>(config.integer("maxprec", 0, 1, 64));
      mode.min_exponent = static_cast<int>(config.integer("minexp", 0, -(1 << 14), 1 << 14));
    } else if (name == "fixed_accuracy") {
      mode = {Kind::accuracy, number(config, "tolerance", 0, std::numeric_limits<double>::max()), 0, 0, 0, 0};
    } else if (name == "fixed_rate") {
      mode = {Kind::rate, number(config, "rate", 1e-3, 128), 0, 0, 0, 0};
    } else if (name == "fixed_precision") {
      mode = {Kind::precision, static_cast<double>(config.integer("precision", 64, 1, 64)), 0, 0, 0, 0};
    } else {
      config.wrong("mode",
                   "\"reversible\", \"expert\", \"fixed_accuracy\", \"fixed_rate\" or "
                   "\"fixed_precision\"",
                   name);
    }
    config.finish();
    return ZfpCodec("zfp", ZfpCodec::Header::none, mode);
  };
  // Streams say how they were made: the configuration is for writing. Negative numbers stand for none.
  const auto zfpy = [](const CodecInfo& info, const std::string& doing) -> AnyCodec {
    CodecConfig config(info, doing);
    const auto chosen = config.integer("mode", 4, 0, 5);
    const double tolerance = config.number("tolerance", -1), rate = config.number("rate", -1),
                 precision = config.number("precision", -1);
    config.finish();
    ZfpMode mode;
    if (chosen == 4 && tolerance >= 0) mode = {Kind::accuracy, tolerance, 0, 0, 0, 0};
    if (chosen == 2 && rate > 0) mode = {Kind::rate, std::min(rate, 128.0), 0, 0, 0, 0};
    if (chosen == 3 && precision > 0) mode = {Kind::precision, std::min(precision, 64.0), 0, 0, 0, 0};
    return ZfpCodec("numcodecs.zfpy", ZfpCodec::Header::full, mode);
  };
  return {{{"zfp"}, CodecKind::array_to_bytes, zfp},
          {{"numcodecs.zfpy"}, CodecKind::array_to_bytes, zfpy},
          byte_codec<ZfpFilterCodec>({"hdf5.zfp"})};
}

}  // namespace morsel::inline MORSEL_ABI::detail
#endif
