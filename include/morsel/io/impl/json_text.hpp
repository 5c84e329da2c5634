// JSON documents read as text: checked once, then taken apart member by member without a tree in memory, in
// file order. For the bodies of metadata readers alone.
#pragma once

#include <charconv>
#include <morsel/base/checked.hpp>
#include <morsel/base/error.hpp>
#include <morsel/io/attributes_json.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace morsel::inline MORSEL_ABI::detail {

inline constexpr std::size_t max_document_bytes = std::size_t{64} << 20;
inline constexpr int max_json_depth = 256;

/// Accepts JSON of a bounded depth, keeps nothing.
class JsonCheck final : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::string error;
  bool too_deep = false;

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool key(string_t&) override { return true; }
  bool start_object(std::size_t) override { return enter(); }
  bool start_array(std::size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& e) override {
    error = e.what();
    return false;
  }

 private:
  bool enter() {
    too_deep |= ++depth_ > max_json_depth;
    return !too_deep;
  }
  bool leave() {
    --depth_;
    return true;
  }
  int depth_ = 0;
};

struct JsonMember;

/// One value within a checked text; refers to it.
class JsonValue {
 public:
  JsonValue() = default;
  explicit JsonValue(std::string_view text) : text_(text) {}

  std::string_view text() const { return text_; }
  bool is_object() const { return text_.front() == '{'; }
  bool is_array() const { return text_.front() == '['; }
  bool is_string() const { return text_.front() == '"'; }
  bool is_null() const { return text_.front() == 'n'; }
  bool is_number() const { return text_.front() == '-' || (text_.front() >= '0' && text_.front() <= '9'); }
  bool is_true() const { return text_.front() == 't'; }
  bool is_false() const { return text_.front() == 'f'; }

  /// Of an object, in file order; of several with one name the last. Nothing for other values.
  std::vector<JsonMember> members() const;
  /// Calls f(JsonValue) for the elements of an array until it gives false.
  template <class F>
  void for_each_element(F&& f) const {
    if (!is_array()) return;
    for (std::size_t at = skip_blank(1); text_[at] != ']';) {
      const std::size_t end = skip_value(at);
      if (!f(JsonValue(text_.substr(at, end - at)))) return;
      at = skip_blank(end);
      if (text_[at] == ',') at = skip_blank(at + 1);
    }
  }
  std::optional<std::string> string() const {
    if (!is_string()) return std::nullopt;
    if (text_.find('\\') == std::string_view::npos) return std::string(text_.substr(1, text_.size() - 2));
    return nlohmann::json::parse(text_.begin(), text_.end()).get<std::string>();
  }
  /// A number without fraction and exponent that fits.
  std::optional<Index> integer() const {
    Index value = 0;
    const auto [stop, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    if (error != std::errc() || stop != text_.data() + text_.size()) return std::nullopt;
    return value;
  }
  /// Without blanks between tokens.
  std::string compact() const {
    std::string out;
    bool in_string = false;
    for (std::size_t i = 0; i < text_.size(); ++i) {
      const char c = text_[i];
      if (!in_string && is_blank(c)) continue;
      out += c;
      if (in_string && c == '\\' && i + 1 < text_.size())
        out += text_[++i];
      else if (c == '"')
        in_string = !in_string;
    }
    return out;
  }
  /// For messages: one line, cut when long.
  std::string shown() const {
    std::string out = JsonValue(text_.substr(0, 400)).compact();
    if (out.size() <= 80 && text_.size() <= 400) return out;
    std::size_t end = std::min<std::size_t>(out.size(), 77);
    while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xc0) == 0x80) --end;
    return out.substr(0, end) + "...";
  }

 private:
  static bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
  std::size_t skip_blank(std::size_t at) const {
    while (is_blank(text_[at])) ++at;
    return at;
  }
  std::size_t skip_string(std::size_t at) const {
    for (++at; text_[at] != '"'; ++at)
      if (text_[at] == '\\') ++at;
    return at + 1;
  }
  std::size_t skip_value(std::size_t at) const {
    if (text_[at] == '"') return skip_string(at);
    if (text_[at] != '{' && text_[at] != '[') {
      while (at < text_.size() && text_[at] != ',' && text_[at] != ']' && text_[at] != '}' &&
             !is_blank(text_[at]))
        ++at;
      return at;
    }
    for (int depth = 0;;) {
      const char c = text_[at];
      if (c == '"') {
        at = skip_string(at);
        continue;
      }
      ++at;
      if (c == '{' || c == '[') ++depth;
      if ((c == '}' || c == ']') && --depth == 0) return at;
    }
  }
  std::string_view text_;
};

struct JsonMember {
  std::string name;
  JsonValue value;
};

inline std::vector<JsonMember> JsonValue::members() const {
  std::vector<JsonMember> members;
  if (!is_object()) return members;
  std::unordered_map<std::string, std::size_t> seen;
  for (std::size_t at = skip_blank(1); text_[at] != '}';) {
    const std::size_t name_end = skip_string(at);
    std::string name = *JsonValue(text_.substr(at, name_end - at)).string();
    at = skip_blank(skip_blank(name_end) + 1);
    const std::size_t end = skip_value(at);
    const JsonValue value(text_.substr(at, end - at));
    const auto [it, is_new] = seen.emplace(name, members.size());
    if (is_new)
      members.push_back({std::move(name), value});
    else
      members[it->second].value = value;
    at = skip_blank(end);
    if (text_[at] == ',') at = skip_blank(at + 1);
  }
  return members;
}

/// A document's text, checked to be JSON and nothing after it: what JsonValue may be laid over. Bare NaN and
/// infinities, as Python writes them, have become strings. **Fails**: corrupt_data: not JSON, nested deeper
/// than 256, larger than 64 MiB.
class JsonDocument {
 public:
  JsonDocument(std::string_view text, const std::string& doing) {
    if (text.size() > max_document_bytes)
      fail(Errc::corrupt_data, doing + ": the document is too large; expected at most " +
                                   std::to_string(max_document_bytes) + " bytes, got " +
                                   std::to_string(text.size()));
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    text_ = quote_non_finite(text);
    JsonCheck check;
    const bool valid = nlohmann::json::sax_parse(text_, &check);
    if (check.too_deep)
      fail(Errc::corrupt_data, doing + ": JSON nested too deeply; expected at most " +
                                   std::to_string(max_json_depth) + " levels, got more");
    if (!valid)
      fail(Errc::corrupt_data, doing + ": not JSON; expected an object, got " + one_line(check.error));
    const std::size_t begin = text_.find_first_not_of(" \n\t\r");
    root_ = JsonValue(std::string_view(text_).substr(begin, text_.find_last_not_of(" \n\t\r") + 1 - begin));
    if (!root_.is_object())
      fail(Errc::corrupt_data, doing + ": wrong kind of JSON; expected an object, got " + root_.shown());
  }
  JsonDocument(const JsonDocument&) = delete;
  JsonDocument& operator=(const JsonDocument&) = delete;
  JsonValue root() const { return root_; }

 private:
  static std::string one_line(std::string text) {
    if (text.size() > 200) text.resize(200);
    for (char& c : text)
      if (static_cast<unsigned char>(c) < 0x20) c = ' ';
    return text;
  }
  std::string text_;
  JsonValue root_;
};

/// Members by name, and messages about them.
class JsonObject {
 public:
  JsonObject(JsonValue object, std::string doing) : members_(object.members()), doing_(std::move(doing)) {}
  const std::string& doing() const { return doing_; }
  const std::vector<JsonMember>& members() const { return members_; }
  /// Nothing if it is absent; a JSON null counts as there.
  const JsonValue* find(std::string_view name) const {
    for (const JsonMember& member : members_)
      if (member.name == name) return &member.value;
    return nullptr;
  }
  JsonValue at(std::string_view name) const {
    if (const JsonValue* value = find(name)) return *value;
    fail(Errc::corrupt_data, doing_ + ": '" + std::string(name) + "' is missing");
  }
  [[noreturn]] void wrong(std::string_view name, const std::string& expected, JsonValue got) const {
    fail(Errc::corrupt_data,
         doing_ + ": bad '" + std::string(name) + "'; expected " + expected + ", got " + got.shown());
  }

 private:
  std::vector<JsonMember> members_;
  std::string doing_;
};

/// Members of a JSON object as attributes; null counts as none.
inline Attributes attributes_of(JsonValue object) {
  Attributes attributes;
  for (JsonMember& member : object.members())
    attributes.emplace_back(std::move(member.name), member.value.compact());
  return attributes;
}

}  // namespace morsel::inline MORSEL_ABI::detail
