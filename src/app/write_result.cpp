#include "write_result.hpp"

#include <algorithm>
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
  fail(Errc::unsupported,
       "writing '" + path + "': " +
           (is_picture       ? "pictures are"
            : ending.empty() ? "no ending is"
                             : ending + " is") +
           " not supported by this build; expected a name that ends in .npy or .csv, or - to print, got " +
           (ending.empty() ? path : ending));
}

}  // namespace

bool is_npy(const std::string& path) { return ending_of(path) == ".npy"; }

void write_result(Session& session, const Edge& value, const std::string& path, Existing existing) {
  if (path.empty() || path == "-") return print_array(session, value);
  const std::string ending = ending_of(path);
  bool ran = false;
  if (is_npy(path)) {
    NpySinkOptions options;
    options.overwrite = existing == Existing::replace;
    ran = session.run({value}, {SinkTarget{NpySink(path, value.dtype(), value.shape(), options)}});
  } else if (ending == ".csv") {
    ran = write_csv(session, value, path, existing);
  } else {
    refuse_ending(path, ending);
  }
  if (!ran || !session.json) return;
  JsonWriter json;
  json.begin_object().key("path").string(path).key("dtype");
  write_dtype(json, value.dtype());
  json.key("shape").dims(value.shape());
  json.key("nbytes").integer(
      checked_mul(size_of(value.shape()), static_cast<Index>(value.dtype().item_bytes())));
  json.end_object();
  session.out << json.text() << "\n";
}

}  // namespace morsel::app
