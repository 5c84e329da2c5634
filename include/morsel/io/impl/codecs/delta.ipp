#pragma once

#include <morsel/array/promote.hpp>
#include <morsel/io/impl/codecs/elements.hpp>

namespace morsel::inline MORSEL_ABI::detail {

/// a + b and a - b as NumPy's element types have them: integers wrap, two bools differ or not.
template <class T>
T wrapping_add(T a, T b) {
  if constexpr (std::is_same_v<T, bool>)
    return a != b;
  else if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
  else
    return a + b;
}
template <class T>
T wrapping_subtract(T a, T b) {
  if constexpr (std::is_same_v<T, bool>)
    return a != b;
  else if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
  else
    return a - b;
}
template <class T>
T wrapping_multiply(T a, T b) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
  else
    return a * b;
}

/// The first element, then differences of neighbours in the decoded type. Sums are made one after another:
/// of integers in the decoded type, of others in the type that both sides promote to. Bools are undone by the
/// inverse of what encoding does, exclusive or; numcodecs takes the logical or. **Source**: numcodecs,
/// `delta`.
class DeltaCodec {
 public:
  explicit DeltaCodec(ItemwiseSides sides) : sides_(std::move(sides)) {}
  std::string_view name() const { return sides_.name(); }
  DeltaCodec prepare(const DecodedSpec& spec) const {
    DeltaCodec codec = *this;
    codec.sides_.prepare(spec);
    return codec;
  }
  std::size_t max_encoded_bytes(std::size_t n) const { return sides_.max_encoded_bytes(n); }
  std::size_t scratch_bytes() const { return 0; }
  DecodedSpec encoded_array() const { return sides_.encoded_array(); }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    const Type from = sides_.encoded().type, to = sides_.decoded().type;
    const Type within =
        is_floating(from) || is_complex(from) || is_floating(to) || is_complex(to) ? promote(from, to) : to;
    ItemBlock work;
    return visit_type(within, [&]<class T>() {
      T sum{};
      bool is_first = true;
      return sides_.decode(in, out, [&](ItemBlock& source, ItemBlock& target, std::size_t n) {
        cast_items(from, source.data(), within, work.data(), n);
        T* items = work.as<T>();
        std::size_t i = 0;
        if (is_first) sum = items[i++];
        is_first = false;
        for (; i < n; ++i) items[i] = sum = wrapping_add(sum, items[i]);
        cast_items(within, work.data(), to, target.data(), n);
      });
    });
  }
  std::size_t encode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    const Type from = sides_.decoded().type, to = sides_.encoded().type;
    return visit_type(from, [&]<class T>() {
      T before{};
      bool is_first = true;
      return sides_.encode(in, out, [&](ItemBlock& source, ItemBlock& target, std::size_t n) {
        T* items = source.as<T>();
        const T last = items[n - 1];
        for (std::size_t i = n - 1; i > 0; --i) items[i] = wrapping_subtract(items[i], items[i - 1]);
        if (!is_first) items[0] = wrapping_subtract(items[0], before);
        is_first = false;
        before = last;
        cast_items(from, source.data(), to, target.data(), n);
      });
    });
  }

 private:
  ItemwiseSides sides_;
};

inline std::vector<CodecDefinition> delta_codecs() {
  const auto make = [](const CodecInfo& info, const std::string& doing) -> AnyCodec {
    CodecConfig config(info, doing);
    const auto decoded = stored_items(config, "dtype"), encoded = stored_items(config, "astype");
    config.finish();
    return DeltaCodec(ItemwiseSides(info.name, decoded, encoded));
  };
  return {{{"numcodecs.delta", "delta"}, CodecKind::array_to_array, make}};
}

}  // namespace morsel::inline MORSEL_ABI::detail
