#include "write_result.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <morsel/api/save.hpp>
#include <morsel/io/npy_sink.hpp>

#include "csv.hpp"
#include "element_text.hpp"
#include "json_writer.hpp"
#include "print_array.hpp"

namespace morsel::app {
namespace {

std::string ending_of(const std::string& path) {
  const std::size_t slash = path.rfind('/'), dot = path.rfind('.');
  if (dot == std::string::npos || (slash != std::string::npos && dot < slash)) return {};
  std::string ending = path.substr(dot);
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return ending;
}

[[noreturn]] void refuse_ending(const std::string& path, const std::string& ending) {
  static constexpr const char* pictures[] = {".png", ".jpg", ".jpeg", ".gif", ".bmp"};
  const bool is_picture = std::find(std::begin(pictures), std::end(pictures), ending) != std::end(pictures);
  fail(Errc::unsupported, "writing '" + path + "': " +
                              (is_picture       ? "pictures are"
                               : ending.empty() ? "no ending is"
                                                : ending + " is") +
                              " not supported by this build; expected a name that ends in .npy, .csv" +
                              (is_in_container("x.h5") ? ", .zarr or .h5" : " or .zarr") +
                              ", or - to print, got " + (ending.empty() ? path : ending));
}

}  // namespace

bool is_npy(const std::string& path) { return ending_of(path) == ".npy"; }
bool is_csv(const std::string& path) { return ending_of(path) == ".csv"; }

std::shared_ptr<const Format> container_format(const std::string& path) {
  if (is_npy(path) || is_csv(path)) return nullptr;
  for (std::size_t end = path.size(); end != std::string::npos && end != 0; end = path.rfind('/', end - 1)) {
    std::string part = path.substr(0, end);
    while (!part.empty() && part.back() == '/') part.pop_back();
    const std::string ending = ending_of(part);
    for (const auto& format : formats())
      if (format->create && format->list && !ending.empty() &&
          std::find(format->endings.begin(), format->endings.end(), ending) != format->endings.end())
        return format;
  }
  return nullptr;
}

void write_written(JsonWriter& json, const std::string& path, const Edge& value) {
  json.key("path").string(path).key("dtype");
  write_dtype(json, value.dtype());
  json.key("shape").dims(value.shape());
  json.key("nbytes").integer(
      checked_mul(size_of(value.shape()), static_cast<Index>(value.dtype().item_bytes())));
}

void refuse_existing(const std::string& path, const std::string& expected) {
  fail(Errc::already_exists, "writing '" + path + "': it exists; expected " + expected);
}

void write_result(Session& session, const AnyLazyArray& array, const std::string& path, Existing existing) {
  const Edge& value = array.edge();
  if (path.empty() || path == "-") return print_array(session, value);
  bool ran = false;
  if (is_npy(path)) {
    NpySinkOptions options;
    options.overwrite = existing == Existing::replace;
    ran = session.run({value}, {SinkTarget{NpySink(path, value.dtype(), value.shape(), options)}});
  } else if (is_csv(path)) {
    ran = write_csv(session, value, path, existing);
  } else if (is_in_container(path)) {
    struct stat status;
    if (::lstat(path.c_str(), &status) == 0)
      refuse_existing(path,
                      "a new name (`morsel copy --overwrite` replaces arrays), got a directory or file");
    const SavePlan plan = plan_save({}, {Saving(array, path)});
    if (!session.explain && !is_in_one_file(path)) session.left_behind = "'" + path + "' is there in part";
    ran = session.run(plan.values, plan.targets);
  } else {
    refuse_ending(path, ending_of(path));
  }
  if (!ran || !session.json) return;
  JsonWriter json;
  json.begin_object();
  write_written(json, path, value);
  json.end_object();
  session.out << json.text() << "\n";
}

}  // namespace morsel::app
