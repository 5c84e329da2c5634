#include "csv.hpp"

#include <morsel/io/impl/text_file.hpp>

#include <algorithm>

#include "element_text.hpp"

namespace morsel::app {
namespace {

/// Chunks that follow one another in C order: whole trailing axes, a piece of one axis, single steps before
/// it.
ChunkSpec row_runs(const Shape& shape, std::size_t item_bytes) {
  constexpr Index most_bytes = Index{1} << 20;
  std::vector<AxisChunks> axes(shape.size(), AxisChunks(1));
  Index bytes = std::max<Index>(static_cast<Index>(item_bytes), 1);
  for (std::size_t i = shape.size(); i-- > 0;) {
    const Index extent = std::max<Index>(shape[i], 1), fits = std::max<Index>(most_bytes / bytes, 1);
    axes[i] = AxisChunks(std::min(extent, fits));
    if (fits < extent) break;
    bytes *= extent;
  }
  return axes;
}

void append_header(std::string& out, const DType& dtype) {
  for (std::size_t i = 0; i < dtype.fields().size(); ++i) {
    if (i > 0) out += ',';
    out += dtype.fields()[i].name;
  }
  out += '\n';
}

void append_row(std::string& out, const DType& dtype, const std::byte* element) {
  for (std::size_t i = 0; i < dtype.fields().size(); ++i) {
    const Field& field = dtype.fields()[i];
    if (i > 0) out += ',';
    if (field.shape.empty())
      append_element(out, field.dtype, element + field.offset_bytes, TextStyle::csv);
    else
      append_element(out,
                     DType::record({Field{field.name, field.dtype, 0, field.shape}},
                                   dtype.item_bytes() - field.offset_bytes),
                     element + field.offset_bytes, TextStyle::csv);
  }
}

}  // namespace

bool write_csv(Session& session, const Edge& value, const std::string& path, Existing existing) {
  const Edge rows = rechunk(value, row_runs(value.shape(), value.dtype().item_bytes()));
  if (session.explain) return session.run({rows}, {});
  const DType& dtype = value.dtype();
  const Shape& shape = value.shape();
  const std::size_t rank = shape.size();
  const bool is_table = rank == 2 && !dtype.is_record(),
             has_indices = rank > 2 || (rank == 2 && dtype.is_record());

  detail::TextFile file(path, existing == Existing::replace ? detail::TextFile::Existing::replace
                                                            : detail::TextFile::Existing::refuse);
  if (dtype.is_record() && !has_indices) append_header(file.text(), dtype);
  VisitTarget target;
  target.ordered = true;
  target.visit = [&](const Region& region, const BufferView& values) {
    const Shape extents = region.shape();
    Dims at = region.lo;
    Index count = region.size();
    for (Index k = 0; k < count; ++k) {
      std::string& text = file.text();
      const std::byte* element = values.data;
      for (std::size_t i = 0; i < rank; ++i) element += (at[i] - region.lo[i]) * values.strides[i];
      if (has_indices)
        for (const Index index : at) text += std::to_string(index) + ",";
      if (dtype.is_record())
        append_row(text, dtype, element);
      else
        append_element(text, dtype, element, TextStyle::csv);
      text += is_table && at[1] + 1 < shape[1] ? ',' : '\n';
      file.flush_if_long();
      for (std::size_t i = rank; i-- > 0;) {
        if (++at[i] < region.hi[i]) break;
        at[i] = region.lo[i];
      }
    }
  };
  if (!session.run({rows}, {target})) return false;
  file.commit();
  return true;
}

}  // namespace morsel::app
