// Any bytes as a document of Zarr or N5, and as a block of N5: it is understood or refused with an error, and
// what is understood is written and understood again as the same. Nothing else may happen.
#include <cstdlib>
#include <functional>
#include <morsel/io/codec.hpp>
#include <morsel/io/memory_store.hpp>
#include <morsel/io/zarr_hierarchy.hpp>
#include <morsel/io/zarr_metadata.hpp>
#include <span>
#include <string>

using namespace morsel;

namespace {

void attempt(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& e) {
    if (e.code() == Errc::internal_error) std::abort();
    if (std::string_view(e.what()).find('\n') != std::string_view::npos) std::abort();
  }
}

void check_same(const ZarrArray& a, const ZarrArray& b) {
  if (!(a.dtype == b.dtype) || a.fill != b.fill || !(a.grid == b.grid) ||
      a.chunk_lengths != b.chunk_lengths || a.codecs.size() != b.codecs.size())
    std::abort();
}

/// What follows a document's writing must not fail; the writing may.
template <class Write, class Read>
void check_written(const ZarrArray& array, Write&& write, Read&& read) {
  std::optional<ZarrArray> again;
  attempt([&] {
    const auto documents = write(array);
    try {
      again = read(documents);
    } catch (const Error&) {
      std::abort();
    }
  });
  if (again) check_same(array, *again);
}

void look_around(const ZarrArray& array) {
  if (array.grid.count() == 0) return;
  const Dims first(array.grid.rank(), 0);
  array.keys.key(first);
  if (array.stored_shape(first).size() != array.grid.rank()) std::abort();
  if (array.fill.size() != array.dtype.item_bytes()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(text.data()), text.size());
  switch (data[0] % 5) {
    case 0:
      attempt([&] {
        const ZarrArray array = parse_zarr_v3(text, "fuzz");
        look_around(array);
        check_written(array, zarr_v3_json, [](const std::string& t) { return parse_zarr_v3(t, "again"); });
      });
      break;
    case 1:
      attempt([&] {
        const ZarrArray array = parse_zarr_v2(text, "", "fuzz");
        look_around(array);
        check_written(array, zarr_v2_json,
                      [](const ZarrV2Documents& d) { return parse_zarr_v2(d.zarray, d.zattrs, "again"); });
      });
      break;
    case 2:
      attempt([&] { look_around(parse_n5(text, "fuzz")); });
      break;
    case 3: {
      // A store whose root document, consolidated metadata included, is the input.
      for (const char* key : {"zarr.json", ".zmetadata", "attributes.json"}) {
        const MemoryStore store;
        store.put(key, bytes);
        const ZarrHierarchy hierarchy{AnyStore(store)};
        attempt([&] { hierarchy.find(""); });
        attempt([&] {
          for (const Member& member : hierarchy.children("")) {
            attempt([&] { hierarchy.find(member.path, ZarrDocuments::consolidated); });
            attempt([&] { hierarchy.children(member.path); });
          }
        });
      }
      break;
    }
    default:
      attempt([&] {
        const CodecInfo info{"n5.block", "{\"codecs\":[]}"};
        const Shape chunk{3, 4, 5};
        const AnyCodec codec =
            find_codec(info.name, "fuzz")->make(info, "fuzz").prepare(DecodedSpec::array(Type::int32, chunk));
        std::vector<std::byte> out(240), scratch(codec.scratch_bytes());
        codec.decode(bytes, out, scratch);
      });
  }
  return 0;
}
