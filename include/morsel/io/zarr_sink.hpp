// Chunks into a Zarr array: the sink behind save().
#pragma once

#include <memory>
#include <morsel/io/chunk_sink.hpp>
#include <morsel/io/store.hpp>
#include <morsel/io/store_key.hpp>
#include <morsel/io/zarr_metadata.hpp>
#include <optional>
#include <string>

namespace morsel::inline MORSEL_ABI {

struct ZarrSinkOptions {
  bool overwrite = false;
  /// Goes on with a save of the same fingerprint that did not come to its end; chunks that are there are not
  /// written again.
  bool resume = false;
  std::string fingerprint;        ///< names the plan: what is computed, from what, into which array
  bool omit_empty_chunks = true;  ///< chunks that hold nothing but the fill value are not written
  bool consolidate = false;       ///< commit writes the consolidated metadata of the root group
  bool with_others = false;       ///< commit keeps the journal, for a resume of all arrays; settle removes it
  bool fsync = false;             ///< the directories that commit exchanges are on the disk, too
  std::optional<Dims> origin = {};  ///< writes into an array that is there, from this position on
  bool appends = false;             ///< with `origin`: the array gets the shape of the given one
  std::string documents;  ///< with `origin`: ZarrNode::documents_text of the array as it was planned
};

/// Writes whole storage chunks (shards, where there are some), each encoded in memory and put as one value.
///
/// The first write makes the array: its groups, a journal with the fingerprint, its document. `commit`
/// removes the journal. A writer that is killed, fails or is cancelled leaves an array that opens, whose
/// chunks are whole or absent, and the journal, by which a later save resumes. Overwriting goes to a
/// directory of a hidden name, which `commit` exchanges for the target; in a store without directories the
/// old array is erased first.
///
/// What has come to its end is known by the journal, or by an extended attribute of the array's document
/// where the file system has some: resuming it writes nothing.
///
/// Into an array that is there (`origin`): chunks that the region covers in part are read, changed and put.
/// Saves that would spoil each other's chunks are refused (already_exists) at their first write, or wait for
/// each other chunk by chunk.
class ZarrSink {
 public:
  /// `shape`: of what is written; the array's own unless there is an origin. `root`: the directory that the
  /// store is, or "". **Fails**: already_exists; invalid_argument; unsupported, as CodecChain.
  ZarrSink(AnyStore store, std::string root, std::string path, const ZarrArray& array, const Shape& shape,
           const ZarrSinkOptions& options);

  const SinkSpec& spec() const;
  std::size_t scratch_bytes(const Region& region) const;
  /// True if a resumed save finds the chunk written; it is not written again.
  bool has(const Region& region) const;
  void write(const Region& region, const BufferView& values, std::span<std::byte> scratch,
             std::stop_token stop);
  void commit();
  void settle();
  std::string identity() const;
  std::vector<std::string> files() const { return {place_of_identity(identity())}; }

 private:
  struct State;
  std::shared_ptr<State> state_;
};
static_assert(ChunkSink<ZarrSink>);

/// Codecs by a short text, for elements of `dtype`: "none", "zstd:3", "gzip:6", "blosc-lz4:5:shuffle",
/// several joined by '+' ("zstd+crc32c"), or a JSON list as in zarr.json. Empty: what suits the dtype and is
/// in this build. **Fails**: syntax_error, unsupported.
std::vector<CodecInfo> zarr_codecs(std::string_view text, const DType& dtype, int zarr_format);
/// Codecs of a version 2 array, in the names that version 3 has for them; those that it has none for stay.
std::vector<CodecInfo> zarr_v3_codecs(std::vector<CodecInfo> codecs, const DType& dtype);
/// The list as in zarr.json, which zarr_codecs() reads.
std::string to_json(const std::vector<CodecInfo>& codecs);

namespace detail {
/// Puts the documents of a group.
void put_group(const AnyStore& store, const std::string& path, const Attributes& attributes, int zarr_format);
/// Puts those of the groups above a path that are not there yet.
void make_groups(const AnyStore& store, const std::string& path, int zarr_format);
/// Where a directory grows that will take the place of another one: beside it, under a hidden name.
std::string replacement_of(const std::string& directory);
/// Puts a new directory in the place of an old one, in one step where the file system can, and removes the
/// old one.
void replace_directory(const std::string& made, const std::string& target, const std::string& doing);
/// Removes the temporary files that a killed writer has left below a directory.
void remove_temporaries(const std::string& directory);
}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/zarr_sink.ipp>
#endif
