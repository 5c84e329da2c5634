#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <morsel/api/mask_and_scale.hpp>
#include <morsel/io/attributes_json.hpp>
#include <nlohmann/json.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

inline constexpr std::string_view packing_attributes[] = {"_FillValue", "missing_value", "valid_min",
                                                          "valid_max",  "valid_range",   "scale_factor",
                                                          "add_offset", "_Unsigned"};

/// A number of an attribute.
struct PackedNumber {
  Scalar value;
  Type type = Type::float64;

  double real() const {
    if (value.kind == WeakKind::floating) return value.number.real();
    return value.is_unsigned ? static_cast<double>(static_cast<std::uint64_t>(value.integer))
                             : static_cast<double>(value.integer);
  }
  bool is_nan() const { return std::isnan(real()); }
};

/// A double of which xarray has the 8 bytes, little-endian, in base64: fill values in Zarr version 3.
MORSEL_INLINE std::optional<double> base64_double(std::string_view text) {
  if (text.size() != 12 || text.back() != '=') return std::nullopt;
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::uint64_t bits = 0;  // big-endian: the first digit is the highest
  for (std::size_t i = 0; i < 11; ++i) {
    const std::size_t digit = digits.find(text[i]);
    if (digit == digits.npos) return std::nullopt;
    bits = i < 10 ? bits << 6 | digit : bits << 4 | digit >> 2;  // the last two bits are of nothing
  }
  std::uint64_t swapped = 0;
  for (int i = 0; i < 8; ++i) swapped |= (bits >> 8 * i & 0xff) << 8 * (7 - i);
  return std::bit_cast<double>(swapped);
}

MORSEL_INLINE std::optional<PackedNumber> packed_number(const nlohmann::json& json,
                                                        const std::optional<Type>& type) {
  PackedNumber number;
  if (json.is_number_unsigned()) {
    number.value = Scalar::of(json.get<std::uint64_t>());
    number.type = Type::int64;
  } else if (json.is_number_integer()) {
    number.value = Scalar::of(json.get<std::int64_t>());
    number.type = Type::int64;
  } else if (json.is_number_float()) {
    number.value = Scalar::of(json.get<double>());
  } else if (json.is_string()) {
    const auto& text = json.get_ref<const std::string&>();
    constexpr double infinity = std::numeric_limits<double>::infinity();
    if (text == "NaN")
      number.value = Scalar::of(std::numeric_limits<double>::quiet_NaN());
    else if (text == "Infinity" || text == "-Infinity")
      number.value = Scalar::of(text[0] == '-' ? -infinity : infinity);
    else if (const std::optional<double> decoded = base64_double(text))
      number.value = Scalar::of(*decoded);
    else
      return std::nullopt;
  } else {
    return std::nullopt;
  }
  if (type) number.type = *type;
  // The digits are those of a float32.
  if (number.type == Type::float32)
    number.value = Scalar::of(static_cast<double>(static_cast<float>(number.real())));
  return number;
}

/// The numbers of an attribute; what is none is left out.
MORSEL_INLINE std::vector<PackedNumber> packed_numbers(const Attributes& attributes, std::string_view name,
                                                       const AttributeTypes& types) {
  std::vector<PackedNumber> numbers;
  const std::optional<std::string> text = find_attribute(attributes, name);
  if (!text) return numbers;
  std::optional<Type> type;
  for (const auto& [attribute, dtype] : types)
    if (attribute == name && dtype.is_numeric()) type = dtype.type();
  const nlohmann::json json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_array()) {
    if (const auto number = packed_number(json, type)) numbers.push_back(*number);
    return numbers;
  }
  for (const nlohmann::json& item : json)
    if (const auto number = packed_number(item, type)) numbers.push_back(*number);
  return numbers;
}

/// What the attributes of an array ask for.
struct Packing {
  std::optional<Type> reinterpreted;  ///< integers of the other signedness
  std::vector<PackedNumber> missing;
  std::optional<PackedNumber> least, most, scale, offset;
  bool decoded_limits = false;  ///< the valid range is of decoded values

  Packing(const Attributes& attributes, const AttributeTypes& types, Type stored) {
    read_signedness(attributes, stored);
    const Type type = reinterpreted.value_or(stored);
    for (const char* name : {"_FillValue", "missing_value"})
      for (const PackedNumber& number : packed_numbers(attributes, name, types))
        if (!number.is_nan()) missing.push_back(as_stored(number, type));
    const auto one = [&](const char* name) {
      const std::vector<PackedNumber> numbers = packed_numbers(attributes, name, types);
      return numbers.size() == 1 ? std::optional(numbers[0]) : std::nullopt;
    };
    scale = one("scale_factor");
    offset = one("add_offset");
    least = one("valid_min");
    most = one("valid_max");
    const std::vector<PackedNumber> range = packed_numbers(attributes, "valid_range", types);
    if (range.size() == 2) {
      least = range[0];
      most = range[1];
    }
    for (std::optional<PackedNumber>* limit : {&least, &most})
      if (*limit && (*limit)->is_nan()) limit->reset();
    decoded_limits = is_integer(type) && (scale || offset) &&
                     ((least && is_floating(least->type)) || (most && is_floating(most->type)));
    if (decoded_limits) return;
    if (least) least = as_stored(*least, type);
    if (most) most = as_stored(*most, type);
  }

  bool is_masked() const { return !missing.empty() || least || most; }

  /// Of the decoded values.
  Type result(Type stored) const {
    const std::size_t item_bytes = item_bytes_of(stored);
    const auto floating = [](Type type) { return type == Type::float32 ? type : Type::float64; };
    if (scale || offset) {
      if (!offset) return floating(scale->type);
      if (!scale || scale->type != offset->type) return Type::float64;
      return is_integer(stored) && item_bytes == 4 ? Type::float64 : floating(scale->type);
    }
    if (is_floating(stored)) return stored;
    return item_bytes <= 2 ? Type::float32 : Type::float64;
  }

 private:
  void read_signedness(const Attributes& attributes, Type stored) {
    const std::optional<std::string> text = find_attribute(attributes, "_Unsigned");
    if (!text || !is_integer(stored)) return;
    const bool is_true = *text == "\"true\"", is_false = *text == "\"false\"";
    constexpr int to_unsigned = static_cast<int>(Type::uint8) - static_cast<int>(Type::int8);
    if (is_true && is_signed_integer(stored))
      reinterpreted = static_cast<Type>(static_cast<int>(stored) + to_unsigned);
    if (is_false && is_unsigned_integer(stored))
      reinterpreted = static_cast<Type>(static_cast<int>(stored) - to_unsigned);
  }

  /// A number as elements have it: rounded like floats, of the other signedness where they are.
  PackedNumber as_stored(PackedNumber number, Type type) const {
    if (type == Type::float32)
      number.value = Scalar::of(static_cast<double>(static_cast<float>(number.real())));
    if (!reinterpreted || number.value.kind != WeakKind::integer) return number;
    const std::size_t bits = 8 * item_bytes_of(type);
    const auto kept = static_cast<std::uint64_t>(number.value.integer) << (64 - bits);
    number.value = is_unsigned_integer(type) ? Scalar::of(std::uint64_t{kept >> (64 - bits)})
                                             : Scalar::of(static_cast<std::int64_t>(kept) >> (64 - bits));
    return number;
  }
};

/// NaN where an element of `tested` is below `least`, above `most` or one of `missing`.
MORSEL_INLINE Edge masked(const Edge& values, const Edge& tested, const std::vector<PackedNumber>& missing,
                          const std::optional<PackedNumber>& least, const std::optional<PackedNumber>& most) {
  std::optional<Edge> bad;
  const auto test = [&](Op op, const PackedNumber& number) {
    Edge one = apply(op, {tested, number.value});
    bad = bad ? apply(Op::logical_or, {*bad, one}) : one;
  };
  for (const PackedNumber& number : missing) test(Op::equal, number);
  if (least) test(Op::less, *least);
  if (most) test(Op::greater, *most);
  if (!bad) return values;
  return apply(Op::where, {*bad, Scalar::of(std::numeric_limits<double>::quiet_NaN()), values});
}

}  // namespace detail

MORSEL_INLINE AnyLazyArray mask_and_scale(const AnyLazyArray& packed, const AttributeTypes& types) {
  const Type stored = packed.dtype().type();
  if (!is_integer(stored) && !is_floating(stored)) return packed;
  const detail::Packing packing(packed.attrs(), types, stored);
  Edge raw = packed.edge();
  if (packing.reinterpreted) raw = astype(raw, *packing.reinterpreted);
  Edge values = raw;
  if (packing.is_masked() || packing.scale || packing.offset) {
    values = astype(raw, packing.result(raw.dtype().type()));
    if (!packing.decoded_limits)
      values = detail::masked(values, raw, packing.missing, packing.least, packing.most);
    else
      values = detail::masked(values, raw, packing.missing, {}, {});
    if (packing.scale) values = apply(Op::multiply, {values, Scalar::of(packing.scale->real())});
    if (packing.offset) values = apply(Op::add, {values, Scalar::of(packing.offset->real())});
    if (packing.decoded_limits) values = detail::masked(values, values, {}, packing.least, packing.most);
  }
  Attributes kept;
  for (const auto& attribute : packed.attrs())
    if (std::find(std::begin(detail::packing_attributes), std::end(detail::packing_attributes),
                  attribute.first) == std::end(detail::packing_attributes))
      kept.push_back(attribute);
  if (kept.size() == packed.attrs().size()) return packed;
  return packed.with_edge(std::move(values)).with_attrs(std::move(kept));
}

}  // namespace morsel::inline MORSEL_ABI
