#pragma once

#include <morsel/array/dtype.hpp>
#include <morsel/ext/impl/hdf5_library.ipp>
#include <vector>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// Makes types of HDF5 for dtypes: those that reading gives back. bool, float16 and complex numbers are what
/// h5py makes of them. **Requires**: the lock. **Fails**: unsupported by name.
class Hdf5TypeMaker {
 public:
  explicit Hdf5TypeMaker(std::string doing) : doing_(std::move(doing)) {}

  Hid make(const DType& dtype) const {
    if (dtype.item_bytes() == 0) refuse(dtype, "elements of no bytes");
    switch (dtype.type()) {
      case Type::bool_:
        return boolean();
      case Type::int8:
        return copy(H5T_NATIVE_INT8);
      case Type::int16:
        return copy(H5T_NATIVE_INT16);
      case Type::int32:
        return copy(H5T_NATIVE_INT32);
      case Type::int64:
        return copy(H5T_NATIVE_INT64);
      case Type::uint8:
        return copy(H5T_NATIVE_UINT8);
      case Type::uint16:
        return copy(H5T_NATIVE_UINT16);
      case Type::uint32:
        return copy(H5T_NATIVE_UINT32);
      case Type::uint64:
        return copy(H5T_NATIVE_UINT64);
      case Type::float16:
        return half();
      case Type::float32:
        return copy(H5T_NATIVE_FLOAT);
      case Type::float64:
        return copy(H5T_NATIVE_DOUBLE);
      case Type::complex64:
        return complex_of(copy(H5T_NATIVE_FLOAT));
      case Type::complex128:
        return complex_of(copy(H5T_NATIVE_DOUBLE));
      case Type::carried:
        break;
    }
    return dtype.is_record() ? record(dtype) : carried(dtype);
  }

 private:
  [[noreturn]] void refuse(const DType& dtype, const std::string& why) const {
    fail(Errc::unsupported, doing_ + ": elements of " + dtype.name() + ": " + why +
                                ", which HDF5 has no type for; expected numbers, bool, S, V, M8 or m8, or "
                                "records of these");
  }
  static Hid copy(hid_t type) { return Hid(H5Tcopy(type), &H5Tclose); }

  static Hid boolean() {
    Hid type(H5Tenum_create(H5T_NATIVE_INT8), &H5Tclose);
    for (const std::int8_t value : {std::int8_t{0}, std::int8_t{1}})
      H5Tenum_insert(type, value == 0 ? "FALSE" : "TRUE", &value);
    return type;
  }
  static Hid half() {
    Hid type = copy(H5T_NATIVE_FLOAT);
    H5Tset_fields(type, 15, 10, 5, 0, 10);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, 15);
    return type;
  }
  static Hid complex_of(const Hid& part) {
    const std::size_t bytes = H5Tget_size(part);
    Hid type(H5Tcreate(H5T_COMPOUND, 2 * bytes), &H5Tclose);
    H5Tinsert(type, "r", 0, part);
    H5Tinsert(type, "i", bytes, part);
    return type;
  }

  Hid carried(const DType& dtype) const {
    const std::string name = dtype.name();
    const std::size_t bytes = dtype.item_bytes();
    const bool is_numbered = name.find_first_not_of("0123456789", 1) == std::string::npos;
    if (name[0] == 'S' && is_numbered) {
      Hid type = copy(H5T_C_S1);
      H5Tset_size(type, bytes);
      H5Tset_strpad(type, H5T_STR_NULLPAD);
      return type;
    }
    if (name[0] == 'V' && is_numbered) return opaque(bytes, "");
    // As h5py marks types of NumPy that HDF5 does not have.
    if (name.starts_with("M8") || name.starts_with("m8")) return opaque(bytes, "NUMPY:" + dtype.numpy());
    if (name == "complex_float16") return complex_of(half());
    if (name[0] == 'f' && is_numbered && bytes == sizeof(long double)) return copy(H5T_NATIVE_LDOUBLE);
    if (name[0] == 'U' && is_numbered) refuse(dtype, "NumPy's strings of UCS-4");
    refuse(dtype, "an element type of other formats");
  }
  static Hid opaque(std::size_t bytes, const std::string& tag) {
    Hid type(H5Tcreate(H5T_OPAQUE, bytes), &H5Tclose);
    H5Tset_tag(type, tag.c_str());
    return type;
  }

  Hid record(const DType& dtype) const {
    Hid type(H5Tcreate(H5T_COMPOUND, dtype.item_bytes()), &H5Tclose);
    for (const Field& field : dtype.fields()) {
      Hid member = make(field.dtype);
      if (!field.shape.empty()) {
        std::vector<hsize_t> dims(field.shape.begin(), field.shape.end());
        member = Hid(H5Tarray_create2(member, static_cast<unsigned>(dims.size()), dims.data()), &H5Tclose);
      }
      if (field.name.empty() || field.name.find('\0') != std::string::npos || !member ||
          H5Tinsert(type, field.name.c_str(), field.offset_bytes, member) < 0)
        fail_hdf5(Errc::unsupported, doing_,
                  "elements of " + dtype.name() + ": HDF5 cannot have the field '" +
                      std::string(field.name.c_str()) +
                      "'; expected fields apart, with names and at least one element");
    }
    if (dtype.fields().empty()) refuse(dtype, "records without fields");
    return type;
  }

  std::string doing_;
};

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI
