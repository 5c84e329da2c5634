#pragma once

#include <morsel/array/attributes.hpp>
#include <morsel/ext/impl/hdf5_type.ipp>
#include <morsel/io/attributes_json.hpp>
#include <morsel/io/format.hpp>
#include <set>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// Attributes beyond this are not read: null.
inline constexpr hsize_t most_attribute_bytes = hsize_t{64} << 20;

/// The path of the object that a reference names, "" if none. Both kinds of HDF5 1.10.
MORSEL_INLINE std::string hdf5_reference_path(hid_t from, H5R_type_t kind, const void* reference) {
  const ssize_t length = H5Rget_name(from, kind, reference, nullptr, 0);
  if (length <= 0) return {};
  std::string name(static_cast<std::size_t>(length) + 1, '\0');
  if (H5Rget_name(from, kind, reference, name.data(), name.size()) <= 0) return {};
  name.resize(static_cast<std::size_t>(length));
  return name;
}

/// Values of native types as JSON text.
class Hdf5JsonWriter {
 public:
  explicit Hdf5JsonWriter(hid_t owner) : owner_(owner) {}
  std::string text;

  /// One value of a native type.
  void value(hid_t type, const std::byte* at) {
    switch (H5Tget_class(type)) {
      case H5T_INTEGER:
        return integer(type, at, H5Tget_sign(type) != H5T_SGN_NONE);
      case H5T_BITFIELD:
      case H5T_TIME:
        return integer(type, at, false);
      case H5T_FLOAT:
        return number(type, at);
      case H5T_STRING:
        return string(type, at);
      case H5T_ENUM:
        return enumeration(type, at);
      case H5T_COMPOUND:
        return record(type, at);
      case H5T_ARRAY: {
        const int rank = H5Tget_array_ndims(type);
        std::vector<hsize_t> dims(static_cast<std::size_t>(std::max(rank, 0)));
        if (rank > 0) H5Tget_array_dims2(type, dims.data());
        const Hid base(H5Tget_super(type), &H5Tclose);
        return nested(base, at, dims);
      }
      case H5T_VLEN: {
        hvl_t list;
        std::memcpy(&list, at, sizeof list);
        const Hid base(H5Tget_super(type), &H5Tclose);
        return nested(base, static_cast<const std::byte*>(list.p), {list.p ? hsize_t{list.len} : 0});
      }
      case H5T_REFERENCE: {
        const bool is_object = H5Tequal(type, H5T_STD_REF_OBJ) > 0;
        if (!is_object && H5Tequal(type, H5T_STD_REF_DSETREG) <= 0) {
          text += "null";
          return;
        }
        const std::string path = hdf5_reference_path(owner_, is_object ? H5R_OBJECT : H5R_DATASET_REGION, at);
        text += path.empty() ? "null" : json_string(path);
        return;
      }
      case H5T_OPAQUE: {
        text += "[";
        const std::size_t bytes = H5Tget_size(type);
        for (std::size_t i = 0; i < bytes; ++i)
          text += (i > 0 ? "," : "") + std::to_string(std::to_integer<int>(at[i]));
        text += "]";
        return;
      }
      default:
        text += "null";
    }
  }

  /// Values one behind the other, nested by their extents.
  void nested(hid_t type, const std::byte* at, const std::vector<hsize_t>& dims) {
    const std::byte* next = at;
    nest(type, next, dims, 0, H5Tget_size(type));
  }

 private:
  void nest(hid_t type, const std::byte*& at, const std::vector<hsize_t>& dims, std::size_t axis,
            std::size_t bytes) {
    if (axis == dims.size()) {
      value(type, at);
      at += bytes;
      return;
    }
    text += "[";
    for (hsize_t i = 0; i < dims[axis]; ++i) {
      if (i > 0) text += ",";
      nest(type, at, dims, axis + 1, bytes);
    }
    text += "]";
  }
  void integer(hid_t type, const std::byte* at, bool is_signed) {
    const std::size_t bytes = H5Tget_size(type);
    std::uint64_t bits = 0;
    if (bytes > 8) {
      text += "null";
      return;
    }
    for (std::size_t i = 0; i < bytes; ++i) {
      const std::size_t k = std::endian::native == std::endian::little ? i : bytes - 1 - i;
      bits |= std::to_integer<std::uint64_t>(at[k]) << 8 * i;
    }
    if (!is_signed) {
      text += std::to_string(bits);
      return;
    }
    const unsigned unused = static_cast<unsigned>(64 - 8 * bytes);
    text += std::to_string(static_cast<std::int64_t>(bits << unused) >> unused);
  }
  void number(hid_t type, const std::byte* at) {
    if (H5Tequal(type, H5T_NATIVE_FLOAT) > 0) {
      float value;
      std::memcpy(&value, at, sizeof value);
      text += json_number(value);
      return;
    }
    if (H5Tequal(type, H5T_NATIVE_DOUBLE) > 0) {
      double value;
      std::memcpy(&value, at, sizeof value);
      text += json_number(value);
      return;
    }
    // Other floats through the library, which converts in place.
    std::byte room[64] = {};
    const std::size_t bytes = H5Tget_size(type);
    if (bytes > sizeof room) {
      text += "null";
      return;
    }
    std::memcpy(room, at, bytes);
    if (H5Tconvert(type, H5T_NATIVE_DOUBLE, 1, room, nullptr, H5P_DEFAULT) < 0) {
      text += "null";
      return;
    }
    double value;
    std::memcpy(&value, room, sizeof value);
    text += json_number(value);
  }
  void string(hid_t type, const std::byte* at) {
    if (H5Tis_variable_str(type) > 0) {
      const char* characters;
      std::memcpy(&characters, at, sizeof characters);
      text += characters ? json_string(characters) : "\"\"";
      return;
    }
    std::string_view all(reinterpret_cast<const char*>(at), H5Tget_size(type));
    if (H5Tget_strpad(type) == H5T_STR_SPACEPAD)
      all = all.substr(0, all.find_last_not_of(' ') + 1);
    else if (H5Tget_strpad(type) == H5T_STR_NULLTERM)
      all = all.substr(0, all.find('\0'));
    else
      all = all.substr(0, all.find_last_not_of('\0') + 1);
    text += json_string(all);
  }
  void enumeration(hid_t type, const std::byte* at) {
    const Hid base(H5Tget_super(type), &H5Tclose);
    if (H5Tget_nmembers(type) == 2 && H5Tget_size(type) == 1) {
      char name[8] = {};
      if (H5Tenum_nameof(type, at, name, sizeof name) >= 0) {
        if (std::string_view(name) == "TRUE" || std::string_view(name) == "FALSE") {
          text += name[0] == 'T' ? "true" : "false";
          return;
        }
      }
    }
    if (base)
      value(base, at);
    else
      text += "null";
  }
  void record(hid_t type, const std::byte* at) {
    const int members = H5Tget_nmembers(type);
    std::vector<std::pair<std::string, Hid>> parts;
    for (unsigned i = 0; i < static_cast<unsigned>(std::max(members, 0)); ++i) {
      char* name = H5Tget_member_name(type, i);
      parts.emplace_back(name ? name : "", Hid(H5Tget_member_type(type, i), &H5Tclose));
      H5free_memory(name);
    }
    const bool is_complex = parts.size() == 2 && parts[0].first == "r" && parts[1].first == "i" &&
                            H5Tget_class(parts[0].second) == H5T_FLOAT &&
                            H5Tget_class(parts[1].second) == H5T_FLOAT;
    text += is_complex ? "[" : "{";
    for (unsigned i = 0; i < parts.size(); ++i) {
      if (i > 0) text += ",";
      if (!is_complex) text += json_string(parts[i].first) + ":";
      if (parts[i].second)
        value(parts[i].second, at + H5Tget_member_offset(type, i));
      else
        text += "null";
    }
    text += is_complex ? "]" : "}";
  }
  hid_t owner_;
};

/// The value of an attribute as JSON text; null for what has no value or cannot be read. **Requires**: the
/// lock.
MORSEL_INLINE std::string hdf5_attribute_json(hid_t attribute) {
  const Hid type(H5Aget_type(attribute), &H5Tclose), space(H5Aget_space(attribute), &H5Sclose);
  if (!type || !space) return "null";
  const H5S_class_t kind = H5Sget_simple_extent_type(space);
  if (kind == H5S_NULL || kind == H5S_NO_CLASS) return "null";
  const Hid native(H5Tget_native_type(type, H5T_DIR_ASCEND), &H5Tclose);
  const hid_t memory = native ? static_cast<hid_t>(native) : static_cast<hid_t>(type);
  const int rank = H5Sget_simple_extent_ndims(space);
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  const std::size_t bytes = H5Tget_size(memory);
  if (rank < 0 || count < 0 || bytes == 0 || static_cast<hsize_t>(count) > most_attribute_bytes / bytes)
    return "null";
  std::vector<hsize_t> dims(static_cast<std::size_t>(rank));
  if (rank > 0) H5Sget_simple_extent_dims(space, dims.data(), nullptr);
  std::vector<std::byte> room(std::max<std::size_t>(1, static_cast<std::size_t>(count) * bytes));
  if (H5Aread(attribute, memory, room.data()) < 0) return "null";
  Hdf5JsonWriter writer(attribute);
  writer.nested(memory, room.data(), dims);
  H5Dvlen_reclaim(memory, space, H5P_DEFAULT, room.data());
  return std::move(writer.text);
}

/// Names of attributes: in the order in which they were made where the file keeps it, else by name.
MORSEL_INLINE std::vector<std::string> hdf5_attribute_names(hid_t object) {
  unsigned order = 0;
  const bool is_group = H5Iget_type(object) != H5I_DATASET;
  const Hid properties(is_group ? H5Gget_create_plist(object) : H5Dget_create_plist(object), &H5Pclose);
  if (properties) H5Pget_attr_creation_order(properties, &order);
  std::vector<std::string> names;
  hsize_t at = 0;
  const auto add = [](hid_t, const char* name, const H5A_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  if (order & H5P_CRT_ORDER_TRACKED) {
    if (H5Aiterate2(object, H5_INDEX_CRT_ORDER, H5_ITER_INC, &at, add, &names) >= 0) return names;
    names.clear();
    at = 0;
  }
  H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, &at, add, &names);
  return names;
}

/// All attributes of a group or dataset. **Requires**: the lock.
MORSEL_INLINE Attributes hdf5_attributes(hid_t object) {
  Attributes attributes;
  for (const std::string& name : hdf5_attribute_names(object)) {
    const Hid attribute(H5Aopen(object, name.c_str(), H5P_DEFAULT), &H5Aclose);
    attributes.emplace_back(name, attribute ? hdf5_attribute_json(attribute) : "null");
  }
  return attributes;
}

/// Types of the attributes that are plain numbers.
MORSEL_INLINE AttributeTypes hdf5_attribute_types(hid_t object) {
  AttributeTypes types;
  for (const std::string& name : hdf5_attribute_names(object)) {
    const Hid attribute(H5Aopen(object, name.c_str(), H5P_DEFAULT), &H5Aclose);
    if (!attribute) continue;
    const Hid type(H5Aget_type(attribute), &H5Tclose);
    if (!type) continue;
    const std::size_t bytes = H5Tget_size(type);
    if (H5Tget_class(type) == H5T_FLOAT && (bytes == 4 || bytes == 8))
      types.emplace_back(name, bytes == 4 ? Type::float32 : Type::float64);
    if (H5Tget_class(type) == H5T_INTEGER)
      for (const Type known : {Type::int8, Type::int16, Type::int32, Type::int64, Type::uint8, Type::uint16,
                               Type::uint32, Type::uint64})
        if (item_bytes_of(known) == bytes && is_signed_integer(known) == (H5Tget_sign(type) != H5T_SGN_NONE))
          types.emplace_back(name, known);
  }
  return types;
}

/// Text of an attribute of one string; "" if there is none.
MORSEL_INLINE std::string hdf5_text_attribute(hid_t object, const char* name) {
  if (H5Aexists(object, name) <= 0) return {};
  const Hid attribute(H5Aopen(object, name, H5P_DEFAULT), &H5Aclose);
  if (!attribute) return {};
  const Hid type(H5Aget_type(attribute), &H5Tclose), space(H5Aget_space(attribute), &H5Sclose);
  if (!type || !space || H5Tget_class(type) != H5T_STRING || H5Sget_simple_extent_npoints(space) != 1)
    return {};
  if (H5Tis_variable_str(type) > 0) {
    char* text = nullptr;
    const Hid memory(H5Tcopy(type), &H5Tclose);
    if (H5Aread(attribute, memory, &text) < 0 || !text) return {};
    std::string copy(text);
    H5free_memory(text);
    return copy;
  }
  std::string text(H5Tget_size(type), '\0');
  if (H5Aread(attribute, type, text.data()) < 0) return {};
  return text.substr(0, text.find('\0'));
}

MORSEL_INLINE std::string last_name(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

/// Name of an open object in its file: the path by which it was found.
MORSEL_INLINE std::string hdf5_name(hid_t object) {
  const ssize_t length = H5Iget_name(object, nullptr, 0);
  if (length <= 0) return {};
  std::string name(static_cast<std::size_t>(length) + 1, '\0');
  H5Iget_name(object, name.data(), name.size());
  name.resize(static_cast<std::size_t>(length));
  return name;
}

/// Whole numbers of an attribute; none if it is not there or holds others.
MORSEL_INLINE std::vector<int> hdf5_integers_attribute(hid_t from, const char* name,
                                                       const std::string& object = ".") {
  if (H5Aexists_by_name(from, object.c_str(), name, H5P_DEFAULT) <= 0) return {};
  const Hid attribute(H5Aopen_by_name(from, object.c_str(), name, H5P_DEFAULT, H5P_DEFAULT), &H5Aclose);
  const Hid type(attribute ? H5Aget_type(attribute) : H5I_INVALID_HID, &H5Tclose);
  const Hid space(attribute ? H5Aget_space(attribute) : H5I_INVALID_HID, &H5Sclose);
  if (!type || !space || H5Tget_class(type) != H5T_INTEGER) return {};
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  if (count < 1 || count > H5S_MAX_RANK) return {};
  std::vector<int> values(static_cast<std::size_t>(count));
  if (H5Aread(attribute, H5T_NATIVE_INT, values.data()) < 0) return {};
  return values;
}

/// Names for the axes of a NetCDF-4 variable that is a dimension's own and has more of them: dimensions go by
/// numbers there, in its group or one above.
MORSEL_INLINE void find_netcdf_dims(hid_t dataset, std::vector<std::string>& names) {
  const std::vector<int> numbers = hdf5_integers_attribute(dataset, "_Netcdf4Coordinates");
  if (numbers.size() != names.size()) return;
  std::string path = hdf5_name(dataset);
  while (!path.empty()) {
    path.erase(path.rfind('/'));
    const Hid group(H5Gopen2(dataset, path.empty() ? "/" : path.c_str(), H5P_DEFAULT), &H5Gclose);
    if (!group) return;
    std::vector<std::string> members;
    hsize_t at = 0;
    const auto add = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
      static_cast<std::vector<std::string>*>(out)->emplace_back(name);
      return 0;
    };
    if (H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, &at, add, &members) < 0) return;
    for (const std::string& member : members) {
      const std::optional<Hdf5Object> object = hdf5_object(group, "./" + member);
      if (!object || object->kind != Hdf5Object::Kind::dataset) continue;
      // By name: a dataset that is open is not opened again with other properties.
      const std::vector<int> number = hdf5_integers_attribute(group, "_Netcdf4Dimid", "./" + member);
      for (std::size_t i = 0; i < names.size(); ++i)
        if (number.size() == 1 && number[0] == numbers[i] && names[i].empty()) names[i] = member;
    }
  }
}

/// Names of a dataset's axes: of the dimension scales that are attached to them, else their labels; empty if
/// no axis has one. A scale is its own axis. **Source**: HDF5 Dimension Scale Specification; NetCDF-4 Format
/// Specification (_Netcdf4Coordinates).
MORSEL_INLINE std::vector<std::string> hdf5_dims(hid_t dataset, std::size_t rank) {
  std::vector<std::string> names(rank);
  const auto found = [&] {
    for (std::string& name : names)
      if (!name.empty()) return true;
    return false;
  };
  if (H5Aexists(dataset, "DIMENSION_LIST") > 0) {
    const Hid attribute(H5Aopen(dataset, "DIMENSION_LIST", H5P_DEFAULT), &H5Aclose);
    const Hid type(attribute ? H5Aget_type(attribute) : H5I_INVALID_HID, &H5Tclose);
    const Hid space(attribute ? H5Aget_space(attribute) : H5I_INVALID_HID, &H5Sclose);
    const Hid base(type && H5Tget_class(type) == H5T_VLEN ? H5Tget_super(type) : H5I_INVALID_HID, &H5Tclose);
    if (base && space && H5Tequal(base, H5T_STD_REF_OBJ) > 0 &&
        H5Sget_simple_extent_npoints(space) == static_cast<hssize_t>(rank)) {
      std::vector<hvl_t> lists(rank);
      const Hid memory(H5Tvlen_create(H5T_STD_REF_OBJ), &H5Tclose);
      if (H5Aread(attribute, memory, lists.data()) >= 0) {
        for (std::size_t i = 0; i < rank; ++i)
          if (lists[i].len > 0 && lists[i].p)
            names[i] = last_name(hdf5_reference_path(dataset, H5R_OBJECT, lists[i].p));
        H5Dvlen_reclaim(memory, space, H5P_DEFAULT, lists.data());
      }
    }
    if (found()) return names;
  }
  if (rank >= 1 && hdf5_text_attribute(dataset, "CLASS") == "DIMENSION_SCALE") {
    if (rank == 1)
      names[0] = last_name(hdf5_name(dataset));
    else
      find_netcdf_dims(dataset, names);
    if (found()) return names;
  }
  if (H5Aexists(dataset, "DIMENSION_LABELS") > 0) {
    const Hid attribute(H5Aopen(dataset, "DIMENSION_LABELS", H5P_DEFAULT), &H5Aclose);
    const Hid type(attribute ? H5Aget_type(attribute) : H5I_INVALID_HID, &H5Tclose);
    const Hid space(attribute ? H5Aget_space(attribute) : H5I_INVALID_HID, &H5Sclose);
    if (type && space && H5Tis_variable_str(type) > 0 &&
        H5Sget_simple_extent_npoints(space) == static_cast<hssize_t>(rank)) {
      std::vector<char*> texts(rank, nullptr);
      if (H5Aread(attribute, type, texts.data()) >= 0) {
        for (std::size_t i = 0; i < rank; ++i)
          if (texts[i]) names[i] = texts[i];
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, texts.data());
      }
    }
    if (found()) return names;
  }
  return {};
}

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI
