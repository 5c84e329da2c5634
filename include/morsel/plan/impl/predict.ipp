// Part of lower.ipp: which reads a plan will make.
#pragma once

#include <algorithm>
#include <morsel/base/bytes.hpp>
#include <morsel/base/sort_stably.hpp>
#include <morsel/plan/cost.hpp>
#include <morsel/plan/lower.hpp>
#include <tuple>
#include <utility>

namespace morsel::inline MORSEL_ABI::detail {

/// Chunks of a port's grid that a box touches: per axis, ranges [first, end) in order.
using ChunkRanges = std::vector<std::vector<std::pair<Index, Index>>>;

MORSEL_INLINE ChunkRanges touched_chunks(const Port& port, const PortNeed& need) {
  ChunkRanges touched(need.axes.size());
  for (std::size_t a = 0; a < need.axes.size(); ++a) {
    const PortNeed::Axis& axis = need.axes[a];
    const AxisGrid& grid = port.grid.axis(a);
    const auto add = [&](Index lo, Index hi) {
      const Index first = grid.chunk_of(lo), end = grid.chunk_of(hi - 1) + 1;
      if (!touched[a].empty() && touched[a].back().second >= first)
        touched[a].back().second = std::max(touched[a].back().second, end);
      else
        touched[a].emplace_back(first, end);
    };
    if (axis.segments.empty())
      add(axis.lo, axis.hi);
    else
      for (const auto& segment : axis.segments) add(segment.lo, segment.hi);
  }
  return touched;
}

/// Calls f with every position of the ranges.
template <class F>
void for_each_touched(const ChunkRanges& ranges, F&& f) {
  Dims counts, position(ranges.size());
  for (const auto& axis : ranges) counts.push_back(static_cast<Index>(axis.size()));
  for_each_position(Region::of(counts), [&](const Dims& at) {
    Region box{position, position};
    for (std::size_t a = 0; a < ranges.size(); ++a) {
      box.lo[a] = ranges[a][static_cast<std::size_t>(at[a])].first;
      box.hi[a] = ranges[a][static_cast<std::size_t>(at[a])].second;
    }
    for_each_position(box, f);
  });
}

/// Source chunks that the plan touches, each once per pass whatever the ports that read it.
MORSEL_INLINE Index count_chunks(const Plan& plan) {
  struct Reader {
    int pass;
    int data;
    const Port* port;
    ChunkRanges touched;
  };
  std::vector<Reader> readers;
  for (const Stage& stage : plan.stages) {
    if (size_of(stage.shape) == 0) continue;
    const StepLayout all = find_needs(stage, Region::of(stage.shape));
    for (const PortNeed& need : all.needs)
      if (const Port& port = stage.ports[static_cast<std::size_t>(need.port)];
          port.kind == Port::Kind::source)
        readers.push_back({stage.pass, port.data, &port, touched_chunks(port, need)});
  }
  sort_stably(readers, [](const Reader& a, const Reader& b) {
    return std::tie(a.pass, a.data) < std::tie(b.pass, b.data);
  });
  constexpr Index most_marked = Index{1} << 20;
  Index chunks = 0;
  for (std::size_t begin = 0, end = 0; begin < readers.size(); begin = end) {
    const Reader& first = readers[begin];
    const Grid& grid = first.port->grid;
    bool alike = true;
    for (end = begin + 1;
         end < readers.size() && readers[end].pass == first.pass && readers[end].data == first.data; ++end)
      alike &= readers[end].touched == first.touched && readers[end].port->grid == grid;
    if (alike || grid.count() > most_marked) {
      Index most = 0;
      for (std::size_t k = begin; k < end; ++k) {
        Index n = 1;
        for (const auto& axis : readers[k].touched) {
          Index along = 0;
          for (const auto& [lo, hi] : axis) along += hi - lo;
          n *= along;
        }
        most = std::max(most, n);
      }
      chunks += most;
      continue;
    }
    std::vector<bool> marked(static_cast<std::size_t>(grid.count()), false);
    for (std::size_t k = begin; k < end; ++k) {
      const Grid& own = readers[k].port->grid;
      for_each_touched(readers[k].touched, [&](const Dims& position) {
        if (own == grid)
          marked[static_cast<std::size_t>(grid.number(position))] = true;
        else  // cut otherwise: what its chunks overlap
          for_each_position(grid.overlapping(own.region(position)), [&](const Dims& other) {
            marked[static_cast<std::size_t>(grid.number(other))] = true;
          });
      });
    }
    chunks += static_cast<Index>(std::count(marked.begin(), marked.end(), true));
  }
  return chunks;
}

MORSEL_INLINE void predict(Plan& plan, bool requests_too, const std::stop_token& stop) {
  plan.prediction.chunks = count_chunks(plan);
  Index fetches = 0;
  for (const PlannedSource& source : plan.sources) {
    const ArraySpec& spec = source.source.spec();
    plan.prediction.source_bytes += static_cast<std::size_t>(size_of(spec.shape())) * spec.dtype.item_bytes();
    plan.prediction.exact &= !spec.shards;  // what lies together in a shard is not known
  }
  for (const Stage& stage : plan.stages) {
    const Index steps = stage.steps.count();
    const Index looked = requests_too ? std::min<Index>(steps, cost::predicted_steps) : 0;
    plan.prediction.exact &= !requests_too || looked == steps;
    Index requests = 0, regions = 0;
    std::size_t decoded = 0, encoded = 0;
    for (Index i = 0; i < looked; ++i) {
      check_stop(stop);
      const StepLayout layout = lay_out(stage, stage.steps.region(i));
      decoded += layout.decoded_bytes;
      for (const FetchItem& f : layout.fetches) {
        const Port& port = stage.ports[static_cast<std::size_t>(f.port)];
        if (!port.source.spec().does_io || f.shared) continue;
        // How many reads parts take shows when their chunk is looked at.
        plan.prediction.exact &=
            port.source.spec().part_axes.empty() || f.in_place || port.grid.region(f.chunk) == f.region;
        requests += port.source.requests(f.chunk, f.region);
        ++regions;
        encoded += f.encoded_bytes;
      }
    }
    const double scale = looked ? static_cast<double>(steps) / static_cast<double>(looked) : 0;
    if (looked > 0 && steps > looked) {
      requests = static_cast<Index>(static_cast<double>(requests) * scale);
      regions = static_cast<Index>(static_cast<double>(regions) * scale);
      decoded = static_cast<std::size_t>(static_cast<double>(decoded) * scale);
      encoded = static_cast<std::size_t>(static_cast<double>(encoded) * scale);
    }
    plan.prediction.requests += requests;
    fetches += regions;
    plan.prediction.decoded_bytes += decoded;
    plan.prediction.encoded_bytes += encoded;
  }
  if (!requests_too) return;
  for (const Sweep& sweep : plan.sweeps)
    for (const SharedChunk& chunk : sweep.chunks) {
      const Port& port =
          plan.stages[static_cast<std::size_t>(chunk.stage)].ports[static_cast<std::size_t>(chunk.port)];
      plan.prediction.decoded_bytes +=
          static_cast<std::size_t>(chunk.region.size()) * port.dtype.item_bytes();
      if (!port.source.spec().does_io) continue;
      const Dims at = chunk_at(port.source.spec().grid, chunk.region);
      plan.prediction.requests += port.source.requests(at, chunk.region);
      ++fetches;
      plan.prediction.encoded_bytes += port.source.cost(at, chunk.region).encoded_bytes;
    }
  const Prediction& p = plan.prediction;
  if (p.requests > fetches && p.encoded_bytes / static_cast<std::size_t>(p.requests) < cost::short_read_bytes)
    plan.notes.push_back("short_reads: " + std::to_string(p.requests) + " reads for " +
                         std::to_string(p.chunks) + " chunks, " +
                         format_bytes(p.encoded_bytes / static_cast<std::size_t>(p.requests)) +
                         " each on average; chunks that span the last axes are read in one piece");
}

}  // namespace morsel::inline MORSEL_ABI::detail
