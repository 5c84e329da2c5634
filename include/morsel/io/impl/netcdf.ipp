#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <morsel/io/attributes_json.hpp>
#include <morsel/io/netcdf.hpp>
#include <morsel/io/store_key.hpp>
#include <mutex>
#include <unordered_set>

namespace morsel::inline MORSEL_ABI {

namespace detail {

inline constexpr Index most_netcdf_header_bytes = Index{256} << 20;
/// Attributes beyond this are not read: null.
inline constexpr Index most_netcdf_attribute_bytes = Index{64} << 20;

/// Big-endian numbers one after another from a file that may hold anything.
class NetcdfCursor {
 public:
  NetcdfCursor(const File& file, const std::string& doing) : file_(file), doing_(doing) {}

  Index at() const { return at_; }
  Index left() const { return file_.size_bytes() - at_; }

  /// The next bytes; valid until the next call.
  std::span<const std::byte> take(Index bytes) {
    need(bytes);
    if (at_ < begin_ || at_ + bytes > begin_ + static_cast<Index>(window_.size())) {
      begin_ = at_;
      window_.resize(static_cast<std::size_t>(std::min(left(), std::max(bytes, window_bytes))));
      file_.read(begin_, window_);
    }
    const auto taken =
        std::span(window_).subspan(static_cast<std::size_t>(at_ - begin_), static_cast<std::size_t>(bytes));
    at_ += bytes;
    return taken;
  }
  void skip(Index bytes) {
    need(bytes);
    at_ += bytes;
  }
  std::uint64_t number(Index bytes) {
    std::uint64_t value = 0;
    for (const std::byte byte : take(bytes)) value = value << 8 | std::to_integer<std::uint64_t>(byte);
    return value;
  }
  /// A size, a number of things or a position of `bytes`.
  Index size(Index bytes, const char* what) {
    const std::uint64_t value = number(bytes);
    if (value > static_cast<std::uint64_t>(std::numeric_limits<Index>::max()))
      corrupt(std::string("bad ") + what, "a number below 2^63", std::to_string(value));
    return static_cast<Index>(value);
  }
  [[noreturn]] void corrupt(const std::string& what, const std::string& expected,
                            const std::string& got) const {
    fail(Errc::corrupt_data, doing_ + ": " + what + " before byte " + std::to_string(at_) +
                                 " of the header; expected " + expected + ", got " + got);
  }

 private:
  static constexpr Index window_bytes = 16 << 10;

  void need(Index bytes) const {
    if (bytes > left())
      fail(Errc::corrupt_data, doing_ + ": the file ends in the header; expected " + std::to_string(bytes) +
                                   " bytes at " + std::to_string(at_) + ", got " + std::to_string(left()));
    if (bytes > most_netcdf_header_bytes - at_)
      fail(Errc::unsupported, doing_ + ": the header is too long; expected at most " +
                                  std::to_string(most_netcdf_header_bytes) + " bytes, got " +
                                  std::to_string(at_ + bytes) + " or more");
  }

  const File& file_;
  const std::string& doing_;
  Index at_ = 0, begin_ = 0;
  std::vector<std::byte> window_;
};

/// "1", "[1, 2]": native values of `dtype` as JSON.
MORSEL_INLINE std::string netcdf_json(const DType& dtype, std::span<const std::byte> values) {
  if (!dtype.is_numeric()) {
    std::string_view text(reinterpret_cast<const char*>(values.data()), values.size());
    while (!text.empty() && text.back() == '\0') text.remove_suffix(1);
    return json_string(text);
  }
  const std::size_t count = values.size() / dtype.item_bytes();
  return visit_type(dtype.type(), [&]<class T>() -> std::string {
    std::string text = count == 1 ? "" : "[";
    for (std::size_t i = 0; i < count; ++i) {
      if (i > 0) text += ", ";
      if constexpr (std::is_integral_v<T> || std::is_floating_point_v<T>) {
        T value;
        std::memcpy(&value, values.data() + i * sizeof(T), sizeof(T));
        if constexpr (std::is_floating_point_v<T>)
          text += json_number(value);
        else
          text += std::to_string(value);
      }
    }
    return count == 1 ? text : text + "]";
  });
}

/// Reads a header in the order of the grammar: magic, number of records, dimensions, attributes, variables.
class NetcdfHeaderReader {
 public:
  NetcdfHeaderReader(const File& file, const std::string& doing)
      : file_(file), doing_(doing), in_(file, doing) {}

  NetcdfHeader read() {
    read_magic();
    const std::uint64_t records = in_.number(wide());
    read_dimensions();
    header_.attributes = read_attributes();
    read_variables();
    place_records();
    const bool is_stream = records == (wide() == 4 ? 0xffffffffU : ~std::uint64_t{0});
    if (!is_stream && records > static_cast<std::uint64_t>(std::numeric_limits<Index>::max()))
      in_.corrupt("bad number of records", "one below 2^63", std::to_string(records));
    header_.records = is_stream ? records_in_file() : static_cast<Index>(records);
    for (NetcdfDimension& dimension : header_.dimensions)
      if (dimension.is_record) dimension.length = header_.records;
    check_places();
    header_.bytes = in_.at();
    return std::move(header_);
  }

 private:
  enum Tag : std::uint64_t { dimension_tag = 10, variable_tag = 11, attribute_tag = 12 };

  /// Bytes of sizes and of numbers of things.
  Index wide() const { return header_.version == 5 ? 8 : 4; }

  void read_magic() {
    if (in_.left() < 4)
      fail(Errc::corrupt_data, doing_ + ": no NetCDF classic file; expected CDF and a version, got " +
                                   std::to_string(in_.left()) + " bytes");
    const auto magic = in_.take(4);
    if (std::memcmp(magic.data(), "CDF", 3) != 0)
      fail(Errc::corrupt_data,
           doing_ + ": no NetCDF classic file; expected CDF and a version at its start, got other bytes");
    header_.version = std::to_integer<int>(magic[3]);
    if (header_.version != 1 && header_.version != 2 && header_.version != 5)
      fail(Errc::unsupported, doing_ +
                                  ": an unknown version of NetCDF classic files; expected 1, 2 or 5, got " +
                                  std::to_string(header_.version));
  }

  /// How many things follow, of `least_bytes` each.
  Index read_list(Tag expected, const char* what, Index least_bytes) {
    const std::uint64_t tag = in_.number(4);
    const Index count = in_.size(wide(), what);
    if (tag == 0 && count == 0) return 0;
    if (tag != expected)
      in_.corrupt(std::string("bad list of ") + what, "tag " + std::to_string(expected) + ", or none",
                  std::to_string(tag));
    return bounded(count, what, least_bytes);
  }
  Index bounded(Index count, const char* what, Index least_bytes) const {
    if (count > in_.left() / least_bytes)
      in_.corrupt(std::string("bad number of ") + what,
                  "at most " + std::to_string(in_.left() / least_bytes) + " in the rest of the file",
                  std::to_string(count));
    return count;
  }
  static Index padding(Index bytes) { return (4 - bytes % 4) % 4; }

  std::string read_name(const char* what) {
    const Index bytes = bounded(in_.size(wide(), "length of a name"), "characters of a name", 1);
    const auto taken = in_.take(bytes);
    std::string name(reinterpret_cast<const char*>(taken.data()), taken.size());
    in_.skip(padding(bytes));
    name = name.substr(0, name.find('\0'));
    if (name.empty())
      in_.corrupt(std::string("a ") + what + " without a name", "at least one character", "none");
    return name;
  }

  DType read_type() {
    static constexpr Type types[] = {Type::int8,    Type::carried, Type::int16, Type::int32,
                                     Type::float32, Type::float64, Type::uint8, Type::uint16,
                                     Type::uint32,  Type::int64,   Type::uint64};
    const std::uint64_t number = in_.number(4), last = header_.version == 5 ? 11 : 6;
    if (number < 1 || number > last)
      in_.corrupt("bad type", "1 to " + std::to_string(last), std::to_string(number));
    const Type type = types[number - 1];
    return type == Type::carried ? DType::carried("S1", 1) : DType(type);
  }

  void read_dimensions() {
    const Index count = read_list(dimension_tag, "dimensions", 2 * wide());
    for (Index i = 0; i < count; ++i) {
      NetcdfDimension dimension;
      dimension.name = read_name("dimension");
      dimension.length = in_.size(wide(), "length of a dimension");
      dimension.is_record = dimension.length == 0;
      if (dimension.is_record && has_records_)
        in_.corrupt("two dimensions of length 0", "one, that of records", "'" + dimension.name + "' too");
      has_records_ |= dimension.is_record;
      header_.dimensions.push_back(std::move(dimension));
    }
  }

  std::vector<NetcdfAttribute> read_attributes() {
    const Index count = read_list(attribute_tag, "attributes", 2 * wide() + 4);
    std::vector<NetcdfAttribute> attributes;
    for (Index i = 0; i < count; ++i) {
      NetcdfAttribute attribute;
      attribute.name = read_name("attribute");
      attribute.dtype = read_type();
      const auto item = static_cast<Index>(attribute.dtype.item_bytes());
      const Index bytes = item * bounded(in_.size(wide(), "number of values"), "values", item);
      if (bytes > most_netcdf_attribute_bytes) {
        attribute.json = "null";
        in_.skip(bytes);
      } else {
        const auto stored = in_.take(bytes);
        std::vector<std::byte> values(stored.begin(), stored.end());
        mend_elements(mends_of(attribute.dtype, is_little), values.data(),
                      static_cast<std::size_t>(bytes / item), static_cast<std::size_t>(item));
        attribute.json = netcdf_json(attribute.dtype, values);
        if (attribute.name == "_FillValue" && bytes == item) {
          fill_ = std::move(values);
          fill_type_ = attribute.dtype;
        }
      }
      if (in_.left() > 0) in_.skip(std::min(padding(bytes), in_.left()));
      attributes.push_back(std::move(attribute));
    }
    return attributes;
  }

  void read_variables() {
    const Index count = read_list(variable_tag, "variables", 4 * wide() + 8);
    std::unordered_set<std::string> names;
    for (Index i = 0; i < count; ++i) {
      NetcdfVariable variable;
      variable.name = read_name("variable");
      if (!names.insert(variable.name).second)
        in_.corrupt("two variables of one name", "different names", "'" + variable.name + "' twice");
      const Index rank = bounded(in_.size(wide(), "number of axes"), "axes", wide());
      for (Index axis = 0; axis < rank; ++axis) {
        const Index id = in_.size(wide(), "dimension");
        if (id >= static_cast<Index>(header_.dimensions.size()))
          in_.corrupt("bad dimension of variable '" + variable.name + "'",
                      "less than " + std::to_string(header_.dimensions.size()), std::to_string(id));
        const bool is_record = header_.dimensions[static_cast<std::size_t>(id)].is_record;
        if (is_record && axis > 0)
          in_.corrupt("bad order of the axes of variable '" + variable.name + "'",
                      "that of the records as the first", "it as number " + std::to_string(axis));
        variable.is_record |= is_record;
        variable.dimensions.push_back(static_cast<std::size_t>(id));
      }
      fill_.clear();
      variable.attributes = read_attributes();
      variable.dtype = read_type();
      if (!fill_.empty() && fill_type_ == variable.dtype) variable.fill = std::move(fill_);
      in_.skip(wide());  // vsize
      variable.begin = in_.size(header_.version == 1 ? 4 : 8, "position of a variable");
      header_.variables.push_back(std::move(variable));
    }
  }

  /// Bytes of all elements, or of one record.
  Index bytes_of(const NetcdfVariable& variable) const {
    auto bytes = static_cast<Index>(variable.dtype.item_bytes());
    for (const std::size_t id : variable.dimensions)
      if (!header_.dimensions[id].is_record)
        bytes = checked_mul(bytes, header_.dimensions[id].length, "bytes of a variable");
    return bytes;
  }

  /// A record holds the variables padded to multiples of 4 bytes; that of a lone variable is not padded.
  void place_records() {
    Index bytes = 0, count = 0, lone = 0;
    for (const NetcdfVariable& variable : header_.variables) {
      if (!variable.is_record) continue;
      lone = bytes_of(variable);
      bytes = checked_add(bytes, checked_add(lone, padding(lone), "bytes of a record"), "bytes of a record");
      ++count;
    }
    header_.record_bytes = count == 1 ? lone : bytes;
  }

  /// The padding of the last one may be missing.
  Index records_in_file() const {
    Index begin = -1, last_padding = 0;
    for (const NetcdfVariable& variable : header_.variables) {
      if (!variable.is_record) continue;
      if (begin < 0) begin = variable.begin;
      last_padding = padding(bytes_of(variable));
    }
    if (begin < 0 || header_.record_bytes == 0 || begin > file_.size_bytes()) return 0;
    const Index bytes = file_.size_bytes() - begin;
    return bytes == 0 ? 0 : (bytes + last_padding) / header_.record_bytes;
  }

  /// Variables follow the header and each other in their order, first the fixed ones, then those of a record.
  void check_places() const {
    Index end = in_.at();
    for (const bool is_record : {false, true})
      for (const NetcdfVariable& variable : header_.variables) {
        if (variable.is_record != is_record) continue;
        if (variable.begin < end)
          fail(Errc::corrupt_data, doing_ + ": variable '" + variable.name +
                                       "' lies over what is before it; expected it at byte " +
                                       std::to_string(end) + " or behind, got " +
                                       std::to_string(variable.begin));
        end = checked_add(variable.begin, bytes_of(variable), "position of a variable");
      }
  }

  static constexpr bool is_little = std::endian::native == std::endian::little;
  const File& file_;
  const std::string& doing_;
  NetcdfCursor in_;
  NetcdfHeader header_;
  bool has_records_ = false;
  std::vector<std::byte> fill_;  // of the attributes read last
  DType fill_type_;
};

/// Headers of the files asked for last: a file is opened once per variable.
struct NetcdfHeaders {
  struct Entry {
    std::string path;
    FileState state;
    std::shared_ptr<const NetcdfHeader> header;
  };
  static constexpr std::size_t most = 4;
  static constexpr Index most_bytes = Index{4} << 20;
  std::mutex mutex;
  std::vector<Entry> entries;  // the last one first
};

MORSEL_INLINE std::shared_ptr<const NetcdfHeader> netcdf_header(const File& file, const std::string& doing) {
  // Never destroyed: threads of the program may still open files while it exits.
  static NetcdfHeaders* const known = new NetcdfHeaders;
  {
    const std::lock_guard lock(known->mutex);
    const auto found = std::find_if(known->entries.begin(), known->entries.end(), [&](const auto& entry) {
      return entry.path == file.path() && entry.state == file.state();
    });
    if (found != known->entries.end()) {
      std::rotate(known->entries.begin(), found, found + 1);
      return known->entries.front().header;
    }
  }
  auto header = std::make_shared<const NetcdfHeader>(read_netcdf_header(file, doing));
  if (header->bytes > NetcdfHeaders::most_bytes) return header;
  const std::lock_guard lock(known->mutex);
  if (known->entries.size() == NetcdfHeaders::most) known->entries.pop_back();
  known->entries.insert(known->entries.begin(), {file.path(), file.state(), header});
  return header;
}

MORSEL_INLINE Attributes attributes_of(const std::vector<NetcdfAttribute>& stored) {
  Attributes attributes;
  for (const NetcdfAttribute& attribute : stored) attributes.emplace_back(attribute.name, attribute.json);
  return attributes;
}

MORSEL_INLINE const NetcdfVariable& netcdf_variable(const NetcdfHeader& header, const std::string& name,
                                                    const std::string& doing) {
  if (const NetcdfVariable* variable = header.find(name)) return *variable;
  std::string names;
  for (std::size_t i = 0; i < std::min<std::size_t>(header.variables.size(), 10); ++i)
    names += (i ? ", '" : "'") + header.variables[i].name + "'";
  if (header.variables.size() > 10) names += " and " + std::to_string(header.variables.size() - 10) + " more";
  fail(Errc::not_found, doing + ": no such variable; expected " + (names.empty() ? "none at all" : names) +
                            ", got '" + name + "'");
}

}  // namespace detail

MORSEL_INLINE const NetcdfVariable* NetcdfHeader::find(std::string_view name) const {
  for (const NetcdfVariable& variable : variables)
    if (variable.name == name) return &variable;
  return nullptr;
}

MORSEL_INLINE RawLayout NetcdfHeader::layout(const NetcdfVariable& variable) const {
  if (variable.dimensions.size() > static_cast<std::size_t>(max_rank))
    fail(Errc::unsupported, "variable '" + variable.name + "': too many axes; expected at most " +
                                std::to_string(max_rank) + ", got " +
                                std::to_string(variable.dimensions.size()));
  Shape shape;
  for (const std::size_t id : variable.dimensions) shape.push_back(dimensions[id].length);
  // Without elements it may lie behind the end of the file.
  const bool is_empty = size_of(shape) == 0;
  RawLayout layout =
      RawLayout::contiguous(variable.dtype, shape, is_empty ? 0 : variable.begin,
                            mends_of(variable.dtype, std::endian::native == std::endian::little));
  if (variable.is_record) layout.strides[0] = record_bytes;
  return layout;
}

MORSEL_INLINE std::vector<std::string> NetcdfHeader::dims(const NetcdfVariable& variable) const {
  std::vector<std::string> names;
  for (const std::size_t id : variable.dimensions) {
    const std::string& name = dimensions[id].name;
    names.push_back(std::find(names.begin(), names.end(), name) == names.end() ? name : "");
  }
  return names;
}

MORSEL_INLINE NetcdfHeader read_netcdf_header(const File& file, const std::string& doing) {
  return detail::NetcdfHeaderReader(file, doing).read();
}

MORSEL_INLINE OpenedArray open_netcdf(const std::string& path, const std::string& name, FileAccess access,
                                      bool drop_cache) {
  const std::string doing = "open '" + path + "/" + name + "'";
  File file(path);
  const std::shared_ptr<const NetcdfHeader> header = detail::netcdf_header(file, doing);
  const NetcdfVariable& variable = detail::netcdf_variable(*header, name, doing);
  RawSourceOptions source;
  source.format = "netcdf";
  source.identity = "netcdf:" + file.path() + "#" + name;
  source.access = access;
  source.drop_cache = drop_cache;
  source.dims = header->dims(variable);
  source.attributes = detail::attributes_of(variable.attributes);
  source.fill = variable.fill;
  try {
    RawLayout layout = header->layout(variable);
    View view = View::identity(layout.shape);
    return {RawSource(std::move(file), std::move(layout), std::move(source)), std::move(view)};
  } catch (const Error& error) {
    throw error.during(doing);
  }
}

MORSEL_INLINE Format detail::netcdf_format() {
  Format format;
  format.name = "netcdf";
  format.title = "NetCDF classic file";
  format.endings = {".nc", ".cdf"};
  format.recognises = [](const Place& place) {
    return place.has_magic("CDF\x01") || place.has_magic("CDF\x02") || place.has_magic("CDF\x05");
  };
  format.open = [](const Place& place, const std::string& inside, const FormatOptions& options) {
    const std::string doing = "open '" + joined(place.path, inside) + "'";
    FileAccess access = FileAccess::pread;
    bool drop_cache = false;
    for (const auto& [name, value] : options) {
      if (name == "access" && (value == "pread" || value == "map"))
        access = value == "map" ? FileAccess::map : FileAccess::pread;
      else if (name == "drop_cache" && (value == "0" || value == "1"))
        drop_cache = value == "1";
      else
        fail(Errc::invalid_argument, doing +
                                         ": unknown option; expected access=pread, access=map, drop_cache=0 "
                                         "or drop_cache=1, got " +
                                         name + "=" + value);
    }
    if (!inside.empty()) return open_netcdf(place.path, inside, access, drop_cache);
    netcdf_header(File(place.path), doing);  // a damaged one is worse than a missing name
    fail(Errc::not_found, doing + ": a file of variables; expected the name of one behind it, got none");
  };
  format.list = [](const Place& place, const std::string& inside) -> std::optional<std::vector<Member>> {
    const std::string doing = "listing '" + joined(place.path, inside) + "'";
    const auto header = netcdf_header(File(place.path), doing);
    if (!inside.empty()) {
      netcdf_variable(*header, inside, doing);
      return std::nullopt;
    }
    std::vector<Member> members;
    for (const NetcdfVariable& variable : header->variables)
      members.push_back({variable.name, Member::Kind::array});
    return members;
  };
  format.attributes = [](const Place& place, const std::string& inside) {
    const std::string doing = "reading attributes of '" + joined(place.path, inside) + "'";
    const auto header = netcdf_header(File(place.path), doing);
    return attributes_of(inside.empty() ? header->attributes
                                        : netcdf_variable(*header, inside, doing).attributes);
  };
  format.attribute_types = [](const Place& place, const std::string& inside) {
    const std::string doing = "reading attributes of '" + joined(place.path, inside) + "'";
    const auto header = netcdf_header(File(place.path), doing);
    AttributeTypes types;
    for (const NetcdfAttribute& attribute : netcdf_variable(*header, inside, doing).attributes)
      types.emplace_back(attribute.name, attribute.dtype);
    return types;
  };
  return format;
}

}  // namespace morsel::inline MORSEL_ABI
