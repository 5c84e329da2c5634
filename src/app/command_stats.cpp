#include <algorithm>
#include <charconv>
#include <cstring>
#include <functional>
#include <morsel/api/axes.hpp>

#include "commands.hpp"
#include "element_text.hpp"
#include "open_source.hpp"
#include "slice_argument.hpp"

namespace morsel::app {
namespace {

std::vector<AxisName> parse_axes(const std::string& text) {
  std::vector<AxisName> axes;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    std::string item = text.substr(begin, end - begin);
    item.erase(0, item.find_first_not_of(' '));
    item.erase(item.find_last_not_of(' ') + 1);
    if (item.empty())
      throw UsageError("--axis " + text +
                       ": an axis is missing; expected numbers or names such as 0,2, got '" + text + "'");
    Index number = 0;
    const auto result = std::from_chars(item.data(), item.data() + item.size(), number);
    if (result.ec == std::errc() && result.ptr == item.data() + item.size())
      axes.emplace_back(number);
    else
      axes.emplace_back(item);
    begin = end + 1;
  }
  return axes;
}

/// One statistic: its values over the kept axes, or nothing known of it.
struct Statistic {
  const char* name;
  std::optional<Elements> elements;
};

/// The statistics as JSON or text; `emptied(i)`: nothing went into element i.
class Report {
 public:
  Report(const Shape& kept, Index reduced, const std::optional<Elements>& nan_count)
      : kept_(kept), reduced_(reduced), nan_count_(nan_count) {}

  Index nans(Index i) const {
    if (!nan_count_) return 0;
    std::int64_t value = 0;
    std::memcpy(&value, nan_count_->element(i), sizeof value);
    return value;
  }
  bool is_empty(Index i) const { return reduced_ - nans(i) == 0; }

  /// Nested lists over the kept axes of what `write(i)` writes; one value if there are none.
  void nested(JsonWriter& json, const std::function<void(Index)>& write) const {
    Index next = 0;
    nested(json, write, 0, next);
  }

  void value(JsonWriter& json, const Elements& elements, Index i) const {
    if (is_empty(i)) {
      json.null();
    } else if (elements.dtype == DType(Type::bool_)) {
      json.integer(std::int64_t{*elements.element(i) != std::byte{0}});
    } else {
      write_element(json, elements.dtype, elements.element(i));
    }
  }

 private:
  void nested(JsonWriter& json, const std::function<void(Index)>& write, std::size_t axis,
              Index& next) const {
    if (axis == kept_.size()) return write(next++);
    json.begin_array();
    for (Index k = 0; k < kept_[axis]; ++k) nested(json, write, axis + 1, next);
    json.end_array();
  }

  Shape kept_;
  Index reduced_;
  const std::optional<Elements>& nan_count_;
};

}  // namespace

void stats(Session& session, const StatsArguments& arguments) {
  // 1. The array, the part of it, the axes.
  const std::string path = source_path(arguments.source, session.dataset);
  const OpenedEdge opened = arguments.part.any() ? open_part(path, arguments.part) : open_edge(path);
  const Edge part = sliced(opened.edge, arguments.slice);
  if (!part.dtype().is_numeric())
    fail(Errc::dtype_mismatch, "stats of '" + path + "': " + part.dtype().name() +
                                   " is not a numeric dtype; expected numbers" +
                                   (part.dtype().is_record() ? " (a record has fields)" : ""));
  const Type given = part.dtype().type();
  const std::size_t rank = part.shape().size();
  std::vector<Index> axes = all_axes(rank);
  if (!arguments.axes.empty()) {
    const View shown = slice_view(opened.edge.shape(), slice_items(arguments.slice));
    axes = find_axes(parse_axes(arguments.axes), names_through(shown, opened.dims), rank,
                     "stats of '" + path + "'");
  }
  Shape kept;
  Index reduced = 1;
  for (std::size_t i = 0; i < rank; ++i) {
    if (std::find(axes.begin(), axes.end(), static_cast<Index>(i)) == axes.end())
      kept.push_back(part.shape()[i]);
    else
      reduced = checked_mul(reduced, part.shape()[i]);
  }

  // 2. One run for all. Floats below double are widened first, exactly, so that no digit of the mean is lost.
  const Type wide = is_complex(given) ? Type::complex128 : is_floating(given) ? Type::float64 : given;
  const Edge values = astype(part, wide);
  const bool has_nan = is_floating(given) || is_complex(given);
  ReductionOptions options;
  options.skip_nan = has_nan;
  Statistic nan_count{"nan_count", {}};
  Statistic statistics[] = {{"min", {}}, {"max", {}}, {"mean", {}}, {"stddev", {}}, {"sum", {}}};
  constexpr Reduction reductions[] = {Reduction::min, Reduction::max, Reduction::mean, Reduction::stddev,
                                      Reduction::sum};
  std::vector<Edge> edges;
  std::vector<Statistic*> places;
  if (reduced > 0) {
    if (has_nan) {
      const Edge is_nan = morsel::apply(Op::isnan, {values});
      edges.push_back(reduce(make_reducer(Reduction::count_nonzero, Type::bool_), is_nan, axes, false));
      places.push_back(&nan_count);
    }
    for (std::size_t i = 0; i < std::size(reductions); ++i) {
      const bool has_order = reductions[i] == Reduction::min || reductions[i] == Reduction::max;
      if (has_order && is_complex(given)) continue;
      edges.push_back(reduce(make_reducer(reductions[i], wide, options), values, axes, false));
      places.push_back(&statistics[i]);
    }
    std::vector<Target> targets;
    for (std::size_t k = 0; k < edges.size(); ++k) {
      places[k]->elements.emplace(edges[k]);
      targets.push_back(MemoryTarget{places[k]->elements->view()});
    }
    if (!session.run(edges, targets)) return;
  } else if (session.explain) {
    session.out << "nothing to reduce: no element of '" << path << "' is read\n";
    return;
  }

  // 3. The report.
  JsonWriter json;
  json.begin_object().key("path").string(path).key("dtype");
  write_dtype(json, part.dtype());
  json.key("shape").dims(part.shape());
  const Report report(kept, reduced, nan_count.elements);
  json.key("count");
  report.nested(json, [&](Index) { json.integer(reduced); });
  json.key("nan_count");
  report.nested(json, [&](Index i) { json.integer(report.nans(i)); });
  for (const Statistic& statistic : statistics) {
    json.key(statistic.name);
    const bool unordered = !statistic.elements && reduced > 0;
    if (unordered) {
      json.null();  // min and max of complex numbers
      continue;
    }
    report.nested(json, [&](Index i) {
      if (statistic.elements)
        report.value(json, *statistic.elements, i);
      else
        json.null();
    });
  }
  json.end_object();
  if (session.json) {
    session.out << json.text() << "\n";
    return;
  }
  const auto line = [&](std::string name, const std::string& text) {
    name.resize(10, ' ');
    session.out << name << text << "\n";
  };
  line("path", path);
  line("dtype", part.dtype().name());
  line("shape", to_string(part.shape()));
  const auto text_of = [&](const std::function<void(JsonWriter&, Index)>& write) {
    JsonWriter values_json;
    report.nested(values_json, [&](Index i) { write(values_json, i); });
    std::string text = values_json.text();
    text.erase(std::remove(text.begin(), text.end(), '"'), text.end());
    return text == "null" ? std::string("-") : text;
  };
  line("count", text_of([&](JsonWriter& out, Index) { out.integer(reduced); }));
  line("nan_count", text_of([&](JsonWriter& out, Index i) { out.integer(report.nans(i)); }));
  for (const Statistic& statistic : statistics)
    line(statistic.name, !statistic.elements ? "-" : text_of([&](JsonWriter& out, Index i) {
           report.value(out, *statistic.elements, i);
         }));
}

}  // namespace morsel::app
