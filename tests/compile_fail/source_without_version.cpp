// expect: AnyChunkSource.*s\.version\(\)
#include <morsel/io/chunk_source.hpp>

struct Ones {
  morsel::ArraySpec spec_;
  const morsel::ArraySpec& spec() const { return spec_; }
  morsel::FetchCost cost(const morsel::Dims&, const morsel::Region&) const { return {}; }
  morsel::Fetched fetch(const morsel::Dims&, const morsel::Region&, std::span<std::byte>, morsel::FetchMode,
                        std::stop_token) const {
    return {};
  }
  void decode(const morsel::Dims&, const morsel::Region&, std::span<const std::byte>, morsel::BufferView,
              std::span<std::byte>) const {}
  std::string identity() const { return "ones"; }
#if defined(MUST_COMPILE)
  std::string version() const { return "1"; }
#endif
};

morsel::AnyChunkSource source() { return morsel::AnyChunkSource(Ones{}); }
