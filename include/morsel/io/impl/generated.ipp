#pragma once

#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <morsel/io/generated.hpp>
#include <morsel/io/memory_source.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

MORSEL_INLINE ArraySpec generated_spec(DType dtype, const Shape& shape, const char* format) {
  checked_mul(size_of(shape), static_cast<Index>(dtype.item_bytes()), "array bytes");
  ArraySpec spec;
  spec.dtype = std::move(dtype);
  spec.grid = Grid::whole(shape);
  spec.reads_regions = true;
  spec.does_io = false;
  spec.has_native_chunks = false;
  spec.format = format;
  spec.stored_bytes = 0;
  return spec;
}

/// What the sources of this file share: nothing to fetch, any region costs nothing.
struct WithoutIo {
  FetchCost cost(const Dims&, const Region&) const {
    FetchCost cost;
    cost.partial = true;
    return cost;
  }
  Fetched fetch(const Dims&, const Region&, std::span<std::byte>, FetchMode, std::stop_token) const {
    Fetched fetched;
    fetched.requests = 0;
    return fetched;
  }
  std::string version() const { return {}; }
};

class FunctionSource : public WithoutIo {
 public:
  FunctionSource(ArraySpec spec, std::shared_ptr<const void> state, FillFunction fill, std::string identity)
      : spec_(std::move(spec)), state_(std::move(state)), fill_(fill), identity_(std::move(identity)) {}
  const ArraySpec& spec() const { return spec_; }
  void decode(const Dims&, const Region& region, std::span<const std::byte>, const BufferView& out,
              std::span<std::byte>) const {
    try {
      fill_(state_.get(), region, out);
    } catch (...) {
      rethrow_user_error("computing region " + to_string(region) + " of a function array");
    }
  }
  std::string identity() const { return identity_; }

 private:
  ArraySpec spec_;
  std::shared_ptr<const void> state_;
  FillFunction fill_;
  std::string identity_;
};

class FullSource : public WithoutIo {
 public:
  FullSource(ArraySpec spec, const void* element) : spec_(std::move(spec)) {
    const std::size_t item_bytes = spec_.dtype.item_bytes();
    // new[] of a 16-byte type: the element is lent, so it is aligned as any element type needs.
    element_ = std::shared_ptr<Aligned[]>(new Aligned[item_bytes / sizeof(Aligned) + 1]());
    std::memcpy(element_.get(), element, item_bytes);
    identity_ = "full:" + spec_.dtype.numpy() + to_string(spec_.shape()) + ":";
    for (std::size_t i = 0; i < item_bytes; ++i) {
      char digits[3];
      std::snprintf(digits, sizeof digits, "%02x",
                    static_cast<unsigned>(static_cast<const unsigned char*>(element)[i]));
      identity_ += digits;
    }
  }
  const ArraySpec& spec() const { return spec_; }
  void decode(const Dims&, const Region&, std::span<const std::byte>, const BufferView& out,
              std::span<std::byte>) const {
    fill_elements(out, element_.get());
  }
  BufferView lend(const Region& region) const {
    return {reinterpret_cast<std::byte*>(element_.get()), spec_.dtype.item_bytes(), region.shape(),
            Dims(region.rank(), 0)};
  }
  std::string identity() const { return identity_; }

 private:
  struct alignas(16) Aligned {
    std::byte bytes[16];
  };
  ArraySpec spec_;
  std::shared_ptr<Aligned[]> element_;
  std::string identity_;
};

/// `value`, rounded to T: compilers that contract a * b + c to one rounding cannot look through it.
template <class T>
T rounded(T value) {
#if defined(__x86_64__)
  __asm__("" : "+x"(value));
  return value;
#else
  volatile T stored = value;
  return stored;
#endif
}

/// `value` as C++ type T: floats round once, integers truncate and saturate, NaN is 0, bool is value != 0.
template <class T>
T number_of(double value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value != 0;
  } else if constexpr (std::is_same_v<T, float16>) {
    return half_of(value);
  } else if constexpr (std::is_integral_v<T>) {
    if (value != value) return 0;
    // max + 1 is a power of two and exact; max itself may not be.
    const double above = std::ldexp(1.0, std::numeric_limits<T>::digits);
    if (value >= above) return std::numeric_limits<T>::max();
    if (value <= static_cast<double>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
    return static_cast<T>(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(value);
  } else {
    return T(static_cast<typename T::value_type>(value));
  }
}

/// The first element or the one after it, as assigning a Python number to a NumPy element gives it.
template <class T, class Number>
T arange_element(Number value) {
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    bool fits = true;
    if constexpr (std::is_same_v<Number, Index>) {
      fits = std::is_signed_v<T> ? value >= static_cast<Index>(std::numeric_limits<T>::min()) : value >= 0;
      if (value > 0)
        fits = static_cast<std::uint64_t>(value) <= static_cast<std::uint64_t>(std::numeric_limits<T>::max());
    } else {
      const double whole = std::trunc(value);
      fits = whole >= static_cast<double>(std::numeric_limits<T>::min()) &&
             whole < std::ldexp(1.0, std::numeric_limits<T>::digits);
    }
    if (!fits)
      fail(Errc::invalid_argument, "arange: an element does not fit " + std::string(name_of(type_of<T>)) +
                                       "; expected " + std::to_string(std::numeric_limits<T>::min()) +
                                       " to " + std::to_string(std::numeric_limits<T>::max()) + ", got " +
                                       std::to_string(value));
    return static_cast<T>(value);
  } else if constexpr (std::is_same_v<Number, Index> && std::is_same_v<T, bool>) {
    return value != 0;
  } else {
    return number_of<T>(static_cast<double>(value));
  }
}

/// The first two elements decide all others.
struct ArangeState {
  alignas(16) std::byte first[16];
  alignas(16) std::byte second[16];
};

template <class T>
T arange_at(T first, T second, Index i) {
  if (i == 0) return first;
  if (i == 1) return second;
  if constexpr (std::is_same_v<T, bool>) {
    return second;  // arrays of bool have at most two elements
  } else if constexpr (std::is_integral_v<T>) {
    const auto step = static_cast<std::uint64_t>(second) - static_cast<std::uint64_t>(first);
    return static_cast<T>(static_cast<std::uint64_t>(first) + static_cast<std::uint64_t>(i) * step);
  } else if constexpr (std::is_same_v<T, float16>) {
    const float step = float(second) - float(first);
    return float16(float(first) + rounded(static_cast<float>(i) * step));
  } else if constexpr (std::is_floating_point_v<T>) {
    return first + rounded(static_cast<T>(i) * (second - first));
  } else {
    using R = typename T::value_type;
    return T(arange_at<R>(first.real(), second.real(), i), arange_at<R>(first.imag(), second.imag(), i));
  }
}

template <class T>
void fill_arange(const void* state, const Region& region, const BufferView& out) {
  const auto& arange = *static_cast<const ArangeState*>(state);
  T first, second;
  std::memcpy(&first, arange.first, sizeof(T));
  std::memcpy(&second, arange.second, sizeof(T));
  std::byte* to = out.data;
  for (Index i = region.lo[0]; i < region.hi[0]; ++i, to += out.strides[0]) {
    const T value = arange_at(first, second, i);
    std::memcpy(to, &value, sizeof(T));
  }
}

template <class T, class Number>
AnyChunkSource make_arange(Index length, Number start, Number second) {
  if (std::is_same_v<T, bool> && length > 2)
    fail(Errc::invalid_argument,
         "arange: too many elements for bool; expected at most 2, got " + std::to_string(length));
  auto state = std::make_shared<ArangeState>();
  T values[2] = {};
  if (length > 0) values[0] = arange_element<T>(start);
  if (length > 1) values[1] = arange_element<T>(second);
  std::memset(state.get(), 0, sizeof *state);
  std::memcpy(state->first, &values[0], sizeof(T));
  std::memcpy(state->second, &values[1], sizeof(T));
  std::string identity = "arange:" + std::string(name_of(type_of<T>)) + ":" + std::to_string(length);
  for (const std::byte* part : {state->first, state->second}) {
    identity += ":";
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      char digits[3];
      std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(part[i]));
      identity += digits;
    }
  }
  return FunctionSource(generated_spec(type_of<T>, Shape{length}, "arange"), std::move(state),
                        &fill_arange<T>, std::move(identity));
}

struct LinspaceState {
  double start, stop, delta, step;
  Index count, divisor;
  Endpoint endpoint;
};

MORSEL_INLINE double linspace_at(const LinspaceState& s, Index i) {
  if (s.endpoint == Endpoint::included && s.count > 1 && i == s.count - 1) return s.stop;
  const double at = static_cast<double>(i);
  if (s.divisor <= 0) return rounded(at * s.delta) + s.start;
  // A step that underflows to zero would lose every element: NumPy divides the position instead.
  if (s.step == 0) return rounded(rounded(at / static_cast<double>(s.divisor)) * s.delta) + s.start;
  return rounded(at * s.step) + s.start;
}

template <class T>
void fill_linspace(const void* state, const Region& region, const BufferView& out) {
  const auto& linspace = *static_cast<const LinspaceState*>(state);
  std::byte* to = out.data;
  for (Index i = region.lo[0]; i < region.hi[0]; ++i, to += out.strides[0]) {
    double at = linspace_at(linspace, i);
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) at = std::floor(at);
    const T value = number_of<T>(at);
    std::memcpy(to, &value, sizeof(T));
  }
}

}  // namespace detail

MORSEL_INLINE AnyChunkSource function_source(DType dtype, const Shape& shape,
                                             std::shared_ptr<const void> state, FillFunction fill) {
  if (fill == nullptr)
    fail(Errc::invalid_argument,
         "making a function array: no function; expected one that fills a region, got null");
  return detail::FunctionSource(detail::generated_spec(std::move(dtype), shape, "function"), std::move(state),
                                fill, "function#" + std::to_string(detail::next_source_serial()));
}

MORSEL_INLINE AnyChunkSource full_source(DType dtype, const Shape& shape, const void* element) {
  ArraySpec spec = detail::generated_spec(std::move(dtype), shape, "full");
  spec.lends = true;
  return detail::FullSource(std::move(spec), element);
}

MORSEL_INLINE AnyChunkSource arange_source(Type type, Index start, Index stop, Index step) {
  if (step == 0) fail(Errc::invalid_argument, "arange: the step is zero; expected another number, got 0");
  Index length = 0;
  if (step > 0 ? start < stop : start > stop) {
    // As unsigned numbers the distance cannot overflow, nor the step change sign.
    const auto low = static_cast<std::uint64_t>(step > 0 ? start : stop);
    const auto high = static_cast<std::uint64_t>(step > 0 ? stop : start);
    const std::uint64_t size =
        step > 0 ? static_cast<std::uint64_t>(step) : 0 - static_cast<std::uint64_t>(step);
    const std::uint64_t count = (high - low - 1) / size + 1;
    if (count > static_cast<std::uint64_t>(std::numeric_limits<Index>::max()))
      fail(Errc::overflow,
           "arange: too many elements; expected fewer than 2^63, got " + std::to_string(count));
    length = static_cast<Index>(count);
  }
  const Index second = length > 1 ? start + step : start;
  return visit_type(type, [&]<class T>() { return detail::make_arange<T, Index>(length, start, second); });
}

MORSEL_INLINE AnyChunkSource arange_source(Type type, double start, double stop, double step) {
  if (step == 0) fail(Errc::invalid_argument, "arange: the step is zero; expected another number, got 0");
  const double distance = stop - start;
  double quotient = distance / step;
  if (quotient == 0 && distance != 0) quotient = std::signbit(quotient) ? 0 : 1;
  if (quotient != quotient)
    fail(Errc::invalid_argument, "arange: the length is not a number; expected numbers, got start " +
                                     std::to_string(start) + ", stop " + std::to_string(stop) + " and step " +
                                     std::to_string(step));
  if (quotient >= 0x1p62)
    fail(Errc::overflow,
         "arange: too many elements; expected fewer than 2^62, got " + std::to_string(quotient));
  const Index length = quotient <= 0 ? 0 : static_cast<Index>(std::ceil(quotient));
  return visit_type(type,
                    [&]<class T>() { return detail::make_arange<T, double>(length, start, start + step); });
}

MORSEL_INLINE AnyChunkSource linspace_source(Type type, double start, double stop, Index count,
                                             Endpoint endpoint) {
  if (count < 0)
    fail(Errc::invalid_argument,
         "linspace: negative number of elements; expected >= 0, got " + std::to_string(count));
  auto state = std::make_shared<detail::LinspaceState>();
  state->start = start;
  state->stop = stop;
  state->delta = stop - start;
  state->count = count;
  state->divisor = endpoint == Endpoint::included ? count - 1 : count;
  state->step = state->divisor > 0 ? state->delta / static_cast<double>(state->divisor) : 0;
  state->endpoint = endpoint;
  char identity[160];
  std::snprintf(identity, sizeof identity, "linspace:%s:%a:%a:%lld:%d", std::string(name_of(type)).c_str(),
                start, stop, static_cast<long long>(count), static_cast<int>(endpoint));
  return visit_type(type, [&]<class T>() -> AnyChunkSource {
    return detail::FunctionSource(detail::generated_spec(type_of<T>, Shape{count}, "linspace"), state,
                                  &detail::fill_linspace<T>, identity);
  });
}

}  // namespace morsel::inline MORSEL_ABI
