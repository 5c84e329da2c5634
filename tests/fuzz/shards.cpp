// Any bytes as a shard, and shards that were made and then damaged: inner chunks are read or refused as
// corrupt, the source that reads parts and the codec that reads all agree, and what is not damaged comes
// back. Nothing else may happen.
//
// Byte 0 says how the shard is made (Layout), byte 1 what the others are: 0 the shard itself, n the elements,
// of which the last 3 n bytes are damages: two bytes of a place, one to flip there.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <morsel/io/codec_chain.hpp>
#include <morsel/io/memory_store.hpp>
#include <morsel/io/read_region.hpp>
#include <morsel/io/shard.hpp>
#include <morsel/io/zarr.hpp>
#include <morsel/io/zarr_metadata.hpp>
#include <string>
#include <vector>

using namespace morsel;
using Bytes = std::vector<std::byte>;

namespace {

const Shape shape{8, 12};

struct Layout {
  bool index_at_start, has_checksum, is_nested, inner_at_start, inner_checksum, is_turned, is_packed,
      sums_inner;
  explicit Layout(unsigned char bits)
      : index_at_start(bits & 1),
        has_checksum(bits & 2),
        is_nested(bits & 4),
        inner_at_start(bits & 8),
        inner_checksum(bits & 16),
        is_turned(bits & 32),
        is_packed(bits & 64),
        sums_inner(bits & 128) {}

  static std::string shard(const char* chunk, bool at_start, bool checksum, const std::string& codecs) {
    return std::string(R"({"name":"sharding_indexed","configuration":{"chunk_shape":)") + chunk +
           R"(,"codecs":[)" + codecs + R"(],"index_location":")" + (at_start ? "start" : "end") +
           R"(","index_codecs":[{"name":"bytes","configuration":{"endian":"little"}})" +
           (checksum ? R"(,{"name":"crc32c"})" : "") + "]}}";
  }
  /// As zarr.json lists them.
  std::string codecs() const {
    std::string inner = R"({"name":"bytes","configuration":{"endian":"little"}})";
    if (is_packed) inner += R"(,{"name":"gzip","configuration":{"level":1}})";
    if (sums_inner) inner += R"(,{"name":"crc32c"})";
    const std::string turn = is_turned ? R"({"name":"transpose","configuration":{"order":[1,0]}},)" : "";
    if (is_nested) inner = turn + shard("[2,2]", inner_at_start, inner_checksum, inner);
    return "[" + turn + shard(is_turned ? "[6,4]" : "[4,6]", index_at_start, has_checksum, inner) + "]";
  }
  std::string document() const {
    return R"({"zarr_format":3,"node_type":"array","shape":[8,12],"data_type":"int16","fill_value":7,)"
           R"("chunk_grid":{"name":"regular","configuration":{"chunk_shape":[8,12]}},)"
           R"("chunk_key_encoding":{"name":"default"},"codecs":)" +
           codecs() + "}";
  }
};

/// Calls what may fail on bytes that are damaged; false if it does.
template <class F>
bool attempt(F&& call) {
  try {
    call();
    return true;
  } catch (const Error& e) {
    if (e.code() != Errc::corrupt_data && e.code() != Errc::unsupported) std::abort();
    return false;
  }
}

/// All that a reader can ask for, as parts of a value; no value if it refuses them.
bool read(const AnyChunkSource& source, const Region& region, Bytes& out) {
  out.assign(static_cast<std::size_t>(region.size()) * 2, std::byte{});
  return attempt([&] { read_region(source, region, BufferView::c_order(out.data(), region.shape(), 2)); });
}

/// All that is made once per layout.
struct Prepared {
  MemoryStore store;
  AnyChunkSource source;
  CodecChain chain;  // decodes the shard as a whole, as where other codecs stand behind it

  explicit Prepared(const Layout& layout) {
    const std::string document = layout.document();
    store.put("zarr.json", std::as_bytes(std::span(document.data(), document.size())));
    source = open_zarr(store, "").source;
    const Bytes fill{std::byte{7}, std::byte{0}};
    chain = CodecChain(parse_zarr_codecs(layout.codecs(), "fuzz"), Type::int16, shape, "fuzz", fill);
  }
  static const Prepared& of(unsigned char bits) {
    static std::array<std::unique_ptr<const Prepared>, 256> all;
    if (!all[bits]) all[bits] = std::make_unique<const Prepared>(Layout(bits));
    return *all[bits];
  }
};

void check_shard(const Prepared& prepared, const Bytes& stored, const Bytes* expected) {
  prepared.store.put("c/0/0", stored);
  const AnyChunkSource& source = prepared.source;
  (void)source.version();  // forgets the indices that it has read
  Bytes all, part;
  const Region whole = Region::of(shape);
  const bool readable = read(source, whole, all);
  for (const Region& region : {Region{{0, 0}, {1, 12}}, Region{{3, 5}, {6, 8}}, Region{{7, 11}, {8, 12}}}) {
    if (!read(source, region, part) || !readable) continue;
    Bytes cut(part.size());
    copy_elements(BufferView::c_order(all.data(), shape, 2).part(whole, region),
                  BufferView::c_order(cut.data(), region.shape(), 2));
    if (cut != part) std::abort();
  }
  const CodecChain& chain = prepared.chain;
  Bytes decoded(all.size()), scratch(chain.decode_scratch_bytes() + chain.strided_scratch_bytes());
  const bool decodable =
      attempt([&] { chain.decode(stored, whole, BufferView::c_order(decoded.data(), shape, 2), scratch); });
  if (readable && decodable && decoded != all) std::abort();
  if (expected && (!readable || !decodable || all != *expected)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size < 2) return 0;
  const Prepared& prepared = Prepared::of(data[0]);
  const std::size_t damages = data[1];
  const auto* begin = reinterpret_cast<const std::byte*>(data) + 2;
  Bytes rest(begin, begin + (size - 2));
  if (damages == 0) {
    check_shard(prepared, rest, nullptr);
    return 0;
  }
  // Of n damages n - 1 are done: a shard without any must come back.
  const std::size_t damaging = std::min((damages - 1) % 16, rest.size() / 3);
  const Bytes flips(rest.end() - static_cast<std::ptrdiff_t>(3 * damaging), rest.end());
  rest.resize(rest.size() - flips.size());
  // Elements that the input leaves out are the fill value, so that there are inner chunks that are absent.
  Bytes elements(192);
  for (std::size_t i = 0; i < elements.size(); ++i)
    elements[i] = i < rest.size() ? rest[i] : std::byte{i % 2 == 0 ? std::uint8_t{7} : std::uint8_t{0}};
  const CodecChain& chain = prepared.chain;
  Bytes stored(chain.max_encoded_bytes()), scratch(chain.encode_scratch_bytes());
  stored.resize(chain.encode(BufferView::c_order(elements.data(), shape, 2), stored, scratch));
  for (std::size_t i = 0; i < damaging; ++i) {
    const std::size_t at =
        std::to_integer<std::size_t>(flips[3 * i]) * 256 + std::to_integer<std::size_t>(flips[3 * i + 1]);
    stored[at % stored.size()] ^= flips[3 * i + 2];
  }
  check_shard(prepared, stored, damaging == 0 ? &elements : nullptr);
  return 0;
}
