#pragma once

#include <algorithm>
#include <cstring>
#include <limits>
#include <morsel/array/attributes.hpp>
#include <morsel/array/dtype.hpp>
#include <morsel/ext/impl/hdf5_make_type.ipp>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// JSON values as attributes of an object: text, numbers and bool, and lists of equal ones, are what HDF5 has
/// for them, all else is its JSON text. **Requires**: the lock.
class Hdf5AttributeWriter {
 public:
  /// `dtype`: of the dataset, for attributes that are elements of it.
  Hdf5AttributeWriter(hid_t object, DType dtype, std::string doing)
      : object_(object), dtype_(std::move(dtype)), doing_(std::move(doing)) {}

  void write(const std::string& name, const std::string& json) const {
    const std::string doing = doing_ + ", attribute '" + std::string(name.c_str()) + "'";
    if (name.empty() || name.find('\0') != std::string::npos)
      fail(Errc::unsupported, doing + ": not a name in HDF5; expected one without NUL that is not empty");
    const Json value = Json::parse(json, nullptr, false);
    if (value.is_discarded())
      fail(Errc::invalid_argument, doing + ": not JSON; expected a value, got " + json.substr(0, 80));
    if (H5Aexists(object_, name.c_str()) > 0) H5Adelete(object_, name.c_str());
    Values values = classified(value);
    if (values.kind == Kind::integer || values.kind == Kind::real) as_elements(name, values);
    put(name, values, value, json, doing);
  }

 private:
  using Json = nlohmann::ordered_json;
  enum class Kind : std::uint8_t { none, null, boolean, integer, real, text, other };
  struct Values {
    Kind kind = Kind::none;
    bool is_unsigned = false;  // some are above the largest int64
    bool is_negative = false;
    std::vector<hsize_t> dims;  // none: one value
    std::vector<const Json*> leaves;
    DType dtype = Type::float64;  // of numbers
  };

  static bool is_word(const Json& value) {
    if (!value.is_string()) return false;
    const auto& text = value.get_ref<const std::string&>();
    return text == "NaN" || text == "Infinity" || text == "-Infinity";
  }
  static double number(const Json& value) {
    if (!value.is_string()) return value.get<double>();
    const auto& text = value.get_ref<const std::string&>();
    const double infinity = std::numeric_limits<double>::infinity();
    return text == "NaN"        ? std::numeric_limits<double>::quiet_NaN()
           : text == "Infinity" ? infinity
                                : -infinity;
  }

  static Values classified(const Json& value) {
    Values values;
    if (!collect(value, 0, values)) values.kind = Kind::other;
    if (values.kind == Kind::none) values.kind = Kind::real;  // an empty list
    bool has_words = false, has_numbers = false, has_text = false;
    if (values.kind == Kind::other) return values;
    for (const Json* leaf : values.leaves) {
      has_words |= is_word(*leaf);
      has_text |= leaf->is_string() && !is_word(*leaf);
      has_numbers |= leaf->is_number();
    }
    // Numbers that JSON has no spelling for stand among others, or they are text.
    if (has_numbers && has_text) values.kind = Kind::other;
    if (values.kind == Kind::text && has_numbers) values.kind = Kind::real;
    if (has_words && has_numbers && !has_text) values.kind = Kind::real;
    if (values.kind == Kind::integer && values.is_unsigned && values.is_negative) values.kind = Kind::real;
    values.dtype = values.kind != Kind::integer ? Type::float64
                   : values.is_unsigned         ? Type::uint64
                                                : Type::int64;
    return values;
  }

  /// Adds a value and what is in it; false for what is no regular list of equal things.
  static bool collect(const Json& value, std::size_t depth, Values& values) {
    if (value.is_array()) {
      if (depth >= H5S_MAX_RANK || (!values.leaves.empty() && depth >= values.dims.size())) return false;
      if (depth == values.dims.size())
        values.dims.push_back(value.size());
      else if (values.dims[depth] != value.size())
        return false;
      for (const Json& element : value)
        if (!collect(element, depth + 1, values)) return false;
      return true;
    }
    if (depth != values.dims.size()) return false;
    Kind kind = Kind::other;
    if (value.is_null() && depth == 0) kind = Kind::null;
    if (value.is_boolean()) kind = Kind::boolean;
    if (value.is_number_integer()) kind = Kind::integer;
    if (value.is_number_float()) kind = Kind::real;
    if (value.is_string()) kind = Kind::text;
    if (value.is_number_unsigned())
      values.is_unsigned |=
          value.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    else if (value.is_number_integer())
      values.is_negative |= value.get<std::int64_t>() < 0;
    values.leaves.push_back(&value);
    const auto is_number = [](Kind k) { return k == Kind::integer || k == Kind::real; };
    if (kind == Kind::other) return false;
    if (values.kind == Kind::none || values.kind == kind)
      values.kind = kind;
    else if (is_number(values.kind) && is_number(kind))
      values.kind = Kind::real;
    else if (!(is_number(values.kind) && is_word(value)) && !(values.kind == Kind::text && is_number(kind)))
      return false;  // what may be numbers and their words is decided at the end
    return true;
  }

  /// Attributes that NetCDF wants in the type of the variable. **Source**: NetCDF Users' Guide, attribute
  /// conventions.
  void as_elements(const std::string& name, Values& values) const {
    constexpr const char* names[] = {"_FillValue", "missing_value", "valid_min", "valid_max", "valid_range"};
    const Type type = dtype_.type();
    if (std::find(std::begin(names), std::end(names), name) == std::end(names)) return;
    if (is_floating(type)) {
      values.dtype = type;
      values.kind = Kind::real;
      return;
    }
    if (!is_integer(type) || values.kind != Kind::integer) return;
    const bool fits = visit_type(type, [&]<class T>() {
      if constexpr (is_integer(type_of<T>))
        for (const Json* leaf : values.leaves)
          if (leaf->is_number_unsigned() ? !std::in_range<T>(leaf->get<std::uint64_t>())
                                         : !std::in_range<T>(leaf->get<std::int64_t>()))
            return false;
      return true;
    });
    if (fits) values.dtype = type;
  }

  void put(const std::string& name, const Values& values, const Json& value, const std::string& json,
           const std::string& doing) const {
    const bool is_one = values.kind == Kind::other || values.dims.empty();
    const int rank = static_cast<int>(values.dims.size());
    const Hid space(values.kind == Kind::null ? H5Screate(H5S_NULL)
                    : is_one                  ? H5Screate(H5S_SCALAR)
                                              : H5Screate_simple(rank, values.dims.data(), nullptr),
                    &H5Sclose);
    if (values.kind == Kind::null || values.leaves.empty()) {
      Hid type(H5Tcopy(values.kind == Kind::null ? H5T_C_S1 : H5T_NATIVE_DOUBLE), &H5Tclose);
      if (values.kind == Kind::other) return put_text(name, {json}, space, doing);
      return put_bytes(name, type, space, nullptr, doing);
    }
    switch (values.kind) {
      case Kind::text: {
        std::vector<std::string> texts;
        for (const Json* leaf : values.leaves) texts.push_back(leaf->get<std::string>());
        // Alone, it may be a number of the dataset's type.
        if (is_word(value) && is_floating(dtype_.type())) {
          Values word = values;
          as_elements(name, word);
          if (word.kind == Kind::real) return put_numbers(name, word, space, doing);
        }
        return put_text(name, texts, space, doing);
      }
      case Kind::boolean: {
        std::vector<std::int8_t> flags;
        for (const Json* leaf : values.leaves) flags.push_back(leaf->get<bool>() ? 1 : 0);
        return put_bytes(name, Hdf5TypeMaker(doing).make(Type::bool_), space, flags.data(), doing);
      }
      case Kind::integer:
      case Kind::real:
        return put_numbers(name, values, space, doing);
      default:
        return put_text(name, {value.dump(-1, ' ', false, Json::error_handler_t::replace)}, space, doing);
    }
  }

  void put_numbers(const std::string& name, const Values& values, hid_t space,
                   const std::string& doing) const {
    const Hid type = Hdf5TypeMaker(doing).make(values.dtype);
    visit_type(values.dtype.type(), [&]<class T>() {
      if constexpr (!std::is_same_v<T, bool> && !is_complex(type_of<T>)) {
        std::vector<T> numbers;
        for (const Json* leaf : values.leaves) {
          if constexpr (is_integer(type_of<T>))
            numbers.push_back(leaf->is_number_unsigned() ? static_cast<T>(leaf->get<std::uint64_t>())
                                                         : static_cast<T>(leaf->get<std::int64_t>()));
          else
            numbers.push_back(static_cast<T>(number(*leaf)));
        }
        put_bytes(name, type, space, numbers.data(), doing);
      }
    });
  }

  /// Text as UTF-8 of variable length, as h5py writes it; with NUL in it, of a fixed one.
  void put_text(const std::string& name, const std::vector<std::string>& texts, hid_t space,
                const std::string& doing) const {
    Hid type(H5Tcopy(H5T_C_S1), &H5Tclose);
    H5Tset_cset(type, H5T_CSET_UTF8);
    std::size_t longest = 1;
    bool has_nul = false;
    for (const std::string& text : texts) {
      has_nul |= text.find('\0') != std::string::npos;
      longest = std::max(longest, text.size());
    }
    if (has_nul) {
      H5Tset_size(type, longest);
      H5Tset_strpad(type, H5T_STR_NULLPAD);
      std::string all;
      for (const std::string& text : texts) all += text + std::string(longest - text.size(), '\0');
      return put_bytes(name, type, space, all.data(), doing);
    }
    H5Tset_size(type, H5T_VARIABLE);
    std::vector<const char*> pointers;
    for (const std::string& text : texts) pointers.push_back(text.c_str());
    put_bytes(name, type, space, pointers.data(), doing);
  }

  void put_bytes(const std::string& name, hid_t type, hid_t space, const void* values,
                 const std::string& doing) const {
    const Hid creation(H5Pcreate(H5P_ATTRIBUTE_CREATE), &H5Pclose);
    H5Pset_char_encoding(creation, H5T_CSET_UTF8);
    const Hid made(H5Acreate2(object_, name.c_str(), type, space, creation, H5P_DEFAULT), &H5Aclose);
    if (!made || (values && H5Awrite(made, type, values) < 0))
      fail_hdf5(Errc::io_error, doing, "libhdf5 does not write it; expected an attribute");
  }

  hid_t object_;
  DType dtype_;
  std::string doing_;
};

/// Attributes of HDF5 and NetCDF-4 themselves, which say how dimension scales hang together: they are made
/// anew where they are needed, and mean nothing elsewhere. CLASS and NAME are others' too.
MORSEL_INLINE bool is_hdf5_bookkeeping(const Attributes& all, const std::string& name) {
  constexpr const char* names[] = {"DIMENSION_LIST", "REFERENCE_LIST",      "DIMENSION_LABELS",
                                   "_Netcdf4Dimid",  "_Netcdf4Coordinates", "_nc3_strict"};
  if (std::find(std::begin(names), std::end(names), name) != std::end(names)) return true;
  if (name != "CLASS" && name != "NAME") return false;
  for (const auto& [other, json] : all)
    if (other == "CLASS" && json == "\"DIMENSION_SCALE\"") return true;
  return false;
}

MORSEL_INLINE void write_hdf5_attributes(hid_t object, const Attributes& attributes, const DType& dtype,
                                         const std::string& doing) {
  const Hdf5AttributeWriter writer(object, dtype, doing);
  for (const auto& [name, json] : attributes)
    if (!is_hdf5_bookkeeping(attributes, name)) writer.write(name, json);
}

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI
