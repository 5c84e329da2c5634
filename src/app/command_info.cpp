#include <algorithm>
#include <morsel/io/attributes_json.hpp>
#include <morsel/io/container.hpp>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "open_source.hpp"
#include "string_array.hpp"

namespace morsel::app {
namespace {

std::string below(const std::string& path, const std::string& member) {
  return path.empty() || path.back() == '/' ? path + member : path + "/" + member;
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
  const FoundFormat found = find_container(path);
  JsonWriter json;
  json.begin_object().key("path").string(path);
  const std::vector<ContainerEntry> entries = contents_of(found);
  const bool is_container = entries.front().kind == Member::Kind::group;
  if (!is_container) {
    write_any_array(json, path, Detail::full);
  } else {
    json.key("format").string(found.format->name);
    json.key("attributes").raw(quote_non_finite(to_json(entries.front().attributes)));
    json.key("arrays").begin_array();
    for (const ContainerEntry& entry : entries) {
      if (entry.kind == Member::Kind::group) continue;
      json.begin_object().key("path").string(entry.path);
      write_array_at(json, below(path, entry.path));
      json.end_object();
    }
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

/// One node and what is below it; `at` moves behind them.
void write_tree(JsonWriter& json, const std::vector<ContainerEntry>& entries, std::size_t& at,
                const std::string& path, const std::string& name) {
  const ContainerEntry& entry = entries[at++];
  json.begin_object().key("name").string(name);
  if (entry.kind == Member::Kind::array) {
    json.key("kind").string("array");
    write_array_at(json, entry.path.empty() ? path : below(path, entry.path));
  } else {
    json.key("kind").string("group");
    json.key("attributes").raw(quote_non_finite(to_json(entry.attributes)));
    json.key("children").begin_array();
    const std::string start = entry.path.empty() ? "" : entry.path + "/";
    while (at < entries.size() && entries[at].path.starts_with(start))
      write_tree(json, entries, at, path, entries[at].path.substr(start.size()));
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
  const FoundFormat found = find_container(path);
  std::string name = found.inside.empty() ? found.place.path : found.inside;
  while (name.size() > 1 && name.back() == '/') name.pop_back();
  if (const std::size_t slash = name.rfind('/'); slash != std::string::npos && slash + 1 < name.size())
    name.erase(0, slash + 1);
  JsonWriter json;
  std::size_t at = 0;
  write_tree(json, contents_of(found), at, path, name);
  if (session.json)
    session.out << json.text() << "\n";
  else
    print_tree(session.out, nlohmann::ordered_json::parse(json.text()), "", true, true);
}

}  // namespace morsel::app
