#include <algorithm>
#include <functional>
#include <morsel/io/attributes_json.hpp>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "open_source.hpp"
#include "string_array.hpp"

namespace morsel::app {
namespace {

std::string below(const std::string& path, const std::string& member) {
  return path.empty() || path.back() == '/' ? path + member : path + "/" + member;
}

/// Calls visit(path below `place`) for every array in a container, in the order of the format.
void for_each_array(const Format& format, const Place& place, const std::string& inside,
                    const std::function<void(const std::string&)>& visit, int depth = 0) {
  if (depth > 64)
    fail(Errc::unsupported,
         "listing '" + place.path + "': groups nested too deeply; expected at most 64 levels");
  const auto members = format.list(place, inside);
  if (!members) return;
  for (const Member& member : *members) {
    const std::string path = inside.empty() ? member.path : inside + "/" + member.path;
    if (member.kind == Member::Kind::array)
      visit(path);
    else
      for_each_array(format, place, path, visit, depth + 1);
  }
}

/// An array's members, also of one whose elements are no elements of a lazy array.
void write_any_array(JsonWriter& json, const std::string& path, Detail detail) {
  const auto add = [&](const std::string& format) {
    if (detail == Detail::full) json.key("format").string(format);
  };
  try {
    const OpenedArray array = open_path(path);
    add(array.source.spec().format);
    write_array(json, array, detail);
  } catch (const Error& error) {
    if (error.code() != Errc::unsupported) throw;
    const std::optional<StringArray> strings = StringArray::open(path);
    if (!strings) throw;
    add(strings->format());
    strings->write(json, detail);
  }
}

/// An array's members, or what is wrong with it: one bad array does not hide the others.
void write_array_at(JsonWriter& json, const std::string& path) {
  std::string error;
  JsonWriter members;
  members.begin_object();
  try {
    write_any_array(members, path, Detail::brief);
  } catch (const Error& failure) {
    if (failure.code() == Errc::cancelled) throw;
    json.key("error").string(failure.what());
    return;
  }
  const std::string& text = members.text();  // "{" and the members
  const std::size_t first = text.find('"');
  json.raw(std::string_view(text).substr(first));
}

std::string indented(const nlohmann::ordered_json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// The members of an object as aligned lines.
void print_members(Output& out, const nlohmann::ordered_json& object, const std::string& indent) {
  std::size_t width = 0;
  for (const auto& [key, value] : object.items()) width = std::max(width, key.size());
  for (const auto& [key, value] : object.items()) {
    if (value.is_null() || (value.is_structured() && value.empty() && key != "shape")) continue;
    out << indent << key << std::string(width - key.size() + 2, ' ');
    if (value.is_object() || (key == "codecs")) {
      out << "\n";
      if (value.is_array())
        for (const auto& item : value) out << indent << "  " << item.dump() << "\n";
      else
        print_members(out, value, indent + "  ");
    } else {
      out << indented(value) << "\n";
    }
  }
}

}  // namespace

void info(Session& session, const std::string& source) {
  const std::string path = source_path(source, session.dataset);
  const FoundFormat found = find_format(path);
  JsonWriter json;
  json.begin_object().key("path").string(path);
  const bool is_container = found.format->list && found.format->list(found.place, found.inside).has_value();
  if (!is_container) {
    write_any_array(json, path, Detail::full);
  } else {
    json.key("format").string(found.format->name);
    const Attributes attributes =
        found.format->attributes ? found.format->attributes(found.place, found.inside) : Attributes();
    json.key("attributes").raw(quote_non_finite(to_json(attributes)));
    json.key("arrays").begin_array();
    for_each_array(*found.format, found.place, found.inside, [&](const std::string& inside) {
      const std::string relative = found.inside.empty() ? inside : inside.substr(found.inside.size() + 1);
      json.begin_object().key("path").string(relative);
      write_array_at(json, below(path, relative));
      json.end_object();
    });
    json.end_array();
  }
  json.end_object();
  if (session.json) {
    session.out << json.text() << "\n";
    return;
  }
  const auto object = nlohmann::ordered_json::parse(json.text());
  nlohmann::ordered_json lines = object;
  lines.erase("arrays");
  print_members(session.out, lines, "");
  if (!is_container) return;
  session.out << "arrays    " << std::to_string(object["arrays"].size()) << "\n";
  for (const auto& array : object["arrays"]) {
    session.out << "  " << array["path"].get<std::string>() << "  ";
    if (array.contains("error"))
      session.out << array["error"].get<std::string>() << "\n";
    else
      session.out << indented(array["dtype"]) << "  " << array["shape"].dump() << "  "
                  << (array["nbytes"].is_null() ? std::string("?")
                                                : format_bytes(array["nbytes"].get<std::size_t>()))
                  << "\n";
  }
}

namespace {

void write_tree(JsonWriter& json, const Format& format, const Place& place, const std::string& inside,
                const std::string& name, int depth) {
  if (depth > 64)
    fail(Errc::unsupported,
         "listing '" + place.path + "': groups nested too deeply; expected at most 64 levels");
  json.begin_object().key("name").string(name);
  const auto members = format.list ? format.list(place, inside) : std::nullopt;
  if (!members) {
    json.key("kind").string("array");
    write_array_at(json, inside.empty() ? place.path : below(place.path, inside));
  } else {
    json.key("kind").string("group");
    const Attributes attributes = format.attributes ? format.attributes(place, inside) : Attributes();
    json.key("attributes").raw(quote_non_finite(to_json(attributes)));
    json.key("children").begin_array();
    for (const Member& member : *members)
      write_tree(json, format, place, inside.empty() ? member.path : inside + "/" + member.path, member.path,
                 depth + 1);
    json.end_array();
  }
  json.end_object();
}

void print_tree(Output& out, const nlohmann::ordered_json& node, const std::string& indent, bool is_root,
                bool is_last) {
  if (!is_root) out << indent << (is_last ? "└── " : "├── ");
  out << node["name"].get<std::string>();
  if (node.contains("error"))
    out << "  " << node["error"].get<std::string>();
  else if (node["kind"] == "array")
    out << "  " << indented(node["dtype"]) << "  " << node["shape"].dump();
  out << "\n";
  if (!node.contains("children")) return;
  const auto& children = node["children"];
  for (std::size_t i = 0; i < children.size(); ++i)
    print_tree(out, children[i], is_root ? indent : indent + (is_last ? "    " : "│   "), false,
               i + 1 == children.size());
}

}  // namespace

void tree(Session& session, const std::string& source) {
  const std::string path = source_path(source, session.dataset);
  const FoundFormat found = find_format(path);
  std::string name = found.inside.empty() ? found.place.path : found.inside;
  while (name.size() > 1 && name.back() == '/') name.pop_back();
  if (const std::size_t slash = name.rfind('/'); slash != std::string::npos && slash + 1 < name.size())
    name.erase(0, slash + 1);
  JsonWriter json;
  write_tree(json, *found.format, found.place, found.inside, name, 0);
  if (session.json)
    session.out << json.text() << "\n";
  else
    print_tree(session.out, nlohmann::ordered_json::parse(json.text()), "", true, true);
}

}  // namespace morsel::app
