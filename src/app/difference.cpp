#include "difference.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <morsel/api/map.hpp>
#include <morsel/api/reduction.hpp>
#include <morsel/base/sort_stably.hpp>

namespace morsel::app {
namespace {

// ---- two numbers
// ------------------------------------------------------------------------------------------------

/// A real number of any dtype as the exact sum of two doubles, the second at most half a unit of the first.
struct Exact {
  double high = 0, low = 0;
};

Exact exact(std::uint64_t value) {
  constexpr double end = 18446744073709551616.0;  // 2^64, to which the largest values round
  const auto high = static_cast<double>(value);
  if (high >= end) return {end, -static_cast<double>(std::uint64_t{0} - value)};
  const auto rounded = static_cast<std::uint64_t>(high);
  return {high,
          value >= rounded ? static_cast<double>(value - rounded) : -static_cast<double>(rounded - value)};
}
Exact exact(std::int64_t value) {
  if (value >= 0) return exact(static_cast<std::uint64_t>(value));
  const Exact magnitude = exact(std::uint64_t{0} - static_cast<std::uint64_t>(value));
  return {-magnitude.high, -magnitude.low};
}

template <class T>
inline constexpr bool is_complex_number = false;
template <class F>
inline constexpr bool is_complex_number<std::complex<F>> = true;
template <class T>
inline constexpr bool is_wide_integer = std::is_integral_v<T> && sizeof(T) == 8;

template <class T>
auto real_part(T value) {
  if constexpr (is_wide_integer<T>)
    return exact(value);
  else if constexpr (is_complex_number<T>)
    return static_cast<double>(value.real());
  else
    return static_cast<double>(value);
}
template <class T>
double imaginary_part(T value) {
  if constexpr (is_complex_number<T>)
    return static_cast<double>(value.imag());
  else
    return 0;
}

/// |a - b|; 0 for equal infinities, NaN if either is NaN.
double distance(double a, double b) { return a == b ? 0 : std::fabs(a - b); }
double distance(Exact a, Exact b) {
  return a.high == b.high && a.low == b.low ? 0 : std::fabs((a.high - b.high) + (a.low - b.low));
}
double distance(double a, Exact b) { return distance(Exact{a, 0}, b); }
double distance(Exact a, double b) { return distance(a, Exact{b, 0}); }

template <class A, class B>
inline constexpr bool are_integers = std::is_integral_v<A>&& std::is_same_v<A, B>;

/// |a - b|: exact between integers of one dtype, else a float64 that is 0 only for equal numbers and NaN if
/// either is NaN.
template <class A, class B>
auto error_of(A a, B b) {
  if constexpr (are_integers<A, B>) {
    const auto x = static_cast<std::uint64_t>(a), y = static_cast<std::uint64_t>(b);
    return a > b ? x - y : y - x;
  } else if constexpr (is_complex_number<A> || is_complex_number<B>) {
    const double real = distance(real_part(a), real_part(b)),
                 imaginary = distance(imaginary_part(a), imaginary_part(b));
    // hypot(infinity, NaN) is infinity.
    return std::isnan(real) || std::isnan(imaginary) ? std::numeric_limits<double>::quiet_NaN()
                                                     : std::hypot(real, imaginary);
  } else {
    return distance(real_part(a), real_part(b));
  }
}

template <class T>
double magnitude_of(T value) {
  if constexpr (is_complex_number<T>) {
    return std::hypot(static_cast<double>(value.real()), static_cast<double>(value.imag()));
  } else {
    return std::fabs(static_cast<double>(value));
  }
}

template <class T>
bool is_nan(T value) {
  if constexpr (std::is_integral_v<T>)
    return false;
  else if constexpr (is_complex_number<T>)
    return std::isnan(value.real()) || std::isnan(value.imag());
  else
    return std::isnan(static_cast<double>(value));
}

/// True for integers that `error` apart are within `bound`, which may be beyond all integers.
bool is_within(std::uint64_t error, double bound) {
  return bound >= 18446744073709551616.0 || error <= static_cast<std::uint64_t>(bound);
}

template <class A, class B>
bool differ(A a, B b, const Tolerance& tolerance) {
  const auto error = error_of(a, b);
  if constexpr (are_integers<A, B>) {
    return error != 0 && !is_within(error, tolerance.absolute + tolerance.relative * magnitude_of(b));
  } else {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    const double size = magnitude_of(b);
    const bool within = magnitude_of(a) < infinity && size < infinity &&
                        error <= tolerance.absolute + tolerance.relative * size;
    return !(error == 0 || within || (is_nan(a) && is_nan(b)));
  }
}

template <class A, class B>
double relative_error_of(A a, B b) {
  const double size = magnitude_of(b);
  return size == 0 ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(error_of(a, b)) / size;
}

// ---- states of the reductions
// -----------------------------------------------------------------------------------

constexpr Index no_place = std::numeric_limits<Index>::max();

/// How many elements are true, and the first places of those.
struct Places {
  using Item = bool;
  static constexpr const char* name = "different";

  std::int64_t count = 0;
  std::array<Index, most_places> first;
  Places() { first.fill(no_place); }

  void absorb(const bool* x, std::size_t n, Index index) {
    std::int64_t found = 0;
    for (std::size_t i = 0; i < n; ++i) found += x[i];
    count += found;
    for (std::size_t i = 0; found > 0 && i < n && index + static_cast<Index>(i) < first.back(); ++i)
      if (x[i]) add(index + static_cast<Index>(i)), --found;
  }
  void merge(const Places& right) {
    count += right.count;
    for (const Index place : right.first) add(place);
  }
  void shift(Index by) {
    for (Index& place : first)
      if (place != no_place) place += by;
  }

 private:
  void add(Index place) {
    if (place >= first.back()) return;
    auto at = std::upper_bound(first.begin(), first.end(), place);
    std::move_backward(at, first.end() - 1, first.end());
    *at = place;
  }
};

/// The largest of values above 0 and the first place that has it. NaN is passed over.
template <class T>
struct Largest {
  using Item = T;
  static constexpr const char* name = "largest error";

  T value = 0;
  Index place = no_place;

  void absorb(const T* x, std::size_t n, Index index) {
    T most = value;
    for (std::size_t i = 0; i < n; ++i) most = x[i] > most ? x[i] : most;
    if (most == 0 || (most == value && index >= place)) return;
    for (std::size_t i = 0; i < n; ++i)
      if (x[i] == most) return merge({most, index + static_cast<Index>(i)});
  }
  void merge(const Largest& right) {
    if (right.value > value || (right.value == value && right.place < place)) *this = right;
  }
  void shift(Index by) {
    if (place != no_place) place += by;
  }
};

/// A reduction whose result is its state, as words of 64 bits.
template <class State>
class StateReducer final : public Reducer {
  static_assert(std::is_trivially_copyable_v<State> && sizeof(State) % 8 == 0);

 public:
  std::string name() const override { return State::name; }
  std::string state_name() const override { return name() + " of " + std::string(morsel::name_of(input())); }
  Type input() const override { return type_of<typename State::Item>; }
  MergeOrder order() const override { return MergeOrder::any; }
  bool needs_index() const override { return true; }
  void shift_index(void* states, std::size_t n, Index by) const override {
    for (std::size_t i = 0; i < n; ++i) at(states, i).shift(by);
  }
  std::size_t state_bytes() const override { return sizeof(State); }
  Type result() const override { return Type::uint64; }
  Shape result_shape() const override { return {static_cast<Index>(sizeof(State) / 8)}; }
  void init(void* states, std::size_t n) const override {
    for (std::size_t i = 0; i < n; ++i) ::new (static_cast<void*>(&at(states, i))) State();
  }
  void absorb_run(void* state, const void* x, std::size_t n, Index first_index) const override {
    at(state, 0).absorb(static_cast<const Item*>(x), n, first_index);
  }
  void absorb_rows(void* states, const void* x, std::ptrdiff_t row_stride_bytes, std::size_t rows,
                   std::size_t columns, Index first_index, Index index_step) const override {
    for (std::size_t r = 0; r < rows; ++r) {
      const auto offset = static_cast<std::ptrdiff_t>(r) * row_stride_bytes;
      const auto* row = reinterpret_cast<const Item*>(static_cast<const std::byte*>(x) + offset);
      for (std::size_t c = 0; c < columns; ++c)
        at(states, c).absorb(row + c, 1, first_index + static_cast<Index>(r) * index_step);
    }
  }
  void merge(void* left, void* right, std::size_t n) const override {
    for (std::size_t i = 0; i < n; ++i) at(left, i).merge(at(right, i));
  }
  void finish(const void* states, std::size_t n, Index, void* out) const override {
    std::memcpy(out, states, n * sizeof(State));
  }
  void to_bytes(const void* states, std::size_t n, std::vector<std::byte>& out) const override {
    detail::append_sealed(state_name(), states, n * sizeof(State), out);
  }
  void from_bytes(std::span<const std::byte> bytes, void* states, std::size_t n) const override {
    const std::span<const std::byte> payload = detail::open_sealed(state_name(), bytes);
    if (payload.size() != n * sizeof(State))
      fail(Errc::corrupt_data, "reading states of '" + state_name() + "': wrong size; expected " +
                                   std::to_string(n * sizeof(State)) + " bytes, got " +
                                   std::to_string(payload.size()));
    if (n != 0) std::memcpy(states, payload.data(), payload.size());
  }

 private:
  using Item = typename State::Item;
  static State& at(void* states, std::size_t i) { return static_cast<State*>(states)[i]; }
};

template <class State>
Edge reduced(const Edge& values) {
  return reduce(std::make_shared<StateReducer<State>>(), values, all_axes(values.shape().size()), false);
}

template <class State>
State state_of(const Elements& words) {
  State state;
  std::memcpy(static_cast<void*>(&state), words.bytes.data(), sizeof state);
  return state;
}

// ---- elementwise
// ------------------------------------------------------------------------------------------------

/// What is reduced: which elements differ, and their errors if they have any.
struct Comparison {
  Edge differ;
  std::optional<Edge> error, relative_error;
};

template <class A, class B, class F>
Edge mapped(const char* name, F f, const Edge& a, const Edge& b) {
  return map_elements(std::make_shared<const UserKernel>(make_user_kernel<A, B>(name, std::move(f))), {a, b});
}

template <class A, class B>
Comparison compared(const Edge& a, const Edge& b, const Tolerance& tolerance) {
  return {
      mapped<A, B>(
          "differ", [tolerance](A x, B y) { return differ(x, y, tolerance); }, a, b),
      mapped<A, B>(
          "error", [](A x, B y) { return error_of(x, y); }, a, b),
      mapped<A, B>(
          "relative error", [](A x, B y) { return relative_error_of(x, y); }, a, b),
  };
}

/// The dtype in which numbers of `type` are compared with those of `other`: one that holds every value of
/// `type`. There are few, so that not every pair of dtypes needs code of its own.
Type wide_type(Type type, Type other) {
  if (is_complex(type)) return Type::complex128;
  if (is_floating(type)) return Type::float64;
  if (is_floating(other) || is_complex(other)) {
    const bool fits_double = item_bytes_of(type) < 8;
    return fits_double ? Type::float64 : type;
  }
  if (is_signed_integer(type) || (is_signed_integer(other) && item_bytes_of(type) < 8)) return Type::int64;
  return Type::uint64;
}

template <class F>
Comparison visit_wide(Type type, F&& f) {
  switch (type) {
    case Type::int64:
      return f.template operator()<std::int64_t>();
    case Type::uint64:
      return f.template operator()<std::uint64_t>();
    case Type::float64:
      return f.template operator()<double>();
    default:
      return f.template operator()<std::complex<double>>();
  }
}

Comparison compared_numbers(const Edge& a, const Edge& b, const Tolerance& tolerance) {
  const Type left = a.dtype().type(), right = b.dtype().type();
  if (left == right) return visit_type(left, [&]<class T>() { return compared<T, T>(a, b, tolerance); });
  const Type wide_left = wide_type(left, right), wide_right = wide_type(right, left);
  const Edge x = astype(a, wide_left), y = astype(b, wide_right);
  return visit_wide(wide_left, [&]<class A>() {
    return visit_wide(wide_right, [&]<class B>() { return compared<A, B>(x, y, tolerance); });
  });
}

/// Appends the runs of bytes that hold values, [begin, end) pairs in order: all but padding of records.
void append_runs(std::vector<std::size_t>& runs, const DType& dtype, std::size_t begin) {
  const auto append = [&](std::size_t from, std::size_t to) {
    if (from == to) return;
    if (!runs.empty() && runs.back() == from) {
      runs.back() = to;
    } else {
      runs.push_back(from);
      runs.push_back(to);
    }
  };
  if (!dtype.is_record()) return append(begin, begin + dtype.item_bytes());
  std::vector<Field> fields = dtype.fields();
  sort_stably(fields, [](const Field& x, const Field& y) { return x.offset_bytes < y.offset_bytes; });
  for (const Field& field : fields) {
    const std::size_t at = begin + field.offset_bytes, bytes = field.dtype.item_bytes();
    const auto count = static_cast<std::size_t>(size_of(field.shape));
    if (!field.dtype.is_record())
      append(at, at + count * bytes);
    else
      for (std::size_t i = 0; i < count; ++i) append_runs(runs, field.dtype, at + i * bytes);
  }
}

/// Calls visit(element of a, element of b) in C order.
template <class F>
void for_each_pair(const BufferView& a, const BufferView& b, F&& visit) {
  const std::size_t rank = a.shape.size();
  Dims at(rank, 0);
  const std::byte *x = a.data, *y = b.data;
  for (Index left = size_of(a.shape); left > 0; --left) {
    visit(x, y);
    for (std::size_t i = rank; i-- > 0;) {
      x += a.strides[i], y += b.strides[i];
      if (++at[i] < a.shape[i]) break;
      x -= a.strides[i] * at[i], y -= b.strides[i] * at[i];
      at[i] = 0;
    }
  }
}

bool has_native_chunks(const Edge& edge) {
  const auto* node = std::get_if<SourceNode>(&edge.node->payload);
  return node && node->source.spec().has_native_chunks;
}

/// `a` in the chunks to compare by: its own, or those of `b` if only that one is stored in chunks. Bytes are
/// compared a whole chunk at a time: chunks that no file asks for are small.
Edge in_common_chunks(const Edge& a, const Edge& b) {
  if (has_native_chunks(a)) return a;
  if (has_native_chunks(b)) return rechunk(a, ChunkSpec::of(b.grid()));
  if (a.dtype().is_numeric()) return a;
  return rechunk(a, ChunkSpec::of(resolve_chunks("1MiB", a.shape(), a.dtype().item_bytes())));
}

Comparison compared_bytes(const Edge& a, const Edge& b) {
  std::vector<std::size_t> runs;
  append_runs(runs, a.dtype(), 0);
  MapChunksNode call;
  call.inputs = {a, b};
  call.function = [runs](const ChunkInfo&, const std::vector<BufferView>& in, const BufferView& out) {
    std::byte* result = out.data;  // C order
    for_each_pair(in[0], in[1], [&](const std::byte* x, const std::byte* y) {
      bool same = true;
      for (std::size_t i = 0; i < runs.size() && same; i += 2)
        same = std::memcmp(x + runs[i], y + runs[i], runs[i + 1] - runs[i]) == 0;
      *result++ = std::byte{!same};
    });
  };
  return {map_chunks("differ", std::move(call), Type::bool_), {}, {}};
}

// ---- places
// -----------------------------------------------------------------------------------------------------

Dims index_of(Index place, const Shape& shape) {
  Dims index(shape.size(), 0);
  for (std::size_t i = shape.size(); i-- > 0;) {
    index[i] = place % shape[i];
    place /= shape[i];
  }
  return index;
}

/// The elements of both arrays at the places, all in one run.
std::vector<ElementPair> elements_at(Session& session, const Edge& a, const Edge& b,
                                     const std::vector<Index>& places) {
  std::vector<ElementPair> pairs;
  std::vector<Edge> edges;
  std::vector<Target> targets;
  pairs.reserve(places.size());  // targets point into it
  for (const Index place : places) {
    ElementPair& pair = pairs.emplace_back();
    pair.index = index_of(place, a.shape());
    const SliceItems items(pair.index.begin(), pair.index.end());
    for (const auto& [edge, bytes] : {std::pair(&a, &pair.a), std::pair(&b, &pair.b)}) {
      bytes->resize(edge->dtype().item_bytes());
      edges.push_back(slice(*edge, items));
      targets.push_back(MemoryTarget{BufferView::c_order(bytes->data(), {}, bytes->size())});
    }
  }
  if (!edges.empty()) session.run(edges, targets);
  return pairs;
}

}  // namespace

bool are_comparable(const DType& a, const DType& b) { return (a.is_numeric() && b.is_numeric()) || a == b; }

Difference difference_of(Session& session, const Edge& a, const Edge& b, const Tolerance& tolerance) {
  Difference difference;
  if (size_of(a.shape()) == 0 || a.dtype().item_bytes() == 0) return difference;
  const bool is_numeric = a.dtype().is_numeric();
  const Edge left = in_common_chunks(a, b);
  const Comparison comparison = is_numeric ? compared_numbers(left, b, tolerance) : compared_bytes(left, b);

  // 1. One pass over both.
  std::vector<Edge> edges{reduced<Places>(comparison.differ)};
  const bool is_integer = is_numeric && comparison.error->dtype() == DType(Type::uint64);
  if (is_numeric) {
    edges.push_back(is_integer ? reduced<Largest<std::uint64_t>>(*comparison.error)
                               : reduced<Largest<double>>(*comparison.error));
    edges.push_back(reduced<Largest<double>>(*comparison.relative_error));
  }
  std::vector<Elements> words;
  std::vector<Target> targets;
  words.reserve(edges.size());  // targets point into it
  for (const Edge& edge : edges) targets.push_back(MemoryTarget{words.emplace_back(edge).view()});
  session.run(edges, targets);

  // 2. The elements at the places that it found.
  const auto found = state_of<Places>(words[0]);
  std::vector<Index> places;
  std::copy_if(found.first.begin(), found.first.end(), std::back_inserter(places),
               [](Index place) { return place != no_place; });
  const std::size_t first_count = places.size();
  std::vector<LargestError> errors;
  std::vector<std::optional<LargestError>*> owners;
  const auto add = [&](const auto& largest, std::optional<LargestError>& owner) {
    if (largest.place == no_place) return;
    places.push_back(largest.place);
    errors.push_back({largest.value, {}});
    owners.push_back(&owner);
  };
  if (is_integer) {
    add(state_of<Largest<std::uint64_t>>(words[1]), difference.absolute);
  } else if (is_numeric) {
    add(state_of<Largest<double>>(words[1]), difference.absolute);
  }
  if (is_numeric) add(state_of<Largest<double>>(words[2]), difference.relative);
  std::vector<ElementPair> pairs = elements_at(session, a, b, places);
  for (std::size_t i = 0; i < errors.size(); ++i) {
    errors[i].at = std::move(pairs[first_count + i]);
    *owners[i] = std::move(errors[i]);
  }
  pairs.resize(first_count);
  difference.different = found.count;
  difference.first = std::move(pairs);
  return difference;
}

}  // namespace morsel::app
