// What codecs that see elements share: how the two sides of a codec look at their bytes, and NumPy's casts.
// For the bodies of codecs alone.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <morsel/array/buffer.hpp>
#include <morsel/io/codec.hpp>
#include <morsel/io/impl/codec_config.hpp>
#include <optional>
#include <string>

namespace morsel::inline MORSEL_ABI::detail {

/// Elements as bytes hold them: numeric, in either byte order.
struct StoredItems {
  Type type = Type::uint8;
  bool swapped = false;  ///< stored in the other byte order than this machine's
  std::size_t bytes() const { return item_bytes_of(type); }
  friend bool operator==(const StoredItems&, const StoredItems&) = default;
};

/// Elements that pass through registers and the stack at once.
inline constexpr std::size_t items_at_once = 512;
/// Room for that many elements of any numeric type.
struct ItemBlock {
  alignas(64) std::byte bytes[items_at_once * 16];
  void* data() { return bytes; }
  template <class T>
  T* as() {
    return reinterpret_cast<T*>(bytes);
  }
};

/// Reads `count` elements into native order; what is neither false nor true becomes true.
inline void load_items(const StoredItems& items, const std::byte* from, void* to, std::size_t count) {
  std::memcpy(to, from, count * items.bytes());
  if (items.swapped) swap_elements(items.type, to, count);
  if (is_bool(items.type)) {
    auto* flags = static_cast<unsigned char*>(to);
    for (std::size_t i = 0; i < count; ++i) flags[i] = flags[i] != 0;
  }
}

inline void store_items(const StoredItems& items, const void* from, std::byte* to, std::size_t count) {
  std::memcpy(to, from, count * items.bytes());
  if (items.swapped) swap_elements(items.type, to, count);
}

template <class T>
inline constexpr bool is_float_v = std::is_floating_point_v<T> || std::is_same_v<T, float16>;
template <class T>
inline constexpr bool is_integer_v = std::is_integral_v<T> && !std::is_same_v<T, bool>;

/// A number as NumPy's unsafe cast gives it, but for floats that an integer cannot hold: NumPy leaves those
/// to the machine, here they become the nearest integer there is, and NaN 0.
template <class To, class From>
To cast_like_numpy(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (std::is_same_v<To, bool>) {
    if constexpr (std::is_same_v<From, float16>)
      return (value.bits & 0x7fffu) != 0;
    else
      return value != From(0);
  } else if constexpr (std::is_same_v<From, std::complex<float>> ||
                       std::is_same_v<From, std::complex<double>>) {
    if constexpr (std::is_same_v<To, std::complex<float>> || std::is_same_v<To, std::complex<double>>)
      return To(static_cast<typename To::value_type>(value.real()),
                static_cast<typename To::value_type>(value.imag()));
    else
      return cast_like_numpy<To>(value.real());
  } else if constexpr (std::is_same_v<To, std::complex<float>> || std::is_same_v<To, std::complex<double>>) {
    return To(cast_like_numpy<typename To::value_type>(value), 0);
  } else if constexpr (std::is_same_v<From, float16>) {
    return cast_like_numpy<To>(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, float16>) {
    if constexpr (std::is_same_v<From, double>)
      return half_of(value);
    else
      return float16(static_cast<float>(value));
  } else if constexpr (is_float_v<From> && std::is_integral_v<To>) {
    // Both bounds are powers of two (or 0), which every float type holds.
    constexpr auto lowest = static_cast<From>(std::numeric_limits<To>::min());
    constexpr auto above = static_cast<From>(std::numeric_limits<To>::max() / 2 + 1) * 2;
    if (!(value >= lowest)) return value < lowest ? std::numeric_limits<To>::min() : To{0};
    if (value >= above) return std::numeric_limits<To>::max();
    return static_cast<To>(value);
  } else {
    return static_cast<To>(value);
  }
}

/// The type that holds every number of a kind: casts go through it, so that there are not as many loops as
/// pairs of types.
template <class T>
using Widest =
    std::conditional_t<is_integer_v<T>, std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>,
                       std::conditional_t<std::is_same_v<T, bool>, std::int64_t,
                                          std::conditional_t<is_float_v<T>, double, std::complex<double>>>>;

/// Calls f.template operator()<W>() with W = Widest of the type.
template <class F>
void visit_widest(Type type, F&& f) {
  if (is_complex(type))
    f.template operator()<std::complex<double>>();
  else if (is_floating(type))
    f.template operator()<double>();
  else if (is_unsigned_integer(type))
    f.template operator()<std::uint64_t>();
  else
    f.template operator()<std::int64_t>();
}

/// `count` elements as the widest of their kind; every value stays what it is.
inline void widen_items(Type type, const void* from, void* to, std::size_t count) {
  visit_type(type, [&]<class T>() {
    const auto* source = static_cast<const T*>(from);
    auto* target = static_cast<Widest<T>*>(to);
    for (std::size_t i = 0; i < count; ++i) target[i] = cast_like_numpy<Widest<T>>(source[i]);
  });
}

/// Casts at most `items_at_once` elements in native order; `from` and `to` are aligned for their types and do
/// not overlap.
inline void cast_items(Type from_type, const void* from, Type to_type, void* to, std::size_t count) {
  if (from_type == to_type) {
    std::memcpy(to, from, count * item_bytes_of(from_type));
    return;
  }
  ItemBlock widest;
  widen_items(from_type, from, widest.data(), count);
  visit_widest(from_type, [&]<class W>() {
    visit_type(to_type, [&]<class To>() {
      const W* source = widest.as<W>();
      auto* target = static_cast<To*>(to);
      for (std::size_t i = 0; i < count; ++i) target[i] = cast_like_numpy<To>(source[i]);
    });
  });
}

/// The type that a codec's configuration names; nothing if it names none.
inline std::optional<StoredItems> stored_items(CodecConfig& config, const char* name) {
  const nlohmann::json* value = config.find(name);
  if (!value) return std::nullopt;
  if (!value->is_string()) config.wrong(name, "the type of numbers, such as \"<f4\"", *value);
  DType dtype;
  bool big_endian = false;
  try {
    dtype = parse_dtype(value->get<std::string>(), &big_endian);
  } catch (const Error& e) {
    if (e.code() == Errc::unsupported) throw e.during(config.doing());
    config.wrong(name, "the type of numbers, such as \"<f4\"", *value);
  }
  if (!dtype.is_numeric()) {
    const char letter = dtype.name().empty() ? '\0' : dtype.name()[0];
    if ((letter != 'M' && letter != 'm') || dtype.item_bytes() != 8)
      fail(Errc::unsupported,
           config.doing() + ": bad '" + name + "'; expected the type of numbers, got " + dtype.name());
    dtype = Type::int64;  // counts of a unit of time
  }
  return StoredItems{dtype.type(),
                     dtype.swap_bytes() > 1 && big_endian != (std::endian::native == std::endian::big)};
}

/// The numeric type of an array's elements; dates and spans of time are int64. Nothing for others.
inline std::optional<Type> numeric_type(const DType& dtype) {
  if (dtype.is_numeric()) return dtype.type();
  if (dtype.is_record() || dtype.item_bytes() != 8) return std::nullopt;
  const std::string name = dtype.name();
  if (name[0] == 'M' || name[0] == 'm') return Type::int64;
  return std::nullopt;
}

[[noreturn]] inline void wrong_size(std::string_view codec, const char* what, std::size_t expected,
                                    std::size_t got) {
  fail(Errc::corrupt_data, "codec '" + std::string(codec) + "': " + what + " of the wrong size; expected " +
                               std::to_string(expected) + " bytes, got " + std::to_string(got));
}
/// **Fails**: corrupt_data unless `in` has exactly `expected` bytes and `decoded` bytes fit into `out`.
inline void check_decode_sizes(std::string_view codec, std::size_t in, std::size_t expected, std::size_t out,
                               std::size_t decoded) {
  if (in != expected) wrong_size(codec, "encoded data", expected, in);
  if (out < decoded) wrong_size(codec, "room for the decoded data", decoded, out);
}
inline void check_encode_sizes(std::string_view codec, std::size_t in, std::size_t expected, std::size_t out,
                               std::size_t encoded) {
  if (in == expected && out >= encoded) return;
  fail(Errc::internal_error, "encoding by '" + std::string(codec) + "': memory of the wrong size; expected " +
                                 std::to_string(expected) + " bytes into at least " +
                                 std::to_string(encoded) + ", got " + std::to_string(in) + " into " +
                                 std::to_string(out));
}
/// For codecs of arrays that stand behind one that made bytes.
inline void need_array(std::string_view codec, const DecodedSpec& spec) {
  if (spec.is_array) return;
  fail(Errc::corrupt_data,
       "codec '" + std::string(codec) + "': in the wrong place; expected an array in front of it, got bytes");
}

/// The sizes and types of a codec that makes one number of each number, in order. What is configured is how
/// Zarr v2 filters see bytes; in front of `bytes` the elements of the array are what they are.
class ItemwiseSides {
 public:
  ItemwiseSides() = default;
  ItemwiseSides(std::string name, std::optional<StoredItems> decoded, std::optional<StoredItems> encoded)
      : name_(std::move(name)),
        configured_decoded_(decoded),
        configured_encoded_(encoded),
        decoded_(decoded.value_or(StoredItems{})),
        encoded_(encoded ? *encoded : decoded_) {}

  const std::string& name() const { return name_; }
  const StoredItems& decoded() const { return decoded_; }
  const StoredItems& encoded() const { return encoded_; }
  bool is_array() const { return spec_.is_array; }
  std::size_t max_encoded_bytes(std::size_t decoded_bytes) const {
    return static_cast<std::size_t>(checked_mul(static_cast<Index>(decoded_bytes / decoded_.bytes()),
                                                static_cast<Index>(encoded_.bytes()), "encoded bytes"));
  }
  DecodedSpec encoded_array() const {
    if (!spec_.is_array) return DecodedSpec::byte_string(max_encoded_bytes(spec_.bytes));
    // Dates stay dates where the numbers keep their type.
    return DecodedSpec::array(encoded_.type == decoded_.type ? spec_.dtype : DType(encoded_.type),
                              spec_.shape);
  }
  void prepare(const DecodedSpec& spec) {
    spec_ = spec;
    if (!spec.is_array) {
      if (!configured_decoded_)
        fail(Errc::corrupt_data, "codec '" + name_ +
                                     "': the type of its elements is not known; expected 'dtype' in its "
                                     "configuration, as it stands behind a codec that makes bytes");
      return;
    }
    const std::optional<Type> type = numeric_type(spec.dtype);
    if (!type)
      fail(Errc::unsupported, "codec '" + name_ +
                                  "': elements that are not numbers; expected a numeric "
                                  "dtype, got " +
                                  spec.dtype.name());
    if (configured_decoded_ && configured_decoded_->type != *type)
      fail(Errc::unsupported,
           "codec '" + name_ + "': configured for elements of another type; expected that of the array, " +
               std::string(name_of(*type)) + ", got " + std::string(name_of(configured_decoded_->type)));
    decoded_ = {*type, false};
    encoded_ = {configured_encoded_ ? configured_encoded_->type : *type, false};
    if (item_bytes_of(*type) > 1 && ((configured_decoded_ && configured_decoded_->swapped) ||
                                     (configured_encoded_ && configured_encoded_->swapped)))
      fail(Errc::unsupported, "codec '" + name_ +
                                  "': configured for the other byte order; expected the byte order of an "
                                  "array to be left to the codec 'bytes'");
  }
  /// How many elements `in` holds. **Fails**: corrupt_data.
  std::size_t count_to_decode(std::size_t in_bytes, std::size_t out_bytes) const {
    const std::size_t count = in_bytes / encoded_.bytes();
    if (in_bytes % encoded_.bytes() != 0)
      fail(Errc::corrupt_data, "codec '" + name_ + "': encoded data cut within an element; expected whole " +
                                   std::string(name_of(encoded_.type)) + " elements, got " +
                                   std::to_string(in_bytes) + " bytes");
    const std::size_t most = spec_.bytes / decoded_.bytes();
    if (spec_.is_array ? count != most : count > most)
      wrong_size(name_, "encoded data", most * encoded_.bytes(), in_bytes);
    if (out_bytes / decoded_.bytes() < count)
      wrong_size(name_, "room for the decoded data", count * decoded_.bytes(), out_bytes);
    return count;
  }
  std::size_t count_to_encode(std::size_t in_bytes, std::size_t out_bytes) const {
    const std::size_t count = in_bytes / decoded_.bytes();
    check_encode_sizes(name_, in_bytes, spec_.is_array ? spec_.bytes : count * decoded_.bytes(), out_bytes,
                       count * encoded_.bytes());
    return count;
  }
  /// Calls f(decoded elements, encoded elements, how many) for block after block: `f` reads one of them, both
  /// native, and makes the other.
  template <class F>
  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, F&& f) const {
    const std::size_t count = count_to_decode(in.size(), out.size());
    ItemBlock source, target;
    for (std::size_t i = 0; i < count; i += items_at_once) {
      const std::size_t n = std::min(items_at_once, count - i);
      load_items(encoded_, in.data() + i * encoded_.bytes(), source.data(), n);
      f(source, target, n);
      store_items(decoded_, target.data(), out.data() + i * decoded_.bytes(), n);
    }
    return count * decoded_.bytes();
  }
  template <class F>
  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, F&& f) const {
    const std::size_t count = count_to_encode(in.size(), out.size());
    ItemBlock source, target;
    for (std::size_t i = 0; i < count; i += items_at_once) {
      const std::size_t n = std::min(items_at_once, count - i);
      load_items(decoded_, in.data() + i * decoded_.bytes(), source.data(), n);
      f(source, target, n);
      store_items(encoded_, target.data(), out.data() + i * encoded_.bytes(), n);
    }
    return count * encoded_.bytes();
  }

 private:
  std::string name_;
  std::optional<StoredItems> configured_decoded_, configured_encoded_;
  StoredItems decoded_, encoded_;
  DecodedSpec spec_;
};

}  // namespace morsel::inline MORSEL_ABI::detail
