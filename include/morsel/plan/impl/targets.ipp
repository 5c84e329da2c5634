// Part of lower.ipp: what stages give straight to stores, and what the memory of a caller may not be.
#pragma once

#include <algorithm>
#include <cstdint>
#include <morsel/plan/lower.hpp>
#include <optional>
#include <utility>

namespace morsel::inline MORSEL_ABI::detail {

/// Chooses the ports whose chunks are decoded where a store wants the elements: those that the store takes as
/// they are.
MORSEL_INLINE void place_in_stores(Stage& stage, const std::vector<Target>& targets,
                                   const std::vector<Result>& results) {
  if (!stage.groups.empty()) return;
  stage.may_join = std::none_of(stage.ports.begin(), stage.ports.end(),
                                [](const Port& port) { return port.kind == Port::Kind::map_chunks; });
  for (const ResultStore& store : stage.stores) {
    const int output = results[static_cast<std::size_t>(store.result)].output;
    stage.may_join &= output < 0 || static_cast<std::size_t>(output) >= targets.size() ||
                      !std::holds_alternative<VisitTarget>(targets[static_cast<std::size_t>(output)]);
  }
  for (std::size_t i = 0; i < stage.stores.size(); ++i) {
    const ResultStore& store = stage.stores[i];
    const ExpressionOutput& output = stage.expression.outputs[static_cast<std::size_t>(store.output)];
    if (output.stream < 0) continue;
    const Stream& stream = stage.expression.streams[static_cast<std::size_t>(output.stream)];
    Port& port = stage.ports[static_cast<std::size_t>(stream.port)];
    if (port.kind != Port::Kind::source || port.source.spec().lends || port.source.spec().reads_regions ||
        port.into_store >= 0 || stream.view.maps.size() != stage.shape.size())
      continue;
    bool as_it_is = true;
    for (std::size_t a = 0; a < stream.view.maps.size(); ++a) {
      const AxisMap& map = stream.view.maps[a];
      as_it_is &= map.kind == AxisMap::Kind::affine && map.axis == static_cast<int>(a) && map.stride == 1;
    }
    // Other streams of the port would widen what it needs.
    int streams = 0;
    for (const Stream& other : stage.expression.streams) streams += other.port == stream.port;
    for (const Port& other : stage.ports)
      for (const Expression& part : other.parts)
        for (const Stream& inner : part.streams) streams += inner.port == stream.port;
    const int target = results[static_cast<std::size_t>(store.result)].output;
    const auto* memory = target >= 0 && static_cast<std::size_t>(target) < targets.size()
                             ? std::get_if<MemoryTarget>(&targets[static_cast<std::size_t>(target)])
                             : nullptr;
    const bool aligned_there =
        !memory || !memory->values.data || memory->values.is_aligned(alignment_of(port.dtype.type()));
    if (as_it_is && streams == 1 && aligned_there) port.into_store = static_cast<int>(i);
  }
}

/// The first byte of a view's elements and the one after the last.
MORSEL_INLINE std::pair<std::uintptr_t, std::uintptr_t> byte_range(const BufferView& view) {
  auto begin = reinterpret_cast<std::uintptr_t>(view.data), end = begin + view.item_bytes;
  for (std::size_t a = 0; a < view.shape.size(); ++a) {
    const Index last = (view.shape[a] - 1) * view.strides[a];
    (last < 0 ? begin : end) += static_cast<std::uintptr_t>(last);
  }
  return {begin, end};
}

/// True if a stream over `from`, the elements `hull` of a port, reads at every position the element of `to`
/// there.
MORSEL_INLINE bool reads_in_place(const View& view, const BufferView& from, const Region& hull,
                                  const BufferView& to) {
  const std::byte* data = from.data;
  Dims strides(to.shape.size(), 0);
  for (std::size_t a = 0; a < view.maps.size(); ++a) {
    const AxisMap& map = view.maps[a];
    if (map.kind == AxisMap::Kind::gather) return false;
    data += (map.offset - hull.lo[a]) * from.strides[a];
    if (map.kind == AxisMap::Kind::affine)
      strides[static_cast<std::size_t>(map.axis)] += map.stride * from.strides[a];
  }
  bool same = data == to.data && from.item_bytes == to.item_bytes;
  for (std::size_t a = 0; a < strides.size(); ++a) same &= to.shape[a] <= 1 || strides[a] == to.strides[a];
  return same;
}

/// Memory that a source lends may be written to where it is read, element by element, or when its reading is
/// over: anything else would read results.
MORSEL_INLINE void refuse_overlaps(const Plan& plan, const std::vector<Target>& targets) {
  for (std::size_t r = 0; r < plan.results.size(); ++r) {
    const int output = plan.results[r].output;
    const auto* target = output < 0 || static_cast<std::size_t>(output) >= targets.size()
                             ? nullptr
                             : std::get_if<MemoryTarget>(&targets[static_cast<std::size_t>(output)]);
    if (!target || !target->values.data || size_of(target->values.shape) == 0) continue;
    const auto stores = [&](const Stage& stage) {
      return std::any_of(stage.stores.begin(), stage.stores.end(),
                         [&](const ResultStore& store) { return store.result == static_cast<int>(r); });
    };
    const auto finishes = [&](const Stage& stage) {
      for (const ReduceGroup& group : stage.groups)
        for (const StageFold& fold : group.folds)
          for (const Finish& finish : fold.finishes)
            if (finish.result == static_cast<int>(r)) return true;
      return false;
    };
    int pass = plan.passes;
    for (const Stage& stage : plan.stages)
      if (stores(stage) || finishes(stage)) pass = std::min(pass, stage.pass);
    const auto [begin, end] = byte_range(target->values);
    for (const Stage& stage : plan.stages) {
      if (size_of(stage.shape) == 0 || stage.pass < pass) continue;
      std::optional<StepLayout> all;
      for (std::size_t p = 0; p < stage.ports.size(); ++p) {
        const Port& port = stage.ports[p];
        if (port.kind != Port::Kind::source || !port.source.spec().lends || port.source.spec().does_io)
          continue;
        if (!all) all = find_needs(stage, Region::of(stage.shape));
        const std::size_t need = all->find(p);
        if (need == all->needs.size()) continue;
        const Region hull = all->needs[need].hull();
        const BufferView from = port.source.lend(hull);
        const auto [from_begin, from_end] = byte_range(from);
        if (from_end <= begin || end <= from_begin) continue;
        bool in_place = stores(stage) && stage.stores.size() == 1 && stage.groups.empty();
        const auto reads = [&](const Stream& stream) { return stream.port == static_cast<int>(p); };
        for (const Stream& stream : stage.expression.streams)
          if (reads(stream)) in_place &= reads_in_place(stream.view, from, hull, target->values);
        for (const Port& other : stage.ports)
          for (const Expression& part : other.parts)
            in_place &= std::none_of(part.streams.begin(), part.streams.end(), reads);
        if (!in_place)
          fail(Errc::invalid_argument,
               "computing into memory: the expression reads it in another order; expected memory of its own, "
               "got that "
               "of '" +
                   port.name + "'");
      }
    }
  }
}

}  // namespace morsel::inline MORSEL_ABI::detail
