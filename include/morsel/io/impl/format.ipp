#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <morsel/io/format.hpp>
#include <morsel/io/impl/core_formats.ipp>
#include <morsel/io/store_key.hpp>
#include <mutex>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE bool Place::has_magic(std::string_view magic, std::size_t offset) const {
  return head.size() >= offset + magic.size() &&
         std::memcmp(head.data() + offset, magic.data(), magic.size()) == 0;
}

MORSEL_INLINE bool Place::holds(std::string_view name) const {
  struct stat status;
  return is_directory && ::stat((path + "/" + std::string(name)).c_str(), &status) == 0 &&
         S_ISREG(status.st_mode);
}

namespace detail {

struct FormatRegistry {
  std::mutex mutex;
  std::vector<std::shared_ptr<const Format>> formats;

  void add(Format format) {
    auto entry = std::make_shared<const Format>(std::move(format));
    const std::lock_guard lock(mutex);
    for (std::shared_ptr<const Format>& known : formats)
      if (known->name == entry->name) {
        known = std::move(entry);
        return;
      }
    formats.push_back(std::move(entry));
  }
};

MORSEL_INLINE FormatRegistry& format_registry() {
  // Never destroyed: threads of the program may still open files while it exits.
  static FormatRegistry* const registry = [] {
    auto* made = new FormatRegistry;
    for (Format& format : core_formats()) made->add(std::move(format));
    for (Format& format : known_formats()) made->add(std::move(format));
    return made;
  }();
  return *registry;
}

/// "'a', 'b' and 3 more"
MORSEL_INLINE std::string quoted_list(const std::vector<std::string>& names, std::size_t most = 10) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), most); ++i) text += (i ? ", '" : "'") + names[i] + "'";
  if (names.size() > most) text += " and " + std::to_string(names.size() - most) + " more";
  return names.empty() ? "none" : text;
}

MORSEL_INLINE Place look_at(const std::string& path, bool is_directory, const std::string& doing) {
  Place place;
  place.path = path;
  place.is_directory = is_directory;
  if (is_directory) return place;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) fail_errno(errno, doing);
  place.head.resize(Place::head_bytes);
  std::size_t done = 0;
  while (done < place.head.size()) {
    const ssize_t n =
        ::pread(fd, place.head.data() + done, place.head.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      ::close(fd);
      fail_errno(error, doing);
    }
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  ::close(fd);
  place.head.resize(done);
  return place;
}

MORSEL_INLINE bool ends_with_ignoring_case(std::string_view text, std::string_view ending) {
  if (text.size() < ending.size()) return false;
  text.remove_prefix(text.size() - ending.size());
  return std::equal(text.begin(), text.end(), ending.begin(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
}

/// Length of the longest of the format's endings that the path has; 0 if none.
MORSEL_INLINE std::size_t matched_ending(const Format& format, const std::string& path) {
  std::size_t longest = 0;
  for (const std::string& ending : format.endings)
    if (ends_with_ignoring_case(path, ending)) longest = std::max(longest, ending.size());
  return longest;
}

/// The format of a place: of those that recognise the content the one with the longest ending, else the
/// first; if none does, the one with the longest ending. Null if there is none.
MORSEL_INLINE std::shared_ptr<const Format> recognise(const Place& place, bool by_content_only) {
  std::shared_ptr<const Format> best, named;
  std::size_t best_ending = 0, named_ending = 0;
  for (const std::shared_ptr<const Format>& format : formats()) {
    const std::size_t ending = matched_ending(*format, place.path);
    if (format->recognises && format->recognises(place) && (!best || ending > best_ending)) {
      best = format;
      best_ending = ending;
    }
    if (ending > named_ending) {
      named = format;
      named_ending = ending;
    }
  }
  return best || by_content_only ? best : named;
}

MORSEL_INLINE std::vector<std::string> enabled_formats() {
  std::vector<std::string> names;
  for (const std::shared_ptr<const Format>& format : formats())
    if (format->open) names.push_back(format->name);
  return names;
}

MORSEL_INLINE std::string first_bytes(const Place& place) {
  if (place.head.empty()) return "an empty file";
  static constexpr char digits[] = "0123456789abcdef";
  std::string text = "a file that starts with";
  for (std::size_t i = 0; i < std::min<std::size_t>(place.head.size(), 8); ++i) {
    const auto byte = static_cast<unsigned char>(place.head[i]);
    text += std::string(" ") + digits[byte >> 4] + digits[byte & 15];
  }
  return text;
}

/// What is in a directory that is no array, for the message.
MORSEL_INLINE std::string directory_advice() {
  return "expected a file, or a directory holding zarr.json, .zarray, .zgroup or attributes.json";
}

[[noreturn]] MORSEL_INLINE void refuse_format(const Format& format, const std::string& doing) {
  if (!format.component.empty())
    fail(Errc::unsupported, doing + ": " + format.title + ", but the " + format.component +
                                " component is not enabled; expected morsel::" + format.component +
                                "::enable() and target morsel::" + format.component);
  fail(Errc::unsupported, doing + ": " + format.title +
                              ", which is not supported by this build; expected one of " +
                              quoted_list(enabled_formats(), 100) + ", got " + format.name);
}

/// Where an inside path stops being there: the longest group that exists, and its members.
struct NearestGroup {
  std::string path;
  std::vector<std::string> members;
};

MORSEL_INLINE std::optional<NearestGroup> nearest_group(const FoundFormat& found) {
  if (!found.format->list) return std::nullopt;
  std::string group = found.inside;
  for (;;) {
    try {
      const std::optional<std::vector<Member>> members = found.format->list(found.place, group);
      if (members) {
        NearestGroup nearest{group, {}};
        for (const Member& member : *members) nearest.members.push_back(member.path);
        return nearest;
      }
    } catch (const Error& e) {
      if (e.code() != Errc::not_found) throw;
    }
    if (group.empty()) return std::nullopt;
    const std::size_t slash = group.rfind('/');
    group = slash == std::string::npos ? std::string() : group.substr(0, slash);
  }
}

}  // namespace detail

MORSEL_INLINE void register_format(Format format) {
  if (format.name.empty() || (!format.recognises && format.endings.empty()))
    fail(Errc::invalid_argument,
         "registering a format: it can never be found; expected a name and a recogniser or "
         "endings, got '" +
             format.name + "' without");
  if (format.title.empty()) format.title = format.name + " file";
  detail::format_registry().add(std::move(format));
}

MORSEL_INLINE std::vector<std::shared_ptr<const Format>> formats() {
  detail::FormatRegistry& registry = detail::format_registry();
  const std::lock_guard lock(registry.mutex);
  return registry.formats;
}

MORSEL_INLINE FoundFormat find_format(std::string_view path) {
  const std::string doing = "open '" + std::string(path) + "'";
  if (path.empty())
    fail(Errc::invalid_argument, "open '': empty path; expected a file or directory, got nothing");
  if (path.find('\0') != std::string_view::npos)
    fail(Errc::invalid_argument, "open '" + std::string(path.substr(0, path.find('\0'))) +
                                     "...': NUL in the path; expected a path, got one with a zero byte");
  std::string existing;  // the longest prefix that exists, for the message
  bool existing_is_directory = false;
  for (std::size_t end = path.size();;) {
    while (end > 1 && path[end - 1] == '/') --end;
    const std::string prefix(path.substr(0, end));
    struct stat status;
    const bool exists = ::stat(prefix.c_str(), &status) == 0;
    if (!exists && errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG) fail_errno(errno, doing);
    if (exists) {
      const bool is_directory = S_ISDIR(status.st_mode);
      if (!is_directory && !S_ISREG(status.st_mode))
        fail(
            Errc::invalid_argument,
            doing + ": '" + prefix +
                "' is neither a file nor a directory; expected a regular file, got a pipe, socket or device");
      if (existing.empty()) {
        existing = prefix;
        existing_is_directory = is_directory;
      }
      Place place = detail::look_at(prefix, is_directory, doing);
      std::shared_ptr<const Format> format = detail::recognise(place, is_directory);
      if (format || !is_directory) {
        if (!format)
          fail(Errc::unsupported, doing + ": format not recognised; expected one of " +
                                      detail::quoted_list(detail::enabled_formats(), 100) + ", got " +
                                      detail::first_bytes(place) + " (raw numbers: morsel::memmap)");
        if (!format->open) detail::refuse_format(*format, doing);
        FoundFormat found{std::move(format), std::move(place), {}};
        for (std::size_t begin = end; begin < path.size();) {
          const std::size_t stop = std::min(path.find('/', begin), path.size());
          if (stop > begin)
            found.inside = detail::joined(found.inside, std::string(path.substr(begin, stop - begin)));
          begin = stop + 1;
        }
        return found;
      }
    }
    const std::size_t slash = prefix.rfind('/');
    if (slash == std::string::npos || prefix == "/") break;
    end = std::max<std::size_t>(slash, 1);
  }
  std::string whole(path);
  while (whole.size() > 1 && whole.back() == '/') whole.pop_back();
  if (existing == whole && existing_is_directory)
    fail(Errc::unsupported, doing + ": a directory without array metadata; " + detail::directory_advice() +
                                ", got none of them");
  fail(Errc::not_found,
       doing + ": no such file or directory; " + detail::directory_advice() + ", got " +
           (existing.empty() ? std::string("nothing at all on that path")
                             : "'" + existing + "' as the longest part of the path that exists"));
}

MORSEL_INLINE std::optional<FoundFormat> recognise_path(const std::string& path) {
  const std::string doing = "open '" + path + "'";
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) fail_errno(errno, doing);
  const bool is_directory = S_ISDIR(status.st_mode);
  if (!is_directory && !S_ISREG(status.st_mode)) return std::nullopt;
  Place place = detail::look_at(path, is_directory, doing);
  std::shared_ptr<const Format> format = detail::recognise(place, is_directory);
  if (!format) return std::nullopt;
  return FoundFormat{std::move(format), std::move(place), {}};
}

MORSEL_INLINE OpenedArray open_path(std::string_view path, const FormatOptions& options) {
  const FoundFormat found = find_format(path);
  const std::string doing = "open '" + std::string(path) + "'";
  const Format& format = *found.format;
  if (!found.inside.empty() && !format.list)
    fail(Errc::not_found, doing + ": '" + found.place.path +
                              "' holds one array and nothing inside; expected '" + found.place.path +
                              "', got '" + found.inside + "' behind it");
  try {
    return format.open(found.place, found.inside, options);
  } catch (const Error& e) {
    if (e.code() != Errc::not_found || !format.list) throw;
    const std::optional<detail::NearestGroup> nearest = detail::nearest_group(found);
    if (!nearest) throw;
    const std::string where = detail::joined(found.place.path, nearest->path);
    if (nearest->path == found.inside)
      fail(Errc::not_found, doing + ": a container of arrays; expected one of its members, such as " +
                                detail::quoted_list(nearest->members) + ", got the container itself");
    fail(Errc::not_found, doing + ": no such member in '" + where + "'; expected one of " +
                              detail::quoted_list(nearest->members) + ", got '" +
                              found.inside.substr(nearest->path.empty() ? 0 : nearest->path.size() + 1) +
                              "'");
  }
}

MORSEL_INLINE AttributeTypes attribute_types_at(std::string_view path) {
  const FoundFormat found = find_format(path);
  return found.format->attribute_types ? found.format->attribute_types(found.place, found.inside)
                                       : AttributeTypes();
}

MORSEL_INLINE std::optional<std::vector<Member>> list_path(std::string_view path) {
  const FoundFormat found = find_format(path);
  if (!found.format->list) {
    if (!found.inside.empty())
      fail(Errc::not_found, "open '" + std::string(path) + "': '" + found.place.path +
                                "' holds one array and nothing inside; expected '" + found.place.path +
                                "', got '" + found.inside + "' behind it");
    return std::nullopt;
  }
  return found.format->list(found.place, found.inside);
}

}  // namespace morsel::inline MORSEL_ABI

// Need what is above.
#include <morsel/io/netcdf.hpp>
#include <morsel/io/zarr.hpp>
