#include <algorithm>
#include <cstdlib>
#include <morsel/api/evaluate.hpp>
#include <morsel/io/codec.hpp>
#include <morsel/io/format.hpp>

#include "commands.hpp"
#include "json_writer.hpp"

namespace morsel::app {
namespace {

std::string version_number() {
  return std::to_string(MORSEL_VERSION_MAJOR) + "." + std::to_string(MORSEL_VERSION_MINOR) + "." +
         std::to_string(MORSEL_VERSION_PATCH);
}

std::string compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#elif defined(__GNUC__)
  return "gcc " __VERSION__;
#else
  return "unknown";
#endif
}

constexpr const char* variables[] = {"MORSEL_MEMORY", "MORSEL_THREADS",  "MORSEL_SIMD", "MORSEL_SPILL_DIR",
                                     "MORSEL_TRACE",  "MORSEL_PROGRESS", "NO_COLOR"};

/// Names of the formats that this build opens, and of those it only knows.
std::vector<std::string> format_names(bool opened) {
  std::vector<std::string> names;
  for (const auto& format : formats())
    if (static_cast<bool>(format->open) == opened) names.push_back(format->name);
  return names;
}

std::vector<std::string> components() {
  std::vector<std::string> names{"core"};
  for (const auto& format : formats())
    if (format->open && !format->component.empty() &&
        std::find(names.begin(), names.end(), format->component) == names.end())
      names.push_back(format->component);
  return names;
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out.empty() ? "none" : out;
}

void write_list(JsonWriter& json, const char* key, const std::vector<std::string>& names) {
  json.key(key).begin_array();
  for (const std::string& name : names) json.string(name);
  json.end_array();
}

}  // namespace

std::string version_text() {
  return "morsel " + version_number() + "\nformats: " + joined(format_names(true)) +
         "\ncodecs: " + joined(codec_names()) + "\n";
}

void doctor(Session& session) {
  const ComputeOptions options = session.options();
  const Workspace workspace = Workspace::process();
  const std::size_t memory = options.memory.count() != 0 ? options.memory.count() : workspace.memory_bytes();
  const int threads = options.threads != 0 ? options.threads : workspace.threads();
  if (session.json) {
    JsonWriter json;
    json.begin_object().key("version").string(version_number()).key("compiler").string(compiler());
    write_list(json, "components", components());
    write_list(json, "formats", format_names(true));
    write_list(json, "known_formats", format_names(false));
    write_list(json, "codecs", codec_names());
    json.key("simd")
        .begin_object()
        .key("level")
        .string(name_of(simd_level()))
        .key("best")
        .string(name_of(best_simd_level()))
        .end_object();
    json.key("memory").begin_object().key("budget_bytes").integer(static_cast<std::uint64_t>(memory));
    json.key("available_bytes").integer(static_cast<std::uint64_t>(available_memory_bytes())).end_object();
    json.key("threads").begin_object().key("used").integer(std::int64_t{threads});
    json.key("available").integer(std::int64_t{available_threads()}).end_object();
    json.key("environment").begin_object();
    for (const char* name : variables) {
      json.key(name);
      if (const char* value = std::getenv(name))
        json.string(value);
      else
        json.null();
    }
    json.end_object().end_object();
    session.out << json.text() << "\n";
    return;
  }
  const auto line = [&](std::string name, const std::string& text) {
    name.resize(18, ' ');
    session.out << name << text << "\n";
  };
  line("version", version_number());
  line("compiler", compiler());
  line("components", joined(components()));
  line("formats", joined(format_names(true)));
  line("known, not built", joined(format_names(false)));
  line("codecs", joined(codec_names()));
  line("SIMD level",
       std::string(name_of(simd_level())) + " (best: " + std::string(name_of(best_simd_level())) + ")");
  line("memory",
       format_bytes(memory) + " budget of " + format_bytes(available_memory_bytes()) + " available");
  line("threads", std::to_string(threads) + " of " + std::to_string(available_threads()));
  for (const char* name : variables)
    if (const char* value = std::getenv(name)) line(name, value);
}

}  // namespace morsel::app
