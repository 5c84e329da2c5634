#pragma once

#include <morsel/io/impl/codecs/delta.ipp>
#include <morsel/io/impl/codecs/scalars.hpp>

namespace morsel::inline MORSEL_ABI::detail {

/// A number of a configuration as NumPy 2 sees a Python number: an integer joins integers without changing
/// their type, a float makes them float64, floats keep their type.
struct WeakScalar {
  double value = 0;
  std::int64_t integer = 0;
  bool is_integer = false;  ///< and `integer` is its value

  /// The type of `array op scalar`. Integers that the array's type cannot hold, which NumPy refuses, make
  /// float64.
  Type result(Type array) const {
    if (is_floating(array)) return array;
    if (!is_integer) return Type::float64;
    if (is_bool(array)) return Type::int64;
    return visit_type(array, [&]<class T>() {
      if constexpr (is_integer_v<T>)
        if (std::in_range<T>(integer)) return array;
      return Type::float64;
    });
  }
  template <class T>
  T as() const {
    if constexpr (std::is_same_v<T, float16>)
      return half_of(value);
    else if constexpr (is_integer_v<T>)
      return static_cast<T>(integer);
    else
      return static_cast<T>(value);
  }
};

MORSEL_INLINE WeakScalar weak_scalar(CodecConfig& config, const char* name) {
  const nlohmann::json* value = config.find(name);
  if (!value || !value->is_number()) config.wrong(name, "a number", value ? *value : nullptr);
  WeakScalar scalar;
  scalar.value = value->get<double>();
  if (value->is_number_integer() &&
      (!value->is_number_unsigned() || value->get<std::uint64_t>() >> 63 == 0)) {
    scalar.is_integer = true;
    scalar.integer = value->get<std::int64_t>();
  }
  if (!std::isfinite(scalar.value)) config.wrong(name, "a finite number", *value);
  return scalar;
}

/// Rounds to whole numbers, halves to even ones.
template <class T>
void round_items(T* items, std::size_t n) {
  if constexpr (is_float_v<T>)
    for (std::size_t i = 0; i < n; ++i) {
      if constexpr (std::is_same_v<T, float16>)
        items[i] = float16(std::nearbyint(static_cast<float>(items[i])));
      else
        items[i] = std::nearbyint(items[i]);
    }
}

/// rint((x - offset) * scale) stored in another type, with the types between the steps that NumPy 2 takes.
/// **Source**: numcodecs, `fixedscaleoffset`; NEP 50.
class FixedScaleOffsetCodec {
 public:
  FixedScaleOffsetCodec(ItemwiseSides sides, WeakScalar offset, WeakScalar scale)
      : sides_(std::move(sides)), offset_(offset), scale_(scale) {}
  std::string_view name() const { return sides_.name(); }
  FixedScaleOffsetCodec prepare(const DecodedSpec& spec) const {
    FixedScaleOffsetCodec codec = *this;
    codec.sides_.prepare(spec);
    for (const Type type : {codec.sides_.decoded().type, codec.sides_.encoded().type})
      if (is_complex(type))
        fail(Errc::unsupported, "codec '" + sides_.name() + "': complex elements; expected real ones, got " +
                                    std::string(name_of(type)));
    return codec;
  }
  std::size_t max_encoded_bytes(std::size_t n) const { return sides_.max_encoded_bytes(n); }
  std::size_t scratch_bytes() const { return 0; }
  DecodedSpec encoded_array() const { return sides_.encoded_array(); }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    const Type from = sides_.encoded().type, to = sides_.decoded().type;
    const Type within = is_floating(from) ? from : Type::float64;
    ItemBlock work;
    return sides_.decode(in, out, [&](ItemBlock& source, ItemBlock& target, std::size_t n) {
      cast_items(from, source.data(), within, work.data(), n);
      visit_type(within, [&]<class T>() {
        if constexpr (is_float_v<T>) {
          const T scale = scale_.as<T>(), offset = offset_.as<T>();
          T* items = work.as<T>();
          for (std::size_t i = 0; i < n; ++i) items[i] = items[i] / scale + offset;
        }
      });
      cast_items(within, work.data(), to, target.data(), n);
    });
  }
  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    const Type from = sides_.decoded().type, to = sides_.encoded().type;
    const Type first = offset_.result(from), second = scale_.result(first);
    ItemBlock work;
    return sides_.encode(in, out, [&](ItemBlock& source, ItemBlock& target, std::size_t n) {
      cast_items(from, source.data(), first, work.data(), n);
      visit_type(first, [&]<class T>() {
        if constexpr (is_float_v<T> || is_integer_v<T>) {
          const T offset = offset_.as<T>();
          T* items = work.as<T>();
          for (std::size_t i = 0; i < n; ++i) items[i] = wrapping_subtract(items[i], offset);
        }
      });
      cast_items(first, work.data(), second, source.data(), n);
      visit_type(second, [&]<class T>() {
        if constexpr (is_float_v<T> || is_integer_v<T>) {
          const T scale = scale_.as<T>();
          T* items = source.as<T>();
          for (std::size_t i = 0; i < n; ++i) items[i] = wrapping_multiply(items[i], scale);
          round_items(items, n);
        }
      });
      cast_items(second, source.data(), to, target.data(), n);
    });
  }

 private:
  ItemwiseSides sides_;
  WeakScalar offset_, scale_;
};

/// (x - offset) * scale in the type of the array, and back x / scale + offset. Integers must stay in range,
/// and divide without a rest. **Source**: zarr-extensions, codec `scale_offset`.
class ScaleOffsetCodec {
 public:
  ScaleOffsetCodec(nlohmann::json offset, nlohmann::json scale, CodecConfig config)
      : offset_json_(std::move(offset)), scale_json_(std::move(scale)), config_(std::move(config)) {}
  std::string_view name() const { return "scale_offset"; }
  ScaleOffsetCodec prepare(const DecodedSpec& spec) const {
    need_array(name(), spec);
    if (!spec.dtype.is_numeric() || is_bool(spec.dtype.type()) || is_complex(spec.dtype.type()))
      fail(Errc::unsupported,
           "codec 'scale_offset': elements that are not real numbers; expected an integer "
           "or floating-point dtype, got " +
               spec.dtype.name());
    ScaleOffsetCodec codec = *this;
    codec.spec_ = spec;
    visit_type(spec.dtype.type(), [&]<class T>() {
      if constexpr (is_float_v<T> || is_integer_v<T>) {
        const T offset = scalar_of<T>(config_, "offset", offset_json_);
        const T scale = scalar_of<T>(config_, "scale", scale_json_);
        if (scale == T(0)) config_.wrong("scale", "a number other than 0", scale_json_);
        std::memcpy(codec.offset_, &offset, sizeof offset);
        std::memcpy(codec.scale_, &scale, sizeof scale);
      }
    });
    return codec;
  }
  std::size_t max_encoded_bytes(std::size_t n) const { return n; }
  std::size_t scratch_bytes() const { return 0; }
  DecodedSpec encoded_array() const { return spec_; }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    check_decode_sizes(name(), in.size(), spec_.bytes, out.size(), spec_.bytes);
    each_item(
        in, out,
        []<class T>(T x, T offset, T scale, bool& is_right) {
          if constexpr (is_float_v<T>) {
            return x / scale + offset;
          } else {
            T sum{};
            if constexpr (std::is_signed_v<T>)
              if (scale == T(-1)) {  // the lowest integer has no negative, and its remainder traps
                T negative{};
                is_right = !__builtin_sub_overflow(T(0), x, &negative) &&
                           !__builtin_add_overflow(negative, offset, &sum);
                return sum;
              }
            is_right = x % scale == 0 && !__builtin_add_overflow(static_cast<T>(x / scale), offset, &sum);
            return sum;
          }
        },
        Errc::corrupt_data);
    return spec_.bytes;
  }
  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    check_encode_sizes(name(), in.size(), spec_.bytes, out.size(), spec_.bytes);
    each_item(
        in, out,
        []<class T>(T x, T offset, T scale, bool& is_right) {
          if constexpr (is_float_v<T>) {
            return (x - offset) * scale;
          } else {
            T difference{}, product{};
            is_right = !__builtin_sub_overflow(x, offset, &difference) &&
                       !__builtin_mul_overflow(difference, scale, &product);
            return product;
          }
        },
        Errc::invalid_argument);
    return spec_.bytes;
  }

 private:
  template <class F>
  void each_item(std::span<const std::byte> in, std::span<std::byte> out, F&& f, Errc wrong) const {
    visit_type(spec_.dtype.type(), [&]<class T>() {
      if constexpr (is_float_v<T> || is_integer_v<T>) {
        T offset, scale;
        std::memcpy(&offset, offset_, sizeof offset);
        std::memcpy(&scale, scale_, sizeof scale);
        for (std::size_t at = 0; at < spec_.bytes; at += sizeof(T)) {
          T x;
          std::memcpy(&x, in.data() + at, sizeof x);
          bool is_right = true;
          const T y = f(x, offset, scale, is_right);
          if (!is_right)
            fail(wrong, "codec 'scale_offset': an integer that cannot be scaled; expected the result of " +
                            std::string(name_of(spec_.dtype.type())) +
                            " in range and whole, got it from element " + std::to_string(at / sizeof(T)) +
                            ", " + std::to_string(static_cast<long double>(x)));
          std::memcpy(out.data() + at, &y, sizeof y);
        }
      }
    });
  }
  nlohmann::json offset_json_, scale_json_;
  CodecConfig config_;
  DecodedSpec spec_;
  std::byte offset_[8]{}, scale_[8]{};
};

/// Floats rounded to as many binary places as so many decimal digits need. **Source**: numcodecs,
/// `quantize`.
class QuantizeCodec {
 public:
  QuantizeCodec(ItemwiseSides sides, double scale) : sides_(std::move(sides)) { scale_.value = scale; }
  std::string_view name() const { return sides_.name(); }
  QuantizeCodec prepare(const DecodedSpec& spec) const {
    QuantizeCodec codec = *this;
    codec.sides_.prepare(spec);
    for (const Type type : {codec.sides_.decoded().type, codec.sides_.encoded().type})
      if (!is_floating(type))
        fail(Errc::unsupported, "codec '" + sides_.name() +
                                    "': elements of the wrong type; expected a floating-point dtype, got " +
                                    std::string(name_of(type)));
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
      visit_type(sides_.decoded().type, [&]<class T>() {
        if constexpr (is_float_v<T>) {
          const T scale = scale_.as<T>();
          T* items = source.as<T>();
          for (std::size_t i = 0; i < n; ++i) items[i] = scale * items[i];
          round_items(items, n);
          for (std::size_t i = 0; i < n; ++i) items[i] = items[i] / scale;
        }
      });
      cast_items(sides_.decoded().type, source.data(), sides_.encoded().type, target.data(), n);
    });
  }

 private:
  ItemwiseSides sides_;
  WeakScalar scale_;
};

/// Keeps the leading `keep` of `width` low bits of a magnitude, rounded to the nearest, halves to even; what
/// rounding would carry beyond the type stays below. **Source**: zarr-extensions, codec `bitround`.
template <class U>
U round_to_bits(U value, int keep, int width) {
  if (keep >= width) return value;
  const int dropped = width - keep;
  const U half = static_cast<U>((U{1} << (dropped - 1)) - 1);
  const U add = static_cast<U>(half + ((value >> (dropped % std::numeric_limits<U>::digits)) & 1u));
  const U sum = static_cast<U>(value + add);
  const U rounded = sum < value ? std::numeric_limits<U>::max() : sum;
  return dropped >= std::numeric_limits<U>::digits ? U{0} : static_cast<U>(rounded >> dropped << dropped);
}

/// Bits up to the highest one that is set.
template <class U>
int width_of(U value) {
  return static_cast<int>(std::bit_width(value));
}

/// Fewer bits of mantissa, or of an integer below its highest one. Decoding changes nothing. NaN keeps its
/// bits, where numcodecs may make it infinite or zero; of negative integers the magnitude is rounded.
/// **Source**: zarr-extensions, codec `bitround`; numcodecs, `bitround`.
class BitroundCodec {
 public:
  BitroundCodec(std::string name, int keep) : name_(std::move(name)), keep_(keep) {}
  std::string_view name() const { return name_; }
  BitroundCodec prepare(const DecodedSpec& spec) const {
    BitroundCodec codec = *this;
    codec.spec_ = spec;
    codec.part_ = spec.is_array ? part_of(spec.dtype) : Part{};
    if (spec.is_array && codec.part_.bytes == 0)
      fail(Errc::unsupported, "codec '" + name_ +
                                  "': elements that are not numbers; expected a numeric dtype, got " +
                                  spec.dtype.name());
    return codec;
  }
  std::size_t max_encoded_bytes(std::size_t n) const { return n; }
  std::size_t scratch_bytes() const { return 0; }
  DecodedSpec encoded_array() const { return spec_; }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    const std::size_t n = spec_.is_array ? spec_.bytes : in.size();
    check_decode_sizes(name_, in.size(), n, std::min(out.size(), spec_.bytes), n);
    if (n > 0) std::memcpy(out.data(), in.data(), n);
    return n;
  }
  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    if (part_.bytes == 0)
      fail(Errc::unsupported, "encoding by '" + name_ +
                                  "': the type of its elements is not known; expected it in front of the "
                                  "codec that makes bytes");
    check_encode_sizes(name_, in.size(), spec_.bytes, out.size(), spec_.bytes);
    switch (part_.bytes) {
      case 1:
        round_all<std::uint8_t>(in, out);
        break;
      case 2:
        round_all<std::uint16_t>(in, out);
        break;
      case 4:
        round_all<std::uint32_t>(in, out);
        break;
      default:
        round_all<std::uint64_t>(in, out);
    }
    return spec_.bytes;
  }

 private:
  /// The numbers that elements are made of.
  struct Part {
    std::size_t bytes = 0;
    int mantissa_bits = 0;  ///< 0: integers
    bool is_signed = false;
  };
  static Part part_of(const DType& dtype) {
    switch (dtype.type()) {
      case Type::float16:
        return {2, 10, false};
      case Type::float32:
      case Type::complex64:
        return {4, 23, false};
      case Type::float64:
      case Type::complex128:
        return {8, 52, false};
      case Type::bool_:
        return {};
      case Type::carried:
        break;
      default:
        return {dtype.item_bytes(), 0, is_signed_integer(dtype.type())};
    }
    if (dtype.is_record()) return {};
    const std::string name = dtype.name();
    if (name == "bfloat16" || name == "complex_bfloat16") return {2, 7, false};
    if (name == "complex_float16") return {2, 10, false};
    return numeric_type(dtype) ? Part{8, 0, true} : Part{};
  }
  template <class U>
  void round_all(std::span<const std::byte> in, std::span<std::byte> out) const {
    for (std::size_t at = 0; at < spec_.bytes; at += sizeof(U)) {
      U value;
      std::memcpy(&value, in.data() + at, sizeof value);
      value = rounded(value);
      std::memcpy(out.data() + at, &value, sizeof value);
    }
  }
  template <class U>
  U rounded(U value) const {
    constexpr U sign = static_cast<U>(U{1} << (std::numeric_limits<U>::digits - 1));
    if (part_.mantissa_bits > 0) {
      const U magnitude = static_cast<U>(value & static_cast<U>(~sign));
      const U mantissa = static_cast<U>((U{1} << part_.mantissa_bits) - 1);
      const bool is_special = static_cast<U>(magnitude | mantissa) == static_cast<U>(~sign);
      if (is_special) return value;
      return static_cast<U>((value & sign) | round_to_bits(magnitude, keep_, part_.mantissa_bits));
    }
    // The lowest of 64-bit dates is "no date".
    if (part_.is_signed && (value & sign)) {
      if (value == sign) return value;
      const U magnitude = static_cast<U>(U{0} - value);
      U kept = round_to_bits(magnitude, keep_, width_of(magnitude));
      return static_cast<U>(U{0} - kept);
    }
    const U kept = round_to_bits(value, keep_, width_of(value));
    if (part_.is_signed && (kept & sign)) {  // above the highest: down in place of up
      const int dropped = width_of(value) - keep_;
      return static_cast<U>(value >> dropped << dropped);
    }
    return kept;
  }
  std::string name_;
  int keep_;
  DecodedSpec spec_;
  Part part_;
};

inline std::vector<CodecDefinition> scale_codecs() {
  const auto fixedscaleoffset = [](const CodecInfo& info, const std::string& doing) -> AnyCodec {
    CodecConfig config(info, doing);
    const auto decoded = stored_items(config, "dtype"), encoded = stored_items(config, "astype");
    const WeakScalar offset = weak_scalar(config, "offset"), scale = weak_scalar(config, "scale");
    config.finish();
    if (scale.value == 0) config.wrong("scale", "a number other than 0", 0);
    return FixedScaleOffsetCodec(ItemwiseSides(info.name, decoded, encoded), offset, scale);
  };
  const auto scale_offset = [](const CodecInfo& info, const std::string& doing) -> AnyCodec {
    CodecConfig config(info, doing);
    const nlohmann::json *offset = config.find("offset"), *scale = config.find("scale");
    config.finish();
    return ScaleOffsetCodec(offset ? *offset : nlohmann::json(0), scale ? *scale : nlohmann::json(1), config);
  };
  const auto quantize = [](const CodecInfo& info, const std::string& doing) -> AnyCodec {
    CodecConfig config(info, doing);
    const auto decoded = stored_items(config, "dtype"), encoded = stored_items(config, "astype");
    if (!config.has("digits")) config.wrong("digits", "an integer", nullptr);
    const auto digits = static_cast<double>(config.integer("digits", 0, -300, 300));
    config.finish();
    double exponent = std::log10(std::pow(10.0, -digits));
    exponent = exponent < 0 ? std::floor(exponent) : std::ceil(exponent);
    const double bits = std::ceil(std::log2(std::pow(10.0, -exponent)));
    return QuantizeCodec(ItemwiseSides(info.name, decoded, encoded), std::pow(2.0, bits));
  };
  const auto bitround = [](const CodecInfo& info, const std::string& doing) -> AnyCodec {
    CodecConfig config(info, doing);
    if (!config.has("keepbits")) config.wrong("keepbits", "an integer", nullptr);
    const auto keep = config.integer("keepbits", 0, 0, 1000);
    config.finish();
    return BitroundCodec(info.name, static_cast<int>(keep));
  };
  return {{{"numcodecs.fixedscaleoffset"}, CodecKind::array_to_array, fixedscaleoffset},
          {{"scale_offset"}, CodecKind::array_to_array, scale_offset},
          {{"numcodecs.quantize"}, CodecKind::array_to_array, quantize},
          {{"bitround", "numcodecs.bitround"}, CodecKind::array_to_array, bitround}};
}

}  // namespace morsel::inline MORSEL_ABI::detail
