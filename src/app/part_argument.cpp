#include "part_argument.hpp"

#include <charconv>
#include <morsel/api/coordinates.hpp>
#include <morsel/api/open.hpp>
#include <morsel/io/attributes_json.hpp>

#include "session.hpp"

namespace morsel::app {
namespace {

struct NamedText {
  std::string name, value;
};

NamedText parse_selection(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
    throw UsageError("--sel " + text + ": not a selection; expected such as lat=30..60, time=2001-06 or " +
                     "lon=~12.5, got '" + text + "'");
  return {text.substr(0, equals), text.substr(equals + 1)};
}

template <class N>
std::optional<CoordinateValue> number_in(const std::string& text) {
  N number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return CoordinateValue(number);
}

/// A date for coordinates that are times, else a number.
CoordinateValue parse_value(const std::string& text, bool is_time, const std::string& all) {
  if (is_time) return text;
  if (const auto number = number_in<std::int64_t>(text)) return *number;
  if (const auto number = number_in<std::uint64_t>(text)) return *number;
  if (const auto number = number_in<double>(text)) return *number;
  throw UsageError("--sel " + all + ": not a number; expected one, for the coordinate is no time, got '" +
                   text + "'");
}

bool is_time(const AnyLazyArray& coordinate) {
  const std::optional<std::string> units = find_attribute(coordinate.attrs(), "units");
  return (units && units->find(" since ") != std::string::npos) ||
         coordinate.dtype().name().starts_with("M8[");
}

NamedSelection selection_of(const AnyLazyArray& array, const NamedText& named) {
  const bool dates = is_time(coord(array, named.name));
  const std::string all = named.name + "=" + named.value;
  const auto value = [&](const std::string& text) { return parse_value(text, dates, all); };
  if (named.value[0] == '~') return {named.name, nearest(value(named.value.substr(1)))};
  const std::size_t dots = named.value.find("..");
  if (dots != std::string::npos)
    return {named.name, between(value(named.value.substr(0, dots)), value(named.value.substr(dots + 2)))};
  return {named.name, value(named.value)};
}

}  // namespace

OpenedEdge open_part(const std::string& path, const PartArguments& part, const ChunkSpec& chunks) {
  std::vector<NamedText> named;
  for (const std::string& text : part.selections) named.push_back(parse_selection(text));
  AnyLazyArray array = open_any(path, {.chunks = chunks, .mask_and_scale = part.mask_and_scale});
  std::vector<NamedSelection> selections;
  for (const NamedText& one : named) selections.push_back(selection_of(array, one));
  array = sel(array, selections);
  return {array.edge(), array.dims(), array.attrs()};
}

}  // namespace morsel::app
