// Includes every public header (all_headers.hpp is made by run.sh), and computes something.
#include "all_headers.hpp"

#include <cstdio>
#include <string>

std::string second_unit();

static std::string first_unit() {
  return std::string(morsel::name_of(morsel::Errc::corrupt_data)) + ' ' +
         morsel::format_bytes(morsel::parse_bytes("3MiB")) + ' ' +
         std::to_string(morsel::sum(morsel::arange<std::int64_t>(100000) * 3).item());
}

int main() {
  const std::string here = first_unit(), there = second_unit();
  std::printf("%s | %s\n", here.c_str(), there.c_str());
  return here == "corrupt_data 3.00 MiB 14999850000" && there == here ? 0 : 1;
}
