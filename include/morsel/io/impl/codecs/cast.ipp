#pragma once

#include <morsel/io/impl/codecs/scalars.hpp>

namespace morsel::inline MORSEL_ABI::detail {

/// Elements of another type, cast as NumPy casts. **Source**: numcodecs, `astype`.
class AstypeCodec {
 public:
  explicit AstypeCodec(ItemwiseSides sides) : sides_(std::move(sides)) {}
  std::string_view name() const { return sides_.name(); }
  AstypeCodec prepare(const DecodedSpec& spec) const {
    AstypeCodec codec = *this;
    codec.sides_.prepare(spec);
    return codec;
  }
  std::size_t max_encoded_bytes(std::size_t n) const { return sides_.max_encoded_bytes(n); }
  std::size_t scratch_bytes() const { return 0; }
  DecodedSpec encoded_array() const { return sides_.encoded_array(); }
  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    return sides_.decode(in, out, [&](ItemBlock& source, ItemBlock& target, std::size_t n) {
      cast_items(sides_.encoded().type, source.data(), sides_.decoded().type, target.data(), n);
    });
  }
  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    return sides_.encode(in, out, [&](ItemBlock& source, ItemBlock& target, std::size_t n) {
      cast_items(sides_.decoded().type, source.data(), sides_.encoded().type, target.data(), n);
    });
  }

 private:
  ItemwiseSides sides_;
};

enum class Rounding : std::uint8_t {
  nearest_even,
  towards_zero,
  towards_positive,
  towards_negative,
  nearest_away
};
enum class OutOfRange : std::uint8_t { error, clamp, wrap };

/// A whole number from a float.
template <class F>
F round_to_whole(F x, Rounding rounding) {
  switch (rounding) {
    case Rounding::nearest_even:
      return std::nearbyint(x);
    case Rounding::towards_zero:
      return std::trunc(x);
    case Rounding::towards_positive:
      return std::ceil(x);
    case Rounding::towards_negative:
      return std::floor(x);
    case Rounding::nearest_away:
      return std::round(x);
  }
  return x;
}

/// The neighbour of a float in the direction of larger (or smaller) numbers.
template <class F>
F neighbour(F x, bool up) {
  if constexpr (std::is_same_v<F, float16>) {
    if ((x.bits & 0x7fffu) == 0) return float16::from_bits(up ? 0x0001u : 0x8001u);
    const bool grows = up == ((x.bits & 0x8000u) == 0);
    return float16::from_bits(static_cast<std::uint16_t>(grows ? x.bits + 1 : x.bits - 1));
  } else {
    const F infinity = std::numeric_limits<F>::infinity();
    return std::nextafter(x, up ? infinity : -infinity);
  }
}

/// Less than 0, 0 or more than 0 as the float `a` is to the number `b`, exactly.
template <class F, class From>
int compare_exactly(F a, From b) {
  if constexpr (is_integer_v<From>) {
    __extension__ typedef __int128 Wide;
    // A rounded integer is at most 2^64, and whole where it was rounded.
    const auto x = static_cast<Wide>(static_cast<double>(a));
    const auto y = static_cast<Wide>(b);
    return x < y ? -1 : x > y;
  } else {
    const auto x = static_cast<double>(a), y = static_cast<double>(b);
    return x < y ? -1 : x > y;
  }
}

/// True if a and b lie equally far from x, which is between them.
template <class F, class From>
bool is_halfway(F a, F b, From x) {
  if constexpr (is_integer_v<From>) {
    __extension__ typedef __int128 Wide;
    return static_cast<Wide>(static_cast<double>(a)) + static_cast<Wide>(static_cast<double>(b)) ==
           static_cast<Wide>(x) * 2;
  } else {
    const auto y = static_cast<double>(x);
    return y - static_cast<double>(a) == static_cast<double>(b) - y;
  }
}

/// `value` as a number of another type; false if it cannot be. NaN has no integer; infinities are beyond the
/// range of integers. **Source**: zarr-extensions, codec `cast_value`.
template <class To, class From>
bool cast_value(From value, Rounding rounding, OutOfRange out_of_range, To& result) {
  if constexpr (is_integer_v<To> && is_integer_v<From>) {
    result = static_cast<To>(value);
    if (std::in_range<To>(value) || out_of_range == OutOfRange::wrap) return true;
    if (out_of_range == OutOfRange::error) return false;
    result = std::cmp_less(value, std::numeric_limits<To>::min()) ? std::numeric_limits<To>::min()
                                                                  : std::numeric_limits<To>::max();
    return true;
  } else if constexpr (is_integer_v<To>) {
    const double x = round_to_whole(static_cast<double>(value), rounding);
    constexpr double above = static_cast<double>(std::numeric_limits<To>::max() / 2 + 1) * 2;
    constexpr auto lowest = static_cast<double>(std::numeric_limits<To>::min());
    if (x != x) return false;
    if (x >= lowest && x < above) {
      result = static_cast<To>(x);
      return true;
    }
    if (out_of_range == OutOfRange::clamp) {
      result = x < lowest ? std::numeric_limits<To>::min() : std::numeric_limits<To>::max();
      return true;
    }
    if (out_of_range == OutOfRange::error || std::isinf(x)) return false;
    using Unsigned = std::make_unsigned_t<To>;
    constexpr double modulus = static_cast<double>(std::numeric_limits<Unsigned>::max() / 2 + 1) * 2;
    const double rest = std::fmod(x, modulus);  // exact, with the sign of x
    const auto magnitude = static_cast<Unsigned>(std::fabs(rest));
    result = static_cast<To>(rest < 0 ? static_cast<Unsigned>(Unsigned{0} - magnitude) : magnitude);
    return true;
  } else {
    // Integers that a double does not hold exactly are beyond the range of float16.
    if constexpr (std::is_same_v<To, float16> && is_integer_v<From>)
      result = half_of(static_cast<double>(value));
    else
      result = cast_like_numpy<To>(value);
    bool is_finite = true;
    if constexpr (!is_integer_v<From>) is_finite = std::isfinite(static_cast<double>(value));
    if (!is_finite) return true;
    if (std::isinf(static_cast<double>(result))) {
      if (out_of_range != OutOfRange::clamp) return false;
      result = neighbour(result, static_cast<double>(result) < 0);
      return true;
    }
    if (rounding == Rounding::nearest_even) return true;
    const int side = compare_exactly(result, value);  // of the nearest, or the even one of two
    if (side == 0) return true;
    const To other = neighbour(result, side < 0);
    const bool is_positive = value > From(0);
    bool takes_other = false;
    switch (rounding) {
      case Rounding::towards_zero:
        takes_other = is_positive == (side > 0);
        break;
      case Rounding::towards_positive:
        takes_other = side < 0;
        break;
      case Rounding::towards_negative:
        takes_other = side > 0;
        break;
      default:
        takes_other = is_positive == (side < 0) && is_halfway(result, other, value);
    }
    if (!takes_other) return true;
    if (!std::isinf(static_cast<double>(other))) {
      result = other;
      return true;
    }
    return out_of_range == OutOfRange::clamp;
  }
}

/// Values of one numeric type as those of another, with exceptions by value. **Source**: zarr-extensions,
/// codec `cast_value`.
class CastValueCodec {
 public:
  /// Values that are mapped: the element's bytes and those of what becomes of it.
  struct Exception {
    std::byte from[8]{}, to[8]{};
  };
  CastValueCodec(CodecConfig config, Type encoded, Rounding rounding, OutOfRange out_of_range,
                 nlohmann::json map)
      : config_(std::move(config)),
        encoded_(encoded),
        rounding_(rounding),
        out_of_range_(out_of_range),
        map_(std::move(map)) {}

  std::string_view name() const { return "cast_value"; }
  CastValueCodec prepare(const DecodedSpec& spec) const {
    need_array(name(), spec);
    if (!is_real(spec.dtype.type()))
      fail(Errc::unsupported,
           "codec 'cast_value': elements that are not real numbers; expected an integer or "
           "floating-point dtype, got " +
               spec.dtype.name());
    CastValueCodec codec = *this;
    codec.spec_ = spec;
    codec.encoding_ = exceptions("encode", spec.dtype.type(), encoded_);
    codec.decoding_ = exceptions("decode", encoded_, spec.dtype.type());
    return codec;
  }
  std::size_t max_encoded_bytes(std::size_t decoded_bytes) const {
    return static_cast<std::size_t>(checked_mul(static_cast<Index>(decoded_bytes / spec_.dtype.item_bytes()),
                                                static_cast<Index>(item_bytes_of(encoded_)),
                                                "encoded bytes"));
  }
  std::size_t scratch_bytes() const { return 0; }
  DecodedSpec encoded_array() const { return DecodedSpec::array(encoded_, spec_.shape); }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    check_decode_sizes(name(), in.size(), max_encoded_bytes(spec_.bytes), out.size(), spec_.bytes);
    cast_all(in, encoded_, out, spec_.dtype.type(), decoding_, Errc::corrupt_data);
    return spec_.bytes;
  }
  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    const std::size_t bytes = max_encoded_bytes(spec_.bytes);
    check_encode_sizes(name(), in.size(), spec_.bytes, out.size(), bytes);
    cast_all(in, spec_.dtype.type(), out, encoded_, encoding_, Errc::invalid_argument);
    return bytes;
  }
  static bool is_real(Type type) { return is_integer(type) || is_floating(type); }

 private:
  template <class F>
  static void visit_real(Type type, F&& f) {
    visit_type(type, [&]<class T>() {
      if constexpr (is_float_v<T> || is_integer_v<T>) f.template operator()<T>();
    });
  }
  std::vector<Exception> exceptions(const char* direction, Type from, Type to) const {
    std::vector<Exception> list;
    if (!map_.is_object() || !map_.contains(direction)) return list;
    const nlohmann::json& pairs = map_[direction];
    if (!pairs.is_array()) config_.wrong("scalar_map", "a list of pairs for each direction", map_);
    for (const nlohmann::json& pair : pairs) {
      if (!pair.is_array() || pair.size() != 2) config_.wrong("scalar_map", "pairs of numbers", pair);
      Exception entry;
      visit_real(from, [&]<class T>() {
        const T value = scalar_of<T>(config_, "scalar_map", pair[0]);
        std::memcpy(entry.from, &value, sizeof value);
      });
      visit_real(to, [&]<class T>() {
        const T value = scalar_of<T>(config_, "scalar_map", pair[1]);
        std::memcpy(entry.to, &value, sizeof value);
      });
      list.push_back(entry);
    }
    return list;
  }
  void cast_all(std::span<const std::byte> in, Type from, std::span<std::byte> out, Type to,
                const std::vector<Exception>& map, Errc wrong) const {
    const std::size_t from_bytes = item_bytes_of(from), to_bytes = item_bytes_of(to),
                      count = in.size() / from_bytes;
    ItemBlock source, widest, target;
    for (std::size_t first = 0; first < count; first += items_at_once) {
      const std::size_t n = std::min(items_at_once, count - first);
      std::memcpy(source.data(), in.data() + first * from_bytes, n * from_bytes);
      widen_items(from, source.data(), widest.data(), n);
      visit_widest(from, [&]<class From>() {
        if constexpr (std::is_arithmetic_v<From>)
          visit_real(to, [&]<class To>() {
            for (std::size_t i = 0; i < n; ++i) {
              const From value = widest.as<From>()[i];
              if (look_up(map, source.bytes + i * from_bytes, from, target.bytes + i * to_bytes, to_bytes) ||
                  cast_value(value, rounding_, out_of_range_, target.as<To>()[i]))
                continue;
              fail(wrong, "codec 'cast_value': a value that the other type does not hold; expected " +
                              std::string(name_of(to)) + ", got " +
                              std::to_string(static_cast<long double>(value)) + " at element " +
                              std::to_string(first + i));
            }
          });
      });
      std::memcpy(out.data() + first * to_bytes, target.data(), n * to_bytes);
    }
  }
  /// Writes what becomes of an element that is an exception; false if it is none. NaN is like any NaN, and
  /// -0 like 0.
  static bool look_up(const std::vector<Exception>& map, const std::byte* value, Type from, std::byte* result,
                      std::size_t result_bytes) {
    for (const Exception& entry : map) {
      bool is_equal = false;
      visit_real(from, [&]<class T>() {
        T x, y;
        std::memcpy(&x, value, sizeof x);
        std::memcpy(&y, entry.from, sizeof y);
        is_equal = x == y;
        if constexpr (is_float_v<T>) is_equal |= x != x && y != y;
      });
      if (!is_equal) continue;
      std::memcpy(result, entry.to, result_bytes);
      return true;
    }
    return false;
  }
  CodecConfig config_;
  Type encoded_;
  Rounding rounding_;
  OutOfRange out_of_range_;
  nlohmann::json map_;
  DecodedSpec spec_;
  std::vector<Exception> encoding_, decoding_;
};

inline std::vector<CodecDefinition> cast_codecs() {
  const auto astype = [](const CodecInfo& info, const std::string& doing) -> AnyCodec {
    CodecConfig config(info, doing);
    const auto encoded = stored_items(config, "encode_dtype"), decoded = stored_items(config, "decode_dtype");
    config.finish();
    if (!encoded) config.wrong("encode_dtype", "the type of numbers, such as \"<f4\"", nullptr);
    return AstypeCodec(ItemwiseSides(info.name, decoded, encoded));
  };
  const auto cast = [](const CodecInfo& info, const std::string& doing) -> AnyCodec {
    CodecConfig config(info, doing);
    const nlohmann::json *type = config.find("data_type"), *map = config.find("scalar_map");
    const std::string rounding = config.text("rounding", "nearest-even");
    const std::string out_of_range = config.text("out_of_range", "error");
    config.finish();
    if (!type) config.wrong("data_type", "the name of a numeric type", nullptr);
    std::optional<Type> encoded;
    for (int i = 0; i < numeric_type_count; ++i)
      if (*type == std::string(name_of(static_cast<Type>(i)))) encoded = static_cast<Type>(i);
    if (!encoded || !CastValueCodec::is_real(*encoded))
      fail(Errc::unsupported, config.doing() +
                                  ": bad 'data_type'; expected an integer or floating-point "
                                  "type of 8 to 64 bits, got " +
                                  CodecConfig::shown(*type));
    static constexpr const char* roundings[] = {"nearest-even", "towards-zero", "towards-positive",
                                                "towards-negative", "nearest-away"};
    static constexpr const char* ranges[] = {"error", "clamp", "wrap"};
    const auto rounding_at = std::find(std::begin(roundings), std::end(roundings), rounding);
    if (rounding_at == std::end(roundings))
      config.wrong("rounding", "\"nearest-even\", \"towards-zero\", ...", rounding);
    const auto range_at = std::find(std::begin(ranges), std::end(ranges), out_of_range);
    if (range_at == std::end(ranges))
      config.wrong("out_of_range", "\"error\", \"clamp\" or \"wrap\"", out_of_range);
    const auto range = static_cast<OutOfRange>(range_at - std::begin(ranges));
    if (range == OutOfRange::wrap && !is_integer(*encoded))
      config.wrong("out_of_range", "\"wrap\" for integers alone", out_of_range);
    if (map && !map->is_object()) config.wrong("scalar_map", "an object", *map);
    return CastValueCodec(config, *encoded, static_cast<Rounding>(rounding_at - std::begin(roundings)), range,
                          map ? *map : nlohmann::json());
  };
  return {{{"numcodecs.astype"}, CodecKind::array_to_array, astype},
          {{"cast_value"}, CodecKind::array_to_array, cast}};
}

}  // namespace morsel::inline MORSEL_ABI::detail
