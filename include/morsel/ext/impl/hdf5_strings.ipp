#pragma once

#include <morsel/ext/hdf5.hpp>
#include <morsel/ext/impl/hdf5_open.ipp>

namespace morsel::inline MORSEL_ABI {

struct hdf5::Strings::State {
  std::shared_ptr<detail::Hdf5File> file;
  std::string path, place;
  Shape shape, chunks;
  std::vector<std::string> dims;
  Attributes attributes;
  std::vector<CodecInfo> codecs;
  // Some elements along the last axis, from `first` on.
  Dims first;
  std::vector<std::string> kept;
  static constexpr Index most_kept = 512;

  void read(const Dims& from) {
    const std::string doing = "reading '" + place + "', element " + to_string(from);
    const std::size_t rank = shape.size();
    const Index count = rank == 0 ? 1 : std::min(most_kept, shape[rank - 1] - from[rank - 1]);
    const detail::Hdf5Lock lock;
    file->file().require_unchanged();
    const detail::Hid access = detail::hdf5_dataset_access(*file, true);
    const detail::Hid dataset(H5Dopen2(file->handle(doing), ("/" + path).c_str(), access), &H5Dclose);
    if (!dataset)
      detail::fail_hdf5(Errc::corrupt_data, doing, "the dataset cannot be opened; expected it where it was");
    const detail::Hid type(H5Dget_type(dataset), &H5Tclose), space(H5Dget_space(dataset), &H5Sclose);
    hsize_t start[H5S_MAX_RANK] = {}, counts[H5S_MAX_RANK] = {};
    for (std::size_t i = 0; i < rank; ++i) {
      start[i] = static_cast<hsize_t>(from[i]);
      counts[i] = i + 1 == rank ? static_cast<hsize_t>(count) : 1;
    }
    const detail::Hid memory(
        rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(rank), counts, nullptr),
        &H5Sclose);
    bool good = type && space && memory;
    if (good && rank > 0)
      good = H5Sselect_hyperslab(space, H5S_SELECT_SET, start, nullptr, counts, nullptr) >= 0;
    std::vector<char*> texts(static_cast<std::size_t>(count), nullptr);
    if (!good || H5Dread(dataset, type, memory, space, H5P_DEFAULT, texts.data()) < 0)
      detail::fail_hdf5(Errc::corrupt_data, doing, "libhdf5 cannot read it; expected strings");
    kept.clear();
    for (const char* text : texts) kept.emplace_back(text ? text : "");
    H5Dvlen_reclaim(type, memory, H5P_DEFAULT, texts.data());
    first = from;
  }
};

MORSEL_INLINE std::optional<hdf5::Strings> hdf5::Strings::open(const std::string& path) {
  const FoundFormat found = find_format(path);
  if (found.format->name != "hdf5") return std::nullopt;
  const std::string doing = "open '" + path + "'";
  const detail::Hdf5Lock lock;
  auto state = std::make_shared<State>();
  state->file = detail::Hdf5File::at(found.place.path);
  const hid_t file = state->file->handle(doing);
  const std::optional<detail::Hdf5Target> target = detail::hdf5_find(file, found.inside, doing);
  if (!target || target->object.kind != detail::Hdf5Object::Kind::dataset || !target->rest.empty())
    return std::nullopt;
  const detail::Hid access = detail::hdf5_dataset_access(*state->file, true);
  const detail::Hid dataset(H5Dopen2(file, ("/" + target->path).c_str(), access), &H5Dclose);
  if (!dataset) return std::nullopt;
  const detail::Hid type(H5Dget_type(dataset), &H5Tclose), space(H5Dget_space(dataset), &H5Sclose),
      properties(H5Dget_create_plist(dataset), &H5Pclose);
  if (!type || !space || !properties || H5Tis_variable_str(type) <= 0 ||
      H5Sget_simple_extent_type(space) == H5S_NULL)
    return std::nullopt;
  hsize_t dims[H5S_MAX_RANK] = {};
  const int rank = H5Sget_simple_extent_ndims(space);
  if (rank < 0 || rank > H5S_MAX_RANK) return std::nullopt;
  if (rank > 0) H5Sget_simple_extent_dims(space, dims, nullptr);
  for (int i = 0; i < rank; ++i) state->shape.push_back(static_cast<Index>(dims[i]));
  size_of(state->shape);  // refuses what no index counts
  if (H5Pget_layout(properties) == H5D_CHUNKED && H5Pget_chunk(properties, H5S_MAX_RANK, dims) == rank)
    for (int i = 0; i < rank; ++i) state->chunks.push_back(static_cast<Index>(dims[i]));
  state->path = target->path;
  state->place = path;
  state->dims = detail::hdf5_dims(dataset, state->shape.size());
  state->attributes = detail::hdf5_attributes(dataset);
  state->codecs = detail::hdf5_pipeline(properties, H5Tget_size(type), doing).shown;
  Strings strings;
  strings.state_ = std::move(state);
  return strings;
}

MORSEL_INLINE const Shape& hdf5::Strings::shape() const { return state_->shape; }
MORSEL_INLINE const Shape& hdf5::Strings::chunks() const { return state_->chunks; }
MORSEL_INLINE const std::vector<std::string>& hdf5::Strings::dims() const { return state_->dims; }
MORSEL_INLINE const Attributes& hdf5::Strings::attributes() const { return state_->attributes; }
MORSEL_INLINE const std::vector<CodecInfo>& hdf5::Strings::codecs() const { return state_->codecs; }

MORSEL_INLINE const std::string& hdf5::Strings::at(const Dims& index) const {
  State& s = *state_;
  const std::size_t rank = s.shape.size();
  bool good = index.size() == rank;
  for (std::size_t i = 0; good && i < rank; ++i) good = index[i] >= 0 && index[i] < s.shape[i];
  if (!good)
    fail(Errc::out_of_range, "reading '" + s.place + "': no such element; expected an index within " +
                                 to_string(s.shape) + ", got " + to_string(index));
  const auto is_kept = [&] {
    if (s.kept.empty()) return false;
    for (std::size_t i = 0; i + 1 < rank; ++i)
      if (index[i] != s.first[i]) return false;
    return rank == 0 || (index[rank - 1] >= s.first[rank - 1] &&
                         index[rank - 1] - s.first[rank - 1] < static_cast<Index>(s.kept.size()));
  };
  if (!is_kept()) s.read(index);
  return s.kept[rank == 0 ? 0 : static_cast<std::size_t>(index[rank - 1] - s.first[rank - 1])];
}

}  // namespace morsel::inline MORSEL_ABI
