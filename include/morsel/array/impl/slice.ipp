#pragma once

#include <limits>
#include <morsel/array/slice.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// Reads the text of an index expression.
struct SliceReader {
  std::string_view text;
  std::size_t at = 0;

  [[noreturn]] void refuse(const std::string& what, std::size_t position) const {
    fail(Errc::syntax_error,
         "reading a slice: " + what + " at column " + std::to_string(position + 1) +
             "; expected integers, start:stop:step, '...' or None separated by commas, got '" +
             std::string(text) + "'");
  }
  [[noreturn]] void refuse_here() const {
    refuse(at < text.size() ? "unexpected '" + std::string(1, text[at]) + "'" : "unexpected end", at);
  }
  char peek() {
    while (at < text.size() && std::string_view(" \t\n\r").find(text[at]) != std::string_view::npos) ++at;
    return at < text.size() ? text[at] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at;
    return true;
  }
  bool take_word(std::string_view word) {
    peek();
    if (text.substr(at, word.size()) != word) return false;
    at += word.size();
    return true;
  }
  bool ends_bound() {
    const char c = peek();
    return c == ':' || c == ',' || c == ']' || at == text.size();
  }

  /// An integer, None, or nothing. Values beyond 63 bits become the nearest one and set `*clipped`.
  std::optional<Index> read_bound(bool* clipped) {
    if (ends_bound() || take_word("None")) return std::nullopt;
    const bool negative = text[at] == '-';
    if (text[at] == '-' || text[at] == '+') ++at;
    if (at == text.size() || text[at] < '0' || text[at] > '9') refuse_here();
    Index value = 0;
    bool overflow = false;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
      const Index digit = text[at] - '0';
      overflow |= __builtin_mul_overflow(value, Index{10}, &value);
      overflow |= __builtin_add_overflow(value, negative ? -digit : digit, &value);
    }
    *clipped |= overflow;
    if (!overflow) return value;
    return negative ? std::numeric_limits<Index>::min() : std::numeric_limits<Index>::max();
  }

  SliceItem read_item() {
    if (ends_bound() && peek() != ':') refuse_here();
    if (take_word("...") || take_word("Ellipsis")) return SliceItem::Kind::ellipsis;
    if (take_word("np.newaxis") || take_word("newaxis")) return SliceItem::Kind::newaxis;
    const std::size_t begin = at;
    bool clipped = false;
    SliceItem item;
    item.start = read_bound(&clipped);
    if (!take(':')) {
      if (!ends_bound()) refuse_here();
      if (!item.start) return SliceItem::Kind::newaxis;
      if (clipped) refuse("an index beyond 63 bits", begin);
      item.kind = SliceItem::Kind::integer;
      return item;
    }
    item.stop = read_bound(&clipped);
    if (take(':')) item.step = read_bound(&clipped);
    if (item.step == Index{0}) refuse("a step of zero", begin);
    return item;
  }

  SliceItems read() {
    const bool bracketed = take('[');
    SliceItems items;
    do {
      const char c = peek();
      if (!items.empty() && (c == ']' || at == text.size())) break;  // a trailing comma
      items.push_back(read_item());
    } while (take(','));
    if (bracketed && !take(']')) refuse_here();
    peek();
    if (at != text.size()) refuse_here();
    return items;
  }
};

}  // namespace detail

MORSEL_INLINE SliceItems parse_slice(std::string_view text) { return detail::SliceReader{text}.read(); }

MORSEL_INLINE ResolvedSlice resolve(const SliceItem& item, Index extent) {
  constexpr Index most = std::numeric_limits<Index>::max();
  const Index step = item.step ? std::max(*item.step, -most) : 1;
  if (step == 0) fail(Errc::invalid_argument, "slicing: a step of zero; expected a step other than 0, got 0");
  const auto place = [&](Index bound) {
    if (bound < 0) bound += extent;
    if (bound < 0) return step < 0 ? Index{-1} : Index{0};
    if (bound >= extent) return step < 0 ? extent - 1 : extent;
    return bound;
  };
  const Index start = item.start ? place(*item.start) : step < 0 ? extent - 1 : 0;
  const Index stop = item.stop ? place(*item.stop) : step < 0 ? -1 : extent;
  Index count = 0;
  if (step < 0 && stop < start) count = (start - stop - 1) / -step + 1;
  if (step > 0 && start < stop) count = (stop - start - 1) / step + 1;
  return {start, count, step};
}

MORSEL_INLINE std::string to_string(const SliceItems& items) {
  if (items.empty()) return "...";
  std::string text;
  for (const SliceItem& item : items) {
    if (!text.empty()) text += ", ";
    switch (item.kind) {
      case SliceItem::Kind::integer:
        text += std::to_string(item.start.value_or(0));
        break;
      case SliceItem::Kind::ellipsis:
        text += "...";
        break;
      case SliceItem::Kind::newaxis:
        text += "None";
        break;
      case SliceItem::Kind::slice:
        if (item.start) text += std::to_string(*item.start);
        text += ":";
        if (item.stop) text += std::to_string(*item.stop);
        if (item.step) text += ":" + std::to_string(*item.step);
        break;
    }
  }
  return text;
}

}  // namespace morsel::inline MORSEL_ABI
