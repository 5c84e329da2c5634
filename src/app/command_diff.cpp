#include <charconv>
#include <cmath>
#include <functional>

#include "commands.hpp"
#include "comparison.hpp"
#include "element_text.hpp"
#include "open_source.hpp"

namespace morsel::app {
namespace {

double tolerance_of(const char* option, const std::string& text) {
  if (text.empty()) return 0;
  double value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size() || !std::isfinite(value) ||
      value < 0)
    throw UsageError(std::string(option) + " " + text +
                     ": not a tolerance; expected a finite number from 0 on such as 1e-6, got '" + text +
                     "'");
  return value;
}

// ---- JSON
// -------------------------------------------------------------------------------------------------------

void write_pair(JsonWriter& json, const ArrayDifference& difference, const ElementPair& pair) {
  json.key("index").dims(pair.index);
  json.key("a");
  write_element(json, difference.a.dtype, pair.a.data());
  json.key("b");
  write_element(json, difference.b.dtype, pair.b.data());
}

void write_error_value(JsonWriter& json, const LargestError& error) {
  if (const auto* integer = std::get_if<std::uint64_t>(&error.value))
    json.integer(*integer);
  else
    json.number(std::get<double>(error.value));
}

void write_attributes(JsonWriter& json, const std::vector<AttributeDifference>& attributes) {
  json.key("attributes").begin_array();
  for (const AttributeDifference& attribute : attributes) {
    json.begin_object().key("name").string(attribute.name);
    if (attribute.a) json.key("a").raw(*attribute.a);
    if (attribute.b) json.key("b").raw(*attribute.b);
    json.end_object();
  }
  json.end_array();
}

void write_side(JsonWriter& json, const char* key, const std::string& path, const ArraySide& side) {
  json.key(key).begin_object().key("path").string(path).key("kind").string("array");
  json.key("dtype");
  write_dtype(json, side.dtype);
  json.key("shape").dims(side.shape);
  json.key("dims");
  if (side.dims.empty()) {
    json.null();
  } else {
    json.begin_array();
    for (const std::string& name : side.dims) name.empty() ? json.null() : json.string(name);
    json.end_array();
  }
  json.end_object();
}

void write_array_difference(JsonWriter& json, const std::string& a, const std::string& b,
                            const ArrayDifference& difference) {
  write_side(json, "a", a, difference.a);
  write_side(json, "b", b, difference.b);
  json.key("dtype");
  if (difference.has_other_dtype())
    json.null();
  else
    write_dtype(json, difference.a.dtype);
  json.key("shape");
  if (difference.has_other_shape())
    json.null();
  else
    json.dims(difference.a.shape);
  json.key("count");
  if (difference.elements)
    json.integer(size_of(difference.a.shape));
  else
    json.null();
  json.key("different");
  if (difference.elements)
    json.integer(difference.elements->different);
  else
    json.null();
  const Difference none, &elements = difference.elements ? *difference.elements : none;
  json.key("first_different").begin_array();
  for (const ElementPair& pair : elements.first) {
    json.begin_object();
    write_pair(json, difference, pair);
    json.end_object();
  }
  json.end_array();
  for (const auto& [key, error] :
       {std::pair("max_absolute_error", &elements.absolute), {"max_relative_error", &elements.relative}}) {
    json.key(key);
    if (!*error) {
      json.null();
      continue;
    }
    json.begin_object().key("value");
    write_error_value(json, **error);
    write_pair(json, difference, (*error)->at);
    json.end_object();
  }
  write_attributes(json, difference.attributes);
}

void write_tree_difference(JsonWriter& json, const Side& a, const Side& b, const TreeDifference& tree) {
  for (const auto& [key, side] : {std::pair("a", &a), {"b", &b}})
    json.key(key).begin_object().key("path").string(side->path).key("kind").string("group").end_object();
  for (const auto& [key, members] :
       {std::pair("only_in_a", &tree.only_in_a), {"only_in_b", &tree.only_in_b}}) {
    json.key(key).begin_array();
    for (const auto& member : *members)
      json.begin_object().key("path").string(member.path).key("kind").string(member.kind).end_object();
    json.end_array();
  }
  json.key("other_kind").begin_array();
  for (const auto& member : tree.other_kind)
    json.begin_object()
        .key("path")
        .string(member.path)
        .key("a")
        .string(member.a)
        .key("b")
        .string(member.b)
        .end_object();
  json.end_array();
  json.key("groups").begin_array();
  for (const auto& group : tree.groups) {
    json.begin_object().key("path").string(group.path);
    write_attributes(json, group.attributes);
    json.end_object();
  }
  json.end_array();
  json.key("arrays").begin_array();
  for (const auto& array : tree.arrays) {
    json.begin_object().key("path").string(array.path);
    if (array.difference) {
      json.key("equal").boolean(array.difference->is_equal());
      write_array_difference(json, below(a.path, array.path), below(b.path, array.path), *array.difference);
    } else {
      json.key("equal").null().key("error").string(array.error);
    }
    json.end_object();
  }
  json.end_array();
}

// ---- text
// -------------------------------------------------------------------------------------------------------

constexpr std::size_t label_width = 17;

void print_line(Output& out, const std::string& indent, std::string label, const std::string& text) {
  if (label.size() + 2 > label_width)
    label += "  ";
  else
    label.resize(label_width, ' ');
  out << indent << one_line(label + text) << "\n";
}

std::string described(const ArraySide& side) { return side.dtype.name() + " " + to_string(side.shape); }

std::string counted(Index n, const std::string& noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

std::string text_of(const ArrayDifference& difference, const ElementPair& pair) {
  std::string text;
  append_element(text, difference.a.dtype, pair.a.data(), TextStyle::shown);
  text += " and ";
  append_element(text, difference.b.dtype, pair.b.data(), TextStyle::shown);
  return text;
}

void print_attributes(Output& out, const std::string& indent,
                      const std::vector<AttributeDifference>& attributes) {
  for (const AttributeDifference& attribute : attributes)
    print_line(
        out, indent, "attribute",
        attribute.name + ": " + attribute.a.value_or("nothing") + " and " + attribute.b.value_or("nothing"));
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + (name.empty() ? "-" : name);
  return "(" + text + ")";
}

/// The lines that say what differs.
void print_array_difference(Output& out, const std::string& indent, const ArrayDifference& difference) {
  if (difference.has_other_dtype())
    print_line(out, indent, "dtype", difference.a.dtype.name() + " and " + difference.b.dtype.name());
  if (difference.has_other_shape())
    print_line(out, indent, "shape", to_string(difference.a.shape) + " and " + to_string(difference.b.shape));
  if (difference.has_other_dims)
    print_line(out, indent, "dims", joined(difference.a.dims) + " and " + joined(difference.b.dims));
  print_attributes(out, indent, difference.attributes);
  if (!difference.elements) return;
  const Difference& elements = *difference.elements;
  print_line(
      out, indent, "elements",
      std::to_string(elements.different) + " of " + std::to_string(size_of(difference.a.shape)) + " differ");
  for (const auto& [label, error] :
       {std::pair("absolute error", &elements.absolute), {"relative error", &elements.relative}}) {
    if (!*error) continue;
    JsonWriter value;
    write_error_value(value, **error);
    print_line(
        out, indent, label,
        value.text() + " at " + to_string((*error)->at.index) + ": " + text_of(difference, (*error)->at));
  }
  for (const ElementPair& pair : elements.first)
    print_line(out, indent, "  " + to_string(pair.index), text_of(difference, pair));
  const Index more = elements.different - static_cast<Index>(elements.first.size());
  if (more > 0) print_line(out, indent, "  ...", std::to_string(more) + " more");
}

void print_arrays(Output& out, const Side& a, const Side& b, const ArrayDifference& difference) {
  if (!difference.is_equal()) {
    print_line(out, "", "different", a.path + " and " + b.path);
    print_array_difference(out, "", difference);
    return;
  }
  print_line(out, "", "equal", described(difference.a));
  if (difference.elements->absolute) print_array_difference(out, "", difference);
}

void print_tree_difference(Output& out, const TreeDifference& tree) {
  Index equal = 0;
  for (const auto& array : tree.arrays) equal += array.difference && array.difference->is_equal();
  print_line(out, "",
             tree.failed > 0   ? "incomplete"
             : tree.is_equal() ? "equal"
                               : "different",
             std::to_string(equal) + " of " +
                 counted(static_cast<Index>(tree.arrays.size()), "common array") + " equal" +
                 (tree.failed > 0 ? ", " + std::to_string(tree.failed) + " not compared" : std::string()));
  for (const auto& member : tree.only_in_a)
    print_line(out, "", "only in A", member.path + " (" + member.kind + ")");
  for (const auto& member : tree.only_in_b)
    print_line(out, "", "only in B", member.path + " (" + member.kind + ")");
  for (const auto& member : tree.other_kind)
    print_line(out, "", "kind", member.path + ": " + member.a + " and " + member.b);
  for (const auto& group : tree.groups) {
    print_line(out, "", "group", group.path.empty() ? "/" : group.path);
    print_attributes(out, "  ", group.attributes);
  }
  for (const auto& array : tree.arrays) {
    if (array.difference && array.difference->is_equal()) continue;
    print_line(out, "", "array", array.path);
    if (array.difference)
      print_array_difference(out, "  ", *array.difference);
    else
      print_line(out, "  ", "not compared", array.error);
  }
}

}  // namespace

void diff(Session& session, const DiffArguments& arguments) {
  const Tolerance tolerance{tolerance_of("--rtol", arguments.relative),
                            tolerance_of("--atol", arguments.absolute)};
  const Side a(source_path(arguments.a, session.dataset)), b(source_path(arguments.b, session.dataset));

  JsonWriter json;
  json.begin_object();
  std::function<void()> print;
  bool is_equal = false;
  if (a.is_group != b.is_group) {
    json.key("equal").boolean(false);
    for (const auto& [key, side] : {std::pair("a", &a), {"b", &b}})
      json.key(key)
          .begin_object()
          .key("path")
          .string(side->path)
          .key("kind")
          .string(side->kind())
          .end_object();
    print = [&] { print_line(session.out, "", "different", std::string(a.kind()) + " and " + b.kind()); };
  }
  TreeDifference tree;
  std::optional<ArrayDifference> arrays;
  if (a.is_group && b.is_group) {
    tree = compare_groups(session, a, b, tolerance);
    is_equal = tree.is_equal();
    json.key("equal");
    is_equal&& tree.failed > 0 ? json.null() : json.boolean(is_equal);
    write_tree_difference(json, a, b, tree);
    print = [&] { print_tree_difference(session.out, tree); };
  } else if (!a.is_group && !b.is_group) {
    arrays = compare_arrays(session, a, b, tolerance);
    is_equal = arrays->is_equal();
    json.key("equal").boolean(is_equal);
    write_array_difference(json, a.path, b.path, *arrays);
    print = [&] { print_arrays(session.out, a, b, *arrays); };
  }
  json.end_object();
  if (session.json)
    session.out << json.text() << "\n";
  else
    print();
  session.exit_code = is_equal ? 0 : 1;
  if (tree.failed == 0) return;
  session.out.flush();
  for (const auto& array : tree.arrays)
    if (!array.difference)
      fail(Errc::unsupported, "comparing '" + array.path + "': " + array.error +
                                  (tree.failed > 1 ? " (and " + std::to_string(tree.failed - 1) +
                                                         " more that could not be compared)"
                                                   : std::string()));
}

}  // namespace morsel::app
