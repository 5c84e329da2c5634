#pragma once

#include <algorithm>
#include <limits>
#include <map>
#include <morsel/api/async.hpp>
#include <morsel/api/open.hpp>
#include <morsel/api/records.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// A column is a member of the records of a carrier, or a carrier as it is.
struct RecordColumn {
  Field field;  // name, dtype, place in the carrier's elements, shape of an array
  std::size_t carrier = 0;
};

using RowCondition = std::function<void(const RecordBlock&, std::byte* kept, Index stride_bytes)>;

struct RecordCondition {
  std::vector<std::size_t> columns;
  RowCondition keep;
};

}  // namespace detail

struct Records::State {
  std::vector<detail::RecordColumn> columns;
  std::vector<std::vector<AnyLazyArray>> carriers;  // [carrier][segment]
  std::vector<Segment> segments;
  std::vector<RowRange> ranges;  // in order, apart, each within one segment, none empty
  std::vector<std::size_t> selected;
  std::vector<detail::RecordCondition> conditions;
  DType dtype;  // of the selected columns
};

namespace detail {

MORSEL_INLINE std::size_t bytes_of(const Field& field) {
  return field.dtype.item_bytes() * static_cast<std::size_t>(size_of(field.shape));
}

/// A record of some columns without gaps.
MORSEL_INLINE DType packed_record(const Records::State& table, const std::vector<std::size_t>& columns) {
  std::vector<Field> fields;
  std::size_t at = 0;
  for (const std::size_t c : columns) {
    Field field = table.columns[c].field;
    field.offset_bytes = at;
    at += bytes_of(field);
    fields.push_back(std::move(field));
  }
  return DType::record(std::move(fields), at);
}

MORSEL_INLINE std::size_t column_number(const Records::State& table, std::string_view name,
                                        const std::string& doing) {
  std::string names;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    if (table.columns[i].field.name == name) return i;
    names += (i ? ", '" : "'") + table.columns[i].field.name + "'";
  }
  fail(Errc::not_found,
       doing + ": no such column; expected one of " + names + ", got '" + std::string(name) + "'");
}

/// The part of a column in one segment.
MORSEL_INLINE AnyLazyArray column_in(const Records::State& table, std::size_t column, std::size_t segment) {
  const RecordColumn& c = table.columns[column];
  const AnyLazyArray& carrier = table.carriers[c.carrier][segment];
  return carrier.dtype().is_record() ? field(carrier, c.field.name) : carrier;
}

MORSEL_INLINE Index row_count(const Records::State& table) {
  return table.segments.empty() ? 0 : table.segments.back().rows.end;
}

MORSEL_INLINE std::size_t segment_of(const Records::State& table, Index row) {
  const auto after = std::upper_bound(table.segments.begin(), table.segments.end(), row,
                                      [](Index r, const Segment& s) { return r < s.rows.end; });
  return static_cast<std::size_t>(after - table.segments.begin());
}

/// A table of all rows and columns from carriers of one run.
MORSEL_INLINE std::shared_ptr<const Records::State> whole_table(Records::State table, std::string name,
                                                                Index rows) {
  table.segments = {{std::move(name), {0, rows}}};
  if (rows > 0) table.ranges = {{0, rows}};
  for (std::size_t i = 0; i < table.columns.size(); ++i) table.selected.push_back(i);
  table.dtype = packed_record(table, table.selected);
  return std::make_shared<const Records::State>(std::move(table));
}

inline constexpr auto exact_digits = std::numeric_limits<long double>::digits;
static_assert(exact_digits >= 64,
              "morsel: bounds are compared as long double, which holds every 64-bit integer");

MORSEL_INLINE bool is_time(const DType& dtype) {
  return !dtype.is_numeric() && !dtype.is_record() && dtype.item_bytes() == 8 &&
         (dtype.name().starts_with("M8") || dtype.name().starts_with("m8"));
}

MORSEL_INLINE void require_ordered(const Records::State& table, std::size_t column,
                                   const std::string& doing) {
  const Field& field = table.columns[column].field;
  if (field.shape.empty() &&
      (is_time(field.dtype) || (field.dtype.is_numeric() && !is_complex(field.dtype.type()))))
    return;
  fail(Errc::dtype_mismatch, doing + ": a column without an order; expected real numbers or times, got " +
                                 field.dtype.name() + (field.shape.empty() ? "" : " arrays"));
}

MORSEL_INLINE long double number_at(const std::byte* element, const DType& dtype) {
  const auto as = [&]<class T>(T value) {
    std::memcpy(static_cast<void*>(&value), element, sizeof value);
    return value;
  };
  if (!dtype.is_numeric()) return static_cast<long double>(as(std::int64_t{}));
  return visit_type(dtype.type(), [&]<class T>() -> long double {
    if constexpr (is_complex(type_of<T>))
      return 0;  // has no order: refused before
    else if constexpr (std::is_same_v<T, float16>)
      return static_cast<long double>(static_cast<float>(as(T{})));
    else
      return static_cast<long double>(as(T{}));
  });
}

/// Finds rows of a sorted column by bisection over its chunks, reading those that it lands in.
class SortedColumn {
 public:
  SortedColumn(AnyLazyArray values, const ComputeOptions& run, std::string doing)
      : values_(std::move(values)), run_(run), doing_(std::move(doing)), axis_(values_.grid().axis(0)) {}

  /// The first row whose value is >= `bound`, or > it.
  Index first_not_below(long double bound) {
    return find([&](long double v) { return v >= bound; });
  }
  Index first_above(long double bound) {
    return find([&](long double v) { return v > bound; });
  }

 private:
  template <class Reached>
  Index find(const Reached& reached) {
    Index low = 0, high = axis_.count();  // the row is in a chunk of [low, high), or begins that at `high`
    while (low < high) {
      const Index middle = low + (high - low) / 2;
      const std::vector<long double>& chunk = read(middle);
      if (reached(chunk.front())) {
        high = middle;
      } else if (!reached(chunk.back())) {
        low = middle + 1;
      } else {
        const auto at =
            std::partition_point(chunk.begin(), chunk.end(), [&](long double v) { return !reached(v); });
        return axis_.begin(middle) + (at - chunk.begin());
      }
    }
    return low < axis_.count() ? axis_.begin(low) : axis_.extent();
  }

  const std::vector<long double>& read(Index number) {
    if (number == number_) return chunk_;
    const Index begin = axis_.begin(number), end = axis_.end(number);
    const AnyArray part = values_.view(range(begin, end)).compute(run_);
    chunk_.clear();
    for (Index i = 0; i < end - begin; ++i)
      chunk_.push_back(
          number_at(part.data() + i * static_cast<Index>(values_.dtype().item_bytes()), values_.dtype()));
    number_ = number;
    for (std::size_t i = 1; i < chunk_.size(); ++i)
      if (!(chunk_[i - 1] <= chunk_[i])) refuse(begin + static_cast<Index>(i));
    if (chunk_.size() == 1 && chunk_[0] != chunk_[0]) refuse(begin);
    const auto [here, is_new] = ends_.emplace(number, std::pair(chunk_.front(), chunk_.back()));
    if (here != ends_.begin() && std::prev(here)->second.second > chunk_.front()) refuse(begin);
    if (const auto next = std::next(here); next != ends_.end() && chunk_.back() > next->second.first)
      refuse(end);
    return chunk_;
  }

  [[noreturn]] void refuse(Index row) const {
    fail(Errc::corrupt_data, doing_ +
                                 ": the column is not sorted; expected no value below the one before, got "
                                 "one at row " +
                                 std::to_string(row) + " of the run");
  }

  AnyLazyArray values_;
  ComputeOptions run_;
  std::string doing_;
  AxisGrid axis_;
  Index number_ = -1;
  std::vector<long double> chunk_;
  std::map<Index, std::pair<long double, long double>> ends_;
};

/// Keeps rows whose number in a column fulfils `test`.
template <class Test>
RowCondition number_condition(const std::string& name, const DType& dtype, Test test) {
  return [=](const RecordBlock& block, std::byte* kept, Index stride) {
    std::size_t offset = 0;
    for (const Field& field : block.dtype().fields())
      if (field.name == name) offset = field.offset_bytes;
    for (Index row = 0; row < block.size(); ++row)
      if (!test(number_at(block.row(row) + offset, dtype))) kept[row * stride] = std::byte{0};
  };
}

/// One pass over the selected rows: what is read, how rows are packed, and where they come from.
struct RecordPass {
  std::shared_ptr<const Records::State> table;
  std::vector<std::size_t> columns;   // selected ones first
  std::vector<std::size_t> carriers;  // that are read
  DType packed;                       // of all these columns
  std::size_t item_bytes = 0;         // of a packed row: the columns and whether it is kept
  std::vector<Index> begins;          // of each range among all of them, and the end
};

MORSEL_INLINE RecordPass pass_over(const Records::State& table, std::vector<std::size_t> selected) {
  RecordPass pass;
  pass.table = std::make_shared<const Records::State>(table);
  pass.columns = std::move(selected);
  for (const RecordCondition& condition : table.conditions)
    for (const std::size_t c : condition.columns)
      if (std::find(pass.columns.begin(), pass.columns.end(), c) == pass.columns.end())
        pass.columns.push_back(c);
  for (const std::size_t c : pass.columns) {
    const std::size_t carrier = table.columns[c].carrier;
    if (std::find(pass.carriers.begin(), pass.carriers.end(), carrier) == pass.carriers.end())
      pass.carriers.push_back(carrier);
  }
  pass.packed = packed_record(table, pass.columns);
  pass.item_bytes = pass.packed.item_bytes() + 1;
  pass.begins.push_back(0);
  for (const RowRange& range : table.ranges) pass.begins.push_back(pass.begins.back() + range.size());
  return pass;
}

/// The table's rows for rows [lo, hi) of the pass, all of one range.
MORSEL_INLINE RowRange rows_of(const RecordPass& pass, Index lo, Index hi) {
  const auto after = std::upper_bound(pass.begins.begin(), pass.begins.end(), lo);
  const auto number = static_cast<std::size_t>(after - pass.begins.begin()) - 1;
  const Index shift = pass.table->ranges[number].begin - pass.begins[number];
  return {lo + shift, hi + shift};
}

/// Rows of a chunk packed one after another: kept ones first, then as many as were left out, marked.
MORSEL_INLINE void pack_rows(const RecordPass& pass, const RowRange& rows, const std::vector<BufferView>& in,
                             const BufferView& out) {
  const Index count = rows.size(), item = static_cast<Index>(pass.item_bytes);
  std::byte* const mark = out.data + item - 1;
  for (std::size_t i = 0; i < pass.columns.size(); ++i) {
    const RecordColumn& column = pass.table->columns[pass.columns[i]];
    const auto place = std::find(pass.carriers.begin(), pass.carriers.end(), column.carrier);
    const BufferView& from = in[static_cast<std::size_t>(place - pass.carriers.begin())];
    const std::size_t bytes = bytes_of(column.field);
    const std::byte* source = from.data + column.field.offset_bytes;
    std::byte* target = out.data + pass.packed.fields()[i].offset_bytes;
    for (Index row = 0; row < count; ++row)
      std::memcpy(target + row * item, source + row * from.strides[0], bytes);
  }
  for (Index row = 0; row < count; ++row) mark[row * item] = std::byte{1};
  if (pass.table->conditions.empty()) return;
  const std::string& segment = pass.table->segments[segment_of(*pass.table, rows.begin)].name;
  const RecordBlock block(out.data, item, count, rows, segment, pass.packed);
  for (const RecordCondition& condition : pass.table->conditions) condition.keep(block, mark, item);
  Index kept = 0;
  for (Index row = 0; row < count; ++row) {
    if (mark[row * item] == std::byte{0}) continue;
    if (kept != row) std::memcpy(out.data + kept * item, out.data + row * item, pass.item_bytes);
    ++kept;
  }
  for (Index row = kept; row < count; ++row) mark[row * item] = std::byte{0};
}

MORSEL_INLINE Index kept_rows(const BufferView& packed, Index count) {
  const Index item = static_cast<Index>(packed.item_bytes);
  Index low = 0, high = count;
  while (low < high) {
    const Index middle = low + (high - low) / 2;
    if (packed.data[middle * packed.strides[0] + item - 1] != std::byte{0})
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

MORSEL_INLINE Edge packed_edge(const RecordPass& pass) {
  MapChunksNode call;
  for (const std::size_t carrier : pass.carriers) {
    std::vector<AnyLazyArray> parts;
    for (const RowRange& rows : pass.table->ranges) {
      const std::size_t s = segment_of(*pass.table, rows.begin);
      const AnyLazyArray& whole = pass.table->carriers[carrier][s];
      const Index shift = pass.table->segments[s].rows.begin;
      parts.push_back(rows.size() == whole.size() ? whole
                                                  : whole.view(range(rows.begin - shift, rows.end - shift)));
    }
    call.inputs.push_back(parts.size() == 1 ? parts[0].edge() : concat(parts, 0).edge());
  }
  call.function = [pass](const ChunkInfo& info, const std::vector<BufferView>& in, const BufferView& out) {
    pack_rows(pass, rows_of(pass, info.region.lo[0], info.region.hi[0]), in, out);
  };
  return map_chunks("records", std::move(call),
                    DType::carried("V" + std::to_string(pass.item_bytes), pass.item_bytes));
}

MORSEL_INLINE void visit_pass(const RecordPass& pass, const DType& dtype, bool in_order,
                              const std::function<void(Index, const RecordBlock&)>& visit,
                              const ComputeOptions& options) {
  if (pass.begins.back() == 0) return;
  const Edge edge = packed_edge(pass);
  const AxisGrid axis = edge.grid().axis(0);
  VisitTarget target;
  target.ordered = in_order;
  target.visit = [&](const Region& region, const BufferView& rows) {
    const RecordBlock block(
        rows.data, rows.strides[0], kept_rows(rows, region.hi[0] - region.lo[0]),
        rows_of(pass, region.lo[0], region.hi[0]),
        pass.table->segments[segment_of(*pass.table, rows_of(pass, region.lo[0], region.hi[0]).begin)].name,
        dtype);
    visit(axis.chunk_of(region.lo[0]), block);
  };
  evaluate({edge}, {target}, options);
}

MORSEL_INLINE void visit_records(const Records& records, bool in_order,
                                 const std::function<void(Index, const RecordBlock&)>& visit,
                                 const ComputeOptions& options) {
  visit_pass(pass_over(records.state(), records.state().selected), records.dtype(), in_order, visit, options);
}

MORSEL_INLINE Records::State copy_of(const Records::State& state) { return state; }

}  // namespace detail

MORSEL_INLINE std::size_t RecordBlock::offset_of(std::string_view name, const DType& asked) const {
  std::string names;
  for (const Field& field : dtype_->fields()) {
    names += (names.empty() ? "'" : ", '") + field.name + "'";
    if (field.name != name) continue;
    if (!field.shape.empty())
      fail(Errc::unsupported,
           "column '" + field.name +
               "' of a block: its elements are arrays; expected plain ones, got arrays of " +
               to_string(field.shape) + " (take them from row())");
    if (!(field.dtype == asked))
      fail(Errc::dtype_mismatch, "column '" + field.name + "' of a block: of another dtype; expected " +
                                     field.dtype.name() + ", got a request for " + asked.name());
    return field.offset_bytes;
  }
  fail(Errc::not_found, "column '" + std::string(name) + "' of a block: none is selected; expected one of " +
                            names + ", got '" + std::string(name) + "'");
}

MORSEL_INLINE Records::Records(const AnyLazyArray& records, std::string name) {
  const std::string doing = "making a table of records";
  if (!records.dtype().is_record())
    fail(Errc::dtype_mismatch,
         doing + ": not an array of records; expected a record, got " + records.dtype().name());
  if (records.ndim() != 1)
    fail(Errc::shape_mismatch,
         doing + ": not a list; expected one axis, got shape " + to_string(records.shape()));
  State table;
  for (const Field& field : records.dtype().fields()) table.columns.push_back({field, 0});
  table.carriers = {{records}};
  state_ = detail::whole_table(std::move(table), std::move(name), records.size());
}

MORSEL_INLINE Records::Records(const std::vector<std::string>& names,
                               const std::vector<AnyLazyArray>& columns, std::string name) {
  const std::string doing = "making a table of columns";
  if (names.empty() || names.size() != columns.size())
    fail(Errc::invalid_argument, doing + ": expected a name for each column and at least one, got " +
                                     std::to_string(names.size()) + " names and " +
                                     std::to_string(columns.size()) + " columns");
  State table;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const AnyLazyArray& column = columns[i];
    if (column.ndim() != 1 || column.size() != columns[0].size())
      fail(Errc::shape_mismatch, doing + ": column '" + names[i] + "' has another shape; expected (" +
                                     std::to_string(columns[0].size()) + "), got " +
                                     to_string(column.shape()));
    if (column.dtype().is_record())
      fail(Errc::dtype_mismatch, doing + ": column '" + names[i] +
                                     "' holds records; expected plain elements, got " +
                                     column.dtype().name());
    if (names[i].empty() || std::find(names.begin(), names.begin() + static_cast<Index>(i), names[i]) !=
                                names.begin() + static_cast<Index>(i))
      fail(Errc::invalid_argument,
           doing + ": a name that is empty or comes twice; expected different names, got '" + names[i] + "'");
    table.columns.push_back({Field{names[i], column.dtype(), 0, {}}, i});
    table.carriers.push_back({column});
  }
  state_ = detail::whole_table(std::move(table), std::move(name), columns[0].size());
}

MORSEL_INLINE Index Records::rows() const { return detail::row_count(*state_); }
MORSEL_INLINE const std::vector<Segment>& Records::segments() const { return state_->segments; }
MORSEL_INLINE const DType& Records::dtype() const { return state_->dtype; }
MORSEL_INLINE const std::vector<RowRange>& Records::row_ranges() const { return state_->ranges; }

MORSEL_INLINE RowRange Records::segment(std::string_view name) const {
  std::string names;
  std::size_t count = 0;
  for (const Segment& segment : state_->segments) {
    if (segment.name == name) return segment.rows;
    if (++count <= 10) names += (names.empty() ? "'" : ", '") + segment.name + "'";
  }
  if (count > 10) names += " and " + std::to_string(count - 10) + " more";
  fail(Errc::not_found, "segment '" + std::string(name) + "' of a table: there is none; expected one of " +
                            names + ", got '" + std::string(name) + "'");
}

MORSEL_INLINE AnyLazyArray Records::column(std::string_view name) const {
  const std::size_t c = detail::column_number(*state_, name, "column of a table");
  std::vector<AnyLazyArray> parts;
  for (std::size_t s = 0; s < state_->segments.size(); ++s) parts.push_back(detail::column_in(*state_, c, s));
  return parts.size() == 1 ? parts[0] : morsel::concat(parts, 0);
}

MORSEL_INLINE Records Records::fields(const std::vector<std::string>& names) const {
  if (names.empty())
    fail(Errc::invalid_argument, "fields of a table: no name; expected one or more, got none");
  State table = *state_;
  table.selected.clear();
  for (const std::string& name : names) {
    const std::size_t c = detail::column_number(table, name, "fields of a table");
    if (std::find(table.selected.begin(), table.selected.end(), c) != table.selected.end())
      fail(Errc::invalid_argument,
           "fields of a table: a column named twice; expected different names, got '" + name + "'");
    table.selected.push_back(c);
  }
  table.dtype = detail::packed_record(table, table.selected);
  return Records(std::make_shared<const State>(std::move(table)));
}

MORSEL_INLINE Records Records::rows(const RowRange& range) const {
  if (range.begin < 0 || range.end < range.begin || range.end > rows())
    fail(Errc::out_of_range, "rows of a table: outside of it; expected a range in [0, " +
                                 std::to_string(rows()) + "], got [" + std::to_string(range.begin) + ", " +
                                 std::to_string(range.end) + ")");
  State table = *state_;
  table.ranges.clear();
  // Ranges stay within segments because those that there are do, but for the whole of an empty table.
  for (const RowRange& part : state_->ranges) {
    const RowRange both{std::max(part.begin, range.begin), std::min(part.end, range.end)};
    if (both.begin < both.end) table.ranges.push_back(both);
  }
  return Records(std::make_shared<const State>(std::move(table)));
}

MORSEL_INLINE Records Records::in_range(const std::string& column, RangeBound lo, RangeBound hi,
                                        const RangeOptions& options) const {
  const std::string doing = "selecting a range of '" + column + "'";
  detail::require_outside_tasks("selecting a range of a table");
  const std::size_t c = detail::column_number(*state_, column, doing);
  detail::require_ordered(*state_, c, doing);
  const bool has_end = !options.end.empty();
  const std::size_t e = has_end ? detail::column_number(*state_, options.end, doing) : c;
  detail::require_ordered(*state_, e, doing);
  if (!(lo.value() <= hi.value()))
    fail(Errc::invalid_argument, doing + ": not a range; expected lo <= hi, got [" +
                                     std::to_string(static_cast<double>(lo.value())) + ", " +
                                     std::to_string(static_cast<double>(hi.value())) + ")");
  const bool touches = has_end && options.kind == RangeKind::touching;
  State table = *state_;
  table.ranges.clear();
  for (const RowRange& part : state_->ranges) {
    const std::size_t s = detail::segment_of(*state_, part.begin);
    const Index shift = state_->segments[s].rows.begin;
    detail::SortedColumn sorted(
        detail::column_in(*state_, c, s).view(range(part.begin - shift, part.end - shift)), options.run,
        state_->segments[s].name.empty() ? doing : doing + " in run '" + state_->segments[s].name + "'");
    RowRange found{0, part.size()};
    if (!touches)
      found.begin = sorted.first_not_below(lo.value());
    else if (options.longest)
      found.begin = sorted.first_above(lo.value() - options.longest->value());
    found.end = has_end && !touches ? sorted.first_above(hi.value()) : sorted.first_not_below(hi.value());
    if (found.begin < found.end) table.ranges.push_back({part.begin + found.begin, part.begin + found.end});
  }
  if (has_end) {
    const DType& dtype = state_->columns[e].field.dtype;
    const long double low = lo.value(), high = hi.value();
    table.conditions.push_back(
        {{e},
         touches ? detail::number_condition(options.end, dtype, [low](long double end) { return end > low; })
                 : detail::number_condition(options.end, dtype,
                                            [high](long double end) { return end <= high; })});
  }
  return Records(std::make_shared<const State>(std::move(table)));
}

MORSEL_INLINE Records Records::where_rows(const std::vector<std::string>& columns,
                                          const std::vector<DType>& types,
                                          detail::RowCondition condition) const {
  const std::string doing = "selecting rows of a table";
  if (columns.size() != types.size())
    fail(Errc::invalid_argument, doing + ": expected a column for each type, got " +
                                     std::to_string(columns.size()) + " columns for " +
                                     std::to_string(types.size()) + " types");
  State table = *state_;
  detail::RecordCondition added;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const std::size_t c = detail::column_number(table, columns[i], doing);
    const Field& field = table.columns[c].field;
    if (!(field.dtype == types[i]) || !field.shape.empty())
      fail(Errc::dtype_mismatch, doing + ": column '" + columns[i] + "' has other elements; expected " +
                                     field.dtype.name() + (field.shape.empty() ? "" : " arrays") +
                                     ", got a condition on " + types[i].name());
    added.columns.push_back(c);
  }
  added.keep = std::move(condition);
  table.conditions.push_back(std::move(added));
  return Records(std::make_shared<const State>(std::move(table)));
}

MORSEL_INLINE void Records::for_each(const std::function<void(const RecordBlock&)>& f,
                                     const ComputeOptions& options) const {
  detail::visit_records(
      *this, true,
      [&](Index, const RecordBlock& block) {
        if (block.size() > 0) f(block);
      },
      options);
}

MORSEL_INLINE Index Records::count(const ComputeOptions& options) const {
  Index total = 0;
  if (state_->conditions.empty()) {
    for (const RowRange& range : state_->ranges) total += range.size();
    return total;
  }
  const detail::RecordPass pass = detail::pass_over(*state_, {});
  detail::visit_pass(
      pass, pass.packed, true, [&](Index, const RecordBlock& block) { total += block.size(); }, options);
  return total;
}

MORSEL_INLINE AnyArray Records::collect(const ComputeOptions& options) const {
  AnyArray out(dtype(), {count(options)});
  const std::size_t bytes = dtype().item_bytes();
  std::byte* to = out.data();
  const std::byte* const end = to + out.nbytes();
  for_each(
      [&](const RecordBlock& block) {
        for (Index row = 0; row < block.size(); ++row) {
          if (to == end)
            fail(Errc::user_error,
                 "collecting rows: a condition gave more rows than before; expected the same "
                 "answer for the same row, got another");
          std::memcpy(to, block.row(row), bytes);
          to += bytes;
        }
      },
      options);
  if (to != end)
    fail(Errc::user_error,
         "collecting rows: a condition gave fewer rows than before; expected the same answer "
         "for the same row, got another");
  return out;
}

MORSEL_INLINE Records concat(const std::vector<Records>& runs) {
  const std::string doing = "joining tables";
  if (runs.empty()) fail(Errc::invalid_argument, doing + ": none; expected one or more, got no table");
  Records::State table = runs[0].state();
  table.segments.clear();
  table.ranges.clear();
  for (std::vector<AnyLazyArray>& carrier : table.carriers) carrier.clear();
  Index begin = 0;
  for (const Records& run : runs) {
    const Records::State& part = run.state();
    Index selected = 0;
    for (const RowRange& range : part.ranges) selected += range.size();
    if (!part.conditions.empty() || selected != run.rows() || part.selected.size() != part.columns.size())
      fail(Errc::invalid_argument, doing +
                                       ": a selection of rows or columns; expected whole tables (join first, "
                                       "then select), got a selection");
    if (!(run.dtype() == runs[0].dtype()) || part.carriers.size() != table.carriers.size())
      fail(Errc::dtype_mismatch, doing + ": other columns; expected " + runs[0].dtype().name() + ", got " +
                                     run.dtype().name() +
                                     (run.segments().empty() ? "" : " in '" + run.segments()[0].name + "'"));
    for (std::size_t s = 0; s < part.segments.size(); ++s) {
      const Segment& segment = part.segments[s];
      for (const Segment& other : table.segments)
        if (other.name == segment.name)
          fail(Errc::invalid_argument,
               doing + ": two runs of one name; expected different names, got '" + segment.name + "' twice");
      for (std::size_t c = 0; c < table.carriers.size(); ++c) {
        if (!(part.carriers[c][s].dtype() == runs[0].state().carriers[c][0].dtype()))
          fail(Errc::dtype_mismatch, doing + ": records with other gaps between their members; expected " +
                                         runs[0].state().carriers[c][0].dtype().numpy() + ", got " +
                                         part.carriers[c][s].dtype().numpy() + " in '" + segment.name + "'");
        table.carriers[c].push_back(part.carriers[c][s]);
      }
      const Index end = checked_add(begin, segment.rows.size(), "rows of a table");
      table.segments.push_back({segment.name, {begin, end}});
      if (begin < end) table.ranges.push_back({begin, end});
      begin = end;
    }
  }
  return Records(std::make_shared<const Records::State>(std::move(table)));
}

MORSEL_INLINE Records records_of(const std::vector<Leaf>& leaves) {
  std::vector<Records> runs;
  for (const Leaf& leaf : leaves) {
    const std::size_t slash = leaf.path().rfind('/');
    runs.emplace_back(leaf.array(), slash == std::string::npos ? leaf.path() : leaf.path().substr(0, slash));
  }
  return concat(runs);
}

}  // namespace morsel::inline MORSEL_ABI
