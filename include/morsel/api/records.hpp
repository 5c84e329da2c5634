// Tables of records: structured arrays of one axis, over many runs, selected and folded chunk by chunk.
//
//   records -> in_range (skips chunks by their bounds) -> where (rows) -> fields (columns)
//           -> for_each, fold, count, collect, save_csv: one pass, chunk after chunk, inside the budget
#pragma once

#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <morsel/api/leaf.hpp>
#include <morsel/kernel/combiner.hpp>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// Rows [begin, end).
struct RowRange {
  Index begin = 0, end = 0;
  Index size() const { return end - begin; }
  friend bool operator==(const RowRange&, const RowRange&) = default;
};

/// The rows of one run in the table.
struct Segment {
  std::string name;
  RowRange rows;
  friend bool operator==(const Segment&, const Segment&) = default;
};

/// One column of a block, an element per row with any stride.
template <class T>
class Column {
 public:
  Column(const std::byte* data, Index stride_bytes, Index size)
      : data_(data), stride_(stride_bytes), size_(size) {}
  Index size() const { return size_; }
  T operator[](Index row) const {
    T value;
    std::memcpy(static_cast<void*>(&value), data_ + row * stride_, sizeof value);
    return value;
  }

 private:
  const std::byte* data_;
  Index stride_, size_;
};

/// The selected rows of one chunk, with the columns that were asked for. Valid during the call it is given
/// to.
class RecordBlock {
 public:
  Index size() const { return size_; }
  /// Rows of the chunk, selected or not, in the table, all of one segment.
  const RowRange& rows() const { return rows_; }
  const std::string& segment() const { return *segment_; }
  /// Fields by name, with offsets in a row.
  const DType& dtype() const { return *dtype_; }
  /// The bytes of one row.
  const std::byte* row(Index i) const { return data_ + i * stride_; }
  /// **Fails**: not_found; dtype_mismatch if its elements are not of T; unsupported for a column of arrays.
  template <Element T>
  Column<T> column(std::string_view name) const {
    return Column<T>(data_ + offset_of(name, DType(type_of<T>)), stride_, size_);
  }

  RecordBlock(const std::byte* data, Index stride_bytes, Index size, RowRange rows,
              const std::string& segment, const DType& dtype)
      : data_(data), stride_(stride_bytes), size_(size), rows_(rows), segment_(&segment), dtype_(&dtype) {}

 private:
  std::size_t offset_of(std::string_view name, const DType& asked) const;

  const std::byte* data_;
  Index stride_, size_;
  RowRange rows_;
  const std::string* segment_;
  const DType* dtype_;
};

/// Which rows of an interval table a range of time selects. A row has a start and an end.
enum class RangeKind : std::uint8_t {
  fully_contained,  ///< lo <= start and end <= hi
  touching          ///< end > lo and start < hi
};

/// A number that a column is compared with, exactly.
class RangeBound {
 public:
  template <class N>
  requires(std::is_arithmetic_v<N>) RangeBound(N value)  // NOLINT(google-explicit-constructor)
      : value_(static_cast<long double>(value)) {}
  long double value() const { return value_; }

 private:
  long double value_;
};

struct RangeOptions {
  /// The column with the ends of rows; default: a row is an instant, and [lo, hi) selects by it alone.
  std::string end = {};
  RangeKind kind = RangeKind::fully_contained;
  /// With `touching`: no row is longer than this. Rows that start earlier than that before the range are not
  /// read then; otherwise all of a run that start before its end are, for one of them might reach into it.
  std::optional<RangeBound> longest = {};
  ComputeOptions run = {};  ///< for the chunks of the columns that bounds are taken from
};

/// A table of records, and which rows and columns of it are selected. Immutable and cheap to copy. Making one
/// reads nothing but for in_range.
///
/// **Threads**: const members may be called from any.
class Records {
 public:
  /// The records of one run. **Fails**: dtype_mismatch for other elements; shape_mismatch for other than one
  /// axis.
  explicit Records(const AnyLazyArray& records, std::string name = "");
  /// One column for each array: `columns[i]` is called `names[i]`. Arrays of numbers or other plain elements,
  /// of one axis and the same length. **Fails**: shape_mismatch; dtype_mismatch; invalid_argument.
  Records(const std::vector<std::string>& names, const std::vector<AnyLazyArray>& columns,
          std::string name = "");

  /// Rows of the table, selected or not.
  Index rows() const;
  const std::vector<Segment>& segments() const;
  /// The rows of a run. **Fails**: not_found naming the runs.
  RowRange segment(std::string_view name) const;
  /// The columns that are selected, as the record that a row is handed out as.
  const DType& dtype() const;
  /// Parts of the table that may hold selected rows, in order.
  const std::vector<RowRange>& row_ranges() const;

  /// A column of all rows as a lazy array; one of arrays has their axes at the end. **Fails**: not_found.
  AnyLazyArray column(std::string_view name) const;

  /// Only these columns are read and handed out. **Fails**: not_found; invalid_argument for one named twice.
  Records fields(const std::vector<std::string>& names) const;
  /// Only rows of [begin, end) of the table, or of a run. **Fails**: out_of_range; not_found.
  Records rows(const RowRange& range) const;
  Records run(std::string_view segment_name) const { return rows(segment(segment_name)); }
  /// Only rows whose value of `column` is in [lo, hi), or whose interval from there to that of
  /// `options.end` is contained in it, or touches it. The column is sorted within each run: chunks that
  /// cannot hold such rows are not read, now or later.
  ///
  /// **Cost**: now, the chunks of the column where bisection lands: about the logarithm of their number for
  /// each run.
  /// **Fails**: not_found; dtype_mismatch for columns that have no order; corrupt_data where the column is
  /// seen not to be sorted.
  Records in_range(const std::string& column, RangeBound lo, RangeBound hi,
                   const RangeOptions& options = {}) const;
  /// Only rows for which `keep` is true; it is called for each row with the values of the columns, as const,
  /// from many threads: where<double, int>({"area", "n"}, [](double area, int n) { return area > n; }).
  /// **Fails**: not_found; dtype_mismatch if a column has other elements.
  template <Element... T, class F>
  Records where(const std::vector<std::string>& columns, F keep) const {
    static_assert(sizeof...(T) > 0,
                  "morsel: where needs the types of the columns: where<double>({\"area\"}, f)");
    return where_rows(
        columns, {DType(type_of<T>)...},
        [columns, keep = std::move(keep)](const RecordBlock& block, std::byte* kept, Index stride) {
          keep_rows<T...>(columns, keep, block, kept, stride, std::index_sequence_for<T...>{});
        });
  }
  template <Element T, class F>
  Records where(const std::string& column, F keep) const {
    return where<T>(std::vector<std::string>{column}, std::move(keep));
  }

  /// f(block) for the selected rows of each chunk that has some, in the order of the table, one at a time.
  void for_each(const std::function<void(const RecordBlock&)>& f, const ComputeOptions& options = {}) const;
  /// The number of selected rows. **Cost**: reads the columns that conditions need.
  Index count(const ComputeOptions& options = {}) const;
  /// The selected rows in memory of the caller's, as records of dtype().
  AnyArray collect(const ComputeOptions& options = {}) const;

  struct State;
  const State& state() const { return *state_; }
  explicit Records(std::shared_ptr<const State> state) : state_(std::move(state)) {}

 private:
  /// Sets kept[row * stride] to 0 for rows that are left out.
  using Condition = std::function<void(const RecordBlock&, std::byte* kept, Index stride_bytes)>;
  Records where_rows(const std::vector<std::string>& columns, const std::vector<DType>& types,
                     Condition condition) const;
  template <class... T, class F, std::size_t... I>
  static void keep_rows(const std::vector<std::string>& names, const F& keep, const RecordBlock& block,
                        std::byte* kept, Index stride, std::index_sequence<I...>) {
    const std::tuple columns{block.column<T>(names[I])...};
    for (Index row = 0; row < block.size(); ++row)
      if (kept[row * stride] != std::byte{0} && !keep(std::get<I>(columns)[row]...))
        kept[row * stride] = std::byte{0};
  }

  std::shared_ptr<const State> state_;
};

/// Runs one after another, each a segment under its name. **Fails**: dtype_mismatch for runs of other
/// columns; invalid_argument for two of one name, none at all, and runs with a selection of rows.
Records concat(const std::vector<Records>& runs);

/// The arrays of leaves as runs, each a segment under the path of its group: "run_042" for "run_042/events".
Records records_of(const std::vector<Leaf>& leaves);

/// What a fold gives.
template <class S>
struct Folded {
  std::optional<S> value;        ///< none if no chunk gave one
  Index n_rows = 0;              ///< selected
  Index n_chunks = 0;            ///< that had selected rows
  std::vector<std::byte> first;  ///< the first selected row, as a record of the selection; empty: none
  DType dtype;                   ///< of that row

  /// A column of the first row. **Fails**: out_of_range if no row was selected; as RecordBlock::column.
  template <Element T>
  T first_of(std::string_view name) const {
    static const std::string no_segment;
    if (first.empty())
      fail(Errc::out_of_range, "first row of a fold: no row was selected; expected one, got none");
    return RecordBlock(first.data(), static_cast<Index>(first.size()), 1, {0, 1}, no_segment, dtype)
        .template column<T>(name)[0];
  }
};

namespace detail {

/// Calls visit(number of the chunk among those of the selection, block) for each of them, also those without
/// a selected row, in order or from several threads at once.
void visit_records(const Records& records, bool in_order,
                   const std::function<void(Index, const RecordBlock&)>& visit,
                   const ComputeOptions& options);

template <class S>
struct ValueOfChunk {
  using Type = S;
};
template <class S>
struct ValueOfChunk<std::optional<S>> {
  using Type = S;
};

}  // namespace detail

/// per_chunk(block) for the selected rows of each chunk, as const and from many threads; what it gives is
/// merged with left = merge(left, right), in the order of the table whatever the number of threads. It may
/// give a std::optional: nothing skips the chunk.
///
/// What waits to be merged is not in the budget: a value for each chunk in flight.
/// **Example**: fold(records, [](const RecordBlock& b) { ...; return sum; }, std::plus<>())
template <class F, class M>
requires std::is_invocable_v<const F&, const RecordBlock&>
auto fold(const Records& records, F per_chunk, M merge, const ComputeOptions& options = {}) {
  using Given = std::remove_cvref_t<std::invoke_result_t<const F&, const RecordBlock&>>;
  using S = typename detail::ValueOfChunk<Given>::Type;
  Folded<S> result;
  result.dtype = records.dtype();
  std::mutex mutex;
  std::map<Index, Folded<S>> waiting;
  Index next = 0;
  const F& each = per_chunk;
  const auto visit = [&](Index number, const RecordBlock& block) {
    Folded<S> part;
    if (block.size() > 0) {
      part.value = each(block);
      part.n_rows = block.size();
      part.first.assign(block.row(0), block.row(0) + result.dtype.item_bytes());
    }
    const std::lock_guard lock(mutex);
    waiting.emplace(number, std::move(part));
    for (auto at = waiting.begin(); at != waiting.end() && at->first == next;
         at = waiting.erase(at), ++next) {
      Folded<S>& right = at->second;
      result.n_rows += right.n_rows;
      result.n_chunks += right.n_rows > 0;
      if (result.first.empty()) result.first = std::move(right.first);
      if (!right.value) continue;
      result.value = result.value ? std::optional<S>(merge(std::move(*result.value), std::move(*right.value)))
                                  : std::move(right.value);
    }
  };
  detail::visit_records(records, false, visit, options);
  return result;
}

/// A combiner's state over a column of the selected rows; `.value->finish()` is the result. Rows are absorbed
/// in order within a chunk, chunks merged in order.
template <Element T, class C>
requires Combiner<C, T> Folded<C> fold(const Records& records, const std::string& column, const C& combiner,
                                       const ComputeOptions& options = {}) {
  return fold(
      records,
      [&](const RecordBlock& block) {
        C state = combiner;
        const Column<T> values = block.template column<T>(column);
        std::array<T, 256> some;
        for (Index row = 0; row < block.size();) {
          std::size_t n = 0;
          while (n < some.size() && row < block.size()) some[n++] = values[row++];
          state.absorb(std::span<const T>(some.data(), n));
        }
        return state;
      },
      [](C left, const C& right) {
        left.merge(right);
        return left;
      },
      options);
}

struct CsvOptions {
  bool overwrite = false;
  std::string separator = ",";
  ComputeOptions run = {};
};
/// The selected rows as text: a line with the names of the columns, then one for each row; numbers in the
/// shortest digits that read back, bool as 0 and 1, text in quotes where it must be. Streams; the file
/// appears whole or not at all. Gives the number of rows.
/// **Fails**: already_exists; unsupported for columns of arrays, complex numbers and other elements that are
/// no text (leave them out with fields); io_error.
Index save_csv(const Records& records, const std::string& path, const CsvOptions& options = {});

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/records.ipp>
#include <morsel/api/impl/records_csv.ipp>
#endif
