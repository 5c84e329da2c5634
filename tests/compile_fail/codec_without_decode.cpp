// expect: AnyCodec.*decode\(in, out, scratch\)
// A class that lacks a function of the concept is refused where it is put into the handle, and the message
// names it.
#include <morsel/io/codec.hpp>

struct Copy {
  std::string_view name() const { return "copy"; }
  Copy prepare(const morsel::DecodedSpec&) const { return {}; }
  std::size_t max_encoded_bytes(std::size_t n) const { return n; }
  std::size_t scratch_bytes() const { return 0; }
#if defined(MUST_COMPILE)
  std::size_t decode(std::span<const std::byte> in, std::span<std::byte>, std::span<std::byte>) const {
    return in.size();
  }
#endif
  std::size_t encode(std::span<const std::byte> in, std::span<std::byte>, std::span<std::byte>) const {
    return in.size();
  }
};

morsel::AnyCodec codec() { return morsel::AnyCodec(Copy{}); }
