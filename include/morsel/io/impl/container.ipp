#pragma once

#include <algorithm>
#include <filesystem>
#include <morsel/io/container.hpp>
#include <morsel/io/file.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

MORSEL_INLINE void add_contents(const FoundFormat& found, const std::string& inside, const std::string& path,
                                int depth, std::vector<ContainerEntry>& entries) {
  const Format& format = *found.format;
  if (depth > most_levels)
    fail(Errc::unsupported, "listing '" + found.place.path +
                                "': groups nested too deeply; expected at most " +
                                std::to_string(most_levels) + " levels");
  const auto members = format.list ? format.list(found.place, inside) : std::nullopt;
  if (!members) {
    entries.push_back({path, Member::Kind::array, {}});
    return;
  }
  entries.push_back(
      {path, Member::Kind::group, format.attributes ? format.attributes(found.place, inside) : Attributes()});
  const auto below = [](const std::string& group, const std::string& name) {
    return group.empty() ? name : group + "/" + name;
  };
  for (const Member& member : *members) {
    if (member.kind == Member::Kind::array)
      entries.push_back({below(path, member.path), Member::Kind::array, {}});
    else
      add_contents(found, below(inside, member.path), below(path, member.path), depth + 1, entries);
  }
}

MORSEL_INLINE std::string in_directory(const Place& place, const std::string& inside) {
  return inside.empty() ? place.path : place.path == "/" ? "/" + inside : place.path + "/" + inside;
}

MORSEL_INLINE bool is_plain_directory(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error) && !error && !recognise_path(path);
}

/// What a file or directory is among the members of its directory; nothing if no format recognises it.
MORSEL_INLINE std::optional<Member::Kind> kind_of_file(const std::string& path) {
  try {
    const std::optional<FoundFormat> found = recognise_path(path);
    if (!found) {
      std::error_code error;
      if (std::filesystem::is_directory(path, error)) return Member::Kind::group;
      return std::nullopt;
    }
    const Format& format = *found->format;
    const bool is_group = format.open && format.list && format.list(found->place, "");
    return is_group ? Member::Kind::group : Member::Kind::array;
  } catch (const Error&) {
    return Member::Kind::array;
  }
}

MORSEL_INLINE bool leads_up(const std::string& path) {
  const std::filesystem::directory_entry entry(path);
  std::error_code error;
  if (!entry.is_symlink(error) || !entry.is_directory(error)) return false;
  const std::string target = canonical_path(entry.path().string()) + "/";
  return (canonical_path(entry.path().parent_path().string()) + "/").starts_with(target);
}

MORSEL_INLINE std::vector<Member> list_directory(const std::string& path) {
  std::vector<Member> members;
  std::error_code error;
  for (std::filesystem::directory_iterator at(path, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.empty() || name[0] == '.' || leads_up(at->path().string())) continue;
    if (const auto kind = kind_of_file(at->path().string())) members.push_back({name, *kind});
  }
  if (error) fail_errno(error.value(), "listing '" + path + "'");
  std::sort(members.begin(), members.end(), [](const Member& a, const Member& b) { return a.path < b.path; });
  return members;
}

/// Not registered: only who asks for it takes a directory of files as a container.
MORSEL_INLINE std::shared_ptr<const Format> directory_format() {
  Format format;
  format.name = "directory";
  format.title = "directory of files";
  format.open = [](const Place& place, const std::string& inside, const FormatOptions& options) {
    return open_path(in_directory(place, inside), options);
  };
  format.list = [](const Place& place, const std::string& inside) -> std::optional<std::vector<Member>> {
    const std::string path = in_directory(place, inside);
    if (is_plain_directory(path)) return list_directory(path);
    return list_path(path);
  };
  format.attributes = [](const Place& place, const std::string& inside) {
    const std::string path = in_directory(place, inside);
    if (is_plain_directory(path)) return Attributes();
    const FoundFormat found = find_format(path);
    return found.format->attributes ? found.format->attributes(found.place, found.inside) : Attributes();
  };
  return std::make_shared<const Format>(std::move(format));
}

}  // namespace detail

MORSEL_INLINE std::vector<ContainerEntry> contents_of(const FoundFormat& found) {
  std::vector<ContainerEntry> entries;
  detail::add_contents(found, found.inside, "", 0, entries);
  return entries;
}

MORSEL_INLINE FoundFormat find_container(const std::string& path) {
  try {
    return find_format(path);
  } catch (const Error& error) {
    if (error.code() != Errc::unsupported || !detail::is_plain_directory(path)) throw;
  }
  Place place;
  place.path = path;
  while (place.path.size() > 1 && place.path.back() == '/') place.path.pop_back();
  place.is_directory = true;
  return {detail::directory_format(), std::move(place), {}};
}

}  // namespace morsel::inline MORSEL_ABI
