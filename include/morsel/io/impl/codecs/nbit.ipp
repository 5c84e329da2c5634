#pragma once

#include <morsel/io/impl/codecs/bit_reader.hpp>
#include <morsel/io/impl/codecs/filter_parameters.hpp>

namespace morsel::inline MORSEL_ABI::detail {

/// Numbers without the bits of their bytes that their type does not use. **Source**: HDF5 File Format
/// Specification, filter 5, and H5Znbit.c: cd_values are their number, whether bits are kept as they are, the
/// elements of a chunk, and the type as a tree of atoms (class 1: bytes, order, precision, offset), arrays
/// (2: bytes, the base), records (3: bytes, members, of each its offset and type) and others (4: bytes).
class NbitCodec : public FilterCodec {
 public:
  NbitCodec(const CodecInfo& info, const std::string& doing)
      : FilterCodec(info), numbers_(filter_parameters(info, doing, 5)), doing_(doing) {
    is_plain_ = numbers_[1] != 0;
    count_ = numbers_[2];
    item_bytes_ = numbers_[4];
    if (is_plain_) return;
    std::size_t at = 3;
    add(at, 0, 0);
    for (const Piece& piece : pieces_) item_bits_ += piece.bits;
  }
  NbitCodec prepare(const DecodedSpec&) const { return *this; }
  std::size_t max_encoded_bytes(std::size_t n) const { return saturating_sum(n, 8); }

  std::size_t decode(std::span<const std::byte> in, std::span<std::byte> out, std::span<std::byte>) const {
    if (is_plain_) {
      check_room(in.size(), out.size());
      copy_bytes(out.data(), in.data(), in.size());
      return in.size();
    }
    const std::uint64_t bytes = std::uint64_t{count_} * item_bytes_;
    if (bytes > out.size()) check_room(static_cast<std::size_t>(bytes), out.size());
    // Both factors have 32 bits or are at most 8 times one that has.
    const std::uint64_t needed = (std::uint64_t{count_} * item_bits_ + 7) / 8;
    if (in.size() < needed) too_short(static_cast<std::size_t>(needed), in.size());
    std::memset(out.data(), 0, static_cast<std::size_t>(bytes));
    BitReader reader(in);
    std::byte* item = out.data();
    for (std::uint32_t i = 0; i < count_; ++i, item += item_bytes_)
      for (const Piece& piece : pieces_)
        item[piece.byte] = static_cast<std::byte>(reader.read(piece.bits) << piece.shift);
    return static_cast<std::size_t>(bytes);
  }

 private:
  /// Bits of one byte of an element.
  struct Piece {
    std::uint32_t byte;
    std::uint8_t bits, shift;
  };
  static constexpr std::size_t most_pieces = std::size_t{1} << 20;

  [[noreturn]] void bad(const std::string& what) const {
    fail(Errc::corrupt_data, doing_ + ": codec '" + std::string(name()) + "': " + what);
  }
  std::uint32_t next(std::size_t& at) const {
    if (at >= numbers_.size())
      bad("the type is cut off; expected more cd_values, got " + std::to_string(numbers_.size()));
    return numbers_[at++];
  }
  void put(std::uint64_t byte, unsigned bits, unsigned shift) {
    if (byte >= item_bytes_ || bits > 8 || shift + bits > 8)
      bad("the type does not fit into its bytes; expected at most " + std::to_string(item_bytes_));
    if (pieces_.size() == most_pieces) bad("the type is too large; expected at most 1048576 bytes");
    pieces_.push_back({static_cast<std::uint32_t>(byte), static_cast<std::uint8_t>(bits),
                       static_cast<std::uint8_t>(shift)});
  }
  /// The type whose class stands at `at`, at `offset` of the element.
  void add(std::size_t& at, std::uint64_t offset, int depth) {
    if (depth > 32) bad("the type is nested too deeply; expected at most 32 levels");
    switch (next(at)) {
      case 1:
        return add_atom(at, offset);
      case 2: {
        const std::uint32_t total = next(at);
        const std::size_t base = at;
        // The base's own bytes stand behind its class.
        std::size_t peek = base + 1;
        const std::uint32_t base_bytes = next(peek);
        if (base_bytes == 0) bad("an array of nothing; expected elements of at least one byte");
        if (numbers_[base] == 4) {  // left as they are, all together
          at = peek;
          for (std::uint32_t i = 0; i < total; ++i) put(offset + i, 8, 0);
          return;
        }
        for (std::uint64_t done = 0; done + base_bytes <= total; done += base_bytes) {
          at = base;
          add(at, offset + done, depth + 1);
        }
        if (at == base) bad("an array shorter than its elements");
        return;
      }
      case 3: {
        next(at);
        const std::uint32_t members = next(at);
        for (std::uint32_t i = 0; i < members; ++i) {
          const std::uint32_t member_offset = next(at);
          add(at, offset + member_offset, depth + 1);
        }
        return;
      }
      case 4: {
        const std::uint32_t size = next(at);
        for (std::uint32_t i = 0; i < size; ++i) put(offset + i, 8, 0);
        return;
      }
      default:
        bad("an unknown class of types; expected 1 to 4");
    }
  }
  void add_atom(std::size_t& at, std::uint64_t offset) {
    const std::uint32_t size = next(at), order = next(at), precision = next(at), low = next(at);
    if (size == 0 || size > 1024 || precision == 0 || precision > 8 * size || low > 8 * size - precision ||
        order > 1)
      bad("bad atom; expected precision and offset within " + std::to_string(8 * size) + " bits, got " +
          std::to_string(precision) + " and " + std::to_string(low));
    // The byte with the highest bits comes first.
    const std::uint32_t first = (low + precision - 1) / 8, last = low / 8;
    for (std::uint32_t k = first + 1; k-- > last;) {
      const std::uint32_t lo = std::max(low, 8 * k), hi = std::min(low + precision, 8 * k + 8);
      put(offset + (order == 0 ? k : size - 1 - k), hi - lo, lo - 8 * k);
    }
  }

  std::vector<std::uint32_t> numbers_;
  std::string doing_;
  bool is_plain_ = false;
  std::uint32_t count_ = 0, item_bytes_ = 0;
  std::uint64_t item_bits_ = 0;
  std::vector<Piece> pieces_;
};

inline std::vector<CodecDefinition> nbit_codecs() { return {byte_codec<NbitCodec>({"hdf5.nbit"})}; }

}  // namespace morsel::inline MORSEL_ABI::detail
