#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <filesystem>
#include <functional>
#include <morsel/api/impl/tree_file.ipp>
#include <morsel/api/tree.hpp>
#include <morsel/base/warning.hpp>
#include <morsel/io/container.hpp>
#include <morsel/io/file.hpp>
#include <regex>
#include <set>
#include <thread>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// f(0), ..., f(count - 1) on several threads, in any order. Rethrows the error with the smallest number.
MORSEL_INLINE void for_each_in_parallel(std::size_t count, int threads,
                                        const std::function<void(std::size_t)>& f) {
  std::atomic<std::size_t> next{0};
  std::vector<std::exception_ptr> errors(count);
  const auto work = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        f(i);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    }
  };
  std::vector<std::thread> others;
  const std::size_t wanted = std::min(count, static_cast<std::size_t>(std::max(threads, 1)));
  try {
    while (others.size() + 1 < wanted) others.emplace_back(work);
  } catch (const std::system_error&) {
    // The system starts no more; those there are do it.
  }
  work();
  for (std::thread& thread : others) thread.join();
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
}

MORSEL_INLINE int scan_threads(int asked, const std::string& doing) {
  if (asked < 0)
    fail(Errc::invalid_argument,
         doing + ": negative thread count; expected >= 0, got " + std::to_string(asked));
  return asked > 0 ? asked : Workspace::process().threads();
}

/// What stands in one file, Zarr directory or group: entries of contents_of, with a leaf for each array.
struct ScannedPlace {
  std::vector<ContainerEntry> entries;
  std::vector<Leaf> leaves;  // as many as entries that are arrays, paths below the place
};

/// Lists and looks at all that is in a place. What cannot be read becomes a leaf with an error.
MORSEL_INLINE ScannedPlace scan_place(const FoundFormat& found, const std::vector<Glob>& ignored,
                                      const FormatOptions& options, int threads) {
  ScannedPlace place;
  try {
    if (found.format->open)
      place.entries = contents_of(found);
    else
      place.entries = {{"", Member::Kind::array, {}}};
  } catch (const Error& error) {
    if (error.code() == Errc::cancelled) throw;
    place.entries = {{"", Member::Kind::array, {}}};
    place.leaves = {
        broken_leaf("", {canonical_path(found.place.path), found.inside, found.format->name, ""}, error)};
    return place;
  }
  std::erase_if(place.entries, [&](const ContainerEntry& entry) {
    return std::any_of(ignored.begin(), ignored.end(), [&](const Glob& glob) {
      for (std::string_view path = entry.path; !path.empty(); path = parent_of(path))
        if (glob.matches(path)) return true;
      return false;
    });
  });
  std::vector<const std::string*> arrays;
  for (const ContainerEntry& entry : place.entries)
    if (entry.kind == Member::Kind::array) arrays.push_back(&entry.path);
  std::vector<std::optional<Leaf>> leaves(arrays.size());
  for_each_in_parallel(arrays.size(), threads, [&](std::size_t i) {
    const std::string& path = *arrays[i];
    const std::string inside = found.inside.empty() ? path
                               : path.empty()       ? found.inside
                                                    : found.inside + "/" + path;
    leaves[i] = stored_leaf(path, found, inside, options);
  });
  for (std::optional<Leaf>& leaf : leaves) place.leaves.push_back(std::move(*leaf));
  return place;
}

/// A file or directory below the base that some format might read.
struct FoundFile {
  std::string path;      // below the base
  std::string ending;    // of its format, as the name has it
  bool is_known = true;  // a format recognises it
};

/// The ending that a format has among those of a name: ".zarr.zip".
MORSEL_INLINE std::string ending_of(const Format& format, const std::string& name, bool is_directory) {
  const auto same = [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  };
  std::size_t longest = 0;
  for (const std::string& ending : format.endings)
    if (name.size() > ending.size() &&
        std::equal(name.end() - static_cast<std::ptrdiff_t>(ending.size()), name.end(), ending.begin(), same))
      longest = std::max(longest, ending.size());
  if (longest > 0) return name.substr(name.size() - longest);
  const std::size_t dot = name.rfind('.');
  return is_directory || dot == std::string::npos || dot == 0 ? "" : name.substr(dot);
}

/// Walks a directory and collects files and stores, sorted. Stores are not entered.
class DirectoryWalk {
 public:
  /// Files that no format recognises are wanted only if a pattern asks for them.
  enum class Unknown : std::uint8_t { wanted, left_out };
  DirectoryWalk(std::string base, const std::vector<std::string>& patterns,
                const std::vector<std::string>& ignored, Unknown unknown)
      : base_(std::move(base)), unknown_(unknown) {
    for (const std::string& pattern : patterns) patterns_.emplace_back(pattern);
    for (const std::string& pattern : ignored) ignored_.emplace_back(pattern);
  }

  std::vector<FoundFile> run() {
    walk("", 0);
    std::sort(files_.begin(), files_.end(), [](const FoundFile& a, const FoundFile& b) {
      return morsel::Tree::PathLess()(a.path, b.path);
    });
    return std::move(files_);
  }

 private:
  static bool any_matches(const std::vector<Glob>& globs, const std::string& path) {
    return std::any_of(globs.begin(), globs.end(), [&](const Glob& glob) { return glob.matches(path); });
  }

  void walk(const std::string& directory, int depth) {
    const std::string doing = "listing '" + whole(directory) + "'";
    if (depth > most_levels)
      fail(Errc::unsupported, doing + ": directories nested too deeply; expected at most " +
                                  std::to_string(most_levels) + " levels");
    std::error_code error;
    for (std::filesystem::directory_iterator at(whole(directory), error), end; !error && at != end;
         at.increment(error)) {
      const std::string name = at->path().filename().string();
      if (name.empty() || name[0] == '.') continue;
      const std::string path = directory.empty() ? name : directory + "/" + name;
      if (any_matches(ignored_, path)) continue;
      std::error_code broken;
      const bool is_directory = at->is_directory(broken);
      if (!is_directory && !at->is_regular_file(broken)) continue;
      add(path, name, is_directory, leads_up(at->path().string()), depth);
    }
    if (error) fail_errno(error.value(), doing);
  }

  void add(const std::string& path, const std::string& name, bool is_directory, bool is_loop, int depth) {
    const bool matches = any_matches(patterns_, path);
    const bool may_hold = is_directory && !is_loop &&
                          std::any_of(patterns_.begin(), patterns_.end(),
                                      [&](const Glob& g) { return g.may_match_below(path); });
    if (!matches && !may_hold) return;
    std::optional<FoundFormat> found;
    bool is_broken = false;
    try {
      found = recognise_path(whole(path));
    } catch (const Error&) {
      is_broken = true;  // opening it says why
    }
    if (is_directory && !found) {
      if (may_hold && !is_broken) walk(path, depth + 1);
      return;
    }
    if (!matches || (!found && !is_broken && unknown_ == Unknown::left_out)) return;
    files_.push_back({path, found ? ending_of(*found->format, name, is_directory) : "", found.has_value()});
  }

  std::string whole(const std::string& path) const { return path.empty() ? base_ : base_ + "/" + path; }

  std::string base_;
  Unknown unknown_;
  std::vector<Glob> patterns_, ignored_;
  std::vector<FoundFile> files_;
};

/// Looks at files side by side; the places come in the order of the files.
MORSEL_INLINE std::vector<ScannedPlace> scan_files(const std::string& base,
                                                   const std::vector<FoundFile>& files,
                                                   const FormatOptions& options, int threads) {
  std::vector<ScannedPlace> places(files.size());
  const int inside = files.size() == 1 ? threads : 1;
  for_each_in_parallel(files.size(), threads, [&](std::size_t i) {
    const std::string path = base + "/" + files[i].path;
    try {
      const std::optional<FoundFormat> found = recognise_path(path);
      if (!found) open_path(path, options);  // says why not
      places[i] = scan_place(found.value(), {}, options, inside);
    } catch (const Error& error) {
      if (error.code() == Errc::cancelled) throw;
      places[i].entries = {{"", Member::Kind::array, {}}};
      places[i].leaves = {broken_leaf("", {canonical_path(path), "", "", ""}, error)};
    }
  });
  return places;
}

MORSEL_INLINE std::string below_target(const std::string& target, const std::string& path) {
  return target.empty() ? path : path.empty() ? target : target + "/" + path;
}

/// Adds what a place holds at a target: groups first, then leaves. An existing group keeps its attributes
/// unless the place has some.
MORSEL_INLINE void add_place(morsel::Tree& tree, const ScannedPlace& place, const std::string& target,
                             ExistingTarget existing) {
  std::size_t next = 0;
  for (const ContainerEntry& entry : place.entries) {
    const std::string path = below_target(target, entry.path);
    if (entry.kind == Member::Kind::array)
      tree.add(path, place.leaves[next++], existing);
    else if (!entry.attributes.empty() || !tree.contains(path))
      tree.add_group(path, entry.attributes);
  }
}

MORSEL_INLINE std::string without_ending(const FoundFile& file) {
  return file.path.substr(0, file.path.size() - file.ending.size());
}

/// Names of files in the tree: without endings where that tells them apart.
MORSEL_INLINE std::vector<std::string> names_in_tree(const std::vector<FoundFile>& files, Endings endings) {
  std::set<std::string, std::less<>> taken;  // by files under their whole names, and by directories
  for (const FoundFile& file : files)
    for (std::string_view path = file.path; !path.empty(); path = parent_of(path)) taken.emplace(path);
  std::map<std::string, int> count;
  for (const FoundFile& file : files) ++count[without_ending(file)];
  std::vector<std::string> names;
  for (const FoundFile& file : files) {
    const std::string plain = without_ending(file);
    const bool is_clear = endings == Endings::dropped && count[plain] == 1 && !taken.contains(plain);
    names.push_back(is_clear ? plain : file.path);
  }
  return names;
}

/// Fills a target's placeholders for one file.
class TargetNames {
 public:
  TargetNames(const LoadOptions& options, std::string doing)
      : pattern_(options.target.empty() ? "{path}" : options.target),
        has_regex_(!options.path_regex.empty()),
        doing_(std::move(doing)) {
    if (!has_regex_) return;
    try {
      regex_ = std::regex(options.path_regex, std::regex::ECMAScript);
    } catch (const std::regex_error& error) {
      fail(Errc::invalid_argument, doing_ +
                                       ": path_regex does not parse; expected an ECMAScript expression, "
                                       "got '" +
                                       options.path_regex + "' (" + error.what() + ")");
    }
    if (pattern_.find("{match}") == std::string::npos && pattern_.find("{1}") == std::string::npos)
      fail(Errc::invalid_argument, doing_ +
                                       ": path_regex without a place for what it captures; expected {match} "
                                       "or {1} in the target, got '" +
                                       pattern_ + "'");
  }

  /// **Fails**: invalid_argument for unknown placeholders; not_found for a file that the expression does not
  /// match.
  std::string of(const FoundFile& file) const {
    std::smatch match;
    if (has_regex_ && !std::regex_search(file.path, match, regex_))
      fail(Errc::not_found, doing_ +
                                ": path_regex does not match; expected each file's path to match, got '" +
                                file.path + "'");
    std::string target;
    for (std::size_t i = 0; i < pattern_.size(); ++i) {
      const std::size_t end = pattern_[i] == '{' ? pattern_.find('}', i) : std::string::npos;
      if (end == std::string::npos) {
        target += pattern_[i];
        continue;
      }
      target += value(pattern_.substr(i + 1, end - i - 1), file, match);
      i = end;
    }
    return tidy_tree_path(target);
  }

 private:
  std::string value(const std::string& name, const FoundFile& file, const std::smatch& match) const {
    const std::string plain = without_ending(file);
    if (name == "path") return plain;
    if (name == "stem") return plain.substr(plain.rfind('/') + 1);
    if (name == "name") return file.path.substr(file.path.rfind('/') + 1);
    if (has_regex_ && name == "match") return match[match.size() > 1 ? 1 : 0].str();
    if (has_regex_ && name.size() == 1 && name[0] >= '1' && name[0] <= '9') {
      const auto number = static_cast<std::size_t>(name[0] - '0');
      if (number < match.size()) return match[number].str();
      fail(Errc::invalid_argument, doing_ + ": no such capture in path_regex; expected up to {" +
                                       std::to_string(match.size() - 1) + "}, got {" + name + "}");
    }
    fail(Errc::invalid_argument,
         doing_ + ": unknown placeholder in the target; expected {path}, {stem}, {name}" +
             (has_regex_ ? ", {match} or {1} to {9}" : " (and with a path_regex {match} and {1} to {9})") +
             ", got {" + name + "}");
  }

  std::string pattern_;
  bool has_regex_;
  std::regex regex_;
  std::string doing_;
};

MORSEL_INLINE std::string existing_directory(const std::string& path, const std::string& doing) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found)
    fail(Errc::not_found, doing + ": no such directory; expected one, got '" + path + "'");
  if (!std::filesystem::is_directory(status))
    fail(Errc::invalid_argument, doing + ": not a directory; expected one, got '" + path + "'");
  return canonical_path(path);
}

/// Why a file as a whole cannot be read, or null. Arrays in a container have errors of their own.
MORSEL_INLINE const Error* error_of(const ScannedPlace& place) {
  return place.entries.front().kind == Member::Kind::array ? place.leaves.front().error() : nullptr;
}

}  // namespace detail

MORSEL_INLINE LoadReport Tree::load(const std::vector<std::string>& patterns, const LoadOptions& options) {
  using namespace detail;
  std::string doing = "loading";
  for (const std::string& pattern : patterns) doing += (doing == "loading" ? " '" : ", '") + pattern + "'";
  if (patterns.empty())
    fail(Errc::invalid_argument, "loading into a tree: no pattern; expected one or more, got none");
  const int threads = scan_threads(options.threads, doing);
  std::string base = options.base;
  if (base.empty() && !origin_.empty() && std::filesystem::is_directory(origin_)) base = origin_;
  base = existing_directory(base.empty() ? "." : base, doing);
  const TargetNames targets(options, doing);
  const std::vector<FoundFile> files =
      DirectoryWalk(base, patterns, options.ignore, DirectoryWalk::Unknown::wanted).run();
  LoadReport report;
  if (files.empty() && options.required)
    fail(Errc::not_found, doing + ": no file matches below '" + base + "'; expected one or more, got none");
  if (files.empty()) warn("tree_entry", doing + ": no file matches below '" + base + "'");
  const std::vector<ScannedPlace> places = scan_files(base, files, options.options, threads);
  Tree filled = *this;
  for (std::size_t i = 0; i < files.size(); ++i) {
    report.files.push_back(files[i].path);
    try {
      const std::string target = targets.of(files[i]);
      if (const Error* error = error_of(places[i])) throw *error;
      if (!target.empty() && filled.contains(target)) {
        if (options.existing == ExistingTarget::skip) {
          report.skipped.push_back(target);
          continue;
        }
        if (options.existing == ExistingTarget::overwrite) filled.remove(target);
        if (options.existing == ExistingTarget::refuse)
          fail(Errc::already_exists, doing + ": '" + target +
                                         "' is in the tree; expected a new target for '" + files[i].path +
                                         "', got that of something else");
      }
      if (target.empty() && places[i].entries.front().kind == Member::Kind::array)
        fail(Errc::invalid_argument,
             doing + ": no name for an array; expected a target for '" + files[i].path + "', got the root");
      add_place(filled, places[i], target, options.existing);
      report.added.push_back(target);
    } catch (const Error& error) {
      const bool is_of_file = error.code() != Errc::invalid_argument && error.code() != Errc::already_exists;
      if (options.required || !is_of_file || error.code() == Errc::cancelled) throw;
      warn("tree_entry", doing + ": '" + files[i].path + "' is left out: " + error.what());
      report.failed.emplace_back(files[i].path, error);
    }
  }
  *this = std::move(filled);
  return report;
}

MORSEL_INLINE Tree open_tree(const std::string& path, const TreeOptions& options) {
  using namespace detail;
  const std::string doing = "opening the tree '" + path + "'";
  const int threads = scan_threads(options.threads, doing);
  std::error_code ignored;
  if (std::filesystem::is_regular_file(path, ignored)) {
    if (is_tree_file(path)) return read_tree_file(path);
  }
  const FoundFormat found = find_container(path);
  const std::string origin = canonical_path(found.place.path);
  if (found.format->name != "directory") {
    std::vector<Glob> ignored_paths;
    for (const std::string& pattern : options.ignore) ignored_paths.emplace_back(pattern);
    const ScannedPlace place = scan_place(found, ignored_paths, options.options, threads);
    morsel::Tree tree(below_target(origin, found.inside));
    if (const Error* error = error_of(place)) throw *error;
    std::string name = last_part(tree.origin());
    if (found.inside.empty())
      name.erase(name.size() - ending_of(*found.format, name, found.place.is_directory).size());
    const bool is_array = place.entries.front().kind == Member::Kind::array;
    add_place(tree, place, is_array ? name : "", ExistingTarget::refuse);
    return tree;
  }
  morsel::Tree tree(origin);
  const std::vector<FoundFile> files =
      DirectoryWalk(origin, {"**"}, options.ignore, DirectoryWalk::Unknown::left_out).run();
  const std::vector<ScannedPlace> places = scan_files(origin, files, options.options, threads);
  const std::vector<std::string> names = names_in_tree(files, options.endings);
  for (std::size_t i = 0; i < files.size(); ++i) add_place(tree, places[i], names[i], ExistingTarget::refuse);
  return tree;
}

}  // namespace morsel::inline MORSEL_ABI
