#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/xattr.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <morsel/io/attributes_json.hpp>
#include <morsel/io/file_store.hpp>
#include <morsel/io/impl/array_claim.hpp>
#include <morsel/io/impl/codec_chain.ipp>
#include <morsel/io/impl/shard.ipp>
#include <morsel/io/impl/shard_levels.hpp>
#include <morsel/io/store_key.hpp>
#include <morsel/io/zarr_hierarchy.hpp>
#include <morsel/io/zarr_sink.hpp>
#include <morsel/io/zarr_source.hpp>
#include <mutex>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// In the array's directory while it is being written.
inline constexpr std::string_view journal_name = ".morsel-save";
/// The extended attribute of an array's document that says what the array was saved from.
inline constexpr const char* mark_name = "user.morsel.saved";
/// A directory that will take the place of another one.
inline constexpr std::string_view replacement_prefix = ".morsel-tmp-new-";

inline std::span<const std::byte> bytes_of_text(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

MORSEL_INLINE std::string replacement_of(const std::string& directory) {
  const std::filesystem::path target(directory);
  return (target.parent_path() / (std::string(replacement_prefix) + target.filename().string())).string();
}

MORSEL_INLINE void replace_directory(const std::string& made, const std::string& target,
                                     const std::string& doing) {
  const auto rename = [&](const std::string& from, const std::string& to, unsigned flags) {
    return ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags) == 0;
  };
  std::string old = made;
  if (!rename(made, target, RENAME_EXCHANGE)) {
    // Some network file systems cannot exchange.
    old = made + "-old";
    if (!rename(target, old, 0) || !rename(made, target, 0))
      fail_errno(errno, doing + ": exchanging the directory for the new one");
  }
  std::error_code error;
  std::filesystem::remove_all(old, error);
  if (error) fail(Errc::io_error, doing + ": removing what was there before: " + error.message());
}

MORSEL_INLINE void remove_temporaries(const std::string& directory) {
  namespace fs = std::filesystem;
  std::error_code error;
  std::vector<fs::path> left;
  for (fs::recursive_directory_iterator at(directory, error), end; !error && at != end; at.increment(error))
    if (at->is_regular_file(error) && at->path().filename().string().starts_with(temporary_prefix))
      left.push_back(at->path());
  for (const fs::path& path : left) fs::remove(path, error);
}

MORSEL_INLINE void put_group(const AnyStore& store, const std::string& path, const Attributes& attributes,
                             int format) {
  const std::string text = to_json(attributes, 2);
  const auto put = [&](const char* name, const std::string& document) {
    store.put(joined(path, name), bytes_of_text(document));
  };
  if (format == 3)
    return put("zarr.json",
               "{\n  \"zarr_format\": 3,\n  \"node_type\": \"group\",\n  \"attributes\": " + text + "\n}\n");
  put(".zgroup", "{\n  \"zarr_format\": 2\n}\n");
  if (!attributes.empty()) put(".zattrs", text + "\n");
}

MORSEL_INLINE void make_groups(const AnyStore& store, const std::string& path, int format) {
  for (std::size_t end = path.empty() ? std::string::npos : 0; end != std::string::npos;) {
    const std::string above = path.substr(0, end);
    if (!store.size(joined(above, format == 3 ? "zarr.json" : ".zgroup")))
      put_group(store, above, {}, format);
    end = path.find('/', end == 0 ? 0 : end + 1);
  }
}

/// The part of a partition that lies in [begin, end), as a partition of its own.
MORSEL_INLINE AxisGrid cut_out(const AxisGrid& axis, Index begin, Index end) {
  if (begin >= end) return AxisGrid::regular(0, 1);
  const Index first = axis.chunk_of(begin), last = axis.chunk_of(end - 1);
  if (axis.is_regular() && last > first)
    return AxisGrid::regular(end - begin, last - first > 1 ? axis.length(first + 1) : end - axis.begin(last),
                             axis.end(first) - begin);
  std::vector<Index> lengths;
  for (Index k = first; k <= last; ++k)
    lengths.push_back(std::min(axis.end(k), end) - std::max(axis.begin(k), begin));
  return AxisGrid::from_lengths(lengths);
}

}  // namespace detail

struct ZarrSink::State {
  AnyStore store;
  std::string root, path, doing;
  std::string target_path;  // in the hierarchy; `path` is in `store`, which may be the replacement
  ZarrArray array;
  ZarrSinkOptions options;
  SinkSpec spec;
  Dims origin;
  std::optional<ShardFormat> shard;
  std::vector<std::size_t> order;  // axis i of the shard's index is axis order[i] of the array
  CodecChain chain;                // of the innermost chunks
  std::optional<ZarrSource> existing;
  std::string directory, replacement;  // of the array, "" without; of what takes its place at the end
  enum class Found : std::uint8_t {
    nothing,     ///< in the way
    unfinished,  ///< a save of this plan
    complete     ///< what this plan makes
  };
  Found found = Found::nothing;
  std::mutex mutex;
  bool begun = false;
  std::optional<detail::ArrayClaim> claim;  // while it writes

  std::string key(std::string_view name) const { return detail::joined(path, name); }
  std::vector<std::pair<std::string, std::string>> documents() const {
    if (array.format == "zarr_v3") return {{"zarr.json", zarr_v3_json(array)}};
    ZarrV2Documents v2 = zarr_v2_json(array);
    std::vector<std::pair<std::string, std::string>> out{{".zarray", std::move(v2.zarray)}};
    if (!v2.zattrs.empty()) out.emplace_back(".zattrs", std::move(v2.zattrs));
    return out;
  }
  std::string target_identity() const {
    if (!replacement.empty()) return FileStore(directory).identity();
    return path.empty() ? store.identity() : store.identity() + "/" + path;
  }
  bool exists() const {
    return store.size(key("zarr.json")) || store.size(key(".zarray")) || store.size(key(".zgroup")) ||
           store.size(key("attributes.json"));
  }
  std::string journal_text(Found state) const {
    std::string text = state == Found::complete ? "morsel save, complete, others of the same run may not be\n"
                                                : "morsel save, resume with the same plan only\n";
    text += options.fingerprint + "\n";
    for (const auto& [name, document] : documents()) text += document;
    return text;
  }
  std::optional<std::string> journal() const { return get_text(store, key(detail::journal_name)); }
  void put_text(const std::string& at, const std::string& text) const {
    store.put(at, detail::bytes_of_text(text));
  }
  bool origin_given() const { return options.origin.has_value(); }

  // What has been saved to the end is known by an attribute of the document's file, in which no reader sees
  // it: a hash of the journal. It goes with the file where somebody else replaces it.
  std::string marked_file() const {
    const std::string& place = replacement.empty() ? directory : replacement;
    return place.empty() ? "" : place + "/" + (array.format == "zarr_v3" ? "zarr.json" : ".zarray");
  }
  std::string mark() const {
    std::uint64_t hash = 14695981039346656037u;  // FNV-1a
    for (const char c : journal_text(Found::complete))
      hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
    return std::to_string(hash);
  }
  bool is_marked() const {
#if defined(__linux__)
    char text[32];
    const ssize_t n = ::getxattr(marked_file().c_str(), detail::mark_name, text, sizeof text);
    return n > 0 && std::string_view(text, static_cast<std::size_t>(n)) == mark();
#else
    return false;
#endif
  }
  void set_mark() const {
#if defined(__linux__)
    const std::string text = mark();
    ::setxattr(marked_file().c_str(), detail::mark_name, text.data(), text.size(), 0);
#endif
  }
  void remove_mark() const {
#if defined(__linux__)
    ::removexattr(marked_file().c_str(), detail::mark_name);
#endif
  }

  /// What stands at the target. **Fails**: already_exists for what this save may not touch.
  Found look() const {
    const std::optional<std::string> there = journal();
    if (options.resume) {
      if (there && *there == journal_text(Found::unfinished)) return Found::unfinished;
      if (is_complete(there)) return Found::complete;
      if (there)
        fail(Errc::already_exists,
             doing +
                 ": an unfinished save of something else is there; expected the same "
                 "arrays, sources, chunks and codecs to resume it, or overwrite, got others");
    }
    if (options.overwrite) return Found::nothing;
    if (there)
      fail(Errc::already_exists,
           doing + ": an unfinished save is there; expected resume or overwrite, got neither");
    if (exists())
      fail(Errc::already_exists,
           doing + ": the target exists; expected overwrite, a region or another path" +
               (options.resume ? ", got a finished array that is not known to be the same, and resume" : ""));
    return Found::nothing;
  }
  bool is_complete(const std::optional<std::string>& journal) const {
    if (journal ? *journal != journal_text(Found::complete) : !is_marked()) return false;
    for (const auto& [name, text] : documents())
      if (get_text(store, key(name)) != text) return false;
    return true;
  }

  static void erase_all(const AnyStore& store, const std::string& below) {
    std::vector<std::string> keys;
    store.list(below, [&](std::string_view key) { keys.emplace_back(key); });
    // Documents first: what is half erased does not open.
    for (const std::string& key : keys)
      if (key.back() != '/') store.erase(key);
    for (const std::string& key : keys)
      if (key.back() == '/') erase_all(store, key.substr(0, key.size() - 1));
  }

  /// Chunks of an array that is no longer there.
  void erase_chunks() const {
    std::vector<std::string> keys;
    store.list(path, [&](std::string_view found) {
      const std::string_view name = found.substr(path.empty() ? 0 : path.size() + 1);
      const bool named_by_number = !name.empty() && name[0] >= '0' && name[0] <= '9';
      const bool is_chunk = array.keys.style == ChunkKeys::Style::v3
                                ? name == "c" || name == "c/" || name.starts_with("c.")
                                : named_by_number;
      if (is_chunk) keys.emplace_back(found);
    });
    for (const std::string& found : keys)
      if (found.back() == '/')
        erase_all(store, found.substr(0, found.size() - 1));
      else
        store.erase(found);
  }
  /// Documents that are not as they should be; a run that was killed may have left some out.
  void put_documents() const {
    for (const auto& [name, text] : documents())
      if (get_text(store, key(name)) != text) put_text(key(name), text);
  }

  /// Claims the array, sees that it is what it was when the save was planned, and makes it.
  void begin() {
    const std::lock_guard lock(mutex);
    if (begun) return;
    if (found == Found::complete && replacement.empty()) {
      begun = true;
      return;
    }
    if (!directory.empty() && !origin_given())
      detail::open_parent(FileStore(root).root(), detail::joined(target_path, detail::journal_name),
                          options.fsync);
    claim.emplace(target_identity(), directory, writes(), doing);
    try {
      if (origin_given())
        check_documents();
      else
        make();
    } catch (...) {
      claim.reset();
      throw;
    }
    begun = true;
  }
  detail::Writes writes() const {
    if (!origin_given() || options.appends) return detail::Writes::everything;
    for (std::size_t i = 0; i < origin.size(); ++i) {
      const AxisGrid& axis = array.grid.axis(i);
      const Index end = origin[i] + spec.grid.axis(i).extent(), length = array.chunk_shape[i];
      if (origin[i] % length != 0 || (end % length != 0 && end != axis.extent()))
        return detail::Writes::parts;
    }
    return detail::Writes::whole_chunks;
  }
  void check_documents() const {
    const std::optional<ZarrNode> node = ZarrHierarchy(store).find(path);
    if (!node || node->documents_text != options.documents)
      fail(Errc::source_changed, doing +
                                     ": the array has changed since the save was planned; expected its "
                                     "documents as they were, got " +
                                     (node ? "others" : "none"));
    if (journal())
      fail(Errc::already_exists,
           doing + ": an unfinished save of the array is there; expected it to be resumed first");
    remove_mark();
  }
  void make() const {
    const Found now = look();
    if (now != found && !(found == Found::unfinished && now == Found::complete))
      fail(Errc::source_changed, doing +
                                     ": the target has changed since the save was planned; expected it as it "
                                     "was, got another state");
    if (now == Found::complete) return;
    if (now == Found::nothing) {
      if (!replacement.empty()) {
        std::error_code ignored;
        std::filesystem::remove_all(replacement, ignored);
      } else if (options.overwrite) {
        erase_all(store, path);
      }
      erase_chunks();
      put_text(key(detail::journal_name), journal_text(Found::unfinished));
    }
    if (replacement.empty()) {
      const std::lock_guard lock(detail::mutex_of(store.identity()));
      detail::make_groups(store, path, array.format == "zarr_v3" ? 3 : 2);
    }
    put_documents();
  }

  /// Says that all of the array is there.
  void complete() const {
    if (found != Found::complete && options.with_others)
      put_text(key(detail::journal_name), journal_text(Found::complete));
    if (!is_marked()) set_mark();
    if (!options.with_others) store.erase(key(detail::journal_name));
  }

  /// Consolidated metadata that is there must not grow stale; new one is made on request.
  void refresh_consolidated(const AnyStore& hierarchy, int format) const {
    if (target_path.empty()) return;
    const std::optional<std::string> text = get_text(hierarchy, format == 3 ? "zarr.json" : ".zmetadata");
    const bool is_there =
        text && (format == 2 || text->find("\"consolidated_metadata\"") != std::string::npos);
    // Two that read the documents at one time would each leave out what the other has written.
    const std::lock_guard lock(detail::mutex_of(hierarchy.identity()));
    if (options.consolidate || is_there) consolidate_metadata(hierarchy, format);
  }

  /// Gives the document of an array that has been appended to its new shape; all else in it stays.
  void resize() const {
    const std::string at = key(array.format == "zarr_v3" ? "zarr.json" : ".zarray");
    const std::string text = get_text(store, at).value_or("");
    nlohmann::ordered_json document = nlohmann::ordered_json::parse(quote_non_finite(text), nullptr, false);
    if (!document.is_object() || !document.contains("shape"))
      fail(Errc::source_changed,
           doing + ": the array's document has changed; expected a shape in '" + at + "'");
    nlohmann::ordered_json shape = nlohmann::ordered_json::array();
    for (const Index n : array.grid.shape()) shape.push_back(n);
    if (document["shape"] == shape) return;
    document["shape"] = shape;
    put_text(at, document.dump(2) + "\n");
  }

  /// Position of the storage chunk that holds a region of the sink.
  Dims chunk_of(const Region& region) const {
    Dims chunk(region.rank());
    for (std::size_t i = 0; i < chunk.size(); ++i)
      chunk[i] = array.grid.axis(i).chunk_of(region.lo[i] + origin[i]);
    return chunk;
  }
  std::size_t chunk_bytes() const {
    return static_cast<std::size_t>(size_of(array.chunk_shape)) * array.dtype.item_bytes();
  }
  /// Are there chunks of which not all is written?
  bool pads_chunks() const {
    bool pads = existing.has_value();
    for (std::size_t i = 0; i < array.chunk_shape.size(); ++i)
      pads |= array.grid.shape()[i] % array.chunk_shape[i] != 0;
    return pads;
  }
  std::size_t most_encoded() const {
    return shard ? shard->max_encoded_bytes(chain) : chain.max_encoded_bytes();
  }
  std::size_t encode_scratch_bytes() const {
    return shard ? shard->encode_scratch_bytes(chain) : chain.c_order_encode_scratch_bytes();
  }
  /// What chunks are left out for that hold nothing else.
  std::vector<std::byte> omitted() const {
    return options.omit_empty_chunks ? array.fill : std::vector<std::byte>();
  }

  /// The stored bytes of a whole chunk in C order, into `out`; 0: nothing but fill values.
  std::size_t encode(const BufferView& chunk, std::span<std::byte> out, std::span<std::byte> scratch) const {
    if (options.omit_empty_chunks && detail::holds_only(chunk, array.fill)) return 0;
    if (!shard) return chain.encode(chunk, out, scratch);
    const BufferView seen{chunk.data, chunk.item_bytes, detail::permuted(chunk.shape, order),
                          detail::permuted(chunk.strides, order)};
    return shard->encode(chain, seen, omitted(), out, scratch);
  }
};

MORSEL_INLINE ZarrSink::ZarrSink(AnyStore store, std::string root, std::string path, const ZarrArray& array,
                                 const Shape& shape, const ZarrSinkOptions& options)
    : state_(std::make_shared<State>()) {
  State& s = *state_;
  s.doing = "save '" + (root.empty() ? store.identity() : root) + (path.empty() ? "" : "/" + path) + "'";
  s.store = std::move(store);
  s.root = std::move(root);
  s.path = s.target_path = std::move(path);
  s.array = array;
  s.options = options;
  const std::size_t rank = array.grid.rank();
  s.origin = options.origin.value_or(Dims(rank, 0));
  if (!array.chunk_lengths.empty() || array.is_bounded)
    fail(Errc::unsupported, s.doing + ": writing chunks of unequal lengths; expected a regular grid, got " +
                                to_string(array.grid));
  if (s.array.fill.empty()) s.array.fill.assign(array.dtype.item_bytes(), std::byte{0});

  std::vector<AxisGrid> axes;
  for (std::size_t i = 0; i < rank; ++i)
    axes.push_back(detail::cut_out(array.grid.axis(i), s.origin[i], s.origin[i] + shape[i]));
  s.spec.dtype = array.dtype;
  s.spec.grid = Grid(std::move(axes));

  // Transposes before shards turn the index; those of plain chunks are the chain's.
  std::vector<CodecInfo> codecs = array.codecs;
  Shape seen = array.chunk_shape;
  s.order = detail::identity_order(rank);
  s.shard = detail::take_shards(codecs, seen, s.order, s.doing);
  s.chain = CodecChain(codecs, array.dtype, seen, s.doing, s.omitted(), array.mends);

  if (!s.root.empty()) s.directory = detail::joined(s.root, s.path);
  while (s.directory.size() > 1 && s.directory.back() == '/') s.directory.pop_back();
  if (!s.origin_given()) s.documents();  // what the format cannot say is refused before anything is written
  if (s.origin_given()) {
    if (s.journal())
      fail(Errc::already_exists,
           s.doing + ": an unfinished save of the array is there; expected it to be resumed first");
    s.existing = ZarrSource(s.store, s.path, array, {}, s.doing);
    return;
  }
  if (options.overwrite && !s.root.empty() && !(options.resume && s.is_complete(s.journal()))) {
    // A directory of its own, beside the one that it will replace.
    std::error_code error;
    const auto home = std::filesystem::weakly_canonical(s.root, error);
    const auto above =
        std::filesystem::weakly_canonical(std::filesystem::path(s.directory).parent_path(), error);
    if (!s.path.empty() && above != home && !above.string().starts_with(home.string() + "/"))
      fail(Errc::invalid_argument,
           s.doing + ": a symbolic link leads out of the hierarchy; expected a path inside, got '" +
               above.string() + "'");
    struct stat status;
    if (::lstat(s.directory.c_str(), &status) == 0) {
      if (!S_ISDIR(status.st_mode))
        fail(Errc::invalid_argument,
             s.doing + ": the target is no directory; expected a directory or nothing, got a file");
      s.replacement = detail::replacement_of(s.directory);
      s.store = FileStore(s.replacement, {.fsync = options.fsync});
      s.path.clear();
    }
  }
  s.found = s.look();
}

MORSEL_INLINE const SinkSpec& ZarrSink::spec() const { return state_->spec; }

MORSEL_INLINE std::size_t ZarrSink::scratch_bytes(const Region&) const {
  const State& s = *state_;
  std::size_t bytes = (s.pads_chunks() ? round_up(s.chunk_bytes(), 64) : 0) + round_up(s.most_encoded(), 64);
  std::size_t work = s.encode_scratch_bytes();
  if (s.existing) {
    const FetchCost cost = s.existing->most_cost();
    work = std::max(work, round_up(cost.encoded_bytes, 64) + cost.scratch_bytes + cost.strided_scratch_bytes);
  }
  return bytes + work;
}

MORSEL_INLINE bool ZarrSink::has(const Region& region) const {
  const State& s = *state_;
  if (s.found == State::Found::complete) return true;
  // A machine that lost its power may have left an empty file.
  return s.found == State::Found::unfinished &&
         s.store.size(s.key(s.array.keys.key(s.chunk_of(region)))).value_or(0) > 0;
}

MORSEL_INLINE void ZarrSink::write(const Region& region, const BufferView& values,
                                   std::span<std::byte> scratch, std::stop_token stop) {
  State& s = *state_;
  s.begin();
  if (has(region)) return;
  const Dims chunk = s.chunk_of(region);
  const Region box = s.array.grid.region(chunk);  // clipped to the array
  Region target = region;
  for (std::size_t i = 0; i < s.origin.size(); ++i) target.lo[i] += s.origin[i], target.hi[i] += s.origin[i];
  if (!box.contains(target))
    fail(Errc::internal_error, s.doing + ": a write across storage chunks; expected a region of " +
                                   to_string(box) + ", got " + to_string(target));
  const std::size_t item = s.array.dtype.item_bytes();
  BufferView whole = values;
  std::size_t at = 0;
  const auto take = [&](std::size_t bytes) {
    const std::span<std::byte> room = scratch.subspan(at, bytes);
    at += round_up(bytes, 64);
    return room;
  };
  const std::span<std::byte> chunk_room = take(s.pads_chunks() ? s.chunk_bytes() : 0),
                             encoded = take(s.most_encoded());
  const std::span<std::byte> work = scratch.subspan(at);
  const std::string key = s.key(s.array.keys.key(chunk));
  // Other saves of this process may be changing another part of the chunk.
  std::unique_lock<std::mutex> turn;
  if (s.origin_given()) turn = std::unique_lock(detail::mutex_of(s.target_identity() + "/" + key));
  if (values.shape != s.array.chunk_shape) {
    whole = BufferView::c_order(chunk_room.data(), s.array.chunk_shape, item);
    Region stored = box;
    for (std::size_t i = 0; i < stored.hi.size(); ++i) stored.hi[i] = stored.lo[i] + s.array.chunk_shape[i];
    if (target != box && s.existing) {
      // The rest of the chunk as it is.
      fill_elements(whole, s.array.fill.data());
      const Dims native = [&] {
        Dims position(box.rank());
        for (std::size_t i = 0; i < position.size(); ++i)
          position[i] = s.existing->spec().grid.axis(i).chunk_of(box.lo[i]);
        return position;
      }();
      const FetchCost cost = s.existing->cost(native, box);
      if (const std::size_t bytes =
              round_up(cost.encoded_bytes, 64) + cost.scratch_bytes + cost.strided_scratch_bytes;
          bytes > work.size())
        fail(Errc::internal_error, s.doing +
                                       ": reading a chunk takes more memory than planned; expected at most " +
                                       std::to_string(work.size()) + " bytes, got " + std::to_string(bytes));
      const std::span<std::byte> room = work.first(cost.encoded_bytes);
      const Fetched fetched = s.existing->fetch(native, box, room, FetchMode::wait, std::move(stop));
      if (fetched.state == Fetched::State::filled) {
        const BufferView there = whole.part(stored, box);
        if (cost.in_place) {
          const BufferView inside = BufferView::c_order(room.data(), box.shape(), item);
          s.existing->decode(native, box, room.first(fetched.encoded_bytes), inside, {});
          copy_elements(inside, there);
        } else {
          s.existing->decode(native, box, room.first(fetched.encoded_bytes), there,
                             work.subspan(round_up(cost.encoded_bytes, 64)));
        }
      }
    } else if (target != stored) {
      fill_elements(whole, s.array.fill.data());
    }
    copy_elements(values, whole.part(stored, target));
  }
  const std::size_t n = s.encode(whole, encoded, work);
  if (n != 0)
    s.store.put(key, encoded.first(n));
  else
    s.store.erase(key);
}

MORSEL_INLINE void ZarrSink::commit() {
  State& s = *state_;
  s.begin();
  const int format = s.array.format == "zarr_v2" ? 2 : 3;
  if (s.origin_given()) {
    if (s.options.appends) s.resize();
    s.refresh_consolidated(s.store, format);
    s.claim.reset();
    return;
  }
  if (s.found == State::Found::unfinished) {
    const std::string& place = s.replacement.empty() ? s.directory : s.replacement;
    if (!place.empty()) detail::remove_temporaries(place);
  }
  s.put_documents();
  if (s.replacement.empty()) s.refresh_consolidated(s.store, format);
  s.complete();
  if (!s.replacement.empty()) {
    detail::replace_directory(s.replacement, s.directory, s.doing);
    if (s.options.fsync) {
      const std::string above = std::filesystem::path(s.directory).parent_path().string();
      if (!detail::flush_directory(AT_FDCWD, above.empty() ? "." : above.c_str()))
        fail_errno(errno, s.doing + ": flushing the directory above");
    }
    s.replacement.clear();
    s.path = s.target_path;
    s.store = FileStore(s.root, {.fsync = s.options.fsync});
    s.refresh_consolidated(s.store, format);
  }
  if (!s.options.with_others) s.claim.reset();
}

MORSEL_INLINE void ZarrSink::settle() {
  State& s = *state_;
  if (s.options.with_others && !s.origin_given()) s.store.erase(s.key(detail::journal_name));
  s.claim.reset();
}

MORSEL_INLINE std::string ZarrSink::identity() const { return state_->target_identity(); }

}  // namespace morsel::inline MORSEL_ABI
