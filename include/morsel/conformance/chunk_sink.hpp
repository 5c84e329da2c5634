// The laws of a ChunkSink as a suite that any implementation can be run through.
#pragma once

#include <cstdint>
#include <functional>
#include <morsel/io/chunk_sink.hpp>
#include <optional>
#include <vector>

namespace morsel::inline MORSEL_ABI {

namespace conformance {

/// What a reader may see of a target before `commit`.
enum class Visibility : std::uint8_t {
  at_commit,  ///< nothing: a file
  by_chunk    ///< whole chunks: a chunked store
};

struct SinkCheckOptions {
  std::uint64_t seed = 1;
  int threads = 4;
  int rounds = 4;  ///< arrays written, each with other values, cut and order
  Visibility visibility = Visibility::at_commit;
};

/// Elements in C order of what stands at the target; nothing if there is nothing to read.
using ReadBack = std::function<std::optional<std::vector<std::byte>>()>;

/// Writes arrays in random pieces and order, from several threads, from wild strides, and reads them back.
/// `make_sink` gives a sink on a fresh, empty target each time; `read_back` reads the target of the last one.
/// **Fails**: internal_error naming the law that is violated; what the sink fails with.
void check_sink(const std::function<AnyChunkSink()>& make_sink, const ReadBack& read_back,
                const SinkCheckOptions& options = {});

}  // namespace conformance

}  // namespace morsel::inline MORSEL_ABI

#include <morsel/conformance/impl/chunk_sink.ipp>
