// Sources of known elements as edges, and values of edges as arrays: what tests of the engine say in one
// line.
#pragma once

#include <morsel/api/evaluate.hpp>
#include <morsel/graph/build.hpp>
#include <morsel/graph/pass.hpp>
#include <morsel/io/memory_source.hpp>
#include <morsel/plan/lower.hpp>
#include <numeric>
#include <support/eager.hpp>
#include <support/test_source.hpp>

namespace test {

/// 0, 1, 2, ... as elements of T, C order.
template <class T>
std::shared_ptr<Whole> counting(const morsel::Shape& shape) {
  auto w = std::make_shared<Whole>(detail::empty_of(morsel::type_of<T>, shape));
  const auto n = static_cast<std::size_t>(morsel::size_of(shape));
  for (std::size_t i = 0; i < n; ++i) {
    const T value = static_cast<T>(i);
    std::memcpy(w->bytes.data() + i * sizeof(T), &value, sizeof(T));
  }
  return w;
}

/// A source with everything a test wants to know of it. `options.grid` empty: chunks of `chunk`.
struct Counted {
  std::shared_ptr<Whole> values;
  std::shared_ptr<ReadLog> log = std::make_shared<ReadLog>();
  std::shared_ptr<std::string> version;
  morsel::Edge edge;

  template <class T = double>
  static Counted make(const morsel::Shape& shape, const morsel::Shape& chunk,
                      TestSourceOptions options = {}) {
    Counted c;
    c.values = counting<T>(shape);
    options.grid = morsel::Grid::regular(shape, chunk);
    c.version = options.version;
    c.edge = morsel::make_source(TestSource(c.values, std::move(options), c.log),
                                 morsel::View::identity(shape), {}, "counted");
    return c;
  }
};

/// The values of edges in one run.
inline std::vector<Whole> values_of(const std::vector<morsel::Edge>& edges,
                                    const morsel::ComputeOptions& options = {}) {
  std::vector<Whole> values;
  std::vector<morsel::Target> targets;
  for (const morsel::Edge& e : edges) values.push_back(detail::empty_of(e.dtype(), e.shape()));
  for (Whole& w : values) targets.push_back(morsel::MemoryTarget{w.view()});
  morsel::evaluate(edges, targets, options);
  return values;
}
inline Whole value_of(const morsel::Edge& edge, const morsel::ComputeOptions& options = {}) {
  return values_of({edge}, options)[0];
}

inline morsel::Edge reduced(morsel::Reduction which, const morsel::Edge& e,
                            const std::vector<morsel::Index>& axes, bool keepdims = false) {
  return morsel::reduce(morsel::make_reducer(which, e.dtype().type()), e, axes, keepdims);
}
inline morsel::Edge reduced(morsel::Reduction which, const morsel::Edge& e) {
  return reduced(which, e, morsel::all_axes(e.shape().size()));
}

template <class T>
T element(const Whole& w, std::size_t i = 0) {
  T value;
  std::memcpy(static_cast<void*>(&value), w.bytes.data() + i * sizeof(T), sizeof(T));
  return value;
}

/// The plan of edges that go to memory (or to `targets`).
inline morsel::Plan plan_of(const std::vector<morsel::Edge>& edges,
                            std::size_t memory_bytes = std::size_t{1} << 40, int threads = 1,
                            std::vector<morsel::Target> targets = {},
                            const std::vector<std::string>& skip = {}) {
  for (std::size_t i = targets.size(); i < edges.size(); ++i)
    targets.push_back(morsel::MemoryTarget{
        morsel::BufferView::c_order(nullptr, edges[i].shape(), edges[i].dtype().item_bytes())});
  morsel::Limits limits;
  limits.memory_bytes = memory_bytes;
  limits.threads = threads;
  return morsel::lower(morsel::optimise(morsel::trace(edges), skip), targets, limits);
}
inline std::size_t smallest_budget(const std::vector<morsel::Edge>& edges, int threads = 1,
                                   std::vector<morsel::Target> targets = {}) {
  return plan_of(edges, std::size_t{1} << 40, threads, std::move(targets)).smallest_bytes;
}

}  // namespace test
