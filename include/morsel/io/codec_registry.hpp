// Which codecs there are, by the names that metadata documents call them.
#pragma once

#include <functional>
#include <morsel/io/codec.hpp>
#include <morsel/io/codec_info.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// Where a codec stands in a chain: any number that turn arrays into arrays, one that makes bytes, any number
/// that turn bytes into bytes.
enum class CodecKind : std::uint8_t { array_to_array, array_to_bytes, bytes_to_bytes };

/// A codec as metadata names it. Zarr v3 names stand as they are ("zstd"); the codecs of numcodecs, which
/// Zarr v2 uses, are "numcodecs." and their id, with the configuration of v2 less its "id"; those of N5 alone
/// are "n5." and their type.
struct CodecDefinition {
  std::vector<std::string> names;
  CodecKind kind = CodecKind::bytes_to_bytes;
  /// Makes the codec. `doing` starts every message: "open 'x.zarr/a'". **Fails**: corrupt_data for a
  /// configuration that says nothing; unsupported for what the library cannot do.
  std::function<AnyCodec(const CodecInfo& info, const std::string& doing)> make;
};

/// Adds a codec, or replaces those of the same names. **Threads**: any, at any time.
void register_codec(CodecDefinition definition);

/// The codec that a document names. **Fails**: unsupported for a name nobody has registered, with what would
/// bring it: the library that this build lacks, or why no build has it.
std::shared_ptr<const CodecDefinition> find_codec(const std::string& name, const std::string& doing);

/// Names of all codecs of this build, sorted.
std::vector<std::string> codec_names();

/// A list of codecs as Zarr v3 documents have it ("bytes" or {"name", "configuration"}, also within the
/// configuration of another codec), in the registry's names. A codec that need not be understood and is not
/// registered is left out. **Fails**: corrupt_data.
std::vector<CodecInfo> parse_zarr_codecs(std::string_view json_list, const std::string& doing);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/codec_registry.ipp>
#endif
