#include "print_array.hpp"

#include <algorithm>

#include "element_text.hpp"

namespace morsel::app {
namespace {

/// The part of a large array that is shown: on each long axis the first and last few.
struct Corners {
  Edge edge;
  std::vector<Index> skipped;
};

Corners corners_of(const Edge& value) {
  Corners corners{value, std::vector<Index>(value.shape().size(), -1)};
  const std::size_t rank = value.shape().size();
  for (std::size_t i = 0; i < rank; ++i) {
    const std::vector<Index> indices = corner_indices(value.shape()[i], rank, rank - i, corners.skipped[i]);
    if (corners.skipped[i] >= 0) corners.edge = take(corners.edge, indices, static_cast<Index>(i));
  }
  return corners;
}

class ArrayText {
 public:
  ArrayText(std::vector<std::string> texts, const Shape& shape, const std::vector<Index>& skipped)
      : shape_(shape), skipped_(skipped), texts_(std::move(texts)) {
    for (const std::string& text : texts_) width_ = std::max(width_, text.size());
  }
  std::string text() {
    Index next = 0;
    append(0, next);
    return std::move(out_);
  }

 private:
  void append(std::size_t axis, Index& next) {
    if (axis == shape_.size()) {
      const std::string& text = texts_[static_cast<std::size_t>(next++)];
      if (axis > 0) out_.append(width_ - text.size(), ' ');
      out_ += text;
      return;
    }
    const Index extent = shape_[axis];
    const bool last_axis = axis + 1 == shape_.size();
    const auto separate = [&] {
      if (last_axis) {
        // Long rows go on in the next line, below their first element.
        const std::size_t begin = out_.rfind('\n') == std::string::npos ? 0 : out_.rfind('\n') + 1;
        if (out_.size() - begin + width_ + 2 > 100)
          out_ += "\n" + std::string(axis + 1, ' ');
        else
          out_ += ' ';
      } else {
        out_.append(shape_.size() - axis - 1, '\n');
        out_.append(axis + 1, ' ');
      }
    };
    out_ += '[';
    for (Index k = 0; k < extent; ++k) {
      if (k > 0) separate();
      if (k == skipped_[axis]) {
        out_ += "...";
        separate();
      }
      append(axis + 1, next);
    }
    if (skipped_[axis] == extent && extent > 0) {
      separate();
      out_ += "...";
    }
    out_ += ']';
  }

  const Shape& shape_;
  const std::vector<Index>& skipped_;
  std::vector<std::string> texts_;
  std::size_t width_ = 0;
  std::string out_;
};

void append_values(JsonWriter& json, const Elements& elements, std::size_t axis, Index& next) {
  if (axis == elements.shape.size()) return write_element(json, elements.dtype, elements.element(next++));
  json.begin_array();
  for (Index k = 0; k < elements.shape[axis]; ++k) append_values(json, elements, axis + 1, next);
  json.end_array();
}

}  // namespace

std::vector<Index> corner_indices(Index extent, std::size_t rank, std::size_t axes_behind, Index& skipped) {
  // Of many axes, only the last ones show both ends.
  const Index each = rank <= 4 ? 3 : 1, keep = axes_behind > 8 ? 0 : each;
  skipped = -1;
  std::vector<Index> indices;
  if (extent <= std::max<Index>(2 * keep, 1)) {
    for (Index k = 0; k < extent; ++k) indices.push_back(k);
    return indices;
  }
  for (Index k = 0; k < std::max<Index>(keep, 1); ++k) indices.push_back(k);
  skipped = static_cast<Index>(indices.size());
  for (Index k = extent - keep; k < extent; ++k) indices.push_back(k);
  return indices;
}

std::string array_text(const Elements& elements, const std::vector<Index>& skipped) {
  std::vector<std::string> texts;
  for (Index i = 0; i < elements.size(); ++i)
    append_element(texts.emplace_back(), elements.dtype, elements.element(i), TextStyle::shown);
  return array_text(std::move(texts), elements.shape, skipped);
}

std::string array_text(std::vector<std::string> texts, const Shape& shape,
                       const std::vector<Index>& skipped) {
  return ArrayText(std::move(texts), shape, skipped).text();
}

void write_values(JsonWriter& json, const Elements& elements) {
  Index next = 0;
  append_values(json, elements, 0, next);
}

void print_array(Session& session, const Edge& value) {
  const Index size = size_of(value.shape());
  if (session.json && !session.explain) {
    if (size > most_json)
      fail(Errc::unsupported, "printing as JSON: too many elements; expected at most " +
                                  std::to_string(most_json) + " (write a file with -o), got " +
                                  std::to_string(size));
    Elements elements(value);
    session.run({value}, {MemoryTarget{elements.view()}});
    JsonWriter json;
    json.begin_object().key("dtype");
    write_dtype(json, elements.dtype);
    json.key("shape").dims(elements.shape).key("values");
    write_values(json, elements);
    json.end_object();
    session.out << json.text() << "\n";
    return;
  }
  const bool is_large = size > most_shown;
  const Corners corners =
      is_large ? corners_of(value) : Corners{value, std::vector<Index>(value.shape().size(), -1)};
  Elements elements(corners.edge);
  if (!session.run({corners.edge}, {MemoryTarget{elements.view()}})) return;
  session.out << array_text(elements, corners.skipped) << "\n";
  if (is_large)
    session.out << "(corners of " << std::to_string(size) << " elements: " << value.dtype().name() << " "
                << to_string(value.shape()) << "; write all of them with -o OUT.npy or -o OUT.csv)\n";
}

}  // namespace morsel::app
