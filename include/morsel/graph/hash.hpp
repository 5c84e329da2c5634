// Names of values: equal hashes, equal values.
#pragma once

#include <cstring>
#include <morsel/graph/node.hpp>

namespace morsel::inline MORSEL_ABI {

/// Accumulates 128 bits; every step mixes all bits of both halves (murmur3's finaliser on two lanes).
class Hasher {
 public:
  void add(std::uint64_t value) {
    hi_ = mix(hi_ ^ (value * 0x87c37b91114253d5ull)) + lo_;
    lo_ = mix(lo_ ^ (value * 0x4cf5ad432745937full) ^ 0x52dce729u) + hi_ * 5;
  }
  void add(std::string_view text) {
    add(text.size());
    for (std::size_t i = 0; i < text.size(); i += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, text.data() + i, std::min<std::size_t>(8, text.size() - i));
      add(word);
    }
  }
  void add(const Dims& dims) {
    add(dims.size());
    for (const Index n : dims) add(static_cast<std::uint64_t>(n));
  }
  void add(const Hash& hash) {
    add(hash.hi);
    add(hash.lo);
  }
  void add(const View& view);
  void add(const Grid& grid);
  void add(const Edge& edge) {
    add(edge.node->hash);
    add(edge.view);
  }
  Hash hash() const { return {mix(hi_), mix(lo_ ^ hi_)}; }

 private:
  static std::uint64_t mix(std::uint64_t x) {
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdull;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ull;
    return x ^ (x >> 33);
  }
  std::uint64_t hi_ = 0x6a09e667f3bcc908ull, lo_ = 0xbb67ae8584caa73bull;
};

/// A node seen through a view, as the key of a table. Keeps nothing alive.
struct NodeView {
  const Node* node = nullptr;
  View view;
  std::uint64_t hash = 0;

  NodeView(const Node* n, View v);
  friend bool operator==(const NodeView& a, const NodeView& b) {
    return a.node == b.node && a.hash == b.hash && a.view == b.view;
  }
  struct Hash {
    std::size_t operator()(const NodeView& key) const { return static_cast<std::size_t>(key.hash); }
  };
};

/// The hash of a node's payload, dtype and shape (not of its name or of kept axes' grids, which do not change
/// values).
Hash hash_of(const Node& node);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/graph/impl/hash.ipp>
#endif
