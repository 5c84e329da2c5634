// Kerchunk's reference documents, read into sorted references. For the body of ReferenceStore alone.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <morsel/base/bytes.hpp>
#include <morsel/base/checked.hpp>
#include <morsel/io/attributes_json.hpp>
#include <morsel/io/store_key.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#if MORSEL_HAVE_ZLIB
#include <zlib.h>
#endif

namespace morsel::inline MORSEL_ABI::detail {

inline constexpr std::uint32_t no_url = std::numeric_limits<std::uint32_t>::max();

/// One key of a document. Keys and inline values stand in the document's `text`.
struct Reference {
  std::size_t key_at = 0;
  std::uint32_t key_bytes = 0;
  std::uint32_t url = no_url;  // no_url: an inline value
  Index offset = 0;            // in the file, or in the text
  Index length = 0;            // -1: the whole file
};

struct ReferenceDocument {
  std::string text;
  std::vector<Reference> refs;    // sorted by key
  std::vector<std::string> urls;  // distinct

  std::string_view key(std::size_t i) const {
    return std::string_view(text).substr(refs[i].key_at, refs[i].key_bytes);
  }
};

/// Text for messages: short, one line.
inline std::string shown_text(std::string_view text) {
  std::string quoted = json_string(text.substr(0, 80));
  return text.size() > 80 ? quoted + "..." : quoted;
}

inline bool is_gzip(std::span<const std::byte> bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
}

/// What gzip members unpack to. With `begin_only` at most `max_bytes` of the beginning, of which nothing is
/// checked.
inline std::string gunzip(std::span<const std::byte> packed, std::size_t max_bytes, bool begin_only,
                          const std::string& doing) {
#if MORSEL_HAVE_ZLIB
  struct Stream : z_stream {
    Stream() : z_stream{} {
      if (inflateInit2(this, 15 + 16) != Z_OK)
        fail(Errc::internal_error, "inflating: zlib cannot start; expected memory for its state");
    }
    ~Stream() { inflateEnd(this); }
  } stream;
  std::string text;
  std::vector<char> piece(64 * KiB);
  std::size_t used = 0;
  for (int result = Z_OK;;) {
    if (stream.avail_in == 0) {
      const std::size_t more = std::min<std::size_t>(packed.size() - used, std::size_t{1} << 30);
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data() + used));
      stream.avail_in = static_cast<uInt>(more);
      used += more;
    }
    if (result == Z_STREAM_END) {
      if (stream.avail_in == 0) return text;
      inflateReset(&stream);
    }
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    result = inflate(&stream, Z_NO_FLUSH);
    const std::size_t got = piece.size() - stream.avail_out;
    if (begin_only) {
      text.append(piece.data(), std::min(got, max_bytes - text.size()));
      if (result != Z_OK || got == 0 || text.size() == max_bytes) return text;
      continue;
    }
    if (got > max_bytes - text.size())
      fail(Errc::corrupt_data, doing + ": unpacks to too much; expected at most " +
                                   std::to_string(max_bytes) + " bytes, got more");
    text.append(piece.data(), got);
    if (result != Z_STREAM_END && (result != Z_OK || (got == 0 && stream.avail_in == 0)))
      fail(Errc::corrupt_data, doing + ": damaged gzip data; expected a whole stream, got " +
                                   (stream.msg ? stream.msg : "an early end"));
  }
#else
  (void)packed, (void)max_bytes;
  if (begin_only) return {};
  fail(Errc::unsupported,
       doing + ": gzipped, and this build is without zlib; expected plain JSON, got gzip data");
#endif
}

/// Appends what base64 text stands for; false if it is not base64.
///
/// **Source**: RFC 4648 section 4, with padding and without line ends.
inline bool append_base64(std::string& out, std::string_view text) {
  if (text.size() % 4 != 0) return false;
  const auto value_of = [](char c) -> int {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
  };
  for (std::size_t at = 0; at < text.size(); at += 4) {
    const bool is_last = at + 4 == text.size();
    const std::size_t count = !is_last || text[at + 3] != '=' ? 4 : text[at + 2] != '=' ? 3 : 2;
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const int value = i < count ? value_of(text[at + i]) : 0;
      if (value < 0) return false;
      bits = bits << 6 | static_cast<std::uint32_t>(value);
    }
    for (std::size_t i = 0; i + 1 < count; ++i) out += static_cast<char>(bits >> (16 - 8 * i) & 0xff);
  }
  return true;
}

/// Builds a document from references in any order.
class ReferenceBuilder {
 public:
  explicit ReferenceBuilder(std::string doing) : doing_(std::move(doing)) {}

  void start(std::string_view key) {
    if (!is_valid_key(key))
      fail(Errc::corrupt_data,
           doing_ + ": not a key; expected relative segments separated by '/', got " + shown_text(key));
    Reference ref;
    ref.key_at = document_.text.size();
    ref.key_bytes = static_cast<std::uint32_t>(key.size());
    document_.text += key;
    document_.refs.push_back(ref);
  }
  void finish_inline(std::string_view value) {
    begin_value();
    constexpr std::string_view base64 = "base64:";
    if (value.substr(0, base64.size()) != base64)
      document_.text += value;
    else if (!append_base64(document_.text, value.substr(base64.size())))
      fail(Errc::corrupt_data, doing_ + ": bad base64 of " + shown_text(document_.key(last())) +
                                   "; expected whole groups of its 64 characters, got " + shown_text(value));
    end_value();
  }
  void finish_file(std::string_view url, Index offset, Index length) {
    const auto [at, is_new] = url_numbers_.try_emplace(std::string(url), document_.urls.size());
    if (is_new) document_.urls.emplace_back(url);
    Reference& ref = document_.refs.back();
    ref.url = static_cast<std::uint32_t>(at->second);
    ref.offset = offset;
    ref.length = length;
  }
  /// For a value that comes in pieces: appends to text().
  void begin_value() { document_.refs.back().offset = static_cast<Index>(document_.text.size()); }
  void end_value() {
    Reference& ref = document_.refs.back();
    ref.length = static_cast<Index>(document_.text.size()) - ref.offset;
  }
  std::string& text() { return document_.text; }
  std::vector<std::string>& urls() { return document_.urls; }

  void clear() {
    document_ = {};
    url_numbers_.clear();
  }

  /// Sorted, the last of equal keys.
  ReferenceDocument finish() {
    std::vector<Reference>& refs = document_.refs;
    std::string_view text = document_.text;
    const auto key_of = [text](const Reference& ref) { return text.substr(ref.key_at, ref.key_bytes); };
    std::sort(refs.begin(), refs.end(), [&](const Reference& a, const Reference& b) {
      const int compared = key_of(a).compare(key_of(b));
      return compared != 0 ? compared < 0 : a.key_at > b.key_at;  // later ones stand later in the text
    });
    refs.erase(std::unique(refs.begin(), refs.end(),
                           [&](const Reference& a, const Reference& b) { return key_of(a) == key_of(b); }),
               refs.end());
    return std::move(document_);
  }

 private:
  static bool is_valid_key(std::string_view key) {
    try {
      check_key(key, "");
      return true;
    } catch (const Error&) {
      return false;
    }
  }
  std::size_t last() const { return document_.refs.size() - 1; }

  std::string doing_;
  ReferenceDocument document_;
  std::unordered_map<std::string, std::size_t> url_numbers_;
};

/// Receives the events of a JSON parser. Nothing but references is kept; "templates" and "gen" as JSON text.
class ReferenceHandler : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit ReferenceHandler(std::string doing) : doing_(std::move(doing)), builder_(doing_) {}

  bool null() override { return plain("null"); }
  bool boolean(bool value) override { return plain(value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override { return integer(value, std::to_string(value)); }
  bool number_unsigned(number_unsigned_t value) override {
    const bool fits = value <= static_cast<std::uint64_t>(INT64_MAX);
    return fits ? integer(static_cast<Index>(value), std::to_string(value)) : plain(std::to_string(value));
  }
  bool number_float(number_float_t, const string_t& written) override { return plain(written); }
  bool string(string_t& value) override {
    if (into_) return write(json_string(value));
    if (ignored()) return true;
    if (in_list_) {
      if (items_++ != 0) wrong("a number", shown_text(value));
      url_ = std::move(value);
      return true;
    }
    if (!expects_reference_) wrong("an object", shown_text(value));
    expects_reference_ = false;
    builder_.finish_inline(value);
    return true;
  }
  bool binary(binary_t&) override { return true; }

  bool start_object(std::size_t) override {
    deeper();
    if (into_) return open('{');
    if (depth_ == 1) return true;
    if (depth_ == 2 && member_ == "refs") return true;
    if (is_ignored_) {
      into_ = &ignored_text_;
    } else if (expects_reference_ && !in_list_) {
      builder_.begin_value();
      into_ = &builder_.text();
    } else if (depth_ == 2 && member_ == "templates") {
      into_ = &templates_;
    } else {
      wrong("a reference", "an object");
    }
    captured_depth_ = depth_;
    return open('{');
  }
  bool key(string_t& name) override {
    if (into_) {
      comma();
      *into_ += json_string(name) + ":";
      follows_value_ = false;
      return true;
    }
    if (depth_ == 1) {
      member_ = name;
      // Members that came before the first of these are not references, then; of repeated ones the last
      // counts.
      if (name == "refs" || (name == "version" && !is_v1_)) builder_.clear();
      is_v1_ |= name == "refs" || name == "version";
      if (name == "templates") templates_.clear();
      if (name == "gen") gen_.clear();
      if (name == "refs" || name == "version" || name == "templates" || name == "gen") return true;
      if (is_v1_) {
        is_ignored_ = true;
        return true;
      }
    }
    expects_reference_ = true;
    builder_.start(name);
    return true;
  }
  bool end_object() override { return end('}'); }

  bool start_array(std::size_t) override {
    deeper();
    if (into_) return open('[');
    if (is_ignored_ || (depth_ == 2 && member_ == "gen")) {
      into_ = is_ignored_ ? &ignored_text_ : &gen_;
      captured_depth_ = depth_;
      return open('[');
    }
    if (!expects_reference_ || in_list_) wrong(depth_ == 1 ? "an object" : "a reference", "an array");
    in_list_ = true;
    items_ = 0;
    return true;
  }
  bool end_array() override {
    if (into_) return end(']');
    --depth_;
    in_list_ = expects_reference_ = false;
    if (items_ != 1 && items_ != 3)
      wrong("[url] or [url, offset, length]", std::to_string(items_) + " items");
    builder_.finish_file(url_, items_ == 1 ? 0 : numbers_[0], items_ == 1 ? -1 : numbers_[1]);
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& e) override {
    error_ = e.what();
    return false;
  }

  const std::string& error() const { return error_; }
  bool is_v1() const { return is_v1_; }
  const std::optional<Index>& version() const { return version_; }
  const std::string& templates() const { return templates_; }
  const std::string& gen() const { return gen_; }
  ReferenceBuilder& builder() { return builder_; }

 private:
  void deeper() {
    if (++depth_ > 256)
      fail(Errc::corrupt_data, doing_ + ": JSON nested too deeply; expected at most 256 levels, got more");
  }
  bool open(char bracket) {
    comma();
    *into_ += bracket;
    follows_value_ = false;
    return true;
  }
  bool end(char bracket) {
    if (into_) {
      *into_ += bracket;
      follows_value_ = true;
      if (depth_ == captured_depth_) {
        if (expects_reference_) builder_.end_value();
        expects_reference_ = follows_value_ = is_ignored_ = false;
        ignored_text_.clear();
        into_ = nullptr;
      }
    }
    --depth_;
    return true;
  }
  /// Whether this is the value of a member that version 1 does not know, outside of brackets.
  bool ignored() {
    const bool was = is_ignored_;
    is_ignored_ = false;
    return was;
  }
  void comma() {
    if (follows_value_) *into_ += ',';
  }
  bool write(const std::string& value) {
    comma();
    *into_ += value;
    follows_value_ = true;
    return true;
  }
  bool integer(Index value, const std::string& written) {
    if (depth_ == 1 && member_ == "version" && !is_ignored_) {
      version_ = value;
      return true;
    }
    if (into_ || !in_list_) return plain(written);
    if (items_ == 0 || items_ > 2 || value < 0) wrong(items_ ? "a position" : "a url", written);
    numbers_[items_++ - 1] = value;
    return true;
  }
  bool plain(const std::string& written) {
    if (into_) return write(written);
    if (ignored()) return true;
    wrong(in_list_ ? "[url] or [url, offset, length]" : depth_ == 0 ? "an object" : "a reference", written);
  }
  [[noreturn]] void wrong(const std::string& expected, const std::string& got) const {
    fail(Errc::corrupt_data, doing_ + (member_.empty() ? "" : ": below " + shown_text(member_)) +
                                 ": not a reference document; expected " + expected + ", got " + got);
  }

  std::string doing_;
  ReferenceBuilder builder_;
  std::string member_;  // of the document
  std::string templates_, gen_, ignored_text_, error_, url_;
  std::string* into_ = nullptr;  // where JSON text is collected
  std::size_t depth_ = 0, captured_depth_ = 0, items_ = 0;
  Index numbers_[2] = {0, 0};
  std::optional<Index> version_;
  bool follows_value_ = false, expects_reference_ = false, in_list_ = false, is_v1_ = false,
       is_ignored_ = false;
};

/// Renders text with {{ }}: names of templates and integer expressions of variables.
class ReferenceTemplates {
 public:
  using Variables = std::vector<std::pair<std::string, Index>>;

  ReferenceTemplates(const std::string& json, std::string doing) : doing_(std::move(doing)) {
    if (json.empty()) return;
    const nlohmann::json parsed = nlohmann::json::parse(json);
    for (const auto& [name, value] : parsed.items()) {
      if (!value.is_string())
        fail(Errc::corrupt_data, doing_ + ": bad template " + shown_text(name) + "; expected text, got " +
                                     shown_text(value.dump()));
      values_.emplace_back(name, value.get<std::string>());
    }
  }

  std::string render(std::string_view text, const Variables& variables = {}) const {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = text.find("{{", at);
      if (begin == text.npos) {
        out += text.substr(at);
        break;
      }
      const std::size_t end = text.find("}}", begin);
      if (end == text.npos || text.find("{%") != text.npos || text.find("{#") != text.npos) refuse(text);
      out += text.substr(at, begin - at);
      append(out, text.substr(begin + 2, end - begin - 2), variables);
      at = end + 2;
    }
    return out;
  }

 private:
  /// Reads an expression: sums of products of signed numbers, variables and parentheses. Integers as in
  /// Python, except that they must fit 64 bits.
  struct Expression {
    std::string_view text;
    const Variables& variables;
    std::size_t at = 0;
    int depth = 0;
    bool is_wrong = false;

    Index sum() {
      if (++depth > 64) is_wrong = true;
      Index value = product();
      while (!is_wrong && (take("+") || take("-"))) {
        const bool is_minus = text[at - 1] == '-';
        const Index other = product();
        is_wrong |= is_minus ? __builtin_sub_overflow(value, other, &value)
                             : __builtin_add_overflow(value, other, &value);
      }
      --depth;
      return value;
    }
    Index product() {
      Index value = factor();
      while (!is_wrong) {
        if (take("**")) {
          is_wrong = true;
        } else if (take("*")) {
          is_wrong |= __builtin_mul_overflow(value, factor(), &value);
        } else if (take("//") || take("%")) {
          const bool is_modulo = text[at - 1] == '%';
          const Index other = factor();
          if (other == 0 || other == -1) {
            is_wrong |= other == 0 || __builtin_sub_overflow(Index{0}, value, &value);
            if (is_modulo) value = 0;
          } else {
            const Index rest = value % other;
            const bool is_above = rest != 0 && (rest < 0) != (other < 0);
            value = is_modulo ? rest + (is_above ? other : 0) : value / other - (is_above ? 1 : 0);
          }
        } else {
          break;
        }
      }
      return value;
    }
    Index factor() {
      if (is_wrong) return 0;
      bool is_minus = false;
      while (take("-")) is_minus = !is_minus;
      Index value = 0;
      if (take("(")) {
        value = sum();
        is_wrong |= !take(")");
      } else if (at < text.size() && text[at] >= '0' && text[at] <= '9') {
        const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), value);
        is_wrong |= error != std::errc();
        at = static_cast<std::size_t>(end - text.data());
      } else {
        const std::string_view name = take_name();
        const auto found = std::find_if(variables.begin(), variables.end(),
                                        [&](const auto& variable) { return variable.first == name; });
        is_wrong |= name.empty() || found == variables.end();
        if (!is_wrong) value = found->second;
      }
      if (is_minus) is_wrong |= __builtin_sub_overflow(Index{0}, value, &value);
      return value;
    }
    std::string_view take_name() {
      skip_spaces();
      const std::size_t begin = at;
      const auto is_letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
      };
      while (at < text.size() && (is_letter(text[at]) || (at > begin && text[at] >= '0' && text[at] <= '9')))
        ++at;
      const std::string_view name = text.substr(begin, at - begin);
      skip_spaces();
      return name;
    }
    bool take(std::string_view word) {
      skip_spaces();
      if (text.substr(at, word.size()) != word) return false;
      at += word.size();
      return true;
    }
    void skip_spaces() {
      while (at < text.size() && (text[at] == ' ' || text[at] == '\t')) ++at;
    }
  };

  void append(std::string& out, std::string_view expression, const Variables& variables) const {
    Expression reader{expression, variables};
    const std::string_view name = reader.take_name();
    const auto is_variable = [&] {
      return std::find_if(variables.begin(), variables.end(),
                          [&](const auto& v) { return v.first == name; }) != variables.end();
    };
    if (!name.empty() && reader.at == expression.size() && !is_variable()) {
      for (const auto& [known, value] : values_)
        if (known == name) {
          if (value.find("{{") != value.npos || value.find("{%") != value.npos) refuse(value);
          out += value;
          return;
        }
      fail(Errc::corrupt_data,
           doing_ + ": unknown template; expected one that the document defines, got " + shown_text(name));
    }
    reader.at = 0;
    const Index value = reader.sum();
    reader.skip_spaces();
    if (reader.is_wrong || reader.at != expression.size()) refuse("{{" + std::string(expression) + "}}");
    out += std::to_string(value);
  }
  [[noreturn]] void refuse(std::string_view text) const {
    fail(Errc::unsupported, doing_ +
                                ": a template that needs Jinja; expected {{name}} or an integer expression, "
                                "got " +
                                shown_text(text));
  }

  std::string doing_;
  std::vector<std::pair<std::string, std::string>> values_;
};

/// Expands the elements of "gen".
class ReferenceGenerator {
 public:
  ReferenceGenerator(ReferenceBuilder& builder, const ReferenceTemplates& templates, Index most_refs,
                     std::string doing)
      : builder_(builder), templates_(templates), most_refs_(most_refs), doing_(std::move(doing)) {}

  void expand(const std::string& json) {
    for (const auto& item : nlohmann::json::parse(json)) {
      if (!item.is_object()) wrong("an object", item);
      const nlohmann::json& dimensions = member(item, "dimensions");
      if (!dimensions.is_object() || dimensions.size() > 32)
        wrong("an object of 32 dimensions at most", dimensions);
      std::vector<Range> ranges;
      for (const auto& [name, value] : dimensions.items()) ranges.push_back(range_of(name, value));
      Index count = 1;
      for (const Range& range : ranges) count = range.count == 0 ? 0 : count;
      for (const Range& range : ranges)
        if (__builtin_mul_overflow(count, range.count, &count)) count = INT64_MAX;
      if (count > most_refs_ - made_)
        fail(Errc::unsupported, doing_ + ": \"gen\" makes too many references; expected at most " +
                                    std::to_string(most_refs_) + ", got " +
                                    (count == INT64_MAX ? std::string("more") : std::to_string(count)));
      made_ += count;
      for (Index i = 0; i < count; ++i) one(item, ranges, i);
    }
  }

 private:
  struct Range {
    std::string name;
    Index start = 0, step = 1, count = 0;
    std::vector<Index> values;  // if they are listed
  };

  Range range_of(const std::string& name, const nlohmann::json& json) const {
    Range range;
    range.name = name;
    if (json.is_array()) {
      for (const auto& value : json) range.values.push_back(integer(value));
      range.count = static_cast<Index>(range.values.size());
      return range;
    }
    if (!json.is_object()) wrong("a list or {start, stop, step}", json);
    if (json.contains("start")) range.start = integer(json["start"]);
    if (json.contains("step")) range.step = integer(json["step"]);
    const Index stop = integer(member(json, "stop"));
    constexpr Index most = INT64_MAX / 4;  // so that nothing below overflows
    for (const Index value : {range.start, range.step, stop})
      if (value > most || value < -most) wrong("numbers below 2^61", json);
    if (range.step == 0) wrong("a step other than 0", json);
    const Index distance = range.step > 0 ? stop - range.start : range.start - stop;
    range.count = distance <= 0 ? 0 : ceil_div(distance, range.step > 0 ? range.step : -range.step);
    return range;
  }

  /// The reference of a number in the product of the dimensions.
  void one(const nlohmann::json& item, const std::vector<Range>& ranges, Index number) {
    ReferenceTemplates::Variables variables;
    for (const Range& range : ranges) {
      const Index i = number % range.count;
      number /= range.count;
      variables.emplace_back(range.name, range.values.empty() ? range.start + i * range.step
                                                              : range.values[static_cast<std::size_t>(i)]);
    }
    const std::string key = rendered(member(item, "key"), variables);
    const std::string url = rendered(member(item, "url"), variables);
    Index offset = 0, length = -1;
    if (item.contains("offset") || item.contains("length")) {
      offset = position(member(item, "offset"), variables);
      length = position(member(item, "length"), variables);
    }
    builder_.start(key);
    builder_.finish_file(url, offset, length);
  }

  std::string rendered(const nlohmann::json& json, const ReferenceTemplates::Variables& variables) {
    if (!json.is_string()) wrong("text", json);
    const auto& text = json.get_ref<const std::string&>();
    std::string made = templates_.render(text, variables);
    // What is read counts as well as what is made: time is bounded, too.
    constexpr std::size_t most = 256 * MiB;
    text_bytes_ += text.size() + made.size();
    if (text_bytes_ > most)
      fail(Errc::unsupported, doing_ + ": \"gen\" makes too much text; expected at most " +
                                  std::to_string(most) + " bytes, got more");
    return made;
  }
  Index position(const nlohmann::json& json, const ReferenceTemplates::Variables& variables) {
    Index value = -1;
    if (json.is_string()) {
      const std::string text = rendered(json, variables);
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error != std::errc() || end != text.data() + text.size()) value = -1;
    } else {
      value = integer(json);
    }
    if (value < 0) wrong("a position", json);
    return value;
  }
  Index integer(const nlohmann::json& json) const {
    if (!json.is_number_integer() || (json.is_number_unsigned() && json.get<std::uint64_t>() > INT64_MAX))
      wrong("an integer", json);
    return json.get<Index>();
  }
  const nlohmann::json& member(const nlohmann::json& json, const char* name) const {
    const auto found = json.find(name);
    if (found == json.end()) wrong(std::string("a member '") + name + "'", json);
    return *found;
  }
  [[noreturn]] void wrong(const std::string& expected, const nlohmann::json& got) const {
    fail(Errc::corrupt_data,
         doing_ + ": bad \"gen\"; expected " + expected + ", got " +
             shown_text(got.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)));
  }

  ReferenceBuilder& builder_;
  const ReferenceTemplates& templates_;
  Index most_refs_;
  std::string doing_;
  Index made_ = 0;
  std::size_t text_bytes_ = 0;
};

/// Reads a document, plain JSON. Steps: the events of the parser become references; templates are put into
/// their URLs; "gen" is expanded; all are sorted.
inline ReferenceDocument parse_references(std::string_view json, Index most_generated_refs,
                                          const std::string& doing) {
  const auto parse = [&](std::string_view text) {
    auto handler = std::make_unique<ReferenceHandler>(doing);
    nlohmann::json::sax_parse(text, handler.get());
    return handler;
  };
  std::unique_ptr<ReferenceHandler> handler = parse(json);
  if (!handler->error().empty()) {
    handler = parse(quote_non_finite(json));  // Python's json writes NaN bare
    if (!handler->error().empty())
      fail(Errc::corrupt_data,
           doing + ": not JSON; expected an object of references, got " + handler->error());
  }
  ReferenceBuilder& builder = handler->builder();
  if (!handler->is_v1()) {
    if (!handler->templates().empty() || !handler->gen().empty())
      fail(Errc::corrupt_data, doing + ": templates without a version; expected \"version\": 1, got none");
    return builder.finish();
  }
  if (handler->version().value_or(1) != 1)
    fail(Errc::unsupported,
         doing + ": unknown version of references; expected 1, got " + std::to_string(*handler->version()));
  const ReferenceTemplates templates(handler->templates(), doing);
  for (std::string& url : builder.urls()) url = templates.render(url);
  if (!handler->gen().empty())
    ReferenceGenerator(builder, templates, most_generated_refs, doing).expand(handler->gen());
  return builder.finish();
}

}  // namespace morsel::inline MORSEL_ABI::detail
