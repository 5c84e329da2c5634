// Bytes of NetCDF classic files, written by their grammar alone.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "files.hpp"

namespace test {

/// Big-endian numbers, names and values behind each other.
class NetcdfBytes {
 public:
  explicit NetcdfBytes(int version) : version_(version) {
    text("CDF");
    bytes.push_back(static_cast<std::byte>(version));
  }
  ByteVector bytes;

  NetcdfBytes& number(std::uint64_t value, int width) {
    for (int i = width; i-- > 0;) bytes.push_back(static_cast<std::byte>(value >> 8 * i & 0xff));
    return *this;
  }
  NetcdfBytes& u32(std::uint64_t value) { return number(value, 4); }
  /// A size or a number of things.
  NetcdfBytes& size(std::uint64_t value) { return number(value, version_ == 5 ? 8 : 4); }
  NetcdfBytes& begin(std::uint64_t value) { return number(value, version_ == 1 ? 4 : 8); }
  NetcdfBytes& text(const std::string& value) {
    for (const char c : value) bytes.push_back(static_cast<std::byte>(c));
    return *this;
  }
  NetcdfBytes& pad() {
    while (bytes.size() % 4 != 0) bytes.push_back(std::byte{0});
    return *this;
  }
  NetcdfBytes& name(const std::string& value) { return size(value.size()).text(value).pad(); }
  NetcdfBytes& absent() { return u32(0).size(0); }
  NetcdfBytes& list(std::uint64_t tag, std::uint64_t count) { return u32(tag).size(count); }
  template <class T>
  NetcdfBytes& value(T number_value) {
    using U = std::conditional_t<
        sizeof(T) == 8, std::uint64_t,
        std::conditional_t<sizeof(T) == 4, std::uint32_t,
                           std::conditional_t<sizeof(T) == 2, std::uint16_t, std::uint8_t>>>;
    return number(std::bit_cast<U>(number_value), sizeof(T));
  }

 private:
  int version_;
};

inline constexpr std::uint64_t netcdf_dimensions = 10, netcdf_variables = 11, netcdf_attributes = 12;

struct NetcdfTestVariable {
  std::string name;
  std::vector<std::uint64_t> dimensions;
  std::uint64_t type = 5, item_bytes = 4;
};

/// A header with these dimensions (0: that of records) and variables, whose places are filled in: fixed ones
/// behind the header, then those of a record, each padded. `places` gets them.
inline NetcdfBytes netcdf_header(int version, std::uint64_t records,
                                 const std::vector<std::pair<std::string, std::uint64_t>>& dimensions,
                                 const std::vector<NetcdfTestVariable>& variables,
                                 std::vector<std::uint64_t>* places = nullptr) {
  std::vector<std::uint64_t> begins(variables.size(), 0);
  for (int pass = 0;; ++pass) {
    NetcdfBytes out(version);
    out.size(records);
    if (dimensions.empty())
      out.absent();
    else
      out.list(netcdf_dimensions, dimensions.size());
    for (const auto& [name, length] : dimensions) out.name(name).size(length);
    out.absent();
    if (variables.empty())
      out.absent();
    else
      out.list(netcdf_variables, variables.size());
    for (std::size_t i = 0; i < variables.size(); ++i) {
      out.name(variables[i].name).size(variables[i].dimensions.size());
      for (const std::uint64_t id : variables[i].dimensions) out.size(id);
      out.absent().u32(variables[i].type).size(0).begin(begins[i]);
    }
    if (pass == 1) {
      if (places) *places = begins;
      return out;
    }
    std::uint64_t end = out.bytes.size();
    for (const bool is_record : {false, true})
      for (std::size_t i = 0; i < variables.size(); ++i) {
        std::uint64_t bytes = variables[i].item_bytes;
        bool has_records = false;
        for (const std::uint64_t id : variables[i].dimensions) {
          has_records |= dimensions[id].second == 0;
          if (dimensions[id].second != 0) bytes *= dimensions[id].second;
        }
        if (has_records != is_record) continue;
        begins[i] = end;
        end += (bytes + 3) / 4 * 4;
      }
  }
}

}  // namespace test
