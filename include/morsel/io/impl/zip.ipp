#pragma once

#include <algorithm>
#include <cstring>
#include <morsel/io/zip.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// Little-endian numbers in a span; every access is checked by the caller.
MORSEL_INLINE std::uint64_t le_number(std::span<const std::byte> bytes, std::size_t at, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = count; i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(bytes[at + i]);
  return value;
}

struct ZipEnd {
  std::uint64_t entries = 0, directory_bytes = 0, directory_offset = 0;
  Index position = 0;  // of the first end record
  bool is_zip64 = false;
};

[[noreturn]] MORSEL_INLINE void fail_zip(const File& file, const std::string& what) {
  fail(Errc::corrupt_data, "reading zip archive '" + file.path() + "': " + what);
}

/// Finds the end record, and that of Zip64 before it.
MORSEL_INLINE ZipEnd find_zip_end(const File& file) {
  constexpr std::size_t record = 22, longest_comment = 65535;
  const Index size = file.size_bytes();
  const std::size_t tail = static_cast<std::size_t>(std::min<Index>(size, record + longest_comment));
  std::vector<std::byte> bytes(tail);
  file.read(size - static_cast<Index>(tail), bytes);
  for (std::size_t at = tail >= record ? tail - record + 1 : 0; at-- > 0;) {
    if (le_number(bytes, at, 4) != 0x06054b50 || at + record + le_number(bytes, at + 20, 2) != tail) continue;
    ZipEnd end;
    end.position = size - static_cast<Index>(tail - at);
    end.entries = le_number(bytes, at + 10, 2);
    end.directory_bytes = le_number(bytes, at + 12, 4);
    end.directory_offset = le_number(bytes, at + 16, 4);
    const std::uint64_t part = le_number(bytes, at + 4, 2);
    std::vector<std::byte> more(76);  // the Zip64 end record and its locator
    const bool room = end.position >= static_cast<Index>(more.size());
    if (room) file.read(end.position - static_cast<Index>(more.size()), more);
    if (room && le_number(more, 56, 4) == 0x07064b50) {
      const std::uint64_t where = le_number(more, 64, 8);
      if (le_number(more, 0, 4) != 0x06064b50 && where < static_cast<std::uint64_t>(end.position) - 76)
        file.read(static_cast<Index>(where), std::span(more).first(56));  // an end record of another length
      if (le_number(more, 0, 4) != 0x06064b50)
        fail_zip(file, "damaged; expected a Zip64 end record before the locator, got something else");
      end.position -= static_cast<Index>(20 + 12 + std::min<std::uint64_t>(le_number(more, 4, 8), INT32_MAX));
      end.entries = le_number(more, 32, 8);
      end.directory_bytes = le_number(more, 40, 8);
      end.directory_offset = le_number(more, 48, 8);
      end.is_zip64 = true;
    } else if (part != 0 && part != 0xffff) {
      fail(Errc::unsupported, "reading zip archive '" + file.path() +
                                  "': in several parts; expected one file, got part " +
                                  std::to_string(part + 1));
    }
    return end;
  }
  fail_zip(file, "not a zip archive, or cut short; expected an end record in the last 64 KiB, got none");
}

}  // namespace detail

MORSEL_INLINE ZipDirectory::ZipDirectory(File file) : file_(std::move(file)) {
  using detail::le_number;
  const detail::ZipEnd end = detail::find_zip_end(file_);
  const auto position = static_cast<std::uint64_t>(std::max<Index>(end.position, 0));
  if (end.position < 0 || end.directory_bytes > position ||
      end.directory_offset > position - end.directory_bytes)
    detail::fail_zip(file_, "damaged; expected a directory of " + std::to_string(end.directory_bytes) +
                                " bytes at " + std::to_string(end.directory_offset) +
                                ", got an end record at " + std::to_string(end.position));
  end_bytes_ = static_cast<Index>(position - end.directory_bytes);
  shift_ = end_bytes_ - static_cast<Index>(end.directory_offset);
  std::vector<std::byte> bytes(static_cast<std::size_t>(end.directory_bytes));
  file_.read(end_bytes_, bytes);

  std::uint64_t count = 0;
  for (std::size_t at = 0; at < bytes.size(); ++count) {
    const auto damaged = [&](const std::string& what) {
      detail::fail_zip(file_,
                       "damaged entry " + std::to_string(count) + " of the directory; expected " + what);
    };
    if (bytes.size() - at < 46 || le_number(bytes, at, 4) != 0x02014b50) damaged("the signature PK\\1\\2");
    const std::size_t name_bytes = le_number(bytes, at + 28, 2), extra_bytes = le_number(bytes, at + 30, 2),
                      comment_bytes = le_number(bytes, at + 32, 2);
    if (bytes.size() - at - 46 < name_bytes + extra_bytes + comment_bytes)
      damaged(std::to_string(46 + name_bytes + extra_bytes + comment_bytes) + " bytes, got " +
              std::to_string(bytes.size() - at));
    ZipMember member;
    member.name.assign(reinterpret_cast<const char*>(bytes.data()) + at + 46, name_bytes);
    member.is_encrypted = le_number(bytes, at + 8, 2) & 1;
    member.method = static_cast<int>(le_number(bytes, at + 10, 2));
    // The upper half of the external attributes is the mode, where the writer's system had one.
    member.is_symlink = (le_number(bytes, at + 40, 2) & 0170000) == 0120000;
    member.crc32 = static_cast<std::uint32_t>(le_number(bytes, at + 16, 4));
    std::uint64_t values[] = {le_number(bytes, at + 24, 4), le_number(bytes, at + 20, 4),
                              le_number(bytes, at + 42, 4)};
    // Zip64: an extra field holds, in this order, those of the three that are all ones here.
    const std::size_t extra_end = at + 46 + name_bytes + extra_bytes;
    for (std::size_t x = at + 46 + name_bytes; extra_end - x >= 4;) {
      const std::size_t length = le_number(bytes, x + 2, 2);
      if (extra_end - x - 4 < length) break;
      if (le_number(bytes, x, 2) == 1) {
        std::size_t from = x + 4;
        for (std::uint64_t& value : values)
          if (value == 0xffffffff) {
            if (x + 4 + length - from < 8) damaged("a Zip64 field of 8 bytes for each large number");
            value = le_number(bytes, from, 8);
            from += 8;
          }
      }
      x += 4 + length;
    }
    for (const std::uint64_t value : values)
      if (value > static_cast<std::uint64_t>(INT64_MAX))
        damaged("sizes below 2^63, got " + std::to_string(value));
    member.bytes = static_cast<Index>(values[0]);
    member.stored_bytes = static_cast<Index>(values[1]);
    member.header_offset = static_cast<Index>(values[2]);
    if (!member.name.empty() && member.name.back() != '/') members_.push_back(std::move(member));
    at += 46 + name_bytes + extra_bytes + comment_bytes;
  }
  if (end.is_zip64 ? count != end.entries : count % 65536 != end.entries)
    detail::fail_zip(file_, "damaged; expected " + std::to_string(end.entries) +
                                " entries in the directory, got " + std::to_string(count));

  // The last of equal names, in the order of the directory, is the one that counts.
  std::vector<std::size_t> order(members_.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) {
    const int compared = members_[a].name.compare(members_[b].name);
    return compared != 0 ? compared < 0 : a < b;
  });
  std::vector<ZipMember> sorted;
  for (std::size_t i = 0; i < order.size(); ++i)
    if (i + 1 == order.size() || members_[order[i + 1]].name != members_[order[i]].name)
      sorted.push_back(std::move(members_[order[i]]));
  members_ = std::move(sorted);
}

MORSEL_INLINE const ZipMember* ZipDirectory::find(std::string_view name) const {
  const auto at =
      std::lower_bound(members_.begin(), members_.end(), name,
                       [](const ZipMember& member, std::string_view n) { return member.name < n; });
  return at != members_.end() && at->name == name ? &*at : nullptr;
}

MORSEL_INLINE Index ZipDirectory::data_offset(const ZipMember& member) const {
  using detail::le_number;
  const std::string what = "member '" + member.name + "'";
  if (member.is_encrypted)
    fail(Errc::unsupported, "reading zip archive '" + file_.path() + "': " + what +
                                " is encrypted; expected a member without a password");
  std::vector<std::byte> bytes(30 + member.name.size());
  if (member.header_offset > end_bytes_ - shift_ - static_cast<Index>(bytes.size()))
    detail::fail_zip(file_, what + " begins outside the archive; expected an offset below " +
                                std::to_string(end_bytes_ - shift_) + ", got " +
                                std::to_string(member.header_offset));
  const Index begin = shift_ + member.header_offset;
  file_.read(begin, bytes);
  if (le_number(bytes, 0, 4) != 0x04034b50 || le_number(bytes, 26, 2) != member.name.size() ||
      std::memcmp(bytes.data() + 30, member.name.data(), member.name.size()) != 0)
    detail::fail_zip(file_, what + " is not where the directory says; expected its local header at " +
                                std::to_string(begin) + ", got something else");
  const Index offset = begin + static_cast<Index>(bytes.size() + le_number(bytes, 28, 2));
  if (offset > end_bytes_ || member.stored_bytes > end_bytes_ - offset)
    detail::fail_zip(file_, what + " ends outside the archive; expected at most " +
                                std::to_string(std::max<Index>(0, end_bytes_ - offset)) + " bytes, got " +
                                std::to_string(member.stored_bytes));
  return offset;
}

}  // namespace morsel::inline MORSEL_ABI
