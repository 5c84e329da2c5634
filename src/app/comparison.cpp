#include "comparison.hpp"

#include <map>
#include <morsel/io/attributes_json.hpp>
#include <nlohmann/json.hpp>

#include "open_source.hpp"

namespace morsel::app {
namespace {

/// True for the same value, however it is written.
bool is_same_json(const std::string& a, const std::string& b) {
  if (a == b) return true;
  const auto x = nlohmann::json::parse(a, nullptr, false), y = nlohmann::json::parse(b, nullptr, false);
  return !x.is_discarded() && !y.is_discarded() && x == y;
}

/// The attributes of an array but the one that some formats keep its axes' names in: those are compared as
/// names.
Attributes without_names(const OpenedEdge& array) {
  Attributes attributes = array.attributes;
  if (!array.dims.empty())
    std::erase_if(attributes, [](const auto& attribute) { return attribute.first == "_ARRAY_DIMENSIONS"; });
  return attributes;
}

/// Attributes that differ as JSON values, by name.
std::vector<AttributeDifference> attribute_differences(const Attributes& a, const Attributes& b) {
  std::map<std::string, AttributeDifference> names;
  for (const auto& [name, value] : a) names[name].a = quote_non_finite(value);
  for (const auto& [name, value] : b) names[name].b = quote_non_finite(value);
  std::vector<AttributeDifference> differences;
  for (auto& [name, values] : names) {
    if (values.a && values.b && is_same_json(*values.a, *values.b)) continue;
    values.name = name;
    differences.push_back(std::move(values));
  }
  return differences;
}

const char* name_of_kind(Member::Kind kind) { return kind == Member::Kind::group ? "group" : "array"; }

std::map<std::string, Member::Kind> members_of(const Side& side) {
  const auto listed = side.found.format->list(side.found.place, side.found.inside);
  std::map<std::string, Member::Kind> members;
  for (const Member& member : listed.value_or(std::vector<Member>())) members[member.path] = member.kind;
  return members;
}

void compare_below(Session& session, const Side& a, const Side& b, const Tolerance& tolerance,
                   const std::string& inside, int depth, TreeDifference& result) {
  if (depth > 64)
    fail(Errc::unsupported, "listing '" + a.path + "': groups nested too deeply; expected at most 64 levels");
  if (a.has_attributes() && b.has_attributes()) {
    auto attributes = attribute_differences(a.group_attributes(), b.group_attributes());
    if (!attributes.empty()) result.groups.push_back({inside, std::move(attributes)});
  }
  const auto left = members_of(a), right = members_of(b);
  for (const auto& [name, kind] : right)
    if (!left.contains(name)) result.only_in_b.push_back({below(inside, name), name_of_kind(kind)});
  for (const auto& [name, kind] : left) {
    const std::string path = below(inside, name);
    const auto other = right.find(name);
    if (other == right.end()) {
      result.only_in_a.push_back({path, name_of_kind(kind)});
    } else if (kind != other->second) {
      result.other_kind.push_back({path, name_of_kind(kind), name_of_kind(other->second)});
    } else if (kind == Member::Kind::group) {
      compare_below(session, Side(below(a.path, name)), Side(below(b.path, name)), tolerance, path, depth + 1,
                    result);
    } else {
      // One bad array does not hide the others.
      TreeDifference::Array& array = result.arrays.emplace_back();
      array.path = path;
      try {
        array.difference =
            compare_arrays(session, Side(below(a.path, name)), Side(below(b.path, name)), tolerance);
      } catch (const Error& error) {
        if (error.code() == Errc::cancelled) throw;
        array.error = error.what();
        ++result.failed;
      }
    }
  }
}

}  // namespace

Side::Side(std::string where) : path(std::move(where)), found(find_container(path)) {
  is_group = found.format->list && found.format->list(found.place, found.inside).has_value();
}

std::string below(const std::string& path, const std::string& member) {
  return path.empty() || path.back() == '/' ? path + member : path + "/" + member;
}

ArrayDifference compare_arrays(Session& session, const Side& a, const Side& b, const Tolerance& tolerance) {
  const OpenedEdge left = open_edge(a.path), right = open_edge(b.path);
  ArrayDifference result;
  result.a = {left.edge.dtype(), left.edge.shape(), left.dims};
  result.b = {right.edge.dtype(), right.edge.shape(), right.dims};
  result.has_other_dims = !left.dims.empty() && !right.dims.empty() && left.dims != right.dims;
  if (a.has_attributes() && b.has_attributes())
    result.attributes = attribute_differences(without_names(left), without_names(right));
  if (!result.has_other_shape() && are_comparable(result.a.dtype, result.b.dtype))
    result.elements = difference_of(session, left.edge, right.edge, tolerance);
  return result;
}

TreeDifference compare_groups(Session& session, const Side& a, const Side& b, const Tolerance& tolerance) {
  TreeDifference tree;
  compare_below(session, a, b, tolerance, "", 0, tree);
  return tree;
}

}  // namespace morsel::app
