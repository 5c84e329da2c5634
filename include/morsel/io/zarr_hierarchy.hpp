// Arrays and groups of a store that holds Zarr or N5.
#pragma once

#include <memory>
#include <morsel/io/member.hpp>
#include <morsel/io/store.hpp>
#include <morsel/io/zarr_metadata.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace morsel::inline MORSEL_ABI {

struct ZarrHierarchyOptions {
  int zarr_format = 0;   ///< 2 or 3: that format alone; 0: version 3, else 2, else N5
  bool can_list = true;  ///< false: the store cannot list; children come from consolidated metadata alone
  bool use_consolidated = true;  ///< false: children come from listings alone
};

/// A node as its documents describe it.
struct ZarrNode {
  Member::Kind kind = Member::Kind::group;
  std::string format;  ///< "zarr_v3", "zarr_v2", "n5"
  Attributes attributes;
  /// Of an array that can be opened.
  std::optional<ZarrArray> array;
  /// Of an array that cannot: why, and with which code opening fails. Groups list it nevertheless.
  std::string refused;
  Errc refused_code = Errc::unsupported;
  std::optional<Shape> shape;  ///< of any array whose document says it
  std::string dtype;           ///< of an array that cannot be opened, as the document spells it
  std::string documents_text;  ///< the documents with their names: changes when any of them does
};

/// Whether consolidated metadata may stand for the documents of a node.
enum class ZarrDocuments : std::uint8_t {
  own,          ///< no: they may be newer
  consolidated  ///< yes, where there is any: for listings, one read for a whole tree
};

/// The nodes below a prefix of a store. Paths are relative to it, "" is the root. Keeps the consolidated
/// metadata that it has read: make a new one to see changes. Cheap to copy.
///
/// Version 3 groups without a document (directories above other nodes) and N5 groups are found, too.
/// **Source**: Zarr v2, Zarr v3 and N5, hierarchies; zarr-python, consolidated metadata. **Threads**: const
/// members may be called from many.
class ZarrHierarchy {
 public:
  explicit ZarrHierarchy(AnyStore store, std::string root_prefix = "",
                         const ZarrHierarchyOptions& options = {});

  /// The node at a path; nothing if there is none. **Fails**: corrupt_data for documents that are no JSON or
  /// describe no node; invalid_argument for paths with "." or ".." in them; what the store throws. An array
  /// that cannot be opened is a node with `refused`.
  std::optional<ZarrNode> find(std::string_view path, ZarrDocuments documents = ZarrDocuments::own) const;
  /// Nodes directly below a group, sorted by name; `Member::path` is the name alone. None below an array.
  /// Children whose documents cannot be read are listed as groups. **Fails**: as find; unsupported if the
  /// store cannot list and no consolidated metadata covers the path.
  std::vector<Member> children(std::string_view path) const;

  const AnyStore& store() const;
  /// The key of a name below a node: "prefix/path/name".
  std::string key(std::string_view path, std::string_view name) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Writes the documents of all nodes into one, so that a reader needs one request for the whole tree: into
/// the root group's zarr.json (version 3) or .zmetadata (version 2). **Fails**: invalid_argument if the root
/// is no group; corrupt_data for documents that are no JSON.
void consolidate_metadata(const AnyStore& store, int zarr_format = 3);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/zarr_consolidate.ipp>
#include <morsel/io/impl/zarr_hierarchy.ipp>
#endif
