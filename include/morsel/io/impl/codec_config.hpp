// The configuration of a codec, read member by member. For the bodies of codecs alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <morsel/base/error.hpp>
#include <morsel/io/codec_info.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI::detail {

/// Reads members of a configuration; `finish` refuses those that nobody asked for, except for codecs of
/// numcodecs, whose documents carry members of later versions.
class CodecConfig {
 public:
  CodecConfig(const CodecInfo& info, const std::string& doing)
      : doing_(doing + ": codec '" + info.name + "'"), lenient_(info.name.starts_with("numcodecs.")) {
    json_ = nlohmann::json::parse(info.configuration.empty() ? "{}" : info.configuration, nullptr, false);
    if (!json_.is_object())
      fail(Errc::corrupt_data, doing_ + ": bad configuration; expected a JSON object, got " + shown(json_));
  }
  const std::string& doing() const { return doing_; }
  /// The member, or null if it is absent (or JSON null).
  const nlohmann::json* find(const char* name) {
    asked_.emplace_back(name);
    const auto it = json_.find(name);
    return it == json_.end() || it->is_null() ? nullptr : &*it;
  }
  bool has(const char* name) { return find(name) != nullptr; }
  /// An integer in [lo, hi]; the default if it is absent.
  std::int64_t integer(const char* name, std::int64_t otherwise, std::int64_t lo, std::int64_t hi) {
    const nlohmann::json* value = find(name);
    if (!value) return otherwise;
    if (value->is_number_integer() &&
        !(value->is_number_unsigned() &&
          value->get<std::uint64_t>() >
              static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))) {
      const auto n = value->get<std::int64_t>();
      if (n >= lo && n <= hi) return n;
    }
    wrong(name, "an integer from " + std::to_string(lo) + " to " + std::to_string(hi), *value);
  }
  double number(const char* name, double otherwise) {
    const nlohmann::json* value = find(name);
    if (!value) return otherwise;
    if (!value->is_number()) wrong(name, "a number", *value);
    return value->get<double>();
  }
  bool boolean(const char* name, bool otherwise) {
    const nlohmann::json* value = find(name);
    if (!value) return otherwise;
    if (!value->is_boolean()) wrong(name, "true or false", *value);
    return value->get<bool>();
  }
  std::string text(const char* name, const std::string& otherwise) {
    const nlohmann::json* value = find(name);
    if (!value) return otherwise;
    if (!value->is_string()) wrong(name, "a string", *value);
    return value->get<std::string>();
  }
  /// Refuses members that were not asked for.
  void finish() const {
    if (lenient_) return;
    for (const auto& [name, value] : json_.items()) {
      if (std::find(asked_.begin(), asked_.end(), name) != asked_.end()) continue;
      fail(Errc::unsupported,
           doing_ + ": unknown member of the configuration; expected " + known() + ", got '" + name + "'");
    }
  }
  [[noreturn]] void wrong(const char* name, const std::string& expected, const nlohmann::json& got) const {
    fail(Errc::corrupt_data, doing_ + ": bad '" + name + "'; expected " + expected + ", got " + shown(got));
  }
  static std::string shown(const nlohmann::json& value) {
    std::string text = value.is_discarded()
                           ? "no JSON"
                           : value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    if (text.size() > 60) text = text.substr(0, 57) + "...";
    return text;
  }

 private:
  std::string known() const {
    if (asked_.empty()) return "none";
    std::string text;
    for (const std::string& name : asked_) text += (text.empty() ? "" : ", ") + name;
    return text;
  }
  std::string doing_;
  bool lenient_;
  nlohmann::json json_;
  std::vector<std::string> asked_;
};

}  // namespace morsel::inline MORSEL_ABI::detail
