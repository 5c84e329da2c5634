// Random expressions over random sources, made from a seed: every operation, view, reduction and chunking.
#pragma once

#include <bit>
#include <morsel/graph/build.hpp>
#include <morsel/io/generated.hpp>
#include <morsel/io/memory_source.hpp>
#include <morsel/kernel/combiner.hpp>
#include <morsel/kernel/map.hpp>
#include <numeric>
#include <random>
#include <sstream>
#include <support/eager.hpp>
#include <support/test_source.hpp>

namespace test {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed * 0x9e3779b97f4a7c15u + 1) {}
  std::uint64_t bits() { return engine_(); }
  morsel::Index below(morsel::Index n) {
    return n <= 1 ? 0 : static_cast<morsel::Index>(engine_() % static_cast<std::uint64_t>(n));
  }
  morsel::Index between(morsel::Index lo, morsel::Index hi) { return lo + below(hi - lo + 1); }
  bool chance(double p) { return static_cast<double>(engine_() >> 11) * 0x1p-53 < p; }
  template <class V>
  const auto& of(const V& values) {
    return values[static_cast<std::size_t>(below(static_cast<morsel::Index>(values.size())))];
  }

 private:
  std::mt19937_64 engine_;
};

/// A combiner with a state on the heap whose value tells the order of all elements: a polynomial over their
/// bits.
struct OrderDigest {
  std::vector<std::uint64_t> sums = {0, 1};  // value, 31^count

  void absorb(std::span<const double> x) {
    for (const double v : x) {
      sums[0] = sums[0] * 31 + (v != v ? 7 : std::bit_cast<std::uint64_t>(v));
      sums[1] *= 31;
    }
  }
  void merge(const OrderDigest& right) {
    sums[0] = sums[0] * right.sums[1] + right.sums[0];
    sums[1] *= right.sums[1];
  }
  std::int64_t finish() const { return static_cast<std::int64_t>(sums[0]); }
};

struct ProgramOptions {
  morsel::Index most_elements = 12000;  ///< of any value
  int most_steps = 9;
  bool user_code = true;  ///< lambdas, map_chunks, user combiners
  bool missing_chunks = true;
};

struct Program {
  std::vector<morsel::Edge> outputs;
  std::vector<std::string> lines;
  std::vector<std::shared_ptr<ReadLog>> logs;
  std::map<std::string, std::shared_ptr<const Whole>> known;
  std::string text() const {
    std::string all;
    for (const std::string& line : lines) all += "  " + line + "\n";
    return all;
  }
};

class ProgramMaker {
 public:
  ProgramMaker(std::uint64_t seed, const ProgramOptions& options) : random_(seed), options_(options) {}

  Program make() {
    const Index sources = random_.between(1, 3);
    for (Index i = 0; i < sources; ++i) source();
    const Index steps = random_.between(1, options_.most_steps);
    for (Index i = 0, tries = 0; i < steps && tries < 60; ++tries) {
      try {
        step();
        ++i;
      } catch (const morsel::Error& error) {
        if (error.code() == morsel::Errc::internal_error) throw;
      }
    }
    const Index outputs = random_.chance(0.6) ? 1 : random_.between(2, 4);
    std::string line = "outputs:";
    for (Index i = 0; i < outputs; ++i) {
      const Index recent = std::min<Index>(static_cast<Index>(pool_.size()), i == 0 ? 1 : 5);
      const Index k = static_cast<Index>(pool_.size()) - 1 - random_.below(recent);
      program_.outputs.push_back(pool_[static_cast<std::size_t>(k)]);
      line += " v" + std::to_string(k);
    }
    if (random_.chance(0.25)) statistics(line);
    program_.lines.push_back(line);
    return std::move(program_);
  }

 private:
  using Index = morsel::Index;
  using Shape = morsel::Shape;
  using Edge = morsel::Edge;
  using Type = morsel::Type;

  // ---- shapes, grids, data

  Shape shape(Index most) {
    static const std::vector<Index> ranks{0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 5};
    const Index rank = random_.of(ranks);
    Shape s;
    Index room = most;
    for (Index i = 0; i < rank; ++i) {
      static const std::vector<Index> extents{1,  2,  3,  4,  5,   7,   8,   11,   16,
                                              17, 33, 64, 65, 127, 200, 513, 1030, 3000};
      Index n = random_.of(extents);
      while (n > room) n = std::max<Index>(1, n / 3);
      if (random_.chance(0.02)) n = 0;
      s.push_back(n);
      room /= std::max<Index>(n, 1);
    }
    for (std::size_t i = s.size(); i > 1; --i)
      std::swap(s[i - 1], s[static_cast<std::size_t>(random_.below(static_cast<Index>(i)))]);
    return s;
  }
  morsel::ChunkSpec chunks(const Shape& s) {
    if (random_.chance(0.1)) return morsel::ChunkSpec(-1);
    std::vector<morsel::AxisChunks> axes;
    for (const Index n : s) {
      const Index kind = random_.below(6);
      if (kind == 0 || n <= 1)
        axes.emplace_back(-1);
      else if (kind == 1) {
        std::vector<Index> lengths;
        for (Index left = n; left > 0;) {
          const Index piece = std::min(left, random_.between(1, std::max<Index>(1, n / 2)));
          lengths.push_back(piece);
          left -= piece;
        }
        axes.emplace_back(lengths);
      } else {
        axes.emplace_back(std::max<Index>(random_.between(1, n), n / 40));
      }
    }
    return morsel::ChunkSpec(std::move(axes));
  }
  Type type() { return static_cast<Type>(random_.below(morsel::numeric_type_count)); }

  std::shared_ptr<Whole> whole(const morsel::DType& dtype, const Shape& s) {
    auto w = std::make_shared<Whole>(detail::empty_of(dtype, s));
    const Index flavour = random_.below(4);
    const std::size_t n = static_cast<std::size_t>(morsel::size_of(s));
    if (!dtype.is_numeric()) {
      for (std::byte& b : w->bytes) b = static_cast<std::byte>(random_.bits());
      return w;
    }
    morsel::visit_type(dtype.type(), [&]<class T>() {
      const auto real = [&](auto zero) {
        using R = decltype(zero);
        using L = std::numeric_limits<R>;
        if (flavour == 1 || (flavour == 2 && random_.chance(0.03))) {
          static const std::vector<R> special{R(0),
                                              -R(0),
                                              L::infinity(),
                                              -L::infinity(),
                                              L::quiet_NaN(),
                                              L::denorm_min(),
                                              -L::denorm_min(),
                                              L::max(),
                                              L::min(),
                                              R(1),
                                              R(-1)};
          if (flavour == 2 || random_.chance(0.5)) return random_.of(special);
          return static_cast<R>(std::ldexp(static_cast<double>(random_.between(-1000000, 1000000)),
                                           static_cast<int>(random_.between(-60, 40))));
        }
        return static_cast<R>(static_cast<double>(random_.between(-1000000, 1000000)) / 1024.0);
      };
      for (std::size_t i = 0; i < n; ++i) {
        T value{};
        if constexpr (std::is_same_v<T, bool>)
          value = random_.chance(0.5);
        else if constexpr (std::is_integral_v<T>)
          value =
              static_cast<T>(flavour == 1 ? static_cast<Index>(random_.bits()) : random_.between(-20, 100));
        else if constexpr (std::is_same_v<T, morsel::float16>)
          value = flavour == 1 ? morsel::float16::from_bits(static_cast<std::uint16_t>(random_.bits()))
                               : morsel::float16(real(0.0f));
        else if constexpr (std::is_floating_point_v<T>)
          value = real(T{});
        else {
          const auto re = real(typename T::value_type{});
          value = T(re, real(typename T::value_type{}));
        }
        std::memcpy(w->bytes.data() + i * sizeof(T), &value, sizeof(T));
      }
    });
    return w;
  }

  // ---- nodes

  void add(const Edge& e, const std::string& how) {
    if (morsel::size_of(e.shape()) > options_.most_elements || e.shape().size() > 7)
      morsel::fail(morsel::Errc::invalid_argument, "too large for a test");
    std::ostringstream line;
    line << "v" << pool_.size() << " = " << how << "  -> " << e.dtype().name() << morsel::to_string(e.shape())
         << " chunks " << morsel::to_string(e.grid());
    program_.lines.push_back(line.str());
    pool_.push_back(e);
  }
  struct Picked {
    Edge edge;
    std::string name;
  };
  Picked pick() {
    const Index n = static_cast<Index>(pool_.size());
    const Index k = random_.chance(0.6) ? n - 1 - random_.below(std::min<Index>(n, 2)) : random_.below(n);
    return {pool_[static_cast<std::size_t>(k)], "v" + std::to_string(k)};
  }

  void source() {
    const Shape s = shape(options_.most_elements);
    morsel::DType dtype = random_.chance(0.5) ? Type::float64 : random_.chance(0.3) ? Type::float32 : type();
    if (random_.chance(0.03)) dtype = morsel::DType::carried("V3", 3);
    const Index kind = random_.below(7);
    if (kind == 6 && dtype.is_numeric() && s.size() == 1) {
      add(morsel::make_source(
              morsel::linspace_source(dtype.type() == Type::bool_ ? Type::int32 : dtype.type(), -3, 50, s[0]),
              morsel::View::identity(s), chunks(s), "linspace"),
          "linspace");
      return;
    }
    if (kind == 5) {
      const auto one = whole(dtype, {});
      add(morsel::make_source(morsel::full_source(dtype, s, one->bytes.data()), morsel::View::identity(s),
                              chunks(s), "full"),
          "full");
      return;
    }
    auto values = whole(dtype, s);
    const auto native = morsel::resolve_chunks(chunks(s), s, dtype.item_bytes());
    const morsel::ChunkSpec declared = random_.chance(0.5) ? morsel::ChunkSpec::of(native) : chunks(s);
    morsel::AnyChunkSource source;
    std::string how;
    if (kind == 0) {
      // Lends; the memory has its axes in another order.
      Shape order(s.size());
      std::iota(order.begin(), order.end(), 0);
      if (random_.chance(0.5)) std::reverse(order.begin(), order.end());
      morsel::Dims strides(s.size());
      Index step = static_cast<Index>(dtype.item_bytes());
      for (std::size_t i = s.size(); i-- > 0;) {
        strides[static_cast<std::size_t>(order[i])] = step;
        step *= std::max<Index>(1, s[static_cast<std::size_t>(order[i])]);
      }
      auto memory = std::make_shared<std::vector<std::byte>>(values->bytes.size());
      const morsel::BufferView view{memory->data(), dtype.item_bytes(), s, strides};
      morsel::copy_elements(values->view(), view);
      source = morsel::memory_source(dtype, view, memory);
      how = "memory";
    } else {
      TestSourceOptions o;
      o.grid = native;
      o.regions = kind == 1 || kind == 2;
      o.io = !random_.chance(0.2);
      o.in_place = random_.chance(0.5);
      o.blocks = random_.chance(0.4);
      o.parts_need_whole = random_.chance(0.3);
      o.parts = !o.regions && o.io && random_.chance(0.4);
      if (random_.chance(0.3)) o.scratch_bytes = static_cast<std::size_t>(random_.between(1, 5000));
      if (!o.regions && o.io && options_.missing_chunks && native.count() > 0 && random_.chance(0.2)) {
        const auto fill = whole(dtype, {});
        if (random_.chance(0.7)) o.fill = fill->bytes;
        for (Index i = 0; i < native.count(); ++i) {
          if (!random_.chance(0.4)) continue;
          o.missing.insert(i);
          const std::vector<std::byte> zero(dtype.item_bytes());
          morsel::fill_elements(values->view().part(morsel::Region::of(s), native.region(i)),
                                o.fill.empty() ? zero.data() : o.fill.data());
        }
      }
      how = std::string(o.regions ? "regions" : "chunks") + (o.io ? "" : ", computed") +
            (o.in_place ? ", in place" : "") + (o.parts ? ", parts" : "") + (o.blocks ? ", blocks" : "") +
            ", scratch " + std::to_string(o.scratch_bytes) + ", missing " + std::to_string(o.missing.size()) +
            ", native " + morsel::to_string(native);
      auto log = std::make_shared<ReadLog>();
      program_.logs.push_back(log);
      source = TestSource(values, std::move(o), log);
    }
    program_.known[source.identity()] = values;
    morsel::View view = morsel::View::identity(s);
    if (random_.chance(0.15) && s.size() > 1) {
      view = morsel::permute_view(s, order_of(s.size()));
      add(morsel::make_source(source, view, chunks(view.shape), "source"), "transposed source(" + how + ")");
      return;
    }
    add(morsel::make_source(source, view, declared, "source"), "source(" + how + ")");
  }
  std::vector<Index> order_of(std::size_t rank) {
    std::vector<Index> order(rank);
    std::iota(order.begin(), order.end(), 0);
    for (std::size_t i = rank; i > 1; --i)
      std::swap(order[i - 1], order[static_cast<std::size_t>(random_.below(static_cast<Index>(i)))]);
    return order;
  }

  void step() {
    switch (random_.below(16)) {
      case 0:
      case 1:
      case 2:
        return elementwise();
      case 3:
      case 4:
        return slice();
      case 5:
        return shuffle_axes();
      case 6:
        return take();
      case 7:
        return join();
      case 8:
        return rechunk();
      case 9:
      case 10:
      case 11:
        return reduce();
      case 12:
        return normalise();
      case 13:
        return convert();
      case 14:
        return options_.user_code ? user_code() : elementwise();
      default:
        return broadcast();
    }
  }

  /// An operand that broadcasts with `a`: another value, a part of it, a reduction of it, a scalar.
  morsel::Operand other(const Edge& a, std::string& name) {
    for (int tries = 0; tries < 3; ++tries) {
      const Picked b = pick();
      try {
        morsel::broadcast_shapes(a.shape(), b.edge.shape());
        name = b.name;
        return b.edge;
      } catch (const morsel::Error&) {
      }
    }
    if (random_.chance(0.3) && a.shape().size() > 0) {
      const auto axis = static_cast<std::size_t>(random_.below(static_cast<Index>(a.shape().size())));
      morsel::SliceItems items(a.shape().size(), morsel::all_of_axis());
      items[axis] = morsel::range(0, 1);
      name = "its first slice on axis " + std::to_string(axis);
      return morsel::slice(a, items);
    }
    if (random_.chance(0.5)) {
      name = "itself";
      return a;
    }
    if (random_.chance(0.5)) {
      const Index i = random_.between(0, 9);
      name = std::to_string(i);
      return morsel::Scalar::of(static_cast<std::int64_t>(i));
    }
    const double d = static_cast<double>(random_.between(-20, 20)) / 8;
    name = std::to_string(d);
    return morsel::Scalar::of(d);
  }

  void elementwise() {
    const auto op = static_cast<morsel::Op>(random_.below(morsel::op_count));
    // Negative powers of integers are refused while running; the sign of a computed NaN is unspecified.
    if (op == morsel::Op::pow || op == morsel::Op::signbit || op == morsel::Op::copysign) return;
    const Picked a = pick();
    std::vector<morsel::Operand> operands{a.edge};
    std::string how = std::string(morsel::name_of(op)) + "(" + a.name;
    for (int i = 1; i < morsel::arity_of(op); ++i) {
      std::string name;
      operands.push_back(other(a.edge, name));
      how += ", " + name;
    }
    if (operands.size() > 1 && random_.chance(0.2)) {
      std::swap(operands[0], operands[1]);
      how += ", swapped";
    }
    add(morsel::apply(op, operands), how + ")");
  }

  void slice() {
    const Picked a = pick();
    morsel::SliceItems items;
    for (const Index n : a.edge.shape()) {
      if (random_.chance(0.05)) items.emplace_back(morsel::newaxis);
      const Index kind = random_.below(6);
      if (kind == 0 && n > 0 && random_.chance(0.5))
        items.emplace_back(random_.between(-n, n - 1));
      else if (kind <= 2) {
        static const std::vector<Index> steps{1, 2, 3, 7, -1, -2, -5};
        const Index step = random_.of(steps);
        Index lo = random_.below(n + 1), hi = random_.below(n + 1);
        if (lo > hi && random_.chance(0.95)) std::swap(lo, hi);
        morsel::SliceItem item = step > 0 ? morsel::range(lo, hi, step) : morsel::range(hi, lo, step);
        if (random_.chance(0.3)) item.start.reset();
        if (random_.chance(0.3)) item.stop.reset();
        items.push_back(item);
      } else {
        items.push_back(morsel::all_of_axis());
      }
    }
    if (random_.chance(0.1)) items.emplace_back(morsel::newaxis);
    add(morsel::slice(a.edge, items), a.name + "[" + morsel::to_string(items) + "]");
  }

  void shuffle_axes() {
    const Picked a = pick();
    const std::size_t rank = a.edge.shape().size();
    switch (random_.below(4)) {
      case 0: {
        std::vector<Index> axes;
        for (std::size_t i = 0; i < rank; ++i)
          if (random_.chance(0.5)) axes.push_back(static_cast<Index>(i));
        return add(morsel::flip(a.edge, axes), "flip(" + a.name + ")");
      }
      case 1: {
        if (rank > 5) return;
        const Index axis = random_.below(static_cast<Index>(rank) + 1);
        return add(morsel::expand_dims(a.edge, axis),
                   "expand_dims(" + a.name + ", " + std::to_string(axis) + ")");
      }
      case 2: {
        std::vector<Index> axes;
        for (std::size_t i = 0; i < rank; ++i)
          if (a.edge.shape()[i] == 1 && random_.chance(0.7)) axes.push_back(static_cast<Index>(i));
        return add(morsel::squeeze(a.edge, axes), "squeeze(" + a.name + ")");
      }
      default: {
        const std::vector<Index> order = order_of(rank);
        std::string text;
        for (const Index i : order) text += std::to_string(i) + " ";
        return add(morsel::permute_dims(a.edge, order), "permute_dims(" + a.name + ", " + text + ")");
      }
    }
  }

  void take() {
    const Picked a = pick();
    const Shape& s = a.edge.shape();
    if (s.empty()) return;
    const Index axis = random_.below(static_cast<Index>(s.size()));
    const Index n = s[static_cast<std::size_t>(axis)];
    if (n == 0) return;
    std::vector<Index> indices;
    const Index count = random_.chance(0.05) ? 0 : random_.between(1, std::min<Index>(40, 2 * n));
    for (Index i = 0; i < count; ++i) indices.push_back(random_.between(-n, n - 1));
    if (random_.chance(0.4)) {
      for (Index& i : indices) i = i < 0 ? i + n : i;
      std::sort(indices.begin(), indices.end());
    }
    std::string text;
    for (const Index i : indices) text += std::to_string(i) + " ";
    add(morsel::take(a.edge, indices, axis),
        "take(" + a.name + ", [" + text + "], " + std::to_string(axis) + ")");
  }

  void join() {
    const Picked a = pick();
    const Shape& s = a.edge.shape();
    if (s.empty() || random_.chance(0.3)) {
      std::vector<Edge> parts{a.edge, a.edge};
      std::string how = "stack(" + a.name + ", ";
      if (random_.chance(0.7) && a.edge.dtype().is_numeric()) {
        parts[1] = morsel::apply(morsel::Op::logical_not, {a.edge});
        how += "logical_not of it";
      } else {
        how += "itself";
      }
      const Index axis = random_.below(static_cast<Index>(s.size()) + 1);
      return add(morsel::stack(parts, axis), how + ", " + std::to_string(axis) + ")");
    }
    const Index axis = random_.below(static_cast<Index>(s.size()));
    std::vector<Edge> parts{a.edge};
    std::string how = "concat(" + a.name;
    for (Index k = random_.between(1, 3); k > 0; --k) {
      const Picked b = pick();
      bool fits = b.edge.shape().size() == s.size();
      for (std::size_t i = 0; fits && i < s.size(); ++i)
        fits = static_cast<Index>(i) == axis || s[i] == b.edge.shape()[i];
      if (fits && random_.chance(0.7)) {
        parts.push_back(b.edge);
        how += ", " + b.name;
      } else {
        morsel::SliceItems items(s.size(), morsel::all_of_axis());
        const Index n = s[static_cast<std::size_t>(axis)];
        items[static_cast<std::size_t>(axis)] = morsel::range(n / 3, n, random_.between(1, 3));
        parts.push_back(morsel::slice(a.edge, items));
        how += ", part of " + a.name;
      }
    }
    add(morsel::concat(parts, axis), how + ", axis " + std::to_string(axis) + ")");
  }

  void rechunk() {
    const Picked a = pick();
    add(morsel::rechunk(a.edge, chunks(a.edge.shape())), "rechunk(" + a.name + ")");
  }

  std::vector<Index> some_axes(const Shape& s, std::string& text) {
    std::vector<Index> axes;
    const bool all = random_.chance(0.3);
    for (std::size_t i = 0; i < s.size(); ++i)
      if (all || random_.chance(0.5)) axes.push_back(static_cast<Index>(i));
    for (const Index axis : axes) text += std::to_string(axis) + " ";
    return axes;
  }

  /// Several reductions of one value, along different axes, which one pass computes.
  void statistics(std::string& line) {
    const Picked of = pick();
    for (Index i = random_.between(2, 4); i > 0; --i) {
      const std::size_t before = pool_.size();
      try {
        reduce(of);
      } catch (const morsel::Error& error) {
        if (error.code() == morsel::Errc::internal_error) throw;
      }
      if (pool_.size() == before) continue;
      program_.outputs.push_back(pool_.back());
      line += " v" + std::to_string(before);
    }
  }

  void reduce() { reduce(pick()); }
  void reduce(const Picked& a) {
    if (!a.edge.dtype().is_numeric()) return;
    if (random_.chance(0.06)) {
      const Index bins = random_.between(1, 9);
      return add(morsel::histogram_over_data_range(a.edge, bins),
                 "histogram(" + a.name + ", " + std::to_string(bins) + ")");
    }
    std::string text;
    const std::vector<Index> axes = some_axes(a.edge.shape(), text);
    const bool keepdims = random_.chance(0.3);
    morsel::ReductionOptions o;
    o.skip_nan = random_.chance(0.25);
    o.ddof = static_cast<double>(random_.below(3));
    const auto which =
        static_cast<morsel::Reduction>(random_.below(static_cast<Index>(morsel::Reduction::histogram) + 1));
    if (which == morsel::Reduction::histogram) {
      o.bins = random_.between(1, 12);
      o.lo = -50;
      o.hi = 120;
    }
    const morsel::ReducerPtr reducer = morsel::make_reducer(which, a.edge.dtype().type(), o);
    Edge e = morsel::reduce(reducer, a.edge, axes, keepdims);
    std::string how = reducer->name() + "(" + a.name + ", axes " + text + (keepdims ? "keepdims)" : ")");
    const bool exact = morsel::is_integer(a.edge.dtype().type()) || morsel::is_bool(a.edge.dtype().type());
    if (exact && random_.chance(0.1)) {
      e = morsel::raw_states(e);
      how = "raw_states(" + how + ")";
    } else if (random_.chance(0.2)) {
      e = morsel::per_chunk(e);
      how = "per_chunk(" + how + ")";
    }
    add(e, how);
  }

  /// x - mean(x), (x - mean) / std: passes one after another.
  void normalise() {
    const Picked a = pick();
    if (!a.edge.dtype().is_numeric()) return;
    std::string text;
    const std::vector<Index> axes = some_axes(a.edge.shape(), text);
    const Type type = a.edge.dtype().type();
    const Edge mean = morsel::reduce(morsel::make_reducer(morsel::Reduction::mean, type), a.edge, axes, true);
    Edge e = morsel::apply(morsel::Op::subtract, {a.edge, mean});
    std::string how = a.name + " - mean(" + a.name + ", axes " + text + ")";
    if (random_.chance(0.5)) {
      const Edge deviation =
          morsel::reduce(morsel::make_reducer(morsel::Reduction::stddev, type), a.edge, axes, true);
      e = morsel::apply(morsel::Op::divide, {e, deviation});
      how = "(" + how + ") / stddev";
    }
    add(e, how);
  }

  void convert() {
    const Picked a = pick();
    const Type to = type();
    add(morsel::astype(a.edge, to), "astype(" + a.name + ", " + std::string(morsel::name_of(to)) + ")");
  }

  void user_code() {
    const Picked a = pick();
    if (!a.edge.dtype().is_numeric() || morsel::is_complex(a.edge.dtype().type())) return;
    const Edge x = morsel::astype(a.edge, Type::float64);
    switch (random_.below(3)) {
      case 0: {
        auto kernel = std::make_shared<const morsel::UserKernel>(
            morsel::make_user_kernel<double>("shifted", [](double v) { return v < 0 ? v - 1 : v + 1; }));
        return add(morsel::map_elements(kernel, {x}), "map(" + a.name + ")");
      }
      case 1: {
        morsel::MapChunksNode call;
        call.inputs = {x};
        std::string how = "map_chunks(" + a.name;
        std::string name;
        const morsel::Operand b = other(x, name);
        if (const Edge* e = std::get_if<Edge>(&b);
            e && e->dtype().is_numeric() && !morsel::is_complex(e->dtype().type())) {
          call.inputs.push_back(morsel::astype(*e, Type::float64));
          how += ", " + name;
        }
        call.scratch_bytes_per_chunk = static_cast<std::size_t>(random_.below(300));
        call.function = [](const morsel::ChunkInfo& info, const std::vector<morsel::BufferView>& in,
                           const morsel::BufferView& out) {
          double own = static_cast<double>(info.number) + 0.5 * static_cast<double>(info.count);
          for (const Index lo : info.region.lo) own = own * 3 + static_cast<double>(lo);
          const auto n = static_cast<std::size_t>(info.region.size());
          for (std::size_t i = 0; i < n; ++i) {
            double v = 0;
            for (const morsel::BufferView& w : in) {
              double e;
              std::memcpy(&e, w.data + i * sizeof e, sizeof e);
              v = v * 0.5 + e;
            }
            v += own;
            std::memcpy(out.data + i * sizeof v, &v, sizeof v);
          }
        };
        return add(morsel::map_chunks("mixed", std::move(call), Type::float64), how + ")");
      }
      default: {
        std::string text;
        const std::vector<Index> axes = some_axes(x.shape(), text);
        Edge e = morsel::reduce(morsel::make_reducer_from<double>(OrderDigest{}, "digest"), x, axes,
                                random_.chance(0.3));
        const bool parts = random_.chance(0.2);
        if (parts) e = morsel::per_chunk(e);
        return add(e, std::string(parts ? "per_chunk " : "") + "digest(" + a.name + ", axes " + text + ")");
      }
    }
  }

  void broadcast() {
    const Picked a = pick();
    Shape to = a.edge.shape();
    for (Index& n : to)
      if (n == 1 && random_.chance(0.6)) n = random_.between(0, 6);
    if (random_.chance(0.5)) to.insert(0, random_.between(1, 4));
    add(morsel::broadcast_to(a.edge, to), "broadcast_to(" + a.name + ")");
  }

  Random random_;
  ProgramOptions options_;
  std::vector<Edge> pool_;
  Program program_;
};

inline Program random_program(std::uint64_t seed, const ProgramOptions& options = {}) {
  return ProgramMaker(seed, options).make();
}

}  // namespace test
