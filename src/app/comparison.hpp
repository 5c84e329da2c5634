// What two arrays or hierarchies differ in, their metadata included.
#pragma once

#include <morsel/io/container.hpp>
#include <optional>
#include <string>
#include <vector>

#include "difference.hpp"

namespace morsel::app {

/// An attribute that one side has not, or with another value.
struct AttributeDifference {
  std::string name;
  std::optional<std::string> a, b;  ///< JSON text
};

/// One of the two things compared.
struct Side {
  std::string path;
  FoundFormat found;
  bool is_group = false;

  /// **Fails**: as find_format, and as the format lists.
  explicit Side(std::string where);
  /// False for formats that cannot store attributes: having none says nothing there.
  bool has_attributes() const { return found.format->attributes != nullptr; }
  Attributes group_attributes() const {
    return has_attributes() ? found.format->attributes(found.place, found.inside) : Attributes();
  }
  const char* kind() const { return is_group ? "group" : "array"; }
};

/// What is known of one side's array.
struct ArraySide {
  DType dtype;
  Shape shape;
  std::vector<std::string> dims;
};

/// Two arrays compared.
struct ArrayDifference {
  ArraySide a, b;
  bool has_other_dims = false;
  std::vector<AttributeDifference> attributes;
  std::optional<Difference> elements;  ///< nothing: they cannot be compared one by one

  bool has_other_shape() const { return a.shape != b.shape; }
  bool has_other_dtype() const { return a.dtype != b.dtype; }
  bool is_equal() const {
    return !has_other_shape() && !has_other_dtype() && !has_other_dims && attributes.empty() && elements &&
           elements->different == 0;
  }
};

/// Compares two arrays: dtype, shape, elements; names of axes where both have some; attributes where both
/// formats have attributes. **Fails**: as opening them does, and as difference_of.
ArrayDifference compare_arrays(Session& session, const Side& a, const Side& b, const Tolerance& tolerance);

/// Two hierarchies compared; paths are below the two roots, "" for these themselves.
struct TreeDifference {
  struct Array {
    std::string path;
    std::optional<ArrayDifference> difference;
    std::string error;  ///< why there is none
  };
  struct Group {
    std::string path;
    std::vector<AttributeDifference> attributes;
  };
  struct Kinds {
    std::string path, a, b;
  };
  struct Only {
    std::string path, kind;
  };
  std::vector<Only> only_in_a, only_in_b;
  std::vector<Kinds> other_kind;
  std::vector<Group> groups;  ///< those whose attributes differ
  std::vector<Array> arrays;  ///< all that both have
  Index failed = 0;

  /// True if nothing that could be compared differs.
  bool is_equal() const {
    bool equal = only_in_a.empty() && only_in_b.empty() && other_kind.empty() && groups.empty();
    for (const Array& array : arrays) equal &= !array.difference || array.difference->is_equal();
    return equal;
  }
};

/// Compares two groups with all below them; an array that cannot be read does not hide the others. Members
/// that one side lacks are listed without what is below them.
/// **Fails**: cancelled; as listing the groups does; unsupported below 64 levels.
TreeDifference compare_groups(Session& session, const Side& a, const Side& b, const Tolerance& tolerance);

/// "path/member", "member" below "".
std::string below(const std::string& path, const std::string& member);

}  // namespace morsel::app
