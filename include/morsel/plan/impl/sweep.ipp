#pragma once

#include <algorithm>
#include <map>
#include <morsel/base/sort_stably.hpp>
#include <morsel/plan/lower.hpp>
#include <morsel/plan/sweep.hpp>
#include <optional>
#include <set>

namespace morsel::inline MORSEL_ABI {
namespace detail {

/// Who reads a port: streams of the stage's own expression (parent -1), or of a part of another port.
struct PortReader {
  int count = 0;
  const Stream* stream = nullptr;  ///< the last one
  int parent = -1;
  std::size_t part = 0;
};

MORSEL_INLINE std::vector<PortReader> port_readers(const Stage& stage) {
  std::vector<PortReader> readers(stage.ports.size());
  const auto add = [&](const Expression& expression, int parent, std::size_t part) {
    for (const Stream& stream : expression.streams) {
      PortReader& reader = readers[static_cast<std::size_t>(stream.port)];
      reader = {reader.count + 1, &stream, parent, part};
    }
  };
  add(stage.expression, -1, 0);
  for (std::size_t p = 0; p < stage.ports.size(); ++p)
    for (std::size_t k = 0; k < stage.ports[p].parts.size(); ++k)
      add(stage.ports[p].parts[k], static_cast<int>(p), k);
  return readers;
}

/// How positions of the driver drive the axes of a port that is read in one place: through joins and nested
/// expressions, and in which of them.
struct DrivenAxes {
  std::vector<AxisMap> maps;
  Region reach;
};

MORSEL_INLINE std::optional<DrivenAxes> driven_axes(const Stage& stage, std::size_t port_number,
                                                    const std::vector<PortReader>& readers) {
  const PortReader* reader = &readers[port_number];
  if (reader->count != 1) return {};
  DrivenAxes driven{{reader->stream->view.maps.begin(), reader->stream->view.maps.end()}, {}};
  struct Limit {
    int axis;
    Index lo, hi;
  };
  std::vector<Limit> limits;
  while (reader->parent >= 0) {
    const Port& parent = stage.ports[static_cast<std::size_t>(reader->parent)];
    if (parent.kind == Port::Kind::concat) {
      const Index begin = parent.begins[reader->part];
      for (AxisMap& map : driven.maps)
        if (map.kind == AxisMap::Kind::affine && map.axis == parent.axis) map.offset -= map.stride * begin;
      for (Limit& limit : limits)
        if (limit.axis == parent.axis) limit.lo += begin, limit.hi += begin;
      limits.push_back({parent.axis, begin, parent.begins[reader->part + 1]});
    } else if (parent.kind != Port::Kind::expression) {
      return {};
    }
    reader = &readers[static_cast<std::size_t>(reader->parent)];
    if (reader->count != 1) return {};
    const View& view = reader->stream->view;
    for (AxisMap& map : driven.maps) {
      if (map.kind != AxisMap::Kind::affine) continue;
      const AxisMap& outer = view.maps[static_cast<std::size_t>(map.axis)];
      if (outer.kind == AxisMap::Kind::gather) return {};
      const Index offset = map.offset + map.stride * outer.offset;
      map = outer.kind == AxisMap::Kind::constant
                ? AxisMap::constant(offset)
                : AxisMap::affine(outer.axis, offset, map.stride * outer.stride);
    }
    for (std::size_t k = limits.size(); k-- > 0;) {
      const AxisMap& outer = view.maps[static_cast<std::size_t>(limits[k].axis)];
      if (outer.kind == AxisMap::Kind::constant) {
        limits.erase(limits.begin() + static_cast<std::ptrdiff_t>(k));
        continue;
      }
      if (outer.kind != AxisMap::Kind::affine || outer.stride != 1) return {};
      limits[k] = {outer.axis, limits[k].lo - outer.offset, limits[k].hi - outer.offset};
    }
  }
  driven.reach = Region::of(stage.shape);
  for (const Limit& limit : limits) {
    const std::size_t axis = static_cast<std::size_t>(limit.axis);
    driven.reach.lo[axis] = std::max(driven.reach.lo[axis], limit.lo);
    driven.reach.hi[axis] = std::min(driven.reach.hi[axis], limit.hi);
  }
  return driven;
}

/// Does every step need chunks of this port's source that no other step needs? Looks at one axis after
/// another: between neighbouring steps the chunk must change.
MORSEL_INLINE bool steps_keep_apart(const Stage& stage, std::size_t port_number,
                                    const std::vector<PortReader>& readers) {
  const Port& port = stage.ports[port_number];
  const std::optional<DrivenAxes> read = driven_axes(stage, port_number, readers);
  if (!read) return false;
  if (read->reach.size() == 0) return true;
  for (std::size_t axis = 0; axis < stage.shape.size(); ++axis) {
    const AxisGrid& steps = stage.steps.axis(axis);
    const Index first = steps.chunk_of(read->reach.lo[axis]), last = steps.chunk_of(read->reach.hi[axis] - 1);
    if (first == last) continue;
    const AxisMap* driven = nullptr;
    std::size_t beneath_axis = 0;
    for (std::size_t i = 0; i < read->maps.size(); ++i)
      if (read->maps[i].kind == AxisMap::Kind::affine && read->maps[i].axis == static_cast<int>(axis) &&
          read->maps[i].stride != 0) {
        if (driven) return false;
        driven = &read->maps[i];
        beneath_axis = i;
      } else if (read->maps[i].kind == AxisMap::Kind::gather) {
        return false;
      }
    if (!driven) return false;
    const AxisGrid& chunks = port.grid.axis(beneath_axis);
    const Index step = steps.length(0);
    if (steps.is_uniform() && chunks.is_uniform() && driven->offset == 0 && driven->stride == 1 &&
        step % std::max<Index>(1, chunks.length(0)) == 0)
      continue;
    for (Index k = first + 1; k <= last; ++k) {
      const Index b = steps.begin(k);
      const Index before = driven->offset + driven->stride * (b - 1),
                  after = driven->offset + driven->stride * b;
      if (chunks.chunk_of(before) == chunks.chunk_of(after)) return false;
    }
  }
  return true;
}

/// Do steps cut the port's chunks along one axis alone, where parts are read for about their own bytes?
MORSEL_INLINE bool reads_parts(const Stage& stage, std::size_t port_number) {
  const Port& port = stage.ports[port_number];
  const std::optional<ChunkCut> cut = chunk_cut(stage, port);
  if (!cut || stage.steps.count() == 0) return false;
  const auto is_cheap = [&](Index step) {
    const StepLayout layout = find_needs(stage, stage.steps.region(step));
    const Region need = layout.needs[layout.find(port_number)].hull();
    bool cheap = true;
    for_each_position(port.grid.overlapping(need), [&](const Dims& chunk) {
      const Region whole = port.grid.region(chunk), part = intersect(need, whole);
      for (std::size_t a = 0; a < part.lo.size(); ++a)
        cheap &= a == cut->port_axis || (part.lo[a] == whole.lo[a] && part.hi[a] == whole.hi[a]);
      cheap &= part == whole || port.source.cost(chunk, part).partial;
    });
    return cheap;
  };
  const Index last = stage.steps.count() - 1;
  return is_cheap(0) && is_cheap(last / 2) && is_cheap(last);
}

MORSEL_INLINE bool reads_storage(const Port& port) {
  return port.kind == Port::Kind::source && port.result < 0 && !port.source.spec().lends &&
         (port.source.spec().does_io || !port.source.spec().reads_regions);
}

}  // namespace detail

MORSEL_INLINE void form_sweeps(Plan& plan) {
  using namespace detail;
  plan.sweeps.clear();
  std::vector<std::set<int>> sources(plan.stages.size());
  for (std::size_t i = 0; i < plan.stages.size(); ++i)
    for (const Port& port : plan.stages[i].ports)
      if (reads_storage(port)) sources[i].insert(port.data);
  std::vector<int> sweep_of(plan.stages.size(), -1);
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    if (sweep_of[i] >= 0) continue;
    Sweep sweep;
    sweep.stages.push_back(static_cast<int>(i));
    sweep_of[i] = static_cast<int>(plan.sweeps.size());
    std::set<int> have = sources[i];
    for (bool grown = true; grown;) {
      grown = false;
      for (std::size_t j = i + 1; j < plan.stages.size(); ++j) {
        if (sweep_of[j] >= 0 || plan.stages[j].pass != plan.stages[i].pass) continue;
        if (std::none_of(sources[j].begin(), sources[j].end(),
                         [&](int data) { return have.count(data) != 0; }))
          continue;
        sweep.stages.push_back(static_cast<int>(j));
        sweep_of[j] = sweep_of[i];
        have.insert(sources[j].begin(), sources[j].end());
        grown = true;
      }
    }
    std::sort(sweep.stages.begin(), sweep.stages.end());
    plan.sweeps.push_back(std::move(sweep));
  }
  for (const Sweep& sweep : plan.sweeps) {
    std::map<int, int> stages_of;
    for (const int s : sweep.stages)
      for (const int data : sources[static_cast<std::size_t>(s)]) ++stages_of[data];
    for (const int s : sweep.stages) {
      Stage& stage = plan.stages[static_cast<std::size_t>(s)];
      std::map<int, int> ports_of;
      for (const Port& port : stage.ports)
        if (reads_storage(port)) ++ports_of[port.data];
      const std::vector<PortReader> readers = port_readers(stage);
      for (std::size_t p = 0; p < stage.ports.size(); ++p) {
        Port& port = stage.ports[p];
        port.shared = false;
        if (!reads_storage(port)) continue;
        if (stages_of[port.data] > 1) {
          port.shared = true;
        } else if (!port.source.spec().reads_regions) {
          port.shared = ports_of[port.data] > 1 || (!steps_keep_apart(stage, p, readers) &&
                                                    !(stage.joined_chunks > 0 && reads_parts(stage, p)));
        }
      }
    }
  }
}

MORSEL_INLINE bool share_chunks(Plan& plan, Sweep& sweep, std::size_t room_bytes, Index& reads,
                                Index& rereads, const std::stop_token& stop) {
  using namespace detail;
  sweep.order.clear();
  sweep.chunks.clear();
  sweep.need_begin.clear();
  sweep.needs.clear();
  sweep.shared_bytes = sweep.graph_bytes = 0;
  bool any = false;
  for (const int s : sweep.stages)
    for (const Port& port : plan.stages[static_cast<std::size_t>(s)].ports) any |= port.shared;
  if (!any) return true;

  // What each unit needs, by source and chunk number.
  struct Key {
    int source;
    Index chunk;
    auto operator<=>(const Key&) const = default;
  };
  struct Item {
    Sweep::Unit unit;
    std::vector<Key> keys;
    Key at{-1, -1};  // the furthest chunk that its stage has come to
  };
  // Chunks of one source are numbered by the port's grid: two openings of a file may cut it differently.
  std::map<int, std::vector<std::pair<const Port*, int>>> sources;  // by data: a port for each grid
  int source_count = 0;
  const auto source_number = [&](const Port& port) {
    auto& same_data = sources[port.data];
    for (const auto& [other, number] : same_data)
      if (other->grid == port.grid) return number;
    same_data.emplace_back(&port, source_count);
    return source_count++;
  };
  std::map<Key, SharedChunk> parts;
  std::vector<Item> items;
  for (std::size_t k = 0; k < sweep.stages.size(); ++k) {
    const Stage& stage = plan.stages[static_cast<std::size_t>(sweep.stages[k])];
    const std::vector<std::size_t> axes = unit_axes(stage);
    std::vector<int> port_sources;
    for (const Port& port : stage.ports) port_sources.push_back(port.shared ? source_number(port) : -1);
    for (Index u = 0; u < stage.units.count(); ++u) {
      check_stop(stop);
      Item item;
      item.unit = {static_cast<std::int32_t>(k), u};
      const Region unit = unit_region(stage, axes, u);
      for_each_position(stage.steps.overlapping(unit), [&](const Dims& step) {
        for (const FetchItem& f : lay_out(stage, intersect(stage.steps.region(step), unit)).fetches) {
          if (!f.shared) continue;
          const Port& port = stage.ports[static_cast<std::size_t>(f.port)];
          const Key key{port_sources[static_cast<std::size_t>(f.port)], port.grid.number(f.chunk)};
          const auto [it, fresh] = parts.emplace(key, SharedChunk{});
          if (fresh)
            it->second = {sweep.stages[k], f.port, f.chunk, f.region, 0, 0, 0};
          else
            it->second.region = hull(it->second.region, f.region);
          item.keys.push_back(key);
        }
      });
      std::sort(item.keys.begin(), item.keys.end());
      item.keys.erase(std::unique(item.keys.begin(), item.keys.end()), item.keys.end());
      items.push_back(std::move(item));
    }
  }
  for (auto& [key, part] : parts) {
    const Port& port =
        plan.stages[static_cast<std::size_t>(part.stage)].ports[static_cast<std::size_t>(part.port)];
    // Room is planned for whole chunks: a part that takes more to read is not worth it.
    const ArraySpec& spec = port.source.spec();
    const Region whole = port.grid.region(part.chunk);
    const FetchCost all = port.source.cost(chunk_at(spec.grid, whole), whole);
    const FetchCost some = port.source.cost(chunk_at(spec.grid, part.region), part.region);
    if (some.encoded_bytes > all.encoded_bytes || some.scratch_bytes > all.scratch_bytes ||
        some.in_place != all.in_place)
      part.region = whole;
    part.bytes = round_up(static_cast<std::size_t>(part.region.size()) * port.dtype.item_bytes(), 64);
  }
  // Several stages walk the storage together, each in its own order: that of its visitor, and the one in
  // which few trees wait.
  if (sweep.stages.size() > 1) {
    std::vector<Key> reached(sweep.stages.size(), Key{-1, -1});
    for (Item& item : items) {
      Key& at = reached[static_cast<std::size_t>(item.unit.stage)];
      if (!item.keys.empty()) at = std::max(at, item.keys.front());
      item.at = at;
    }
    sort_stably(items, [](const Item& a, const Item& b) { return a.at < b.at; });
  }

  // Belady: next use of every chunk is known.
  std::map<Key, std::vector<Index>> uses;
  for (std::size_t i = items.size(); i-- > 0;)
    for (const Key& key : items[i].keys) uses[key].push_back(static_cast<Index>(i));  // later uses first
  std::map<Key, int> live;                                                            // key -> shared chunk
  std::set<std::pair<Index, Key>> by_next_use;  // live ones, furthest last
  std::size_t held = 0;
  sweep.need_begin.push_back(0);
  bool fits = true;
  const auto next_use = [&](const Key& key) { return uses[key].empty() ? Index{-1} : uses[key].back(); };
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Item& item = items[i];
    sweep.order.push_back(item.unit);
    std::size_t wanted = 0;
    for (const Key& key : item.keys)
      if (!live.count(key)) wanted += parts[key].bytes;
    while (held + wanted > room_bytes) {
      auto victim = by_next_use.end();
      while (victim != by_next_use.begin()) {
        --victim;
        if (!std::binary_search(item.keys.begin(), item.keys.end(), victim->second)) break;
        if (victim == by_next_use.begin()) {
          victim = by_next_use.end();
          break;
        }
      }
      if (victim == by_next_use.end() ||
          std::binary_search(item.keys.begin(), item.keys.end(), victim->second)) {
        fits = false;
        break;
      }
      held -= parts[victim->second].bytes;
      live.erase(victim->second);
      by_next_use.erase(victim);
      ++rereads;
    }
    for (const Key& key : item.keys) {
      auto it = live.find(key);
      if (it == live.end()) {
        SharedChunk chunk = parts[key];
        chunk.first = static_cast<Index>(i);
        it = live.emplace(key, static_cast<int>(sweep.chunks.size())).first;
        sweep.chunks.push_back(std::move(chunk));
        held += parts[key].bytes;
        ++reads;
      } else {
        by_next_use.erase({static_cast<Index>(i), key});
      }
      ++sweep.chunks[static_cast<std::size_t>(it->second)].uses;
      sweep.needs.push_back(it->second);
      uses[key].pop_back();
      const Index next = next_use(key);
      if (next >= 0) by_next_use.insert({next, key});
    }
    sweep.need_begin.push_back(sweep.needs.size());
    sweep.shared_bytes = std::max(sweep.shared_bytes, held);
    for (const Key& key : item.keys)
      if (next_use(key) < 0 && live.count(key)) {
        held -= parts[key].bytes;
        live.erase(key);
      }
  }
  sweep.graph_bytes =
      sweep.order.size() * sizeof(Sweep::Unit) + sweep.chunks.size() * (sizeof(SharedChunk) + 64) +
      sweep.need_begin.size() * sizeof(std::size_t) + sweep.needs.size() * sizeof(std::int32_t);
  return fits;
}

}  // namespace morsel::inline MORSEL_ABI
