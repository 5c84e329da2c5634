// The rules of contracts §1 written down a second time, slowly and element by element, to compare the library
// with.
#pragma once

#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <memory>
#include <morsel/kernel/leaf.hpp>
#include <morsel/kernel/reducer.hpp>
#include <morsel/kernel/simd.hpp>
#include <random>
#include <vector>

namespace reference {

using namespace morsel;

/// Contiguous elements; unlike std::vector also of bool.
template <class T>
class Array {
 public:
  explicit Array(std::size_t n = 0) : size_(n), data_(new T[n + 1]()) {}
  std::size_t size() const { return size_; }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }

 private:
  std::size_t size_;
  std::unique_ptr<T[]> data_;
};

/// Memory with the alignment that the engine gives.
class Memory {
 public:
  explicit Memory(std::size_t bytes) : bytes_(bytes + 64, std::byte{0xa5}) {}
  void* data() {
    const auto at = reinterpret_cast<std::uintptr_t>(bytes_.data());
    return bytes_.data() + (64 - at % 64) % 64;
  }

 private:
  std::vector<std::byte> bytes_;
};

template <class T>
inline constexpr bool is_complex_v = is_complex(type_of<T>);

/// Ordinary numbers of mixed size and sign, with NaN and infinities now and then if `special`.
template <class T>
T random_element(std::mt19937_64& rng, bool special) {
  const std::uint64_t word = rng();
  if constexpr (std::is_same_v<T, bool>) {
    return word % 3 == 0;
  } else if constexpr (std::is_integral_v<T>) {
    return word % 5 == 0 ? static_cast<T>(word >> 8) : static_cast<T>(static_cast<int>(word >> 8 & 63) - 20);
  } else if constexpr (is_complex_v<T>) {
    using F = typename T::value_type;
    return T(random_element<F>(rng, special), random_element<F>(rng, special));
  } else {
    if (special && word % 97 == 0) return T(std::numeric_limits<float>::quiet_NaN());
    if (special && word % 1009 == 1) return T(std::numeric_limits<float>::infinity());
    if (word % 13 == 2) return T((word >> 20 & 1) ? 0.0f : -0.0f);
    if (word % 11 == 3) return T(static_cast<float>(word >> 20 & 7));
    const double unit = static_cast<double>(word >> 11) * 0x1p-53 - 0.5;
    return T(static_cast<float>(std::ldexp(unit, static_cast<int>(word % 17) - 8)));
  }
}

template <class T>
Array<T> random_array(std::size_t n, std::mt19937_64& rng, bool special = false) {
  Array<T> x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = random_element<T>(rng, special);
  return x;
}

struct Value {
  double re = 0, im = 0;
  bool nan() const { return re != re || im != im; }
};
template <class T>
Value value_of(T v) {
  if constexpr (is_complex_v<T>)
    return {static_cast<double>(v.real()), static_cast<double>(v.imag())};
  else if constexpr (std::is_same_v<T, float16>)
    return {static_cast<double>(float(v)), 0};
  else
    return {static_cast<double>(v), 0};
}

inline Value multiply(Value a, Value b, bool complex) {
  if (!complex) return {a.re * b.re, 0};
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/// One node of the tree of a reduction with fixed blocks.
struct Node {
  std::int64_t count = 0;  ///< elements that take part
  Value value;             ///< sum, product or mean
  double m2 = 0;
};

enum class Kind { sum, prod, moments };

/// How a block is put together: 16 lanes or serially.
enum class Block { lanes, serial };

inline Value combine(Kind kind, Value a, Value b, bool complex) {
  return kind == Kind::prod ? multiply(a, b, complex) : Value{a.re + b.re, a.im + b.im};
}

/// sum of f(x): serially, or in 16 lanes folded 8-4-2-1. Lanes without elements take no part.
inline Value add_up(Kind kind, const std::vector<Value>& x, Block block, bool complex) {
  if (x.empty()) return kind == Kind::prod ? Value{1, 0} : Value{};
  const std::size_t lanes = block == Block::serial ? 1 : std::min<std::size_t>(16, x.size());
  std::vector<Value> lane(lanes, kind == Kind::prod ? Value{1, 0} : Value{});
  for (std::size_t i = 0; i < x.size(); ++i)
    lane[i % lanes] = i < lanes && kind == Kind::prod ? x[i] : combine(kind, lane[i % lanes], x[i], complex);
  for (std::size_t half = 8; half >= 1; half /= 2)
    for (std::size_t i = 0; i < half; ++i)
      if (i + half < lane.size()) lane[i] = combine(kind, lane[i], lane[i + half], complex);
  return lane[0];
}

inline Node block_node(Kind kind, bool skip, const std::vector<Value>& x, Block block, bool complex) {
  Node node;
  std::vector<Value> terms;
  for (const Value v : x) {
    const bool leave = skip && v.nan();
    node.count += !leave;
    terms.push_back(leave ? Value{kind == Kind::prod ? 1.0 : 0.0, 0} : v);
  }
  node.value = add_up(kind, terms, block, complex);
  if (kind != Kind::moments) return node;
  if (node.count == 0) return {};
  const double n = static_cast<double>(node.count);
  node.value = {node.value.re / n, complex ? node.value.im / n : 0};
  std::vector<Value> squares;
  for (const Value v : x) {
    if (skip && v.nan()) {
      squares.push_back({});
      continue;
    }
    const double re = v.re - node.value.re, im = v.im - node.value.im;
    squares.push_back({re * re, im * im});
  }
  const Value sum = add_up(Kind::sum, squares, block, complex);
  node.m2 = complex ? sum.re + sum.im : sum.re;
  return node;
}

inline Node merge_nodes(Kind kind, const Node& a, const Node& b, bool complex) {
  if (kind != Kind::moments) return {a.count + b.count, combine(kind, a.value, b.value, complex), 0};
  if (b.count == 0) return a;
  if (a.count == 0) return b;
  const double na = static_cast<double>(a.count), nb = static_cast<double>(b.count);
  const double share = nb / (na + nb);
  const double re = b.value.re - a.value.re, im = b.value.im - a.value.im;
  const double square = complex ? re * re + im * im : re * re;
  Node node;
  node.count = a.count + b.count;
  node.value = {a.value.re + re * share, complex ? a.value.im + im * share : 0};
  node.m2 = (a.m2 + b.m2) + square * (na * share);
  return node;
}

/// Level by level; an odd last node is promoted.
inline Node tree(Kind kind, std::vector<Node> nodes, bool complex) {
  if (nodes.empty()) return {0, kind == Kind::prod ? Value{1, 0} : Value{}, 0};
  while (nodes.size() > 1) {
    std::vector<Node> up;
    for (std::size_t i = 0; i < nodes.size(); i += 2)
      up.push_back(i + 1 < nodes.size() ? merge_nodes(kind, nodes[i], nodes[i + 1], complex) : nodes[i]);
    nodes = up;
  }
  return nodes[0];
}

/// Blocks of `length` of each run.
template <class T>
void append_blocks(Kind kind, bool skip, const T* x, std::size_t n, std::ptrdiff_t stride, std::size_t length,
                   Block block, std::vector<Node>& nodes) {
  for (std::size_t first = 0; first < n; first += length) {
    std::vector<Value> values;
    for (std::size_t i = first; i < n && i < first + length; ++i)
      values.push_back(value_of(x[static_cast<std::ptrdiff_t>(i) * stride]));
    nodes.push_back(block_node(kind, skip, values, block, is_complex_v<T>));
  }
}

/// The words of a state, NaN made equal.
inline std::vector<std::uint64_t> words_of(const Node& node, Kind kind, bool skip, bool complex) {
  std::vector<double> numbers;
  std::vector<std::uint64_t> words;
  const auto number = [&](double v) {
    std::uint64_t word;
    if (v != v) v = std::numeric_limits<double>::quiet_NaN();
    std::memcpy(&word, &v, 8);
    words.push_back(word);
  };
  if (kind == Kind::moments) words.push_back(static_cast<std::uint64_t>(node.count));
  number(node.value.re);
  if (complex) number(node.value.im);
  if (kind == Kind::moments) number(node.m2);
  if (kind != Kind::moments && skip) words.push_back(static_cast<std::uint64_t>(node.count));
  return words;
}

/// The words of a state in memory, NaN made equal.
inline std::vector<std::uint64_t> words_at(const void* state, std::size_t bytes) {
  std::vector<std::uint64_t> words(bytes / 8);
  std::memcpy(words.data(), state, bytes);
  for (std::uint64_t& word : words) {
    double v;
    std::memcpy(&v, &word, 8);
    if (v != v && static_cast<std::int64_t>(word) != -1) {
      v = std::numeric_limits<double>::quiet_NaN();
      std::memcpy(&word, &v, 8);
    }
  }
  return words;
}

/// The SIMD levels of this machine and build; the best one is in force again at the end.
class EachLevel {
 public:
  EachLevel() {
    for (int i = 0; i <= static_cast<int>(best_simd_level()); ++i)
      levels_.push_back(static_cast<SimdLevel>(i));
  }
  ~EachLevel() { set_simd_level(best_simd_level()); }
  EachLevel(const EachLevel&) = delete;
  EachLevel& operator=(const EachLevel&) = delete;
  auto begin() const { return levels_.begin(); }
  auto end() const { return levels_.end(); }

 private:
  std::vector<SimdLevel> levels_;
};

}  // namespace reference
