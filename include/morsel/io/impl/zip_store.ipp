#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <morsel/base/bytes.hpp>
#include <morsel/io/impl/inflater.hpp>
#include <morsel/io/impl/sorted_keys.hpp>
#include <morsel/io/store_key.hpp>
#include <morsel/io/zip_store.hpp>
#include <numeric>

#if MORSEL_HAVE_DEFLATE
#include <libdeflate.h>
#endif

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// The CRC-32 of zip over `bytes`, going on from `crc` (0 at first).
MORSEL_INLINE std::uint32_t zip_crc32(std::uint32_t crc, std::span<const std::byte> bytes) {
#if MORSEL_HAVE_DEFLATE
  return libdeflate_crc32(crc, bytes.data(), bytes.size());
#else
  static constexpr std::array<std::uint32_t, 256> table = [] {
    std::array<std::uint32_t, 256> made{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? 0xedb88320u : 0u);
      made[i] = value;
    }
    return made;
  }();
  crc = ~crc;
  for (const std::byte b : bytes) crc = crc >> 8 ^ table[(crc ^ std::to_integer<std::uint32_t>(b)) & 255];
  return ~crc;
#endif
}

MORSEL_INLINE bool is_key(std::string_view name) {
  if (name.empty() || name.front() == '/' || name.find_first_of(std::string_view("\\\0", 2)) != name.npos)
    return false;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view segment = name.substr(begin, end - begin);
    if (segment.empty() || segment == "." || segment == "..") return false;
    begin = end + 1;
  }
  return true;
}

/// The key that a tolerant reader takes a name for: backslashes are slashes, empty and "." segments nothing.
/// "" if there is none.
MORSEL_INLINE std::string key_spelled_by(std::string_view name) {
  std::string key;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find_first_of("/\\", begin), name.size());
    const std::string_view segment = name.substr(begin, end - begin);
    if (segment == ".." || segment.find('\0') != segment.npos) return {};
    if (!segment.empty() && segment != ".") key += (key.empty() ? "" : "/") + std::string(segment);
    begin = end + 1;
  }
  return key;
}

}  // namespace detail

struct ZipStore::State {
  struct Entry {
    std::string_view key;  // a part of the member's name
    const ZipMember* member;
  };
  struct Refused {
    std::string key;
    const ZipMember* member;
  };

  State(const std::string& path, const ZipStoreOptions& options)
      : directory(File(path)), prefix(check_prefix(options.prefix)) {
    const std::string start = prefix.empty() ? std::string() : prefix + "/";
    for (const ZipMember& member : directory.members()) {
      const bool is_below = member.name.compare(0, start.size(), start) == 0;
      const bool is_key = detail::is_key(member.name);
      if (is_key && is_below && member.name.size() > start.size())
        entries.push_back({std::string_view(member.name).substr(start.size()), &member});
      if (is_key && !member.is_symlink) continue;
      std::string key = detail::key_spelled_by(member.name);
      if (key.compare(0, start.size(), start) == 0 && key.size() > start.size())
        refused.push_back({key.substr(start.size()), &member});
      else if (member.is_symlink && start.compare(0, key.size() + 1, key + "/") == 0)
        refuse_symlink("opening folder '" + prefix + "'", member);  // the prefix leads through it
    }
    std::sort(refused.begin(), refused.end(),
              [](const Refused& a, const Refused& b) { return a.key < b.key; });
    offsets = std::make_unique<std::atomic<Index>[]>(entries.size());
  }

  std::string name() const { return "zip archive '" + directory.file().path() + "'"; }
  std::string doing(const ZipMember& member) const {
    return "reading '" + directory.file().path() + "/" + member.name + "'";
  }

  [[noreturn]] void refuse_symlink(const std::string& what, const ZipMember& member) const {
    fail(Errc::unsupported, what + " in " + name() + ": member '" + member.name +
                                "' is a symbolic link; expected a file, got a link");
  }

  /// The number of the entry, or -1 if the key is missing; checked as far as the directory allows.
  std::ptrdiff_t find(std::string_view key) const {
    const auto key_of = [this](std::size_t i) { return entries[i].key; };
    const std::size_t at = detail::first_key_from(entries.size(), key_of, key);
    const bool is_there = at < entries.size() && entries[at].key == key;
    if (!is_there || entries[at].member->is_symlink) require_missing(key);
    if (!is_there) return -1;
    const ZipMember& member = *entries[at].member;
    if (member.method == 0 && member.bytes != member.stored_bytes)
      fail(Errc::corrupt_data, doing(member) + ": sizes of a stored member differ; expected " +
                                   std::to_string(member.bytes) + " bytes, got " +
                                   std::to_string(member.stored_bytes));
    // Two bits of deflate data give at most 258 bytes.
    if (member.method == 8 && member.bytes / 1032 > member.stored_bytes)
      fail(Errc::corrupt_data, doing(member) + ": impossible size; expected at most 1032 times " +
                                   std::to_string(member.stored_bytes) + " compressed bytes, got " +
                                   std::to_string(member.bytes));
    return static_cast<std::ptrdiff_t>(at);
  }

  /// Refuses a key that an unusable member stands for, or one below a symbolic link.
  void require_missing(std::string_view key) const {
    if (refused.empty()) return;
    const auto key_of = [this](std::size_t i) { return std::string_view(refused[i].key); };
    for (std::string_view part = key;; part = part.substr(0, part.rfind('/'))) {
      for (std::size_t i = detail::first_key_from(refused.size(), key_of, part);
           i < refused.size() && refused[i].key == part; ++i) {
        const ZipMember& member = *refused[i].member;
        if (member.is_symlink) refuse_symlink("reading '" + std::string(key) + "'", member);
        if (part.size() == key.size())
          fail(Errc::corrupt_data, "reading '" + std::string(key) + "' in " + name() +
                                       ": the name of a member is not a key; expected '" + std::string(key) +
                                       "', got '" + std::string(member.name.c_str()) + "'");
      }
      if (part.find('/') == part.npos) return;
    }
  }

  /// Where the bytes of an entry begin; the local header is read once.
  Index data_offset(std::size_t entry) const {
    Index offset = offsets[entry].load(std::memory_order_relaxed);
    if (offset == 0) {  // a header stands before the bytes
      offset = directory.data_offset(*entries[entry].member);
      offsets[entry].store(offset, std::memory_order_relaxed);
    }
    return offset;
  }

  void require_crc(const ZipMember& member, std::uint32_t crc) const {
    if (crc != member.crc32)
      fail(Errc::corrupt_data, doing(member) + ": wrong checksum; expected CRC-32 " +
                                   std::to_string(member.crc32) + ", got " + std::to_string(crc));
  }

  struct Wanted {
    GetRequest* request;
    std::size_t entry;
    ByteRange range;  // inside the value
  };
  void read_stored(const Wanted& wanted, const std::stop_token& stop) const;
  void read_deflated(std::span<const Wanted> wanted, const std::stop_token& stop) const;

  ZipDirectory directory;
  std::string prefix;
  std::vector<Entry> entries;    // by key
  std::vector<Refused> refused;  // by key
  std::unique_ptr<std::atomic<Index>[]> offsets;
};

MORSEL_INLINE void ZipStore::State::read_stored(const Wanted& wanted, const std::stop_token& stop) const {
  const ZipMember& member = *entries[wanted.entry].member;
  const auto room = wanted.request->room.first(static_cast<std::size_t>(wanted.range.length));
  directory.file().read(data_offset(wanted.entry) + wanted.range.offset, room, FetchMode::wait, stop);
  if (wanted.range.length == member.bytes) require_crc(member, detail::zip_crc32(0, room));
}

/// Ranges of one member, sorted by offset: those that do not overlap share a pass.
MORSEL_INLINE void ZipStore::State::read_deflated(std::span<const Wanted> wanted,
                                                  const std::stop_token& stop) const {
  const ZipMember& member = *entries[wanted.front().entry].member;
#if MORSEL_HAVE_ZLIB
  const Index begin = data_offset(wanted.front().entry);
  std::vector<std::byte> skipped;
  std::unique_ptr<detail::Inflater> inflater;
  std::uint32_t crc = 0;
  for (const Wanted& w : wanted) {
    if (w.range.length == 0 && member.bytes > 0) continue;
    if (!inflater || inflater->position() > w.range.offset) {
      inflater =
          std::make_unique<detail::Inflater>(directory.file(), begin, member.stored_bytes, doing(member));
      crc = 0;
    }
    const auto take = [&](std::span<std::byte> room) {
      while (!room.empty()) {
        const std::size_t got = inflater->read(room.data(), room.size(), false, stop);
        crc = detail::zip_crc32(crc, room.first(got));
        room = room.subspan(got);
      }
    };
    for (Index left; (left = w.range.offset - inflater->position()) > 0;) {
      skipped.resize(64 * KiB);
      take(std::span(skipped).first(
          static_cast<std::size_t>(std::min(left, static_cast<Index>(skipped.size())))));
    }
    take(w.request->room.first(static_cast<std::size_t>(w.range.length)));
    if (inflater->position() < member.bytes) continue;
    inflater->finish(stop);
    if (inflater->used_bytes() != member.stored_bytes) inflater->damaged("bytes are left over");
    require_crc(member, crc);
    inflater.reset();
  }
#else
  (void)stop;
  fail(Errc::unsupported, doing(member) +
                              ": compressed with deflate, and this build is without zlib; expected a member "
                              "that is stored, got zip method 8");
#endif
}

MORSEL_INLINE ZipStore::ZipStore(const std::string& path, const ZipStoreOptions& options)
    : state_(std::make_shared<const State>(path, options)) {}

MORSEL_INLINE void ZipStore::get(std::span<GetRequest> requests, std::stop_token stop) const {
  const State& state = *state_;
  const File& file = state.directory.file();
  std::vector<State::Wanted> deflated;
  try {
    for (GetRequest& request : requests) {
      check_key(request.key, "reading");
      request.filled_bytes = 0;
      const std::ptrdiff_t entry = state.find(request.key);
      request.found = entry >= 0;
      if (!request.found) continue;
      const ZipMember& member = *state.entries[static_cast<std::size_t>(entry)].member;
      const State::Wanted wanted{
          &request, static_cast<std::size_t>(entry),
          resolve_range(request.range, member.bytes, request.room.size(), request.key)};
      request.filled_bytes = static_cast<std::size_t>(wanted.range.length);
      if (member.method == 8)
        deflated.push_back(wanted);
      else if (member.method == 0)
        state.read_stored(wanted, stop);
      else
        fail(Errc::unsupported, state.doing(member) +
                                    ": unknown compression; expected a member that is stored or deflated, "
                                    "got zip method " +
                                    std::to_string(member.method));
    }
    std::sort(deflated.begin(), deflated.end(), [](const State::Wanted& a, const State::Wanted& b) {
      return a.entry != b.entry ? a.entry < b.entry : a.range.offset < b.range.offset;
    });
    for (std::size_t begin = 0, end = 0; begin < deflated.size(); begin = end) {
      while (end < deflated.size() && deflated[end].entry == deflated[begin].entry) ++end;
      state.read_deflated(std::span(deflated).subspan(begin, end - begin), stop);
    }
  } catch (const Error& error) {
    // Damage is a symptom if the archive was rewritten.
    if (error.code() == Errc::corrupt_data) {
      file.version();
      file.require_unchanged();
    }
    throw;
  }
  file.version();
  file.require_unchanged();
}

MORSEL_INLINE std::optional<Index> ZipStore::size(std::string_view key) const {
  check_key(key, "asking for the size of");
  const std::ptrdiff_t entry = state_->find(key);
  if (entry < 0) return std::nullopt;
  return state_->entries[static_cast<std::size_t>(entry)].member->bytes;
}

MORSEL_INLINE void ZipStore::put(std::string_view key, std::span<const std::byte>) const {
  check_key(key, "writing");
  detail::fail_read_only("writing", key, state_->name(), "a zip archive");
}

MORSEL_INLINE void ZipStore::erase(std::string_view key) const {
  check_key(key, "erasing");
  detail::fail_read_only("erasing", key, state_->name(), "a zip archive");
}

MORSEL_INLINE void ZipStore::list(std::string_view prefix,
                                  const std::function<void(std::string_view)>& visit) const {
  const State& state = *state_;
  detail::list_sorted_keys(
      state.entries.size(), [&state](std::size_t i) { return state.entries[i].key; }, check_prefix(prefix),
      visit);
}

MORSEL_INLINE std::string ZipStore::identity() const {
  return "zip:" + file().path() + (state_->prefix.empty() ? "" : "#" + state_->prefix);
}

MORSEL_INLINE const File& ZipStore::file() const { return state_->directory.file(); }

MORSEL_INLINE std::string ZipStore::nested_root() const {
  for (std::string folder;;) {
    bool has_document = false, has_files = false;
    std::string below;
    int folders = 0;
    list(folder, [&](std::string_view key) {
      std::string_view name = key.substr(folder.empty() ? 0 : folder.size() + 1);
      for (const char* document : {"zarr.json", ".zarray", ".zgroup", ".zmetadata", "attributes.json"})
        has_document |= name == document;
      if (name == "__MACOSX/" || name == ".DS_Store" || name == "Thumbs.db") return;
      if (name.back() != '/') {
        has_files = true;
        return;
      }
      ++folders;
      below = key.substr(0, key.size() - 1);
    });
    if (has_document) return folder;
    if (has_files || folders != 1) return {};
    folder = below;
  }
}

}  // namespace morsel::inline MORSEL_ABI
