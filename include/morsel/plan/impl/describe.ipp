#pragma once

#include <algorithm>
#include <cstdio>
#include <map>
#include <morsel/base/bytes.hpp>
#include <morsel/plan/plan.hpp>
#include <nlohmann/json.hpp>

namespace morsel::inline MORSEL_ABI {
namespace detail {

/// The pass that makes a result.
MORSEL_INLINE int pass_of(const Plan& plan, int result) {
  for (const Stage& stage : plan.stages) {
    for (const ResultStore& store : stage.stores)
      if (store.result == result) return stage.pass;
    for (const ReduceGroup& group : stage.groups)
      for (const StageFold& fold : group.folds)
        for (const Finish& finish : fold.finishes)
          if (finish.result == result) return stage.pass;
  }
  return 0;
}

MORSEL_INLINE std::string describe_port(const Port& port, const Plan& plan) {
  const std::string what = port.dtype.name() + " " + to_string(port.shape);
  switch (port.kind) {
    case Port::Kind::source:
      return "read " + port.name + "  " + what + (port.source.spec().lends ? "  (in memory)" : "") +
             (port.source.spec().note.empty() ? "" : "  (" + port.source.spec().note + ")");
    case Port::Kind::result:
      return "take " + plan.results[static_cast<std::size_t>(port.result)].name + "  " + what +
             "  (from pass " + std::to_string(pass_of(plan, port.result) + 1) + ")";
    case Port::Kind::expression:
      return "evaluate " + port.name + "  " + what;
    case Port::Kind::concat:
      return "join " + std::to_string(port.parts.size()) + " arrays  " + what;
    case Port::Kind::map_chunks:
      return "call " + port.name + "  " + what;
  }
  return what;
}

MORSEL_INLINE std::vector<std::string> describe_outputs(const Stage& stage, const Plan& plan) {
  std::vector<std::string> lines;
  for (const ResultStore& store : stage.stores) {
    const Result& r = plan.results[static_cast<std::size_t>(store.result)];
    lines.push_back("store " + r.name + "  " + r.dtype.name() + " " + to_string(r.shape));
  }
  for (const ReduceGroup& group : stage.groups)
    for (const StageFold& fold : group.folds)
      for (const Finish& finish : fold.finishes) {
        std::string axes;
        for (const int axis : group.axes) axes += (axes.empty() ? "" : ", ") + std::to_string(axis);
        const Result& r = plan.results[static_cast<std::size_t>(finish.result)];
        // Until its parameters are known the reducer is a stand-in.
        const std::string what =
            fold.parameters.empty()
                ? finish.reducer->name()
                : r.name + " with values from pass " + std::to_string(pass_of(plan, fold.parameters[0]) + 1);
        lines.push_back("reduce " + what + " over axes (" + axes + ")" +
                        (group.per_chunk ? " per chunk" : "") + "  -> " + r.dtype.name() + " " +
                        to_string(r.shape));
      }
  return lines;
}

/// " (again: ...)" for a port whose source is read before, or nothing.
MORSEL_INLINE std::string describe_reread(const Plan& plan, const Stage& stage, const Port& port) {
  if (port.kind != Port::Kind::source || port.result >= 0 || !port.source.spec().does_io) return {};
  for (const Stage& earlier : plan.stages)
    for (const Port& other : earlier.ports) {
      if (&other == &port) return {};
      if (other.kind != Port::Kind::source || other.result >= 0 || other.data != port.data) continue;
      if (earlier.pass < stage.pass)
        return " (again: pass " + std::to_string(earlier.pass + 1) + " reads it too)";
      return port.shared && other.shared && port.grid == other.grid
                 ? " (shared: chunks are kept while there is room)"
                 : " (again: each place reads its own region)";
    }
  return {};
}

/// Ports of a stage that are shown one by one; of more, the first and the last ones.
inline constexpr std::size_t most_shown = 24;

/// Boxes and arrows of a plan: sources and results on the left of the stage that reads them.
struct PlanPicture {
  struct Box {
    std::vector<std::string> lines;
    int column = 0, row = 0;
    const char* colour = "#ffffff";
  };
  std::vector<Box> boxes;
  std::vector<std::pair<int, int>> arrows;
};

MORSEL_INLINE PlanPicture picture(const Plan& plan) {
  PlanPicture p;
  std::vector<int> rows(static_cast<std::size_t>(2 * plan.passes + 2), 0);
  const auto add = [&](std::vector<std::string> lines, int column, const char* colour) {
    p.boxes.push_back({std::move(lines), column, rows[static_cast<std::size_t>(column)]++, colour});
    return static_cast<int>(p.boxes.size()) - 1;
  };
  std::vector<int> result_box(plan.results.size(), -1);
  std::map<std::pair<int, int>, int> source_box;  // by pass and data
  for (const Stage& stage : plan.stages) {
    std::vector<std::string> lines{"pass " + std::to_string(stage.pass + 1) + ": " + stage.name};
    const std::size_t ops = stage.expression.program.instruction_count();
    lines.push_back(std::to_string(stage.units.count()) +
                    (stage.units.count() == 1 ? " task, step " : " tasks, step ") +
                    to_string(stage.steps.chunk_shape()));
    if (ops) lines.push_back(std::to_string(ops) + (ops == 1 ? " kernel" : " kernels") + " per tile");
    lines.push_back(format_bytes(stage.step_bytes) + " per task");
    std::vector<int> from;
    const auto is_read = [](const Port& port) { return port.result < 0 && port.kind == Port::Kind::source; };
    const std::ptrdiff_t read = std::count_if(stage.ports.begin(), stage.ports.end(), is_read);
    std::ptrdiff_t left_out = 0;
    for (const Port& port : stage.ports) {
      if (is_read(port) && read > static_cast<std::ptrdiff_t>(most_shown) && from.size() >= most_shown / 2) {
        ++left_out;
        continue;
      }
      if (port.result >= 0) {
        from.push_back(result_box[static_cast<std::size_t>(port.result)]);
      } else if (port.kind == Port::Kind::source) {
        // Once per pass: a source that is read again is drawn again.
        const std::pair id(stage.pass, port.data);
        const auto known = source_box.find(id);
        if (known != source_box.end()) {
          from.push_back(known->second);
        } else {
          from.push_back(
              add({port.name, port.dtype.name() + " " + to_string(port.shape),
                   std::to_string(port.grid.count()) + (port.grid.count() == 1 ? " chunk" : " chunks")},
                  2 * stage.pass, "#dbe9f6"));
          source_box.emplace(id, from.back());
        }
      }
    }
    if (left_out > 0)
      from.push_back(add({std::to_string(left_out) + " more arrays"}, 2 * stage.pass, "#dbe9f6"));
    const int box = add(std::move(lines), 2 * stage.pass + 1, "#fdf1d5");
    for (const int f : from)
      if (f >= 0) p.arrows.emplace_back(f, box);
    const auto result = [&](int number, const std::string& how) {
      const Result& r = plan.results[static_cast<std::size_t>(number)];
      const int b = add({how, r.dtype.name() + " " + to_string(r.shape)}, 2 * stage.pass + 2,
                        r.output >= 0 ? "#dff0d8" : "#eeeeee");
      result_box[static_cast<std::size_t>(number)] = b;
      p.arrows.emplace_back(box, b);
    };
    for (const ResultStore& store : stage.stores)
      result(store.result, plan.results[static_cast<std::size_t>(store.result)].name);
    for (const ReduceGroup& group : stage.groups)
      for (const StageFold& fold : group.folds)
        for (const Finish& finish : fold.finishes) result(finish.result, finish.reducer->name());
  }
  return p;
}

MORSEL_INLINE std::string escape_xml(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

}  // namespace detail

MORSEL_INLINE std::string to_text(const Plan& plan) {
  using namespace detail;
  std::string text;
  const auto line = [&](const std::string& s) { text += s + "\n"; };
  line("plan: " + std::to_string(plan.passes) + (plan.passes == 1 ? " pass, " : " passes, ") +
       std::to_string(plan.threads) + (plan.threads == 1 ? " thread" : " threads"));
  for (const Stage& stage : plan.stages) {
    line("  pass " + std::to_string(stage.pass + 1) + ": " + stage.name + "  over " + to_string(stage.shape));
    const std::size_t ports = stage.ports.size(), shown = ports > most_shown ? most_shown / 2 : ports;
    for (std::size_t p = 0; p < ports; ++p) {
      if (p == shown) {
        line("    ... " + std::to_string(ports - 2 * shown) + " more");
        p = ports - shown;
      }
      line("    " + describe_port(stage.ports[p], plan) + describe_reread(plan, stage, stage.ports[p]));
    }
    if (stage.expression.program.instruction_count() > 0) {
      const std::string program = stage.expression.program.to_string();
      for (std::size_t at = 0; at < program.size();) {
        const std::size_t end = std::min(program.find('\n', at), program.size());
        line("      " + program.substr(at, end - at));
        at = end + 1;
      }
    }
    for (const std::string& output : describe_outputs(stage, plan)) line("    " + output);
    line("    chunks " + to_string(stage.grid.counts()) + " of " + to_string(stage.grid.chunk_shape()) +
         ", tasks " + std::to_string(stage.units.count()) + ", steps of " +
         to_string(stage.steps.chunk_shape()) + ", " + format_bytes(stage.step_bytes) + " per task" +
         (stage.tree_bytes ? ", " + format_bytes(stage.tree_bytes) + " of states between tasks" : ""));
  }
  line(std::string("  reads: ") + (plan.prediction.exact ? "" : "about ") +
       std::to_string(plan.prediction.chunks) + (plan.prediction.chunks == 1 ? " chunk, " : " chunks, ") +
       std::to_string(plan.prediction.requests) +
       (plan.prediction.requests == 1 ? " request, " : " requests, ") +
       format_bytes(plan.prediction.decoded_bytes) + " decoded, at most " +
       format_bytes(plan.prediction.encoded_bytes) +
       " from storage (arrays: " + format_bytes(plan.prediction.source_bytes) + ")");
  line("  memory: budget " + format_bytes(plan.budget_bytes) + ", peak " + format_bytes(plan.peak_bytes) +
       " one task at a time, " + format_bytes(plan.ideal_bytes) + " with full overlap, smallest " +
       format_bytes(plan.smallest_bytes));
  if (plan.result_bytes)
    line("  results: " + format_bytes(plan.result_bytes) + " handed to the caller, outside the budget");
  for (const std::string& note : plan.notes) line("  note: " + note);
  std::string passes;
  for (const PassTime& pass : plan.pass_times) {
    char time[64];
    std::snprintf(time, sizeof time, " %.0f us", pass.seconds * 1e6);
    passes += (passes.empty() ? "" : ", ") + pass.name + (pass.skipped ? " (skipped)" : time);
  }
  if (!passes.empty()) line("  optimiser: " + passes);
  return text;
}

MORSEL_INLINE std::string to_json(const Plan& plan) {
  using nlohmann::json;
  const auto dims = [](const Dims& d) {
    json list = json::array();
    for (const Index n : d) list.push_back(n);
    return list;
  };
  json stages = json::array();
  for (const Stage& stage : plan.stages) {
    json ports = json::array();
    for (const Port& port : stage.ports) {
      static constexpr const char* kinds[] = {"source", "result", "expression", "concat", "map_chunks"};
      ports.push_back({{"kind", kinds[static_cast<int>(port.kind)]},
                       {"name", port.name},
                       {"dtype", port.dtype.name()},
                       {"shape", dims(port.shape)}});
    }
    json outputs = json::array();
    for (const std::string& output : detail::describe_outputs(stage, plan)) outputs.push_back(output);
    stages.push_back({{"pass", stage.pass},
                      {"name", stage.name},
                      {"shape", dims(stage.shape)},
                      {"chunks", dims(stage.grid.counts())},
                      {"chunk", dims(stage.grid.chunk_shape())},
                      {"tasks", stage.units.count()},
                      {"step", dims(stage.steps.chunk_shape())},
                      {"task_bytes", stage.step_bytes},
                      {"tree_bytes", stage.tree_bytes},
                      {"ports", ports},
                      {"outputs", outputs},
                      {"kernels", stage.expression.program.instruction_count()}});
  }
  json passes = json::array();
  for (const PassTime& pass : plan.pass_times)
    passes.push_back({{"name", pass.name}, {"skipped", pass.skipped}});
  return json{{"passes", plan.passes},
              {"threads", plan.threads},
              {"stages", stages},
              {"optimiser", passes},
              {"notes", plan.notes},
              {"memory",
               {{"budget_bytes", plan.budget_bytes},
                {"fixed_bytes", plan.fixed_bytes},
                {"peak_bytes", plan.peak_bytes},
                {"ideal_bytes", plan.ideal_bytes},
                {"smallest_bytes", plan.smallest_bytes},
                {"result_bytes", plan.result_bytes}}},
              {"reads",
               {{"requests", plan.prediction.requests},
                {"exact", plan.prediction.exact},
                {"chunks", plan.prediction.chunks},
                {"decoded_bytes", plan.prediction.decoded_bytes},
                {"encoded_bytes", plan.prediction.encoded_bytes},
                {"source_bytes", plan.prediction.source_bytes}}}}
      .dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

MORSEL_INLINE std::string to_dot(const Plan& plan) {
  const detail::PlanPicture p = detail::picture(plan);
  std::string dot =
      "digraph plan {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", fontname=\"sans-serif\", "
      "fontsize=10];\n";
  for (std::size_t i = 0; i < p.boxes.size(); ++i) {
    std::string label;
    for (const std::string& line : p.boxes[i].lines) {
      if (!label.empty()) label += "\\n";
      for (const char c : line) {
        if (c == '"' || c == '\\') label += '\\';
        label += c;
      }
    }
    dot +=
        "  b" + std::to_string(i) + " [label=\"" + label + "\", fillcolor=\"" + p.boxes[i].colour + "\"];\n";
  }
  for (const auto& arrow : p.arrows)
    dot += "  b" + std::to_string(arrow.first) + " -> b" + std::to_string(arrow.second) + ";\n";
  return dot + "}\n";
}

MORSEL_INLINE std::string to_svg(const Plan& plan) {
  const detail::PlanPicture p = detail::picture(plan);
  constexpr int letter = 7, line_height = 16, pad = 10, gap_x = 60, gap_y = 20;
  std::vector<int> widths, heights;
  for (const auto& box : p.boxes) {
    const std::size_t c = static_cast<std::size_t>(box.column);
    if (widths.size() <= c) widths.resize(c + 1, 0), heights.resize(c + 1, 0);
    for (const std::string& line : box.lines)
      widths[c] = std::max(widths[c], static_cast<int>(line.size()) * letter + 2 * pad);
  }
  std::vector<int> left(widths.size(), pad);
  for (std::size_t c = 1; c < left.size(); ++c) left[c] = left[c - 1] + widths[c - 1] + gap_x;
  std::vector<int> top(p.boxes.size()), height(p.boxes.size());
  int total = 0;
  for (std::size_t i = 0; i < p.boxes.size(); ++i) {
    const std::size_t c = static_cast<std::size_t>(p.boxes[i].column);
    height[i] = static_cast<int>(p.boxes[i].lines.size()) * line_height + 2 * pad;
    top[i] = heights[c] + pad;
    heights[c] = top[i] + height[i] + gap_y - pad;
    total = std::max(total, heights[c]);
  }
  for (std::size_t i = 0; i < p.boxes.size(); ++i)
    top[i] += (total - heights[static_cast<std::size_t>(p.boxes[i].column)]) / 2;
  const std::string caption =
      std::to_string(plan.passes) + (plan.passes == 1 ? " pass, " : " passes, ") +
      std::to_string(plan.threads) + (plan.threads == 1 ? " thread; " : " threads; ") + "reads " +
      std::to_string(plan.prediction.chunks) + (plan.prediction.chunks == 1 ? " chunk, " : " chunks, ") +
      format_bytes(plan.prediction.decoded_bytes) + "; peak " + format_bytes(plan.peak_bytes) +
      " of a budget of " + format_bytes(plan.budget_bytes) + "; smallest " +
      format_bytes(plan.smallest_bytes);
  const int width = std::max((left.empty() ? 0 : left.back() + widths.back()) + pad,
                             static_cast<int>(caption.size()) * letter + 2 * pad);
  const int full = total + line_height + pad;
  std::string svg =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + std::to_string(width) + "\" height=\"" +
      std::to_string(full) + "\" viewBox=\"0 0 " + std::to_string(width) + " " + std::to_string(full) +
      "\" font-family=\"ui-monospace, monospace\" font-size=\"11\">\n"
      "<defs><marker id=\"a\" markerWidth=\"8\" markerHeight=\"8\" refX=\"7\" refY=\"4\" orient=\"auto\">"
      "<path d=\"M0,0 L8,4 L0,8 z\" fill=\"#555\"/></marker></defs>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n";
  for (std::size_t k = 0; k < p.arrows.size(); ++k) {
    const auto& arrow = p.arrows[k];
    if (std::find(p.arrows.begin(), p.arrows.begin() + static_cast<std::ptrdiff_t>(k), arrow) !=
        p.arrows.begin() + static_cast<std::ptrdiff_t>(k))
      continue;
    const std::size_t a = static_cast<std::size_t>(arrow.first), b = static_cast<std::size_t>(arrow.second);
    const std::size_t ca = static_cast<std::size_t>(p.boxes[a].column),
                      cb = static_cast<std::size_t>(p.boxes[b].column);
    const int x1 = left[ca] + widths[ca], y1 = top[a] + height[a] / 2, x2 = left[cb],
              y2 = top[b] + height[b] / 2, mid = (x1 + x2) / 2;
    svg += "<path d=\"M" + std::to_string(x1) + "," + std::to_string(y1) + " C" + std::to_string(mid) + "," +
           std::to_string(y1) + " " + std::to_string(mid) + "," + std::to_string(y2) + " " +
           std::to_string(x2) + "," + std::to_string(y2) +
           "\" fill=\"none\" stroke=\"#555\" marker-end=\"url(#a)\"/>\n";
  }
  for (std::size_t i = 0; i < p.boxes.size(); ++i) {
    const std::size_t c = static_cast<std::size_t>(p.boxes[i].column);
    svg += "<rect x=\"" + std::to_string(left[c]) + "\" y=\"" + std::to_string(top[i]) + "\" width=\"" +
           std::to_string(widths[c]) + "\" height=\"" + std::to_string(height[i]) + "\" rx=\"6\" fill=\"" +
           p.boxes[i].colour + "\" stroke=\"#555\"/>\n";
    for (std::size_t k = 0; k < p.boxes[i].lines.size(); ++k)
      svg += "<text x=\"" + std::to_string(left[c] + pad) + "\" y=\"" +
             std::to_string(top[i] + pad + 12 + static_cast<int>(k) * line_height) + "\"" +
             (k == 0 ? " font-weight=\"bold\"" : "") + " fill=\"#222\">" +
             detail::escape_xml(p.boxes[i].lines[k]) + "</text>\n";
  }
  svg += "<text x=\"" + std::to_string(pad) + "\" y=\"" + std::to_string(full - pad) + "\" fill=\"#555\">" +
         detail::escape_xml(caption) + "</text>\n";
  return svg + "</svg>\n";
}

}  // namespace morsel::inline MORSEL_ABI
