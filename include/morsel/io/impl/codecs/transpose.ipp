#pragma once

#include <morsel/io/impl/codecs/elements.hpp>

namespace morsel::inline MORSEL_ABI::detail {

/// An array with its axes in another order: encoded axis i is decoded axis order[i]. **Source**: Zarr v3,
/// codec `transpose`.
class TransposeCodec {
 public:
  enum class Named : std::uint8_t { no, c, f };
  TransposeCodec(std::vector<int> order, Named named) : order_(std::move(order)), named_(named) {}

  std::string_view name() const { return "transpose"; }
  TransposeCodec prepare(const DecodedSpec& spec) const {
    need_array(name(), spec);
    TransposeCodec codec = *this;
    codec.spec_ = spec;
    const std::size_t rank = spec.shape.size();
    if (named_ != Named::no) {
      codec.order_.resize(rank);
      for (std::size_t i = 0; i < rank; ++i)
        codec.order_[i] = static_cast<int>(named_ == Named::c ? i : rank - 1 - i);
    }
    if (codec.order_.size() != rank)
      fail(Errc::corrupt_data, "codec 'transpose': 'order' does not fit the array; expected " +
                                   std::to_string(rank) + " axes, got " + std::to_string(order_.size()));
    for (const int axis : codec.order_)
      codec.encoded_shape_.push_back(spec.shape[static_cast<unsigned>(axis)]);
    return codec;
  }
  std::size_t max_encoded_bytes(std::size_t decoded_bytes) const { return decoded_bytes; }
  std::size_t scratch_bytes() const { return 0; }
  DecodedSpec encoded_array() const { return DecodedSpec::array(spec_.dtype, encoded_shape_); }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    check_decode_sizes(name(), in.size(), spec_.bytes, out.size(), spec_.bytes);
    if (spec_.bytes == 0) return 0;
    copy_elements(encoded_view(const_cast<std::byte*>(in.data())), decoded_view(out.data()));
    return spec_.bytes;
  }
  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    check_encode_sizes(name(), in.size(), spec_.bytes, out.size(), spec_.bytes);
    if (spec_.bytes == 0) return 0;
    BufferView from = decoded_view(const_cast<std::byte*>(in.data()));
    const Dims strides = from.strides;
    for (std::size_t i = 0; i < order_.size(); ++i)
      from.strides[i] = strides[static_cast<unsigned>(order_[i])];
    from.shape = encoded_shape_;
    copy_elements(from, BufferView::c_order(out.data(), encoded_shape_, spec_.dtype.item_bytes()));
    return spec_.bytes;
  }

 private:
  BufferView decoded_view(std::byte* data) const {
    return BufferView::c_order(data, spec_.shape, spec_.dtype.item_bytes());
  }
  /// Encoded elements, seen with the axes of the decoded array.
  BufferView encoded_view(std::byte* data) const {
    BufferView view = BufferView::c_order(data, encoded_shape_, spec_.dtype.item_bytes());
    const Dims strides = view.strides;
    for (std::size_t i = 0; i < order_.size(); ++i)
      view.strides[static_cast<unsigned>(order_[i])] = strides[i];
    view.shape = spec_.shape;
    return view;
  }
  std::vector<int> order_;
  Named named_;
  DecodedSpec spec_;
  Shape encoded_shape_;
};

/// The same elements in the same order, with another shape.
class ReshapeCodec {
 public:
  /// An extent of the encoded array: a number, -1 for what is left, or the product of decoded axes.
  struct Extent {
    Index size = 0;
    std::vector<Index> axes;
    bool is_product = false;
  };
  explicit ReshapeCodec(std::vector<Extent> extents) : name_("reshape"), extents_(std::move(extents)) {}
  static ReshapeCodec squeeze() {
    ReshapeCodec codec{std::vector<Extent>()};
    codec.name_ = "zarrs.squeeze";
    codec.squeezes_ = true;
    return codec;
  }

  std::string_view name() const { return name_; }
  ReshapeCodec prepare(const DecodedSpec& spec) const {
    need_array(name(), spec);
    ReshapeCodec codec = *this;
    codec.spec_ = spec;
    codec.shape_ = squeezes_ ? squeezed(spec.shape) : reshaped(spec.shape);
    return codec;
  }
  std::size_t max_encoded_bytes(std::size_t decoded_bytes) const { return decoded_bytes; }
  std::size_t scratch_bytes() const { return 0; }
  DecodedSpec encoded_array() const { return DecodedSpec::array(spec_.dtype, shape_); }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    check_decode_sizes(name(), in.size(), spec_.bytes, out.size(), spec_.bytes);
    if (spec_.bytes > 0) std::memcpy(out.data(), in.data(), spec_.bytes);
    return spec_.bytes;
  }
  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    check_encode_sizes(name(), in.size(), spec_.bytes, out.size(), spec_.bytes);
    if (spec_.bytes > 0) std::memcpy(out.data(), in.data(), spec_.bytes);
    return spec_.bytes;
  }

 private:
  /// Without the axes of extent 1; one of them stays if there is no other.
  static Shape squeezed(const Shape& shape) {
    Shape kept;
    for (const Index n : shape)
      if (n != 1) kept.push_back(n);
    if (kept.empty()) kept.push_back(1);
    return kept;
  }
  [[noreturn]] void refuse(const std::string& what) const {
    fail(Errc::corrupt_data, "codec 'reshape': bad 'shape': " + what);
  }
  Shape reshaped(const Shape& from) const {
    if (extents_.size() > static_cast<std::size_t>(max_rank))
      refuse("too many axes; expected at most " + std::to_string(max_rank) + ", got " +
             std::to_string(extents_.size()));
    Shape to;
    std::size_t open = extents_.size();
    Index known = 1;
    for (std::size_t i = 0; i < extents_.size(); ++i) {
      const Extent& extent = extents_[i];
      Index size = extent.is_product ? 1 : extent.size;
      for (const Index axis : extent.axes) {
        if (axis < 0 || axis >= static_cast<Index>(from.size()))
          refuse("no such axis; expected 0 to below " + std::to_string(from.size()) + ", got " +
                 std::to_string(axis));
        size = checked_mul(size, from[static_cast<std::size_t>(axis)], "an extent of 'reshape'");
      }
      if (size == -1)
        open = i;
      else
        known = checked_mul(known, size, "the shape of 'reshape'");
      to.push_back(size);
    }
    const Index wanted = size_of(from);
    if (open < to.size() && known > 0 && wanted % known == 0) {
      to[open] = wanted / known;
      known = wanted;
    }
    if (known != wanted)
      refuse("another number of elements; expected that of " + to_string(from) + ", got " + to_string(to));
    check_products(from, to);
    return to;
  }
  /// Positions along an extent that is the product of axes are positions along those axes.
  void check_products(const Shape& from, const Shape& to) const {
    const auto product = [](const Shape& shape, std::size_t lo, std::size_t hi) {
      Index n = 1;
      for (std::size_t i = lo; i < hi; ++i) n = checked_mul(n, shape[i], "the shape of 'reshape'");
      return n;
    };
    Index last = -1;
    for (std::size_t i = 0; i < extents_.size(); ++i) {
      for (const Index axis : extents_[i].axes) {
        if (axis <= last)
          refuse("axes out of order; expected each above the one before, got " + std::to_string(axis) +
                 " behind " + std::to_string(last));
        last = axis;
      }
      if (extents_[i].axes.empty()) continue;
      const auto lo = static_cast<std::size_t>(extents_[i].axes.front());
      const auto hi = static_cast<std::size_t>(extents_[i].axes.back()) + 1;
      if (product(to, 0, i) != product(from, 0, lo) ||
          product(to, i + 1, to.size()) != product(from, hi, from.size()))
        refuse("an extent is not that of its axes; expected as many elements in front of and behind axis " +
               std::to_string(lo) + ", got " + to_string(to) + " of " + to_string(from));
    }
  }
  std::string name_;
  std::vector<Extent> extents_;
  bool squeezes_ = false;
  DecodedSpec spec_;
  Shape shape_;
};

inline std::vector<CodecDefinition> transpose_codecs() {
  const auto transpose = [](const CodecInfo& info, const std::string& doing) -> AnyCodec {
    CodecConfig config(info, doing);
    const nlohmann::json* order = config.find("order");
    config.finish();
    constexpr const char* expected = "a permutation of the axes, \"C\" or \"F\"";
    if (!order) config.wrong("order", expected, nullptr);
    if (order->is_string() && (*order == "C" || *order == "F"))
      return TransposeCodec({}, *order == "C" ? TransposeCodec::Named::c : TransposeCodec::Named::f);
    if (!order->is_array() || order->size() > static_cast<std::size_t>(max_rank))
      config.wrong("order", expected, *order);
    std::vector<int> axes;
    std::vector<bool> seen(order->size(), false);
    for (const nlohmann::json& axis : *order) {
      if (!axis.is_number_integer() || axis < 0 || axis >= order->size())
        config.wrong("order", expected, *order);
      const auto i = axis.get<std::size_t>();
      if (seen[i]) config.wrong("order", expected, *order);
      seen[i] = true;
      axes.push_back(static_cast<int>(i));
    }
    return TransposeCodec(std::move(axes), TransposeCodec::Named::no);
  };
  const auto reshape = [](const CodecInfo& info, const std::string& doing) -> AnyCodec {
    CodecConfig config(info, doing);
    const nlohmann::json* shape = config.find("shape");
    config.finish();
    constexpr const char* expected = "a list of extents above 0, at most one -1, and lists of axes";
    if (!shape || !shape->is_array()) config.wrong("shape", expected, shape ? *shape : nullptr);
    const auto integer = [&](const nlohmann::json& value) {
      if (!value.is_number_integer() || value < -1 || value > std::numeric_limits<Index>::max())
        config.wrong("shape", expected, *shape);
      return value.get<Index>();
    };
    std::vector<ReshapeCodec::Extent> extents;
    int open = 0;
    for (const nlohmann::json& value : *shape) {
      ReshapeCodec::Extent extent;
      extent.is_product = value.is_array();
      if (extent.is_product)
        for (const nlohmann::json& axis : value) extent.axes.push_back(integer(axis));
      else
        extent.size = integer(value);
      if (!extent.is_product && (extent.size == 0 || (extent.size < 0 && ++open > 1)))
        config.wrong("shape", expected, *shape);
      extents.push_back(std::move(extent));
    }
    return ReshapeCodec(std::move(extents));
  };
  const auto squeeze = [](const CodecInfo& info, const std::string& doing) -> AnyCodec {
    CodecConfig(info, doing).finish();
    return ReshapeCodec::squeeze();
  };
  return {{{"transpose"}, CodecKind::array_to_array, transpose},
          {{"reshape"}, CodecKind::array_to_array, reshape},
          {{"zarrs.squeeze"}, CodecKind::array_to_array, squeeze}};
}

}  // namespace morsel::inline MORSEL_ABI::detail
