// The other unit of the program: in one of the two programs it is header-only while first.cpp is not.
#include "all_headers.hpp"

#include <string>

std::string second_unit() {
  return std::string(morsel::name_of(morsel::Errc::corrupt_data)) + ' ' +
         morsel::format_bytes(morsel::parse_bytes("3MiB")) + ' ' +
         std::to_string(morsel::sum(morsel::arange<std::int64_t>(100000) * 3).item());
}
