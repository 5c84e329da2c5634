#include <sys/resource.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cstdlib>
#include <morsel/api/evaluate.hpp>
#include <morsel/api/library_versions.hpp>
#include <morsel/io/codec_registry.hpp>
#include <morsel/io/format.hpp>
#include <morsel/io/spill_file.hpp>
#include <optional>

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

/// How many files the process may have open; nothing: as many as it likes.
std::optional<std::uint64_t> most_descriptors() {
  rlimit most{};
  if (::getrlimit(RLIMIT_NOFILE, &most) != 0 || most.rlim_cur == RLIM_INFINITY) return std::nullopt;
  return most.rlim_cur;
}

/// What may still be written into a folder; nothing: it is not there.
std::optional<std::uint64_t> free_bytes(const std::string& folder) {
  struct statvfs system {};
  if (::statvfs(folder.c_str(), &system) != 0) return std::nullopt;
  return std::uint64_t{system.f_bavail} * system.f_frsize;
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out.empty() ? "none" : out;
}

void write_or_null(JsonWriter& json, const char* key, std::optional<std::uint64_t> value) {
  json.key(key);
  if (value)
    json.integer(*value);
  else
    json.null();
}

void write_or_null(JsonWriter& json, const char* key, const std::string& text) {
  json.key(key);
  if (text.empty())
    json.null();
  else
    json.string(text);
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
  const LibraryVersions libraries = library_versions();
  const std::string spill = spill_folder();
  if (session.json) {
    JsonWriter json;
    json.begin_object().key("version").string(version_number()).key("compiler").string(compiler());
    write_list(json, "components", components());
    write_list(json, "formats", format_names(true));
    write_list(json, "known_formats", format_names(false));
    write_list(json, "codecs", codec_names());
    json.key("libraries").begin_object();
    write_or_null(json, "xtensor", libraries.xtensor);
    write_or_null(json, "nlohmann_json", libraries.nlohmann_json);
    write_or_null(json, "sleef", libraries.sleef);
    write_or_null(json, "zlib", libraries.zlib);
    json.end_object();
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
    json.key("limits").begin_object();
    write_or_null(json, "descriptors", most_descriptors());
    json.key("spill_directory").string(spill);
    write_or_null(json, "spill_free_bytes", free_bytes(spill));
    json.end_object();
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
    session.out << name << one_line(text) << "\n";
  };
  line("version", version_number());
  line("compiler", compiler());
  line("components", joined(components()));
  line("formats", joined(format_names(true)));
  line("known, not built", joined(format_names(false)));
  line("codecs", joined(codec_names()));
  line("libraries", "xtensor " + libraries.xtensor + ", nlohmann_json " + libraries.nlohmann_json +
                        (libraries.zlib.empty() ? "" : ", zlib " + libraries.zlib));
  line("mathematics", libraries.sleef.empty() ? "C library" : "SLEEF " + libraries.sleef);
  line("SIMD level",
       std::string(name_of(simd_level())) + " (best: " + std::string(name_of(best_simd_level())) + ")");
  line("memory",
       format_bytes(memory) + " budget of " + format_bytes(available_memory_bytes()) + " available");
  line("threads", std::to_string(threads) + " of " + std::to_string(available_threads()));
  const auto descriptors = most_descriptors();
  line("descriptors", descriptors ? std::to_string(*descriptors) : "unlimited");
  const auto room = free_bytes(spill);
  line("spill directory", spill + (room ? ", " + format_bytes(*room) + " free" : ", which is not there"));
  for (const char* name : variables)
    if (const char* value = std::getenv(name)) line(name, value);
}

}  // namespace morsel::app
