#include <catch2/catch.hpp>
#include <morsel/api/cf_time.hpp>
#include <support/failure.hpp>

using namespace morsel;
using Catch::Matchers::Contains;
using morsel_test::failure_of;

namespace {

/// The first instant of a date in units.
double in_units(const char* units, const char* calendar, const char* date) {
  const CfTimeUnits time(units, calendar);
  return static_cast<double>(time.span(parse_cf_date(date)).start / time.unit_microseconds());
}
double length_in_days(const char* calendar, const char* date) {
  const auto span = CfTimeUnits("days since 1900-01-01", calendar).span(parse_cf_date(date));
  return static_cast<double>((span.end - span.start) / 86400000000.0L);
}

}  // namespace

TEST_CASE("dates are so many units from the units' date, as cftime has it", "[cf_time]") {
  // Values of cftime 1.6.6, date2num.
  CHECK(in_units("days since 1900-01-01", "standard", "2001-06-15") == 37055);
  CHECK(in_units("days since 1900-01-01", "gregorian", "1582-10-15") == -115860);
  CHECK(in_units("days since 1900-01-01", "standard", "1582-10-04") == -115861);
  CHECK(in_units("days since 1900-01-01", "proleptic_gregorian", "1582-10-04") == -115871);
  CHECK(in_units("days since 1900-01-01", "julian", "2001-06-15") == 37056);
  CHECK(in_units("days since 1900-01-01", "noleap", "2001-06-15") == 37030);
  CHECK(in_units("days since 1900-01-01", "365_day", "2001-06-15") == 37030);
  CHECK(in_units("days since 1900-01-01", "all_leap", "2001-06-15") == 37132);
  CHECK(in_units("days since 1900-01-01", "360_day", "2001-02-30") == 36419);
  CHECK(in_units("days since 1-1-1", "standard", "1970-01-01") == 719164);
  CHECK(in_units("days since 0001-01-01", "proleptic_gregorian", "1970-01-01") == 719162);
  CHECK(in_units("days since -4713-01-01", "julian", "2000-01-01") == 2451558);
  CHECK(in_units("hours since 2001-01-01 12:00", "standard", "2001-01-02T06:30") == 18.5);
  CHECK(in_units("seconds since 1970-01-01T00:00:00Z", "standard", "2001-09-09T01:46:40") == 1e9);
  CHECK(in_units("minutes since 2000-01-01 00:00:00 +2:00", "standard", "2000-01-01") == 120);
  CHECK(in_units("hours since 2000-01-01 00:00:0.0 -0530", "standard", "2000-01-01T12") == 6.5);
  CHECK(in_units("milliseconds since 2000-01-01 UTC", "standard", "2000-01-01T00:00:01.25") == 1250);
  CHECK(in_units("months since 2000-01-01", "360_day", "2001-03-01") == 14);
}

TEST_CASE("a date that is given in part lasts until the next one", "[cf_time]") {
  CHECK(length_in_days("standard", "2000") == 366);
  CHECK(length_in_days("noleap", "2000") == 365);
  CHECK(length_in_days("360_day", "2000") == 360);
  CHECK(length_in_days("standard", "2000-02") == 29);
  CHECK(length_in_days("standard", "1900-02") == 28);
  CHECK(length_in_days("julian", "1900-02") == 29);
  CHECK(length_in_days("all_leap", "1900-02") == 29);
  CHECK(length_in_days("360_day", "1900-02") == 30);
  CHECK(length_in_days("standard", "1582-10") == 21);
  CHECK(length_in_days("standard", "2000-12") == 31);
  CHECK(length_in_days("standard", "-1") == 366);
  CHECK(length_in_days("standard", "2000-12-31") == 1);
  CHECK(length_in_days("standard", "2000-12-31T23") == 1.0 / 24);
  CHECK(length_in_days("standard", "2000-12-31 23:59") == 1.0 / 1440);
  CHECK(length_in_days("standard", "2000-12-31 23:59:59") == 0);
}

TEST_CASE("dates, units and calendars that there are not are refused", "[cf_time]") {
  const auto refused = [](const char* units, const char* calendar, const char* date) {
    return failure_of([&] { in_units(units, calendar, date); });
  };
  const char* days = "days since 1900-01-01";
  for (const char* text : {"", "x", "2001-", "2001-06-15T", "2001-06-15 12:30:00 Z", "2001-06-15T12:61:61",
                           "2001-123", "12345678", "June 2001"})
    CHECK_THAT(refused(days, "standard", text), Contains("syntax_error: a date: not understood") &&
                                                    Contains("got '" + std::string(text) + "'"));
  CHECK_THAT(refused(days, "standard", "2001-02-29"), Contains("no such day"));
  CHECK_THAT(refused(days, "standard", "2001-13"), Contains("no such month"));
  CHECK_THAT(refused(days, "360_day", "2001-01-31"), Contains("no such day"));
  CHECK_THAT(refused(days, "standard", "1582-10-10"), Contains("left out when the Gregorian calendar came"));
  CHECK_THAT(refused(days, "standard", "0"), Contains("this calendar has no year 0"));
  CHECK(refused(days, "noleap", "0").empty());
  CHECK_THAT(refused(days, "standard", "2001-06-15T24"), Contains("no such time of day"));
  CHECK_THAT(refused(days, "mayan", "2001"),
             Contains("unsupported: a calendar: not known") && Contains("'mayan'"));
  CHECK_THAT(refused("fortnights since 1900-01-01", "", "2001"), Contains("units of time: not known"));
  CHECK_THAT(refused("months since 1900-01-01", "", "2001"), Contains("a length that varies"));
  CHECK_THAT(refused("days since 1900-01-01 noon", "", "2001"), Contains("units of time: a bad date"));
  CHECK_THAT(refused("days since yesterday", "", "2001"), Contains("syntax_error"));
  CHECK_THAT(refused("days", "", "2001"), Contains("units of time: no date"));
  CHECK_FALSE(CfTimeUnits::matches("K"));
  CHECK(CfTimeUnits::matches(days));
}
