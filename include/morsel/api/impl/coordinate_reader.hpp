// A coordinate read chunk by chunk, as far as a search needs it. For the body of coordinates.ipp alone.
#pragma once

#include <cmath>
#include <cstring>
#include <map>
#include <morsel/api/any_lazy_array.hpp>
#include <morsel/api/cf_time.hpp>
#include <morsel/io/attributes_json.hpp>
#include <nlohmann/json.hpp>

namespace morsel::inline MORSEL_ABI::detail {

/// What elements of a coordinate mean: numbers, or times as microseconds from the date of their units.
class CoordinateReader {
 public:
  CoordinateReader(AnyLazyArray coordinate, std::string doing)
      : coordinate_(std::move(coordinate)), doing_(std::move(doing)), grid_(coordinate_.grid()) {
    const std::string units = text_attribute("units");
    if (coordinate_.dtype().name().starts_with("M8[")) {
      read_datetime_units();
    } else if (!coordinate_.dtype().is_numeric() || is_complex(coordinate_.dtype().type())) {
      fail(Errc::unsupported, doing_ +
                                  ": the coordinate is not of real numbers; expected numbers or times, got " +
                                  coordinate_.dtype().name());
    } else if (CfTimeUnits::matches(units)) {
      try {
        time_.emplace(units, text_attribute("calendar"));
      } catch (const Error& error) {
        // Still numbers: only dates need the units.
        no_time_ = error.what();
      }
    }
  }

  Index size() const { return coordinate_.size(); }
  const std::string& doing() const { return doing_; }
  const std::optional<CfTimeUnits>& time() const { return time_; }
  const std::string& no_time() const { return no_time_; }
  std::string dtype() const { return coordinate_.dtype().name(); }

  /// A number as an element would have it.
  long double as_element(long double number) const {
    const Type type = coordinate_.dtype().type();
    if (type == Type::float16) return meaning(float(float16(static_cast<float>(number))));
    if (type == Type::float32) return meaning(static_cast<float>(number));
    if (type == Type::float64) return meaning(static_cast<double>(number));
    return time_ ? number * time_->unit_microseconds() : number;
  }
  /// A distance between numbers.
  long double as_distance(double distance) const {
    return time_ ? static_cast<long double>(distance) * time_->unit_microseconds()
                 : static_cast<long double>(distance);
  }

  long double at(Index i) {
    const AxisGrid& axis = grid_.axis(0);
    const Index chunk = axis.chunk_of(i);
    const auto known = chunks_.find(chunk);
    const std::vector<long double>& values =
        known == chunks_.end()
            ? chunks_.emplace(chunk, read(axis.begin(chunk), axis.end(chunk))).first->second
            : known->second;
    return values[static_cast<std::size_t>(i - axis.begin(chunk))];
  }

  bool descends() { return size() > 1 && at(0) > at(size() - 1); }

  /// False if what has been read is not in order.
  bool is_in_order() {
    const bool descending = descends();
    const long double* last = nullptr;
    for (const auto& [chunk, values] : chunks_)
      for (const long double& value : values) {
        if (std::isnan(value) || (last && (descending ? value > *last : value < *last))) return false;
        last = &value;
      }
    return true;
  }

  /// Calls f(i, value) for every element; chunks are not kept.
  template <class F>
  void for_each(F&& f) const {
    const AxisGrid& axis = grid_.axis(0);
    for (Index chunk = 0; chunk < axis.count(); ++chunk) {
      const std::vector<long double> values = read(axis.begin(chunk), axis.end(chunk));
      for (std::size_t k = 0; k < values.size(); ++k) f(axis.begin(chunk) + static_cast<Index>(k), values[k]);
    }
  }

 private:
  std::string text_attribute(std::string_view name) const {
    const std::optional<std::string> json = find_attribute(coordinate_.attrs(), name);
    if (!json) return {};
    const nlohmann::json value = nlohmann::json::parse(*json, nullptr, false);
    return value.is_string() ? value.get<std::string>() : std::string();
  }

  void read_datetime_units() {
    const std::string name = coordinate_.dtype().name(), unit = name.substr(3, name.size() - 4);
    const char* cf = unit == "D"    ? "days"
                     : unit == "h"  ? "hours"
                     : unit == "m"  ? "minutes"
                     : unit == "s"  ? "seconds"
                     : unit == "ms" ? "milliseconds"
                     : unit == "us" ? "microseconds"
                     : unit == "ns" ? "nanoseconds"
                                    : nullptr;
    if (!cf)
      fail(Errc::unsupported,
           doing_ + ": times in an unknown unit; expected D, h, m, s, ms, us or ns, got " + name);
    time_.emplace(std::string(cf) + " since 1970-01-01", "proleptic_gregorian");
  }

  /// A number, or the microseconds of a time. Times in floats are seldom exact, a third of a day never: one
  /// that is within two steps of its type from a whole second, or millisecond, is meant to be there.
  template <class T>
  long double meaning(T value) const {
    const auto number = static_cast<long double>(value);
    if (!time_) return number;
    const long double instant = number * time_->unit_microseconds();
    if constexpr (std::is_floating_point_v<T>) {
      const T size = std::abs(value);
      const T step = std::nextafter(size, std::numeric_limits<T>::infinity()) - size;
      for (const long double whole : {1000000.0L, 1000.0L, 1.0L}) {
        const long double rounded = std::round(instant / whole) * whole;
        if (std::abs(instant - rounded) <= 2 * static_cast<long double>(step) * time_->unit_microseconds())
          return rounded;
      }
    }
    return instant;
  }

  std::vector<long double> read(Index begin, Index end) const {
    SliceItem part;
    part.start = begin;
    part.stop = end;
    const AnyArray stored = coordinate_.slice({part}).compute({.threads = 1});
    std::vector<long double> values(static_cast<std::size_t>(end - begin));
    const std::byte* from = stored.view().data;
    const auto convert = [&]<class T>() {
      for (std::size_t i = 0; i < values.size(); ++i) {
        T value;
        std::memcpy(&value, from + i * sizeof(T), sizeof(T));
        if constexpr (std::is_same_v<T, float16>)
          values[i] = meaning(float(value));
        else if constexpr (std::is_arithmetic_v<T>)
          values[i] = meaning(value);
      }
    };
    if (coordinate_.dtype().is_numeric())
      visit_type(coordinate_.dtype().type(), convert);
    else
      convert.template operator()<std::int64_t>();
    return values;
  }

  AnyLazyArray coordinate_;
  std::string doing_;
  Grid grid_;
  std::optional<CfTimeUnits> time_;
  std::string no_time_;  // why there is none, though the units look like it
  std::map<Index, std::vector<long double>> chunks_;
};

}  // namespace morsel::inline MORSEL_ABI::detail
