#pragma once

#include <algorithm>
#include <cstdio>
#include <map>
#include <morsel/array/dims.hpp>
#include <morsel/ext/impl/hdf5_attributes.ipp>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// An array whose axes have names.
struct NewScaledArray {
  std::string path;
  Shape shape;
  std::vector<std::string> dims;
  std::string scale_name;  ///< the attribute NAME of a scale that it was copied from; "": none
};

/// Makes and attaches the dimension scales of new arrays, so that NetCDF-4 finds its dimensions: for the axis
/// `x` of an array the dataset `x` in its group or one above, which is made if there is none. Where a name
/// cannot be one (another array has it, or the same dimension another length), the axes get labels.
/// **Source**: HDF5 Dimension Scale Specification; NetCDF-4 File Format Specification. **Requires**: the
/// lock.
class Hdf5ScaleWriter {
 public:
  Hdf5ScaleWriter(hid_t file, const std::vector<NewScaledArray>& arrays, std::string doing)
      : file_(file), arrays_(arrays), doing_(std::move(doing)) {}

  void write() {
    // Arrays that are coordinates first: they are their own axis.
    for (const NewScaledArray& array : arrays_)
      if (array.shape.size() == 1 && !array.dims.empty() && array.dims[0] == last_name(array.path))
        make_scale(array.path, array.scale_name.empty() ? array.dims[0] : array.scale_name);
    for (const NewScaledArray& array : arrays_) attach(array);
    for (const auto& [scale, references] : references_) write_references(scale, references);
  }

 private:
  struct Reference {
    hobj_ref_t dataset;
    int axis;
  };
  struct Scale {
    std::string path;
    bool is_there = false;
  };

  static std::string above(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? "" : path.substr(0, slash);
  }
  static std::string joined_path(const std::string& group, const std::string& name) {
    return group.empty() ? name : group + "/" + name;
  }
  Hid dataset(const std::string& path) const {
    return Hid(H5Dopen2(file_, ("/" + path).c_str(), H5P_DEFAULT), &H5Dclose);
  }

  /// The scale of an axis; nothing if the name cannot be one.
  std::optional<Scale> find(const NewScaledArray& array, std::size_t axis) const {
    const std::string& name = array.dims[axis];
    if (name.find('/') != std::string::npos || name.find('\0') != std::string::npos || name == ".")
      return std::nullopt;
    const std::string home = above(array.path);
    for (std::string group = home;; group = above(group)) {
      const std::string path = joined_path(group, name);
      if (path == array.path) return std::nullopt;
      if (H5Lexists(file_, ("/" + path).c_str(), H5P_DEFAULT) > 0) {
        if (fits(path, array.shape[axis])) return Scale{path, true};
        if (group == home) return std::nullopt;
        break;
      }
      if (group.empty()) break;
    }
    return Scale{joined_path(home, name), false};
  }

  /// Can the object be a scale of that length?
  bool fits(const std::string& path, Index length) const {
    const std::optional<Hdf5Object> object = hdf5_object(file_, "/" + path);
    if (!object || object->kind != Hdf5Object::Kind::dataset) return false;
    const Hid found = dataset(path);
    const Hid space(found ? H5Dget_space(found) : H5I_INVALID_HID, &H5Sclose);
    hsize_t extent = 0;
    if (!space || H5Sget_simple_extent_ndims(space) != 1 ||
        H5Sget_simple_extent_dims(space, &extent, nullptr) != 1 || extent != static_cast<hsize_t>(length))
      return false;
    if (H5Aexists(found, "DIMENSION_LIST") > 0) return false;
    if (H5Aexists(found, "CLASS") > 0) return hdf5_text_attribute(found, "CLASS") == "DIMENSION_SCALE";
    // A new array over other axes is no scale.
    return std::none_of(arrays_.begin(), arrays_.end(), [&](const NewScaledArray& array) {
      return array.path == path && !array.dims.empty() && array.dims[0] != last_name(path);
    });
  }

  void put_text(hid_t object, const char* name, const std::string& text) const {
    const Hid type(H5Tcopy(H5T_C_S1), &H5Tclose), space(H5Screate(H5S_SCALAR), &H5Sclose);
    H5Tset_size(type, text.size() + 1);
    const Hid made(H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT), &H5Aclose);
    if (!made || H5Awrite(made, type, text.c_str()) < 0) refuse(name);
  }
  [[noreturn]] void refuse(const std::string& what) const {
    fail_hdf5(Errc::io_error, doing_, "the attribute '" + what + "' cannot be written; expected room for it");
  }

  void make_scale(const std::string& path, const std::string& name) const {
    const Hid found = dataset(path);
    if (!found || H5Aexists(found, "CLASS") > 0) return;
    put_text(found, "CLASS", "DIMENSION_SCALE");
    if (H5Aexists(found, "NAME") <= 0) put_text(found, "NAME", name);
  }

  /// A dimension that has no values: NetCDF's mark for one is a dataset of big-endian floats without any.
  void make_empty_scale(const std::string& path, Index length) const {
    const auto extent = static_cast<hsize_t>(length);
    const Hid space(H5Screate_simple(1, &extent, nullptr), &H5Sclose);
    const Hid creation(H5Pcreate(H5P_DATASET_CREATE), &H5Pclose),
        links(H5Pcreate(H5P_LINK_CREATE), &H5Pclose);
    H5Pset_obj_track_times(creation, false);
    H5Pset_attr_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
    H5Pset_char_encoding(links, H5T_CSET_UTF8);
    {
      const Hid made(
          H5Dcreate2(file_, ("/" + path).c_str(), H5T_IEEE_F32BE, space, links, creation, H5P_DEFAULT),
          &H5Dclose);
      if (!made)
        fail_hdf5(Errc::io_error, doing_, "the dimension '" + path + "' cannot be made; expected a dataset");
    }
    char name[80];
    std::snprintf(name, sizeof name, "This is a netCDF dimension but not a netCDF variable.%10lld",
                  static_cast<long long>(length));
    make_scale(path, name);
  }

  void attach(const NewScaledArray& array) {
    const std::size_t rank = array.shape.size();
    if (std::all_of(array.dims.begin(), array.dims.end(), [](const std::string& d) { return d.empty(); }))
      return;
    if (rank == 1 && array.dims[0] == last_name(array.path)) return;  // itself
    std::vector<std::optional<Scale>> scales(rank);
    for (std::size_t i = 0; i < rank; ++i) {
      if (array.dims[i].empty()) continue;
      scales[i] = find(array, i);
      if (!scales[i]) return put_labels(array);
    }
    std::vector<hobj_ref_t> references(rank);
    std::vector<hvl_t> lists(rank, hvl_t{0, nullptr});
    for (std::size_t i = 0; i < rank; ++i) {
      if (!scales[i]) continue;
      const std::string& path = scales[i]->path;
      if (!scales[i]->is_there) make_empty_scale(path, array.shape[i]);
      make_scale(path, array.dims[i]);
      references[i] = reference_to(path);
      lists[i] = {1, &references[i]};
      references_[path].push_back({reference_to(array.path), static_cast<int>(i)});
    }
    const Hid type(H5Tvlen_create(H5T_STD_REF_OBJ), &H5Tclose);
    put_list(array.path, "DIMENSION_LIST", type, rank, lists.data());
  }

  void put_labels(const NewScaledArray& array) const {
    const Hid type(H5Tcopy(H5T_C_S1), &H5Tclose);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    std::vector<const char*> labels;
    for (const std::string& name : array.dims) labels.push_back(name.c_str());
    put_list(array.path, "DIMENSION_LABELS", type, labels.size(), labels.data());
  }

  void put_list(const std::string& path, const char* name, hid_t type, std::size_t count,
                const void* values) const {
    const Hid found = dataset(path);
    const auto extent = static_cast<hsize_t>(count);
    const Hid space(H5Screate_simple(1, &extent, nullptr), &H5Sclose);
    if (found && H5Aexists(found, name) > 0) H5Adelete(found, name);
    const Hid made(found ? H5Acreate2(found, name, type, space, H5P_DEFAULT, H5P_DEFAULT) : H5I_INVALID_HID,
                   &H5Aclose);
    if (!made || H5Awrite(made, type, values) < 0) refuse(name);
  }

  hobj_ref_t reference_to(const std::string& path) const {
    hobj_ref_t reference{};
    if (H5Rcreate(&reference, file_, ("/" + path).c_str(), H5R_OBJECT, H5I_INVALID_HID) < 0)
      refuse("DIMENSION_LIST");
    return reference;
  }

  /// Says of a scale which axes it belongs to, those of before included.
  void write_references(const std::string& path, const std::vector<Reference>& added) const {
    const Hid type(H5Tcreate(H5T_COMPOUND, sizeof(Reference)), &H5Tclose);
    H5Tinsert(type, "dataset", offsetof(Reference, dataset), H5T_STD_REF_OBJ);
    H5Tinsert(type, "dimension", offsetof(Reference, axis), H5T_NATIVE_INT);
    std::vector<Reference> all;
    {
      const Hid found = dataset(path);
      const Hid old(found && H5Aexists(found, "REFERENCE_LIST") > 0
                        ? H5Aopen(found, "REFERENCE_LIST", H5P_DEFAULT)
                        : H5I_INVALID_HID,
                    &H5Aclose);
      const Hid space(old ? H5Aget_space(old) : H5I_INVALID_HID, &H5Sclose);
      const hssize_t count = space ? H5Sget_simple_extent_npoints(space) : 0;
      if (count > 0 && count < (hssize_t{1} << 20)) {
        all.resize(static_cast<std::size_t>(count));
        if (H5Aread(old, type, all.data()) < 0) all.clear();
      }
    }
    all.insert(all.end(), added.begin(), added.end());
    put_list(path, "REFERENCE_LIST", type, all.size(), all.data());
  }

  hid_t file_;
  const std::vector<NewScaledArray>& arrays_;
  std::string doing_;
  std::map<std::string, std::vector<Reference>> references_;
};

MORSEL_INLINE void attach_scales(hid_t file, const std::vector<NewScaledArray>& arrays,
                                 const std::string& doing) {
  Hdf5ScaleWriter(file, arrays, doing).write();
}

}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI
