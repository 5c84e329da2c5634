#pragma once

#include <limits>
#include <morsel/array/dtype.hpp>
#include <morsel/ext/impl/hdf5_library.ipp>
#include <morsel/io/raw_source.hpp>
#include <vector>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// What elements of a type of HDF5 are here.
struct Hdf5Type {
  DType dtype;
  Shape inner;              ///< of an array type: axes behind those of the dataset
  std::vector<Mend> mends;  ///< that make stored elements native ones
  /// The library converts: a type that no repair of bytes makes one of ours. `dtype` is then packed, and
  /// `mends` are of what `memory_type` gives.
  bool by_library = false;
};

/// Names the type class for messages.
MORSEL_INLINE const char* hdf5_class_name(H5T_class_t c) {
  switch (c) {
    case H5T_INTEGER:
      return "integer";
    case H5T_FLOAT:
      return "float";
    case H5T_TIME:
      return "time (H5T_TIME)";
    case H5T_STRING:
      return "string";
    case H5T_BITFIELD:
      return "bit field";
    case H5T_OPAQUE:
      return "opaque";
    case H5T_COMPOUND:
      return "compound";
    case H5T_REFERENCE:
      return "reference to objects or regions";
    case H5T_ENUM:
      return "enumeration";
    case H5T_VLEN:
      return "list of variable length";
    case H5T_ARRAY:
      return "array";
    default:
      return "unknown";
  }
}

/// Reads types, and makes those that the library is asked for.
class Hdf5TypeReader {
 public:
  explicit Hdf5TypeReader(std::string doing) : doing_(std::move(doing)) {}

  Hdf5Type read(hid_t type, bool by_library = false) {
    by_library_ = by_library || needs_library(type, 0);
    Hdf5Type result;
    result.by_library = by_library_;
    Hid base;
    const hid_t element = peeled(type, result.inner, base);
    result.dtype = element_of(element, 0, 1, result.mends, 0);
    return result;
  }

  /// The type of `dtype` in memory, as the library is asked for it. **Requires**: `type` was read.
  Hid memory_type(hid_t type) { return memory_of(type, 0); }

 private:
  static constexpr int most_depth = 32;

  [[noreturn]] void refuse(const std::string& what) const { fail(Errc::unsupported, doing_ + ": " + what); }
  void check_depth(int depth) const {
    if (depth > most_depth) refuse("a type nested too deeply; expected at most 32 levels");
  }
  static std::size_t size_of_type(hid_t type) { return H5Tget_size(type); }
  static bool is_big_endian(hid_t type) { return H5Tget_order(type) == H5T_ORDER_BE; }
  static bool is_swapped(hid_t type) {
    return size_of_type(type) > 1 && is_big_endian(type) != (std::endian::native == std::endian::big);
  }
  static bool is_integer_size(std::size_t bytes) {
    return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
  }

  /// The base of array types, and their extents.
  hid_t peeled(hid_t type, Shape& extents, Hid& keeper) const {
    while (H5Tget_class(type) == H5T_ARRAY) {
      const int rank = H5Tget_array_ndims(type);
      std::vector<hsize_t> dims(static_cast<std::size_t>(std::max(rank, 0)));
      if (rank < 0 || H5Tget_array_dims2(type, dims.data()) < 0)
        fail_hdf5(Errc::corrupt_data, doing_, "a bad array type; expected its extents");
      for (const hsize_t extent : dims) {
        if (extent > static_cast<hsize_t>(std::numeric_limits<Index>::max()))
          refuse("an array type that is too large");
        extents.push_back(static_cast<Index>(extent));
      }
      if (extents.size() > 32) refuse("an array type with more than 32 axes");
      keeper = Hid(H5Tget_super(type), &H5Tclose);
      if (!keeper) fail_hdf5(Errc::corrupt_data, doing_, "a bad array type; expected its base");
      type = keeper;
    }
    return type;
  }

  struct Float {
    std::size_t sign = 0, exponent = 0, exponent_bits = 0, mantissa = 0, mantissa_bits = 0;
    std::size_t bias = 0, precision = 0;
    H5T_norm_t norm = H5T_NORM_NONE;
    bool is(std::size_t bits, std::size_t e, std::size_t m) const {
      return precision == bits && sign == bits - 1 && exponent == m && exponent_bits == e && mantissa == 0 &&
             mantissa_bits == m && bias == (std::size_t{1} << (e - 1)) - 1 && norm == H5T_NORM_IMPLIED;
    }
  };
  static Float float_of(hid_t type) {
    Float f;
    H5Tget_fields(type, &f.sign, &f.exponent, &f.exponent_bits, &f.mantissa, &f.mantissa_bits);
    f.bias = H5Tget_ebias(type);
    f.norm = H5Tget_norm(type);
    f.precision = H5Tget_precision(type);
    return f;
  }
  /// The type of floats that bytes alone make; nothing if the library has to convert them.
  static std::optional<DType> plain_float(hid_t type) {
    const std::size_t bytes = size_of_type(type);
    const H5T_order_t order = H5Tget_order(type);
    if (order == H5T_ORDER_LE || order == H5T_ORDER_BE) {
      const Float f = float_of(type);
      if (bytes == 2 && f.is(16, 5, 10)) return DType(Type::float16);
      if (bytes == 4 && f.is(32, 8, 23)) return DType(Type::float32);
      if (bytes == 8 && f.is(64, 11, 52)) return DType(Type::float64);
    }
    if (bytes == sizeof(long double) && bytes > 8 && H5Tequal(type, H5T_NATIVE_LDOUBLE) > 0)
      return DType::carried("f" + std::to_string(bytes), bytes);
    return std::nullopt;
  }
  /// The smallest of ours that holds them.
  DType converted_float(hid_t type) const {
    const Float f = float_of(type);
    if (f.exponent_bits <= 8 && f.mantissa_bits <= 23) return Type::float32;
    if (f.exponent_bits <= 11 && f.mantissa_bits <= 52) return Type::float64;
    refuse("floats of " + std::to_string(f.precision) + " bits; expected what float64 can hold, got " +
           std::to_string(f.exponent_bits) + " bits of exponent and " + std::to_string(f.mantissa_bits) +
           " of mantissa");
  }

  /// True if no repair of bytes makes elements of the type.
  bool needs_library(hid_t type, int depth) const {
    check_depth(depth);
    switch (H5Tget_class(type)) {
      case H5T_INTEGER:
      case H5T_BITFIELD:
        return !is_integer_size(size_of_type(type)) ||
               (H5Tget_order(type) != H5T_ORDER_LE && H5Tget_order(type) != H5T_ORDER_BE &&
                size_of_type(type) > 1);
      case H5T_FLOAT:
        return !plain_float(type);
      case H5T_ENUM: {
        const Hid base(H5Tget_super(type), &H5Tclose);
        return base && needs_library(base, depth + 1);
      }
      case H5T_ARRAY: {
        Shape extents;
        Hid keeper;
        return needs_library(peeled(type, extents, keeper), depth + 1);
      }
      case H5T_COMPOUND: {
        // Members out of the order of their offsets are put into it: records of NumPy's files have no other.
        const int members = H5Tget_nmembers(type);
        std::size_t last = 0;
        for (int i = 0; i < members; ++i) {
          const Hid member(H5Tget_member_type(type, static_cast<unsigned>(i)), &H5Tclose);
          if (member && needs_library(member, depth + 1)) return true;
          const std::size_t offset = H5Tget_member_offset(type, static_cast<unsigned>(i));
          if (offset < last) return true;
          last = offset;
        }
        return false;
      }
      default:
        return false;
    }
  }

  DType integer_of(hid_t type, bool is_signed, std::size_t offset, std::size_t count,
                   std::vector<Mend>& mends) const {
    std::size_t bytes = size_of_type(type);
    if (by_library_) {
      if (bytes > 8) refuse("integers of " + std::to_string(bytes) + " bytes; expected at most 8");
      while (!is_integer_size(bytes)) ++bytes;
    } else {
      if (is_swapped(type)) mends.push_back({Mend::Kind::swap, offset, bytes, count});
      const std::size_t precision = H5Tget_precision(type);
      const int shift = H5Tget_offset(type);
      if (precision != 8 * bytes && precision > 0 && shift >= 0 &&
          precision + static_cast<std::size_t>(shift) <= 8 * bytes)
        mends.push_back({is_signed ? Mend::Kind::signed_bits : Mend::Kind::unsigned_bits, offset, bytes,
                         count, static_cast<std::uint8_t>(shift), static_cast<std::uint8_t>(precision)});
    }
    constexpr Type of_signed[] = {Type::int8, Type::int16, Type::int32, Type::int64};
    constexpr Type of_unsigned[] = {Type::uint8, Type::uint16, Type::uint32, Type::uint64};
    const std::size_t k = bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : 3;
    return is_signed ? of_signed[k] : of_unsigned[k];
  }

  /// An enumeration of FALSE = 0 and TRUE = 1, as h5py and PyTables write bool.
  static bool is_boolean(hid_t type) {
    if (size_of_type(type) != 1 || H5Tget_nmembers(type) != 2) return false;
    bool has_false = false, has_true = false;
    for (unsigned i = 0; i < 2; ++i) {
      char* name = H5Tget_member_name(type, i);
      std::int8_t value = -1;
      if (name && H5Tget_member_value(type, i, &value) >= 0) {
        has_false |= std::strcmp(name, "FALSE") == 0 && value == 0;
        has_true |= std::strcmp(name, "TRUE") == 0 && value == 1;
      }
      H5free_memory(name);
    }
    return has_false && has_true;
  }

  /// complex64 or complex128, as h5py writes them: members r and i.
  std::optional<DType> complex_of(hid_t type, std::size_t offset, std::size_t count,
                                  std::vector<Mend>& mends) const {
    if (H5Tget_nmembers(type) != 2) return std::nullopt;
    const Hid real(H5Tget_member_type(type, 0), &H5Tclose), imaginary(H5Tget_member_type(type, 1), &H5Tclose);
    if (!real || !imaginary || H5Tget_class(real) != H5T_FLOAT || H5Tequal(real, imaginary) <= 0)
      return std::nullopt;
    if (member_name(type, 0) != "r" || member_name(type, 1) != "i") return std::nullopt;
    const std::optional<DType> part = plain_float(real);
    if (!part || H5Tget_member_offset(type, 0) != 0 || H5Tget_member_offset(type, 1) != part->item_bytes() ||
        size_of_type(type) != 2 * part->item_bytes())
      return std::nullopt;
    DType dtype;
    if (*part == DType(Type::float32))
      dtype = Type::complex64;
    else if (*part == DType(Type::float64))
      dtype = Type::complex128;
    else if (*part == DType(Type::float16))
      dtype = DType::carried("complex_float16", 4);
    else
      return std::nullopt;
    if (is_swapped(real) && !by_library_)
      mends.push_back({Mend::Kind::swap, offset, part->item_bytes(), 2 * count});
    return dtype;
  }

  static std::string member_name(hid_t type, unsigned i) {
    char* text = H5Tget_member_name(type, i);
    std::string name(text ? text : "");
    H5free_memory(text);
    return name;
  }

  DType opaque_of(hid_t type, std::size_t offset, std::size_t count, std::vector<Mend>& mends) const {
    const std::size_t bytes = size_of_type(type);
    char* text = H5Tget_tag(type);
    const std::string tag(text ? text : "");
    H5free_memory(text);
    // h5py keeps dates and other types of NumPy that HDF5 does not have.
    if (tag.starts_with("NUMPY:")) {
      try {
        bool swapped = false;
        const DType dtype = parse_dtype(tag.substr(6), &swapped);
        if (dtype.item_bytes() == bytes && !dtype.is_record()) {
          for (Mend mend : mends_of(dtype, swapped)) {
            mend.offset_bytes += offset;
            mend.count *= count;
            mends.push_back(mend);
          }
          return dtype;
        }
      } catch (const Error&) {  // another program's tag
      }
    }
    return DType::carried("V" + std::to_string(bytes), bytes);
  }

  /// The dtype of `count` elements at `offset` of the outermost one; their mends go to `mends`.
  DType element_of(hid_t type, std::size_t offset, std::size_t count, std::vector<Mend>& mends, int depth) {
    check_depth(depth);
    const H5T_class_t kind = H5Tget_class(type);
    switch (kind) {
      case H5T_INTEGER:
        return integer_of(type, H5Tget_sign(type) != H5T_SGN_NONE, offset, count, mends);
      case H5T_BITFIELD:
        return integer_of(type, false, offset, count, mends);
      case H5T_FLOAT: {
        const std::optional<DType> plain = plain_float(type);
        if (!plain) return converted_float(type);
        if (plain->is_numeric() && is_swapped(type) && !by_library_)
          mends.push_back({Mend::Kind::swap, offset, plain->item_bytes(), count});
        return *plain;
      }
      case H5T_ENUM: {
        if (is_boolean(type)) {
          mends.push_back({Mend::Kind::boolean, offset, 1, count});
          return Type::bool_;
        }
        const Hid base(H5Tget_super(type), &H5Tclose);
        if (!base) fail_hdf5(Errc::corrupt_data, doing_, "a bad enumeration; expected its base");
        return element_of(base, offset, count, mends, depth + 1);
      }
      case H5T_STRING: {
        if (H5Tis_variable_str(type) > 0)
          refuse(
              "strings of variable length, which are not elements of an array; expected elements of fixed "
              "size");
        const std::size_t bytes = size_of_type(type);
        const H5T_str_t padding = H5Tget_strpad(type);
        if (!by_library_ && padding == H5T_STR_NULLTERM)
          mends.push_back({Mend::Kind::text_to_nul, offset, bytes, count});
        if (!by_library_ && padding == H5T_STR_SPACEPAD)
          mends.push_back({Mend::Kind::text_to_spaces, offset, bytes, count});
        return DType::carried("S" + std::to_string(bytes), bytes);
      }
      case H5T_OPAQUE:
        return opaque_of(type, offset, count, mends);
      case H5T_COMPOUND:
        return record_of(type, offset, count, mends, depth);
      default:
        refuse(std::string("elements of the type ") + hdf5_class_name(kind) +
               ", which have no fixed size or no meaning outside of their file; expected numbers, fixed "
               "strings, enumerations, opaque bytes or compounds and arrays of these");
    }
  }

  DType record_of(hid_t type, std::size_t offset, std::size_t count, std::vector<Mend>& mends, int depth) {
    if (const std::optional<DType> complex = complex_of(type, offset, count, mends)) return *complex;
    const int members = H5Tget_nmembers(type);
    if (members < 0) fail_hdf5(Errc::corrupt_data, doing_, "a bad compound type; expected its members");
    const std::size_t stored_bytes = size_of_type(type);
    std::vector<Field> fields;
    std::vector<Mend> of_one;
    std::size_t packed_bytes = 0;
    for (unsigned i = 0; i < static_cast<unsigned>(members); ++i) {
      const Hid member(H5Tget_member_type(type, i), &H5Tclose);
      if (!member) fail_hdf5(Errc::corrupt_data, doing_, "a bad compound type; expected its members");
      Field field;
      field.name = member_name(type, i);
      Hid keeper;
      const hid_t element = peeled(member, field.shape, keeper);
      const Index repeats = size_of(field.shape);
      field.offset_bytes = by_library_ ? packed_bytes : H5Tget_member_offset(type, i);
      try {
        field.dtype =
            element_of(element, field.offset_bytes, static_cast<std::size_t>(repeats), of_one, depth + 1);
      } catch (const Error& error) {
        if (error.code() != Errc::unsupported ||
            std::string_view(error.what()).find(", member '") != std::string_view::npos)
          throw;
        throw Error(error.code(), doing_ + ", member '" + field.name + "'" +
                                      std::string(error.what()).substr(doing_.size()));
      }
      const auto bytes = static_cast<std::size_t>(
          checked_mul(repeats, static_cast<Index>(field.dtype.item_bytes()), "field bytes"));
      packed_bytes += bytes;
      if (!by_library_ && (field.offset_bytes > stored_bytes || bytes > stored_bytes - field.offset_bytes))
        fail(Errc::corrupt_data, doing_ + ": a bad compound type; expected members within " +
                                     std::to_string(stored_bytes) + " bytes, got '" + field.name + "' at " +
                                     std::to_string(field.offset_bytes));
      fields.push_back(std::move(field));
    }
    const std::size_t record_bytes = by_library_ ? packed_bytes : stored_bytes;
    constexpr std::size_t most = std::size_t{1} << 16;
    if (!of_one.empty() && count > most / of_one.size())
      refuse("too many members to convert; expected at most " + std::to_string(most) + " per element, got " +
             std::to_string(count) + " x " + std::to_string(of_one.size()));
    for (std::size_t i = 0; i < count; ++i)
      for (Mend mend : of_one) {
        mend.offset_bytes += offset + i * record_bytes;
        mends.push_back(mend);
      }
    return DType::record(std::move(fields), record_bytes);
  }

  Hid memory_of(hid_t type, int depth) {
    check_depth(depth);
    const auto native = [](hid_t predefined) { return Hid(H5Tcopy(predefined), &H5Tclose); };
    const H5T_class_t kind = H5Tget_class(type);
    const auto integer = [&](bool is_signed) {
      std::size_t bytes = size_of_type(type);
      while (!is_integer_size(bytes)) ++bytes;
      switch (bytes) {
        case 1:
          return native(is_signed ? H5T_NATIVE_INT8 : H5T_NATIVE_UINT8);
        case 2:
          return native(is_signed ? H5T_NATIVE_INT16 : H5T_NATIVE_UINT16);
        case 4:
          return native(is_signed ? H5T_NATIVE_INT32 : H5T_NATIVE_UINT32);
        default:
          return native(is_signed ? H5T_NATIVE_INT64 : H5T_NATIVE_UINT64);
      }
    };
    switch (kind) {
      case H5T_INTEGER:
        return integer(H5Tget_sign(type) != H5T_SGN_NONE);
      case H5T_BITFIELD: {
        Hid made(H5Tcopy(H5T_NATIVE_B8), &H5Tclose);
        std::size_t bytes = size_of_type(type);
        while (!is_integer_size(bytes)) ++bytes;
        H5Tset_size(made, bytes);
        H5Tset_precision(made, 8 * bytes);
        return made;
      }
      case H5T_FLOAT: {
        const std::optional<DType> plain = plain_float(type);
        if (!plain)
          return native(converted_float(type) == DType(Type::float32) ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE);
        if (*plain == DType(Type::float32)) return native(H5T_NATIVE_FLOAT);
        if (*plain == DType(Type::float64)) return native(H5T_NATIVE_DOUBLE);
        Hid copy(H5Tcopy(type), &H5Tclose);
        H5Tset_order(copy, std::endian::native == std::endian::big ? H5T_ORDER_BE : H5T_ORDER_LE);
        return copy;
      }
      case H5T_ENUM: {
        const Hid base(H5Tget_super(type), &H5Tclose);
        return memory_of(base, depth + 1);
      }
      case H5T_STRING: {
        Hid made(H5Tcopy(type), &H5Tclose);
        H5Tset_strpad(made, H5T_STR_NULLPAD);
        return made;
      }
      case H5T_ARRAY: {
        const int rank = H5Tget_array_ndims(type);
        std::vector<hsize_t> dims(static_cast<std::size_t>(std::max(rank, 1)));
        H5Tget_array_dims2(type, dims.data());
        const Hid base(H5Tget_super(type), &H5Tclose);
        const Hid made = memory_of(base, depth + 1);
        return Hid(H5Tarray_create2(made, static_cast<unsigned>(std::max(rank, 1)), dims.data()), &H5Tclose);
      }
      case H5T_COMPOUND: {
        std::vector<std::pair<std::string, Hid>> members;
        std::size_t bytes = 0;
        for (unsigned i = 0; i < static_cast<unsigned>(H5Tget_nmembers(type)); ++i) {
          const Hid member(H5Tget_member_type(type, i), &H5Tclose);
          members.emplace_back(member_name(type, i), memory_of(member, depth + 1));
          bytes += size_of_type(members.back().second);
        }
        Hid made(H5Tcreate(H5T_COMPOUND, std::max<std::size_t>(bytes, 1)), &H5Tclose);
        std::size_t at = 0;
        for (const auto& [name, member] : members) {
          H5Tinsert(made, name.c_str(), at, member);
          at += size_of_type(member);
        }
        return made;
      }
      default: {
        return Hid(H5Tcopy(type), &H5Tclose);
      }
    }
  }

  std::string doing_;
  bool by_library_ = false;
};

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI
