// A hierarchy of arrays that are known but not read: of a file, of a directory of files, or put together.
//
//   open_tree, Tree::load                          Leaf::load              Leaf::release
//   files -> listed -> looked at (in parallel) -> proxy ------> elements in memory ------> proxy
//                                                   |                |
//                                                   '---- array() ---'---> lazy arrays, concat, compute
#pragma once

#include <map>
#include <morsel/api/glob.hpp>
#include <morsel/api/leaf.hpp>
#include <morsel/io/member.hpp>
#include <utility>

namespace morsel::inline MORSEL_ABI {

/// What to do where there is something at a path of the tree already.
enum class ExistingTarget : std::uint8_t { refuse, skip, overwrite };

/// What becomes of ".h5" in the names of files.
enum class Endings : std::uint8_t {
  dropped,  ///< day042.h5 is the group day042, unless something else of the directory would be called so, too
  kept
};

struct TreeOptions {
  std::vector<std::string> ignore = {};  ///< patterns of paths in the directory or container to leave out
  Endings endings = Endings::dropped;
  int threads = 0;             ///< that look at files; 0: the workspace's
  FormatOptions options = {};  ///< for the formats of all files
};

struct LoadOptions {
  /// The directory that patterns are relative to; default: the one that the tree was opened from, else the
  /// current one.
  std::string base = {};
  std::vector<std::string> ignore = {};  ///< patterns of paths that are left out
  /// An entry that is required is refused without any file, and if one of its files cannot be read or does
  /// not match `path_regex`. Otherwise such files are left out, and reported and warned of ("tree_entry").
  /// Arrays of a container that cannot be read are leaves with errors either way.
  bool required = true;
  /// Searched in each file's path below `base`; what it captures goes into `target`. ECMAScript.
  std::string path_regex = {};
  /// Where a file goes in the tree. {path}: its path without the ending; {stem}, {name}: the last part of it
  /// without and with the ending; {match}: the first capture of `path_regex`, or all that it matched; {1} to
  /// {9}: captures. Default: {path}.
  std::string target = {};
  ExistingTarget existing = ExistingTarget::refuse;
  int threads = 0;
  FormatOptions options = {};
};

/// What Tree::load did.
struct LoadReport {
  std::vector<std::string> files;                     ///< paths below the base, in order
  std::vector<std::string> added;                     ///< targets in the tree
  std::vector<std::string> skipped;                   ///< targets that were there already
  std::vector<std::pair<std::string, Error>> failed;  ///< files that were left out, and why
};

/// Groups and leaves by path: "day042/precipitation". A value; copies share the leaves. Paths are sorted part
/// by part.
///
/// **Threads**: const members may be called from many.
class Tree {
 public:
  Tree() = default;
  /// An empty tree for files of a directory: patterns of load are relative to it.
  explicit Tree(std::string origin) : origin_(std::move(origin)) {}

  /// Number of leaves.
  std::size_t size() const;
  /// Is there a group or leaf at a path?
  bool contains(std::string_view path) const;
  bool is_group(std::string_view path) const;
  /// Directly in a group; paths are names. **Fails**: not_found.
  std::vector<Member> members(std::string_view path = "") const;
  /// Attributes of a group. **Fails**: not_found.
  const Attributes& attrs(std::string_view path = "") const;
  /// **Fails**: not_found naming what is there; invalid_argument for a group.
  Leaf leaf(std::string_view path) const;
  /// The array of a leaf as it is now. **Fails**: as leaf, and as Leaf::array.
  AnyLazyArray operator[](std::string_view path) const { return leaf(path).array(); }
  /// What is below a group, as a tree with the same leaves. **Fails**: not_found.
  Tree group(std::string_view path) const;
  /// All leaves, and those whose paths match a pattern, sorted.
  std::vector<Leaf> leaves() const;
  std::vector<Leaf> glob(std::string_view pattern) const;

  /// Puts an array at a path, with the groups above it. **Fails**: already_exists; invalid_argument below a
  /// leaf.
  Tree& add(std::string_view path, const Leaf& leaf, ExistingTarget existing = ExistingTarget::refuse);
  Tree& add(std::string_view path, const AnyLazyArray& array,
            ExistingTarget existing = ExistingTarget::refuse) {
    return add(path, Leaf(array), existing);
  }
  /// Makes a group, or gives the one that is there attributes. **Fails**: as add.
  Tree& add_group(std::string_view path, Attributes attrs = {});
  /// Removes a leaf, or a group with all that is in it. **Fails**: not_found.
  Tree& remove(std::string_view path);

  /// Adds the arrays of all files and Zarr directories whose paths below a directory match one of the
  /// patterns, each file once, sorted. Hidden files are left out. Nothing is read but metadata. The tree is
  /// changed only if nothing fails.
  /// **Fails**: not_found for a required entry without files; already_exists; invalid_argument for patterns,
  /// targets and expressions; what opening a file of a required entry fails with.
  LoadReport load(const std::vector<std::string>& patterns, const LoadOptions& options = {});
  LoadReport load(const char* pattern, const LoadOptions& options = {}) {
    return load(std::vector<std::string>{pattern}, options);
  }

  /// The file or directory that the tree was opened from, or "".
  const std::string& origin() const { return origin_; }

  /// '/' sorts before every other character, so that what is in a group follows it.
  struct PathLess {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const;
  };
  /// A group or a leaf.
  struct Node {
    Attributes attributes;     ///< of a group
    std::optional<Leaf> leaf;  ///< none: a group
  };
  using Nodes = std::map<std::string, Node, PathLess>;
  /// Without the root.
  const Nodes& nodes() const { return nodes_; }

 private:
  Nodes::const_iterator find(std::string_view path, const char* doing) const;
  void make_groups(const std::string& path);

  std::string origin_;
  Attributes attributes_;
  Nodes nodes_;
};

/// The arrays of a container (an HDF5 file, a Zarr group, any format that lists its members), of a directory
/// of containers and array files, or of a file that save_tree wrote. In a directory, files that no format
/// recognises and hidden ones are left out; an array or file that cannot be read is a leaf with an error, and
/// so is one of a saved tree whose file is no longer the same.
///
/// **Cost**: metadata of every array; no element is read. Files are not kept open.
/// **Fails**: as find_format; io_error for a directory that cannot be listed.
Tree open_tree(const std::string& path, const TreeOptions& options = {});

struct TreeText {
  Index most_members = 0;  ///< of a group that are shown, the rest counted; 0: all
};
/// The hierarchy with one line for each group and leaf: dtype, shape, names of axes, bytes, and "(proxy)" or
/// "(loaded)". Reads nothing.
std::string to_string(const Tree& tree, const TreeText& options = {});
std::ostream& operator<<(std::ostream& out, const Tree& tree);

struct SaveTreeOptions {
  bool overwrite = false;
};
/// Writes groups, attributes and where the leaves are stored to a small file of JSON that open_tree opens. No
/// element is written: loaded leaves are proxies there. Paths at or below the file's directory are relative
/// to it, so that both can move together.
/// **Fails**: already_exists; unsupported for leaves that are computed, or opened with options; io_error.
void save_tree(const Tree& tree, const std::string& path, const SaveTreeOptions& options = {});

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/tree.ipp>
#include <morsel/api/impl/tree_file.ipp>
#include <morsel/api/impl/tree_scan.ipp>
#endif
