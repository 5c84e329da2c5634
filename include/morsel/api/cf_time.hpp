// Times of the CF conventions: numbers with units such as "hours since 1900-01-01" in one of six calendars.
#pragma once

#include <cstdint>
#include <morsel/base/checked.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace morsel::inline MORSEL_ABI {

enum class Calendar : std::uint8_t {
  standard,             ///< Julian before 15 October 1582, Gregorian from there; no year 0
  proleptic_gregorian,  ///< Gregorian for all times
  julian,               ///< no year 0
  noleap,               ///< 365 days
  all_leap,             ///< 366 days
  day_360               ///< 12 months of 30 days
};

/// The calendar of that name; both names where CF has two ("gregorian", "365_day", "366_day").
/// **Fails**: unsupported.
Calendar parse_calendar(std::string_view name);

/// A date as far as it is given, and whole seconds with a fraction.
struct CfDate {
  enum class Precision : std::uint8_t { year, month, day, hour, minute, second };
  Index year = 1;
  int month = 1, day = 1, hour = 0, minute = 0;
  Index microsecond = 0;  ///< of the minute
  Precision precision = Precision::year;
};

/// "2001", "2001-06", "2001-6-1 12", "2001-06-15T12:30:00.5". **Fails**: syntax_error.
CfDate parse_cf_date(std::string_view text);

/// Days from a fixed day of the calendar. **Fails**: invalid_argument for a date that the calendar does not
/// have.
Index cf_day_number(const CfDate& date, Calendar calendar);

/// The units of a time coordinate.
class CfTimeUnits {
 public:
  /// **Fails**: unsupported for units and calendars that are not known; syntax_error; invalid_argument.
  /// **Source**: CF Conventions 1.11, 4.4.
  CfTimeUnits(std::string_view units, std::string_view calendar);
  /// True for text of the form "<units> since <date>".
  static bool matches(std::string_view units);

  /// Microseconds of one unit; a part of one for nanoseconds.
  long double unit_microseconds() const { return unit_; }
  Calendar calendar() const { return calendar_; }

  /// Microseconds from the units' date to the first instant of a date, and to the one where the next begins:
  /// [start, end), of a month its first day and that of the next. Equal for a date with seconds.
  struct Span {
    long double start = 0, end = 0;
  };
  Span span(const CfDate& date) const;

 private:
  Calendar calendar_ = Calendar::standard;
  long double unit_ = 1;
  long double epoch_ = 0;  // microseconds from the calendar's fixed day
};

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/cf_time.ipp>
#endif
