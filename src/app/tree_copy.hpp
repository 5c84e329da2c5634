// What copies of whole containers have in common: the tree that is copied, and what is said of it.
#pragma once

#include <morsel/io/attributes_json.hpp>
#include <morsel/io/format.hpp>
#include <string>
#include <vector>

#include "commands.hpp"
#include "open_source.hpp"

namespace morsel::app {

/// A group of the source; `path` below the place that is copied.
struct GroupCopy {
  std::string path;
  Attributes attributes;
};

struct ArrayCopy {
  std::string path;
  OpenedEdge opened;
  SavePlan plan;
  bool is_done = false;
};

/// The groups and arrays below a place, and the ways in which the arrays can be stored.
class TreeCopy {
 public:
  TreeCopy(Session& session, const FoundFormat& source, const CopyArguments& arguments)
      : session_(session), source_(source), arguments_(arguments) {}

 protected:
  /// Ways to store an array, the best one first.
  virtual std::vector<SaveOptions> ways_of(const OpenedArray& opened,
                                           const StorageArguments& storage) const = 0;
  ~TreeCopy() = default;

  /// Lists the tree and opens its arrays. **Fails**: unsupported naming the first that cannot be read, unless
  /// such ones are to be skipped.
  void open_source();
  /// Shows the plans of arrays that are to be written.
  void explain();
  /// What was written and what was left out.
  void report();

  Session& session_;
  const FoundFormat& source_;
  const CopyArguments& arguments_;
  std::vector<GroupCopy> groups_;  // before what is in them
  std::vector<ArrayCopy> arrays_;
  std::vector<std::vector<SaveOptions>> ways_;

 private:
  struct Skipped {
    std::string path, why;
  };
  StorageArguments storage_for(std::size_t rank) const;
  void write_skipped(JsonWriter& json) const;
  std::vector<std::string> paths_;  // of arrays
  std::vector<Skipped> skipped_;
};

}  // namespace morsel::app
