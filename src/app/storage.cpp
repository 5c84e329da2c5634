#include "storage.hpp"

#include <algorithm>
#include <morsel/io/zarr_metadata.hpp>
#include <morsel/io/zarr_sink.hpp>
#include <nlohmann/json.hpp>

#include "session.hpp"

namespace morsel::app {
namespace {

ChunkSpec lengths(const Shape& shape) {
  return ChunkSpec(std::vector<AxisChunks>(shape.begin(), shape.end()));
}

/// The codecs of the innermost chunks, with the transposes around them.
std::vector<CodecInfo> without_shards(std::vector<CodecInfo> codecs) {
  while (!codecs.empty() && codecs.back().name == "sharding_indexed") {
    const auto configuration = nlohmann::ordered_json::parse(codecs.back().configuration);
    codecs.pop_back();
    for (CodecInfo& codec : zarr_codecs(configuration.at("codecs").dump(), DType(), 3))
      codecs.push_back(std::move(codec));
  }
  return codecs;
}

}  // namespace

ChunkSpec chunks_argument(const std::string& text, const char* option) {
  if (text.empty()) return {};
  try {
    return ChunkSpec::parse(text);
  } catch (const Error& error) {
    throw UsageError(std::string(option) + ": " + error.what());
  }
}

FormatOptions format_options(const StorageArguments& arguments) {
  FormatOptions options;
  const std::string& format = arguments.format;
  if (format == "zarr2" || format == "zarr_v2" || format == "v2")
    options.emplace_back("zarr_format", "2");
  else if (format == "zarr3" || format == "zarr_v3" || format == "v3")
    options.emplace_back("zarr_format", "3");
  else if (!format.empty() && format != "zarr")
    throw UsageError("--format " + format + ": no such format; expected zarr3 or zarr2, got '" + format +
                     "'");
  if (!arguments.fill_value.empty()) options.emplace_back("fill_value", arguments.fill_value);
  return options;
}

FormatOptions zarr_format_option(const StorageArguments& arguments) {
  return format_options({{}, {}, {}, arguments.format, {}});
}

std::vector<SaveOptions> storage_of(const OpenedArray& source, const StorageArguments& arguments,
                                    int zarr_format) {
  const ArraySpec& spec = source.source.spec();
  const bool is_zarr = spec.format == "zarr_v3" || spec.format == "zarr_v2";
  SaveOptions base;
  base.options = format_options(arguments);
  std::erase_if(base.options, [](const auto& option) { return option.first == "zarr_format"; });
  base.options.emplace_back("zarr_format", std::to_string(zarr_format));
  if (arguments.fill_value.empty() && is_zarr && spec.fill.size() == spec.dtype.item_bytes())
    base.options.emplace_back("fill_value", zarr_v3_fill_json(spec.dtype, spec.fill));
  base.chunks = chunks_argument(arguments.chunks, "--chunks");
  if (base.chunks.is_default() && !spec.stored_chunks.empty()) base.chunks = lengths(spec.stored_chunks);

  const auto in_names_of_target = [&](const std::vector<CodecInfo>& codecs) {
    return to_json(zarr_format == 3 ? zarr_v3_codecs(codecs, spec.dtype) : codecs);
  };
  std::vector<SaveOptions> ways;
  // Shards as they are, nested ones and codecs of their indices included, are codecs like others.
  if (is_zarr && arguments.chunks.empty() && arguments.shards.empty() && arguments.codec.empty() &&
      !spec.stored_shards.empty()) {
    ways.push_back(base);
    ways.back().chunks = lengths(spec.stored_shards);
    ways.back().codec = in_names_of_target(spec.codecs);
  }
  std::vector<ChunkSpec> shards{ChunkSpec()};
  if (arguments.shards.empty()) {
    if (!spec.stored_shards.empty()) shards.insert(shards.begin(), lengths(spec.stored_shards));
  } else if (arguments.shards != "none") {
    shards = {chunks_argument(arguments.shards, "--shards")};
  }
  std::vector<std::string> codecs{arguments.codec};
  if (arguments.codec.empty() && is_zarr)
    codecs.insert(codecs.begin(), in_names_of_target(without_shards(spec.codecs)));
  for (const ChunkSpec& shard : shards)
    for (const std::string& codec : codecs) {
      ways.push_back(base);
      ways.back().shards = shard;
      ways.back().codec = codec;
    }
  return ways;
}

std::vector<SaveOptions> storage_in_one_file(const OpenedArray& source, const StorageArguments& arguments) {
  const ArraySpec& spec = source.source.spec();
  SaveOptions base;
  if (!arguments.fill_value.empty())
    base.options.emplace_back("fill_value", arguments.fill_value);
  else if (spec.fill.size() == spec.dtype.item_bytes() &&
           std::any_of(spec.fill.begin(), spec.fill.end(), [](std::byte b) { return b != std::byte{0}; }))
    base.options.emplace_back("fill_value", zarr_v3_fill_json(spec.dtype, spec.fill));
  base.chunks = chunks_argument(arguments.chunks, "--chunks");
  base.codec = arguments.codec;
  std::vector<SaveOptions> ways{base};
  if (base.chunks.is_default() && !spec.stored_chunks.empty()) {
    ways.insert(ways.begin(), base);
    ways[0].chunks = lengths(spec.stored_chunks);
  }
  if (arguments.codec.empty() && spec.format == "hdf5" && !spec.stored_chunks.empty()) {
    ways.insert(ways.begin(), ways[0]);
    ways[0].codec = spec.codecs.empty() ? "none" : to_json(spec.codecs);
  }
  return ways;
}

SavePlan plan_first(const std::vector<SaveOptions>& ways, const Saving& saving) {
  for (std::size_t i = 0; i + 1 < ways.size(); ++i) {
    try {
      return plan_save(ways[i], {saving});
    } catch (const Error& error) {
      if (error.code() != Errc::unsupported && error.code() != Errc::invalid_argument &&
          error.code() != Errc::corrupt_data)
        throw;
    }
  }
  return plan_save(ways.back(), {saving});
}

}  // namespace morsel::app
