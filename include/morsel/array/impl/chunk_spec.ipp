#pragma once

#include <algorithm>
#include <charconv>
#include <limits>
#include <morsel/array/chunk_spec.hpp>
#include <morsel/base/bytes.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

inline constexpr Index auto_chunk_least = Index{1} << 20;
inline constexpr Index auto_chunk_aim = Index{1} << 22;
inline constexpr Index auto_chunk_most = Index{1} << 24;

MORSEL_INLINE Index saturated_mul(Index a, Index b) {
  Index result;
  return __builtin_mul_overflow(a, b, &result) ? std::numeric_limits<Index>::max() : result;
}

MORSEL_INLINE std::string_view trimmed(std::string_view text) {
  const char* space = " \t\n\r";
  const std::size_t first = text.find_first_not_of(space);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(space) - first + 1);
}

[[noreturn]] MORSEL_INLINE void refuse_chunks(const std::string& what, std::string_view text) {
  fail(Errc::syntax_error,
       "reading chunks: " + what +
           "; expected a length, -1, 'auto', a size such as 64MiB or a list such as (10,20,30), "
           "got '" +
           std::string(text) + "'");
}

/// The parts of `text` between commas outside brackets; an empty part after the last comma is left out.
MORSEL_INLINE std::vector<std::string_view> split_chunks(std::string_view text) {
  std::vector<std::string_view> parts;
  int depth = 0;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    depth += text[i] == '(' || text[i] == '[';
    depth -= text[i] == ')' || text[i] == ']';
    if (depth < 0) refuse_chunks("a bracket too many", text);
    if (text[i] == ',' && depth == 0) {
      parts.push_back(trimmed(text.substr(begin, i - begin)));
      begin = i + 1;
    }
  }
  if (depth != 0) refuse_chunks("a bracket is not closed", text);
  const std::string_view last = trimmed(text.substr(begin));
  if (!last.empty() || parts.empty()) parts.push_back(last);
  return parts;
}

/// What stands inside the brackets if one pair is around all of `text`.
MORSEL_INLINE std::optional<std::string_view> bracketed(std::string_view text) {
  if (text.size() < 2 || (text[0] != '(' && text[0] != '[')) return std::nullopt;
  if (text.back() != (text[0] == '(' ? ')' : ']')) return std::nullopt;
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    depth += text[i] == '(' || text[i] == '[';
    depth -= text[i] == ')' || text[i] == ']';
    if (depth == 0 && i + 1 < text.size()) return std::nullopt;
  }
  return trimmed(text.substr(1, text.size() - 2));
}

MORSEL_INLINE std::optional<Index> read_length(std::string_view text) {
  Index value = 0;
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

MORSEL_INLINE AxisChunks read_axis_chunks(std::string_view given) {
  const std::string_view text = trimmed(given);
  if (text == "auto") return {};
  if (const auto length = read_length(text)) return AxisChunks(*length);
  if (const auto inside = bracketed(text)) {
    std::vector<Index> lengths;
    for (const std::string_view part : split_chunks(*inside)) {
      const auto length = read_length(part);
      if (!length) refuse_chunks("a list of lengths holds something else", text);
      lengths.push_back(*length);
    }
    return AxisChunks(std::move(lengths));
  }
  if (text.empty() || (text.back() >= '0' && text.back() <= '9') || text.back() == '.')
    refuse_chunks("not understood", text);
  AxisChunks chunks;
  chunks.kind = AxisChunks::Kind::bytes;
  try {
    chunks.target_bytes = parse_bytes(text);
  } catch (const Error&) {
    refuse_chunks("not understood", text);
  }
  if (chunks.target_bytes == 0) refuse_chunks("chunks of no bytes", text);
  return chunks;
}

/// One axis while chunks are being chosen.
struct ChunkAxis {
  AxisGrid grid;      ///< the answer, if not `open`
  bool open = false;  ///< to be chosen by bytes
  AxisGrid units;     ///< native chunks where they exist, else single elements
};

[[noreturn]] MORSEL_INLINE void refuse_axis(std::size_t axis, const Shape& shape, const std::string& what) {
  fail(Errc::invalid_argument,
       "choosing chunks for shape " + to_string(shape) + ": axis " + std::to_string(axis) + " " + what);
}

MORSEL_INLINE AxisGrid asked_grid(const AxisChunks& chunks, const Shape& shape, std::size_t axis) {
  const Index extent = shape[axis];
  if (chunks.kind == AxisChunks::Kind::length) {
    if (chunks.length == -1 || (chunks.length == 0 && extent == 0))
      return AxisGrid::regular(extent, std::max<Index>(extent, 1));
    if (chunks.length < 1)
      refuse_axis(axis, shape,
                  "has an impossible length; expected a length of at least 1, or -1 for all of it, got " +
                      std::to_string(chunks.length));
    return AxisGrid::regular(extent, chunks.length, chunks.first);
  }
  Index sum = 0;
  for (const Index length : chunks.lengths) {
    if (length < 1 && !(length == 0 && extent == 0))
      refuse_axis(axis, shape,
                  "has an impossible length; expected every length of a list to be at least 1, got " +
                      std::to_string(length));
    sum = checked_add(sum, length, "the sum of chunk lengths");
  }
  if (sum != extent)
    refuse_axis(axis, shape,
                "has chunks that do not add up; expected a sum of " + std::to_string(extent) + ", got " +
                    std::to_string(sum));
  return AxisGrid::from_lengths(chunks.lengths);
}

/// Every `times` pieces of a partition joined to one.
MORSEL_INLINE AxisGrid joined(const AxisGrid& grid, Index times) {
  if (times == 1) return grid;
  if (times >= grid.count()) return AxisGrid::regular(grid.extent(), std::max<Index>(grid.extent(), 1));
  if (grid.is_regular()) {
    const Index step = grid.count() > 2 ? grid.length(1) : grid.longest();
    return AxisGrid::regular(grid.extent(), saturated_mul(times, step), grid.begin(times));
  }
  std::vector<Index> boundaries;
  for (Index k = 0; k < grid.count(); k += times) boundaries.push_back(grid.begin(k));
  boundaries.push_back(grid.extent());
  return AxisGrid::from_boundaries(std::move(boundaries));
}

/// Bytes that a chosen chunk should have. A chunk of native chunks that has `least` grows no more; rows of up
/// to `most` are not cut.
struct ChunkBytes {
  Index least, aim, most;
};

/// Chooses the open axes so that a chunk has about `bytes.aim`: whole axes from the last one backwards, then
/// the axis where C-order rows are cut, one unit of every axis before that.
MORSEL_INLINE void choose_open(std::vector<ChunkAxis>& axes, Index item_bytes, const ChunkBytes& bytes) {
  Index chunk_bytes = std::max<Index>(item_bytes, 1);
  std::size_t leading = axes.size();
  for (std::size_t i = axes.size(); i-- > 0;) {
    const AxisGrid& known = axes[i].open ? axes[i].units : axes[i].grid;
    chunk_bytes = saturated_mul(chunk_bytes, std::max<Index>(known.longest(), 1));
    if (axes[i].open && known.count() > 1) leading = i;
  }
  bool is_cut = chunk_bytes >= bytes.least;
  for (std::size_t i = axes.size(); i-- > 0;) {
    ChunkAxis& axis = axes[i];
    if (!axis.open) continue;
    axis.grid = axis.units;
    if (is_cut || axis.units.count() <= 1) continue;
    const Index other_bytes = chunk_bytes / axis.units.longest();
    const bool is_whole =
        saturated_mul(other_bytes, axis.units.extent()) <= (i == leading ? bytes.aim : bytes.most);
    axis.grid =
        joined(axis.units, is_whole ? axis.units.count() : std::max<Index>(1, bytes.aim / chunk_bytes));
    chunk_bytes = saturated_mul(other_bytes, axis.grid.longest());
    is_cut = !is_whole;
  }
}

}  // namespace detail

MORSEL_INLINE AxisChunks::AxisChunks(const char* text) : AxisChunks(detail::read_axis_chunks(text)) {}

MORSEL_INLINE ChunkSpec ChunkSpec::of(const Grid& grid) {
  std::vector<AxisChunks> axes;
  for (std::size_t i = 0; i < grid.rank(); ++i) {
    const AxisGrid& axis = grid.axis(i);
    if (axis.is_regular()) {
      AxisChunks chunks(axis.count() > 2 ? axis.length(1) : std::max<Index>(axis.longest(), 1));
      if (axis.count() > 1 && axis.length(0) != chunks.length) chunks.first = axis.length(0);
      axes.push_back(std::move(chunks));
    } else {
      std::vector<Index> lengths;
      for (Index k = 0; k < axis.count(); ++k) lengths.push_back(axis.length(k));
      axes.push_back(AxisChunks(std::move(lengths)));
    }
  }
  return ChunkSpec(std::move(axes));
}

MORSEL_INLINE ChunkSpec ChunkSpec::parse(std::string_view given) {
  std::string_view text = detail::trimmed(given);
  const auto inside = detail::bracketed(text);
  if (inside) text = *inside;
  if (text.empty()) detail::refuse_chunks("nothing is there", given);
  const std::vector<std::string_view> parts = detail::split_chunks(text);
  ChunkSpec spec;
  if (parts.size() == 1 && text.find(',') == text.npos && !detail::bracketed(parts[0])) {
    spec.all_ = detail::read_axis_chunks(parts[0]);
    return spec;
  }
  spec.axes_.emplace();
  for (const std::string_view part : parts) spec.axes_->push_back(detail::read_axis_chunks(part));
  return spec;
}

MORSEL_INLINE Grid resolve_chunks(const ChunkSpec& spec, const Shape& shape, std::size_t item_bytes,
                                  const Grid* native) {
  size_of(shape);
  if (native && !(native->shape() == shape))
    fail(Errc::internal_error, "choosing chunks: the native grid has another shape; expected " +
                                   to_string(shape) + ", got " + to_string(native->shape()));
  if (spec.is_default() && native) return *native;

  std::vector<AxisChunks> asked(shape.size(), spec.all().value_or(AxisChunks{}));
  if (spec.axes()) {
    asked = *spec.axes();
    const auto is_length = [](const AxisChunks& c) { return c.kind == AxisChunks::Kind::length; };
    if (shape.size() == 1 && asked.size() > 1 && std::all_of(asked.begin(), asked.end(), is_length)) {
      std::vector<Index> lengths;
      for (const AxisChunks& chunks : asked) lengths.push_back(chunks.length);
      asked = {AxisChunks(std::move(lengths))};
    }
    if (asked.size() != shape.size())
      fail(Errc::invalid_argument, "choosing chunks for shape " + to_string(shape) +
                                       ": wrong number of axes; expected " + std::to_string(shape.size()) +
                                       ", got " + std::to_string(asked.size()));
  }

  std::vector<detail::ChunkAxis> axes(shape.size());
  std::optional<std::size_t> target;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (asked[i].kind == AxisChunks::Kind::length || asked[i].kind == AxisChunks::Kind::lengths) {
      axes[i].grid = detail::asked_grid(asked[i], shape, i);
      continue;
    }
    axes[i].open = true;
    axes[i].units = native ? native->axis(i) : AxisGrid::regular(shape[i], 1);
    axes[i].grid = axes[i].units;
    if (asked[i].kind == AxisChunks::Kind::bytes) {
      if (target && *target != asked[i].target_bytes)
        detail::refuse_axis(i, shape,
                            "asks for another chunk size than an axis before it; expected " +
                                std::to_string(*target) + " bytes, got " +
                                std::to_string(asked[i].target_bytes));
      target = asked[i].target_bytes;
    }
  }
  const auto asked_bytes =
      static_cast<Index>(std::min<std::size_t>(target.value_or(0), std::size_t{1} << 62));
  detail::ChunkBytes bytes{asked_bytes, asked_bytes, asked_bytes};
  if (!target && native) bytes = {detail::auto_chunk_least, detail::auto_chunk_aim, detail::auto_chunk_aim};
  if (!target && !native) bytes = {detail::auto_chunk_aim, detail::auto_chunk_aim, detail::auto_chunk_most};
  detail::choose_open(axes, static_cast<Index>(std::min<std::size_t>(item_bytes, std::size_t{1} << 62)),
                      bytes);
  std::vector<AxisGrid> grids;
  for (detail::ChunkAxis& axis : axes) grids.push_back(std::move(axis.grid));
  return Grid(std::move(grids));
}

}  // namespace morsel::inline MORSEL_ABI
