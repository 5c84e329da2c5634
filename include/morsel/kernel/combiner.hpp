// A user's own reduction: a type that absorbs elements, merges with its like and finishes, or three functions
// and an identity.
//
//   struct GeometricMean {
//     double log_sum = 0;
//     std::int64_t count = 0;
//     void absorb(std::span<const float> x) { for (float v : x) log_sum += std::log(v), ++count; }
//     void merge(const GeometricMean& right) { log_sum += right.log_sum, count += right.count; }
//     double finish() const { return std::exp(log_sum / count); }
//   };
#pragma once

#include <array>
#include <concepts>
#include <memory>
#include <morsel/kernel/reducer.hpp>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

namespace morsel::inline MORSEL_ABI {

namespace detail {
// What finish() gives: one element, or std::array of them.
template <class R>
struct FinishOf {
  static constexpr bool valid = Element<R>;
  using Item = R;
  static constexpr Index count = 0;
};
template <class R, std::size_t N>
struct FinishOf<std::array<R, N>> {
  static constexpr bool valid = Element<R> && N > 0;
  using Item = R;
  static constexpr Index count = static_cast<Index>(N);
};
}  // namespace detail

/// Absorbs elements of T, merges and finishes. A prototype is copied for each output element and chunk: it is
/// the identity.
///
/// Laws: absorbing x and then y is absorbing x followed by y; merging after absorbing x and y apart is the
/// same up to rounding; merging with a fresh copy of the prototype, on either side, changes nothing. Elements
/// of a chunk come in order, chunks merge in a fixed tree, left with right: the result has the same bits
/// every time.
///
/// Not required: default construction, thread-safety (a state is used by one thread at a time). `static
/// constexpr bool is_commutative = true` promises that any order gives the same bits. `to_bytes() const` and
/// `from_bytes(span)` (called on a copy of the prototype) let states travel; trivially copyable types travel
/// as they are.
template <class C, class T>
concept Combiner = Element<T> && std::copy_constructible<C> &&
    requires(C& c, const C& other, std::span<const T> x) {
  c.absorb(x);
  c.merge(other);
  requires detail::FinishOf<std::remove_cvref_t<decltype(other.finish())>>::valid;
};

/// False if C says `is_commutative`: its states may then absorb and merge in any order.
template <class C>
inline constexpr bool order_matters = true;
template <class C>
requires requires { C::is_commutative; }
inline constexpr bool order_matters<C> = !C::is_commutative;

/// Any combiner over T whose finish() gives R; itself a combiner. Copies are deep.
template <Element T, class R>
class AnyCombiner {
 public:
  template <class C>
  requires(!std::same_as<std::remove_cvref_t<C>, AnyCombiner> && Combiner<std::remove_cvref_t<C>, T>)
      AnyCombiner(C&& combiner)  // NOLINT(google-explicit-constructor)
      : self_(std::make_unique<Model<std::remove_cvref_t<C>>>(std::forward<C>(combiner))) {}
  AnyCombiner(const AnyCombiner& other) : self_(other.self_->clone()) {}
  AnyCombiner(AnyCombiner&&) noexcept = default;
  AnyCombiner& operator=(AnyCombiner other) noexcept {
    self_.swap(other.self_);
    return *this;
  }
  void absorb(std::span<const T> x) { self_->absorb(x); }
  /// **Fails**: invalid_argument if the other one holds another type.
  void merge(const AnyCombiner& right) { self_->merge(*right.self_); }
  R finish() const { return self_->finish(); }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual std::unique_ptr<Base> clone() const = 0;
    virtual void absorb(std::span<const T> x) = 0;
    virtual void merge(const Base& right) = 0;
    virtual R finish() const = 0;
  };
  template <class C>
  struct Model final : Base {
    template <class U>
    explicit Model(U&& u) : combiner(std::forward<U>(u)) {}
    std::unique_ptr<Base> clone() const override { return std::make_unique<Model>(combiner); }
    void absorb(std::span<const T> x) override { combiner.absorb(x); }
    void merge(const Base& right) override {
      const auto* same = dynamic_cast<const Model*>(&right);
      if (!same)
        fail(Errc::invalid_argument,
             "merging combiners: of two types; expected states made from one prototype");
      combiner.merge(same->combiner);
    }
    R finish() const override { return combiner.finish(); }
    C combiner;
  };
  std::unique_ptr<Base> self_;
};

/// A combiner from functions: absorb(State&, element) or absorb(State&, span), merge(State&, const State&),
/// finish(const State&). State is copied like any combiner.
template <class State, class Absorb, class Merge, class Finish>
class FunctionCombiner {
 public:
  FunctionCombiner(State identity, Absorb absorb, Merge merge, Finish finish)
      : state_(std::move(identity)),
        absorb_(std::move(absorb)),
        merge_(std::move(merge)),
        finish_(std::move(finish)) {}
  template <class T>
  requires(std::invocable<const Absorb&, State&, std::span<const T>> ||
           std::invocable<const Absorb&, State&, const T&>) void absorb(std::span<const T> x) {
    if constexpr (std::invocable<const Absorb&, State&, std::span<const T>>)
      absorb_(state_, x);
    else
      for (const T& value : x) absorb_(state_, value);
  }
  void merge(const FunctionCombiner& right) { merge_(state_, right.state_); }
  auto finish() const { return finish_(state_); }

  std::vector<std::byte> to_bytes() const requires std::is_trivially_copyable_v<State> {
    std::vector<std::byte> bytes(sizeof(State));
    std::memcpy(bytes.data(), &state_, sizeof(State));
    return bytes;
  }
  void from_bytes(std::span<const std::byte> bytes) requires std::is_trivially_copyable_v<State> {
    if (bytes.size() != sizeof(State))
      fail(Errc::corrupt_data, "reading a combiner: wrong size; expected " + std::to_string(sizeof(State)) +
                                   " bytes, got " + std::to_string(bytes.size()));
    std::memcpy(&state_, bytes.data(), sizeof(State));
  }

 private:
  State state_;
  [[no_unique_address]] Absorb absorb_;
  [[no_unique_address]] Merge merge_;
  [[no_unique_address]] Finish finish_;
};

/// **Example**: combiner_from(0.0, [](double& s, float v) { s += v * v; }, [](double& s, double r) { s += r;
/// },
/// [](double s) { return std::sqrt(s); })
template <class State, class Absorb, class Merge, class Finish>
FunctionCombiner<State, Absorb, Merge, Finish> combiner_from(State identity, Absorb absorb, Merge merge,
                                                             Finish finish) {
  return {std::move(identity), std::move(absorb), std::move(merge), std::move(finish)};
}

namespace detail {

// States as bytes under a digest; bodies in impl/reducer.ipp.
void append_sealed(std::string_view name, const void* payload, std::size_t bytes,
                   std::vector<std::byte>& out);
std::span<const std::byte> open_sealed(std::string_view name, std::span<const std::byte> bytes);

std::uint64_t digest_of(std::string_view name, std::span<const std::byte> payload);

std::uint64_t next_combiner_number();

template <class C>
concept Travelling = requires(C& c, const C& from, std::span<const std::byte> bytes) {
  { from.to_bytes() } -> std::convertible_to<std::vector<std::byte>>;
  c.from_bytes(bytes);
};

/// The bytes of an object, if they are all there is to it; those between members are 0 where the compiler can
/// tell them.
template <class C>
std::string object_text(const C& object) {
  if constexpr (std::is_trivially_copyable_v<C>) {
    alignas(C) char copy[sizeof(C)];
    std::memcpy(copy, static_cast<const void*>(&object), sizeof(C));
#if defined(__has_builtin)
#if __has_builtin(__builtin_clear_padding)
    __builtin_clear_padding(reinterpret_cast<C*>(copy));
#endif
#endif
    return std::string(copy, sizeof(C));
  } else {
    return {};
  }
}
/// States are objects of C in the engine's memory.
template <class C, class T>
class CombinerReducer final : public Reducer {
  using Finish = FinishOf<std::remove_cvref_t<decltype(std::declval<const C&>().finish())>>;
  static_assert(alignof(C) <= 16, "morsel: a combiner's state may need an alignment of at most 16");
  static constexpr std::size_t step = (sizeof(C) + 7) / 8 * 8;

 public:
  CombinerReducer(C prototype, std::string name)
      : prototype_(std::move(prototype)),
        name_(std::move(name)),
        state_name_(name_ + "#" + std::to_string(next_combiner_number())) {}
  std::string name() const override { return name_; }
  std::string state_name() const override { return state_name_; }
  std::string parameters() const override { return object_text(prototype_); }
  Type input() const override { return type_of<T>; }
  MergeOrder order() const override { return order_matters<C> ? MergeOrder::sequential : MergeOrder::any; }
  std::size_t state_bytes() const override { return step; }
  Type result() const override { return type_of<typename Finish::Item>; }
  Shape result_shape() const override { return Finish::count == 0 ? Shape{} : Shape{Finish::count}; }

  void init(void* states, std::size_t n) const override {
    construct(states, n, [&](void* at, std::size_t) { ::new (at) C(prototype_); });
  }
  void absorb_run(void* state, const void* x, std::size_t n, Index) const override {
    at(state, 0).absorb(std::span<const T>(static_cast<const T*>(x), n));
  }
  void absorb_rows(void* states, const void* x, std::ptrdiff_t row_stride_bytes, std::size_t rows,
                   std::size_t columns, Index, Index) const override {
    T column[row_block];
    for (std::size_t first = 0; first < rows; first += row_block) {
      const std::size_t some = rows - first < row_block ? rows - first : row_block;
      const auto* corner =
          static_cast<const std::byte*>(x) + static_cast<std::ptrdiff_t>(first) * row_stride_bytes;
      for (std::size_t c = 0; c < columns; ++c) {
        for (std::size_t r = 0; r < some; ++r)
          std::memcpy(static_cast<void*>(column + r),
                      corner + static_cast<std::ptrdiff_t>(r) * row_stride_bytes + c * sizeof(T), sizeof(T));
        at(states, c).absorb(std::span<const T>(column, some));
      }
    }
  }
  void merge(void* left, void* right, std::size_t n) const override {
    for (std::size_t i = 0; i < n; ++i) at(left, i).merge(std::as_const(at(right, i)));
  }
  void finish(const void* states, std::size_t n, Index, void* out) const override {
    constexpr std::size_t bytes = sizeof(typename Finish::Item) * (Finish::count == 0 ? 1 : Finish::count);
    for (std::size_t i = 0; i < n; ++i) {
      const auto value = at(states, i).finish();
      static_assert(sizeof value == bytes);
      std::memcpy(static_cast<std::byte*>(out) + i * bytes, &value, bytes);
    }
  }
  void destroy(void* states, std::size_t n) const override {
    if constexpr (!std::is_trivially_destructible_v<C>)
      for (std::size_t i = 0; i < n; ++i) at(states, i).~C();
    (void)states, (void)n;
  }
  void relocate(void* to, void* from, std::size_t n) const override {
    if constexpr (std::is_trivially_copyable_v<C>) {
      std::memcpy(to, from, n * step);
    } else {
      construct(to, n, [&](void* place, std::size_t i) { ::new (place) C(std::move(at(from, i))); });
      destroy(from, n);
    }
  }
  bool is_trivial() const override { return std::is_trivially_copyable_v<C>; }

  void to_bytes(const void* states, std::size_t n, std::vector<std::byte>& out) const override {
    if constexpr (Travelling<C>) {
      std::vector<std::byte> payload;
      for (std::size_t i = 0; i < n; ++i) {
        const std::vector<std::byte> one = at(states, i).to_bytes();
        const std::uint64_t length = one.size();
        const auto* bytes = reinterpret_cast<const std::byte*>(&length);
        payload.insert(payload.end(), bytes, bytes + 8);
        payload.insert(payload.end(), one.begin(), one.end());
      }
      append_sealed(name_, payload.data(), payload.size(), out);
    } else if constexpr (std::is_trivially_copyable_v<C>) {
      append_sealed(name_, states, n * step, out);
    } else {
      refuse_travel();
    }
  }
  void from_bytes(std::span<const std::byte> bytes, void* states, std::size_t n) const override {
    if constexpr (Travelling<C>) {
      std::span<const std::byte> rest = open_sealed(name_, bytes);
      construct(states, n, [&](void* place, std::size_t) {
        std::uint64_t length = 0;
        if (rest.size() >= 8) std::memcpy(&length, rest.data(), 8);
        if (rest.size() < 8 || rest.size() - 8 < length) wrong_size(bytes.size(), n);
        C* state = ::new (place) C(prototype_);
        try {
          state->from_bytes(rest.subspan(8, length));
        } catch (...) {
          state->~C();
          throw;
        }
        rest = rest.subspan(8 + length);
      });
      if (!rest.empty()) {
        destroy(states, n);
        wrong_size(bytes.size(), n);
      }
    } else if constexpr (std::is_trivially_copyable_v<C>) {
      const std::span<const std::byte> payload = open_sealed(name_, bytes);
      if (payload.size() != n * step) wrong_size(bytes.size(), n);
      if (n != 0) std::memcpy(states, payload.data(), payload.size());
    } else {
      refuse_travel();
    }
  }

 private:
  static C& at(void* states, std::size_t i) {
    return *std::launder(reinterpret_cast<C*>(static_cast<std::byte*>(states) + i * step));
  }
  static const C& at(const void* states, std::size_t i) {
    return *std::launder(reinterpret_cast<const C*>(static_cast<const std::byte*>(states) + i * step));
  }
  // All n states or none.
  template <class Make>
  static void construct(void* states, std::size_t n, Make&& make) {
    // Bytes between the members travel too.
    if constexpr (std::is_trivially_copyable_v<C>) std::memset(states, 0, n * step);
    std::size_t i = 0;
    try {
      for (; i < n; ++i) make(static_cast<std::byte*>(states) + i * step, i);
    } catch (...) {
      while (i-- > 0) at(states, i).~C();
      throw;
    }
  }
  [[noreturn]] void refuse_travel() const {
    fail(Errc::unsupported,
         "states of combiner '" + name_ +
             "' as bytes: not trivially copyable; expected members to_bytes() and from_bytes(span)");
  }
  [[noreturn]] void wrong_size(std::size_t got, std::size_t n) const {
    fail(Errc::corrupt_data, "reading states of combiner '" + name_ + "': wrong size; expected " +
                                 std::to_string(n) + " states, got " + std::to_string(got) +
                                 " bytes that hold another number");
  }

  C prototype_;
  std::string name_, state_name_;  // prototypes of one name may differ: their states are never shared
};

}  // namespace detail

/// The engine's view of a combiner over elements of T. `name` is for explain and errors, and states that
/// travel are accepted by reducers of the same name only.
template <Element T, class C>
requires Combiner<C, T> ReducerPtr make_reducer_from(C prototype, std::string name) {
  return std::make_shared<detail::CombinerReducer<C, T>>(std::move(prototype), std::move(name));
}

}  // namespace morsel::inline MORSEL_ABI
