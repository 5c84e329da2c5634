// The leaf of a tree: an array that is known but not read, and can be kept in memory for a while.
#pragma once

#include <iosfwd>
#include <memory>
#include <morsel/api/manipulation.hpp>
#include <morsel/io/format.hpp>
#include <optional>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// Where the elements of a leaf are stored.
struct LeafOrigin {
  std::string path;     ///< the file or directory, absolute
  std::string inside;   ///< what follows inside of it
  std::string format;   ///< "hdf5", "zarr"
  std::string version;  ///< of its source when it was looked at
  friend bool operator==(const LeafOrigin&, const LeafOrigin&) = default;
};

/// What is known of a leaf without opening anything.
struct LeafInfo {
  DType dtype;
  Grid grid;                        ///< declared; its shape is the array's
  std::optional<Grid> native_grid;  ///< chunks of the file, if it has any
  std::vector<std::string> dims;    ///< names of the axes, or empty
  Attributes attributes;
};

/// A handle on a leaf; copies are the same leaf. It is a proxy for an array: shape, dtype, names, chunks and
/// attributes are known, elements are read where they are used. After load() they come from memory, until
/// release().
///
/// Stands wherever a lazy array does: mean(leaf), leaf * 2.0, save(leaf, "x.npy"). Arrays made of a loaded
/// leaf keep its memory; those made before go on reading the file.
///
/// **Threads**: const members may be called from any.
class Leaf {
 public:
  /// A leaf that is computed: load() keeps its result.
  explicit Leaf(AnyLazyArray array);

  /// In the tree: "day042/precipitation".
  const std::string& path() const { return path_; }
  /// **Fails**: members that describe the array throw what error() has.
  const DType& dtype() const { return info().dtype; }
  Shape shape() const { return info().grid.shape(); }
  std::size_t ndim() const { return info().grid.rank(); }
  Index size() const { return size_of(shape()); }
  std::size_t nbytes() const;
  const Grid& grid() const { return info().grid; }
  const std::vector<std::string>& dims() const { return info().dims; }
  const Attributes& attrs() const { return info().attributes; }
  const LeafInfo& info() const;
  /// Where it is stored; null for an array that was added.
  const LeafOrigin* origin() const;
  /// Why the array cannot be used (an element type that is not supported, a damaged file), or null. Such a
  /// leaf throws it when it is used.
  const Error* error() const;

  /// Was it opened with options of its format?
  bool has_options() const;

  bool is_loaded() const;
  /// The array as it is now: elements in memory if it is loaded, else in the file, which is opened here.
  /// **Fails**: source_changed if what is there now is another array than that of the leaf; as open_any.
  AnyLazyArray array() const;
  operator AnyLazyArray() const { return array(); }  // NOLINT(google-explicit-constructor)

  /// Computes the elements and keeps them, booked in the workspace until they are released. Many threads may
  /// ask at once: one of them reads. **Fails**: as compute does; budget_too_small if the workspace has no
  /// room for them; unsupported inside of a task. Then the leaf is what it was.
  const Leaf& load(const ComputeOptions& options = {}) const;
  /// Forgets the elements, and closes what was open. The memory is free when arrays made of it are gone, too.
  void release() const;

  struct State;
  /// For trees: `path` names the leaf of that state.
  Leaf(std::string path, std::shared_ptr<State> state) : path_(std::move(path)), state_(std::move(state)) {}
  const std::shared_ptr<State>& state() const { return state_; }

 private:
  std::string path_;
  std::shared_ptr<State> state_;
};

/// "day042/precipitation  float64  (24, 100)  [time, x]  18.75 KiB  (proxy)"; or "... (loaded)".
std::string to_string(const Leaf& leaf);
std::ostream& operator<<(std::ostream& out, const Leaf& leaf);

/// Leaves one after another along an axis. A name that no leaf has as a dimension makes a new first axis of
/// it: 42 arrays (time, x) become one (day, time, x). Nothing is read.
AnyLazyArray concat(const std::vector<Leaf>& leaves, const AxisName& axis = 0);
AnyLazyArray concat(std::initializer_list<Leaf> leaves, const AxisName& axis = 0);

namespace detail {
/// The leaf of a stored array: opens it for what there is to know, and lets it go.
Leaf stored_leaf(std::string path, const FoundFormat& found, const std::string& inside,
                 const FormatOptions& options);
Leaf broken_leaf(std::string path, LeafOrigin origin, const Error& error);
/// A leaf as it was described before.
Leaf described_leaf(std::string path, LeafOrigin origin, LeafInfo info);
}  // namespace detail

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/api/impl/leaf.ipp>
#endif
