#pragma once

#include <algorithm>
#include <array>
#include <cctype>
#include <morsel/api/cf_time.hpp>
#include <vector>

namespace morsel::inline MORSEL_ABI {

namespace detail {

inline constexpr std::array<int, 13> days_before_month{0,   31,  59,  90,  120, 151, 181,
                                                       212, 243, 273, 304, 334, 365};

constexpr bool is_leap(Index year, Calendar calendar) {
  switch (calendar) {
    case Calendar::noleap:
    case Calendar::day_360:
      return false;
    case Calendar::all_leap:
      return true;
    case Calendar::julian:
      return year % 4 == 0;
    default:
      return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  }
}

constexpr Index floor_div(Index a, Index b) { return a / b - (a % b < 0); }

/// Days before 1 January of an astronomical year (that before 1 is 0), from 1 January of year 1.
constexpr Index days_before_year(Index year, Calendar calendar) {
  const Index before = year - 1;
  switch (calendar) {
    case Calendar::noleap:
      return 365 * before;
    case Calendar::all_leap:
      return 366 * before;
    case Calendar::day_360:
      return 360 * before;
    case Calendar::julian:
      return 365 * before + floor_div(before, 4);
    default:
      return 365 * before + floor_div(before, 4) - floor_div(before, 100) + floor_div(before, 400);
  }
}

constexpr int days_of_month(Index year, int month, Calendar calendar) {
  if (calendar == Calendar::day_360) return 30;
  const auto at = static_cast<std::size_t>(month);
  return days_before_month[at] - days_before_month[at - 1] + (month == 2 && is_leap(year, calendar));
}

/// A day of an astronomical year; of a calendar that is of one piece.
constexpr Index day_number(Index year, int month, int day, Calendar calendar) {
  const Index before =
      calendar == Calendar::day_360
          ? 30 * (month - 1)
          : days_before_month[static_cast<std::size_t>(month - 1)] + (month > 2 && is_leap(year, calendar));
  return days_before_year(year, calendar) + before + day - 1;
}

inline constexpr Index microseconds_of_day = Index{86400} * 1000000;
/// The Julian calendar has 1 January of year 1 two days before the Gregorian.
inline constexpr Index julian_days_behind = 2;

/// Takes text apart from its front.
class TextReader {
 public:
  explicit TextReader(std::string_view text) : rest_(text) {}
  bool is_done() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }
  char next() const { return rest_.empty() ? '\0' : rest_[0]; }
  bool take(char c) {
    if (next() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool blanks() {
    const std::size_t before = rest_.size();
    while (take(' ') || take('\t')) {
    }
    return rest_.size() < before;
  }
  /// **Requires**: a digit is next.
  Index digit() {
    const Index value = next() - '0';
    rest_.remove_prefix(1);
    return value;
  }
  /// Digits, at most `most`; nothing if there are none or more.
  std::optional<Index> digits(std::size_t most) {
    std::size_t count = 0;
    Index value = 0;
    while (count < rest_.size() && rest_[count] >= '0' && rest_[count] <= '9' && count <= most)
      value = 10 * value + (rest_[count++] - '0');
    if (count == 0 || count > most) return std::nullopt;
    rest_.remove_prefix(count);
    return value;
  }

 private:
  std::string_view rest_;
};

[[noreturn]] MORSEL_INLINE void fail_date(std::string_view text) {
  fail(Errc::syntax_error,
       "a date: not understood; expected such as 2001, 2001-06, 2001-06-15 or "
       "2001-06-15T12:30:00, got '" +
           std::string(text) + "'");
}

/// A date at the front of `reader`.
MORSEL_INLINE CfDate read_cf_date(TextReader& reader, std::string_view all) {
  using Precision = CfDate::Precision;
  CfDate date;
  const bool is_negative = reader.take('-');
  if (!is_negative) reader.take('+');
  const auto need = [&](std::size_t most) {
    const std::optional<Index> number = reader.digits(most);
    if (!number) fail_date(all);
    return *number;
  };
  date.year = need(6) * (is_negative ? -1 : 1);
  if (!reader.take('-')) return date;
  date.month = static_cast<int>(need(2));
  date.precision = Precision::month;
  if (!reader.take('-')) return date;
  date.day = static_cast<int>(need(2));
  date.precision = Precision::day;
  TextReader ahead = reader;
  if (!ahead.take('T') && !ahead.take('t') && !ahead.blanks()) return date;
  if (ahead.next() < '0' || ahead.next() > '9') return date;
  reader = ahead;
  date.hour = static_cast<int>(need(2));
  date.precision = Precision::hour;
  if (!reader.take(':')) return date;
  date.minute = static_cast<int>(need(2));
  date.precision = Precision::minute;
  if (!reader.take(':')) return date;
  const Index seconds = need(2);
  date.precision = Precision::second;
  Index fraction = 0;
  if (reader.take('.')) {
    for (Index digit = 100000; reader.next() >= '0' && reader.next() <= '9'; digit /= 10)
      fraction += digit * reader.digit();
  }
  if (date.hour > 23 || date.minute > 59 || seconds > 59) fail_date(all);
  date.microsecond = seconds * 1000000 + fraction;
  return date;
}

}  // namespace detail

MORSEL_INLINE Calendar parse_calendar(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  struct Row {
    const char* name;
    Calendar calendar;
  };
  static constexpr Row rows[] = {
      {"", Calendar::standard},          {"standard", Calendar::standard},
      {"gregorian", Calendar::standard}, {"proleptic_gregorian", Calendar::proleptic_gregorian},
      {"julian", Calendar::julian},      {"noleap", Calendar::noleap},
      {"365_day", Calendar::noleap},     {"all_leap", Calendar::all_leap},
      {"366_day", Calendar::all_leap},   {"360_day", Calendar::day_360}};
  for (const Row& row : rows)
    if (lower == row.name) return row.calendar;
  fail(Errc::unsupported,
       "a calendar: not known; expected standard, proleptic_gregorian, julian, noleap, "
       "all_leap or 360_day, got '" +
           std::string(name) + "'");
}

MORSEL_INLINE CfDate parse_cf_date(std::string_view text) {
  detail::TextReader reader(text);
  reader.blanks();
  const CfDate date = detail::read_cf_date(reader, text);
  reader.blanks();
  if (!reader.is_done()) detail::fail_date(text);
  return date;
}

MORSEL_INLINE Index cf_day_number(const CfDate& date, Calendar calendar) {
  const auto refuse = [&](const std::string& why) {
    fail(Errc::invalid_argument, "a date: " + why + "; expected one of the calendar, got " +
                                     std::to_string(date.year) + "-" + std::to_string(date.month) + "-" +
                                     std::to_string(date.day));
  };
  // The calendar of that day, and its year without a gap at 0.
  const bool has_no_zero = calendar == Calendar::standard || calendar == Calendar::julian;
  if (has_no_zero && date.year == 0) refuse("this calendar has no year 0");
  const Index year = has_no_zero && date.year < 0 ? date.year + 1 : date.year;
  Calendar piece = calendar;
  if (calendar == Calendar::standard) {
    const Index written = (date.year * 100 + date.month) * 100 + date.day;
    if (written > 15821004 && written < 15821015) refuse("left out when the Gregorian calendar came");
    piece = written < 15821015 ? Calendar::julian : Calendar::proleptic_gregorian;
  }
  if (date.month < 1 || date.month > 12) refuse("no such month");
  if (date.day < 1 || date.day > detail::days_of_month(year, date.month, piece)) refuse("no such day");
  const Index number = detail::day_number(year, date.month, date.day, piece);
  return calendar == Calendar::standard && piece == Calendar::julian ? number - detail::julian_days_behind
                                                                     : number;
}

MORSEL_INLINE bool CfTimeUnits::matches(std::string_view units) {
  return units.find(" since ") != units.npos;
}

MORSEL_INLINE CfTimeUnits::CfTimeUnits(std::string_view units, std::string_view calendar)
    : calendar_(parse_calendar(calendar)) {
  const std::string text(units);
  const std::size_t since = text.find(" since ");
  if (since == text.npos)
    fail(Errc::syntax_error,
         "units of time: no date; expected such as 'days since 1900-01-01', got '" + text + "'");
  std::string unit;
  for (const char c : text.substr(0, since))
    if (c != ' ') unit += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  struct Row {
    std::vector<std::string> names;
    long double microseconds;
  };
  const long double day = static_cast<long double>(detail::microseconds_of_day);
  const Row rows[] = {{{"nanoseconds", "nanosecond", "nanosec", "nsec", "ns"}, 0.001L},
                      {{"microseconds", "microsecond", "microsec", "microsecs", "us"}, 1},
                      {{"milliseconds", "millisecond", "millisec", "millisecs", "msec", "msecs", "ms"}, 1000},
                      {{"seconds", "second", "sec", "secs", "s"}, 1000000},
                      {{"minutes", "minute", "min", "mins"}, 60000000},
                      {{"hours", "hour", "hr", "hrs", "h"}, day / 24},
                      {{"days", "day", "d"}, day},
                      {{"weeks", "week"}, 7 * day},
                      {{"months", "month"}, 30 * day},
                      {{"years", "year"}, 360 * day}};
  unit_ = 0;
  for (const Row& row : rows)
    if (std::find(row.names.begin(), row.names.end(), unit) != row.names.end()) unit_ = row.microseconds;
  const bool varies = unit.starts_with("month") || unit.starts_with("year");
  if (unit_ == 0 || (varies && calendar_ != Calendar::day_360))
    fail(Errc::unsupported,
         "units of time: " + std::string(varies ? "of a length that varies in this calendar" : "not known") +
             "; expected nanoseconds to weeks, got '" + text + "'");
  detail::TextReader reader(std::string_view(text).substr(since + 7));
  reader.blanks();
  const CfDate date = detail::read_cf_date(reader, text);
  reader.blanks();
  long double zone = 0;  // microseconds that the clock is ahead of UTC
  if (!reader.is_done() && reader.rest() != "Z" && reader.rest() != "UTC" && reader.rest() != "GMT") {
    const bool is_behind = reader.take('-');
    if (!is_behind) reader.take('+');
    std::optional<Index> hours = reader.digits(4), minutes = 0;
    if (reader.take(':') || (hours && *hours == 0 && reader.take('.')))
      minutes = reader.digits(2);
    else if (hours && *hours >= 100) {
      minutes = *hours % 100;
      hours = *hours / 100;
    }
    if (!hours || !minutes || *hours > 24 || *minutes > 59 || !reader.is_done())
      fail(Errc::syntax_error,
           "units of time: a bad date; expected such as '1900-01-01 00:00:00 +1:00', got '" + text + "'");
    zone = static_cast<long double>(*hours * 60 + *minutes) * 60000000 * (is_behind ? -1 : 1);
  }
  epoch_ = span(date).start - zone;
}

MORSEL_INLINE CfTimeUnits::Span CfTimeUnits::span(const CfDate& date) const {
  using Precision = CfDate::Precision;
  const auto instant = [&](const CfDate& at) {
    return static_cast<long double>(cf_day_number(at, calendar_)) *
               static_cast<long double>(detail::microseconds_of_day) +
           static_cast<long double>(Index{at.hour} * 3600 + Index{at.minute} * 60) * 1000000 +
           static_cast<long double>(at.microsecond) - epoch_;
  };
  if (date.hour > 23 || date.minute > 59)
    fail(Errc::invalid_argument, "a date: no such time of day; expected 00:00 to 23:59, got " +
                                     std::to_string(date.hour) + ":" + std::to_string(date.minute));
  Span span{instant(date), 0};
  CfDate next = date;
  const auto next_year = [&] {
    next.year += 1;
    if (next.year == 0 && (calendar_ == Calendar::standard || calendar_ == Calendar::julian)) next.year = 1;
  };
  switch (date.precision) {
    case Precision::year:
      next_year();
      span.end = instant(next);
      break;
    case Precision::month:
      next.month = date.month == 12 ? 1 : date.month + 1;
      if (date.month == 12) next_year();
      span.end = instant(next);
      break;
    case Precision::day:
      span.end = span.start + static_cast<long double>(detail::microseconds_of_day);
      break;
    case Precision::hour:
      span.end = span.start + 3600000000.0L;
      break;
    case Precision::minute:
      span.end = span.start + 60000000.0L;
      break;
    case Precision::second:
      span.end = span.start;
  }
  return span;
}

}  // namespace morsel::inline MORSEL_ABI
