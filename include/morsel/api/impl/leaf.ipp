#pragma once

#include <algorithm>
#include <condition_variable>
#include <morsel/api/async.hpp>
#include <morsel/api/leaf.hpp>
#include <morsel/api/open.hpp>
#include <morsel/exec/pool.hpp>
#include <morsel/io/file.hpp>
#include <mutex>
#include <ostream>

namespace morsel::inline MORSEL_ABI {

struct Leaf::State {
  LeafInfo info;
  std::optional<LeafOrigin> origin;  // none: `opened` is the array itself
  FormatOptions options;
  std::optional<Error> error;

  std::mutex mutex;
  std::condition_variable_any changed;
  bool is_loading = false;
  std::uint64_t loader = 0;  // the thread that does
  std::optional<AnyLazyArray> opened, loaded;
};

namespace detail {

MORSEL_INLINE std::string place_of(const LeafOrigin& origin) {
  return origin.inside.empty() ? origin.path : origin.path + "/" + origin.inside;
}

MORSEL_INLINE AnyLazyArray open_origin(const LeafOrigin& origin, const FormatOptions& options) {
  const std::optional<FoundFormat> found = recognise_path(origin.path);
  if (!found || !found->format->open) {
    open_path(place_of(origin), options);  // says why not
    fail(Errc::source_changed, "open '" + place_of(origin) + "': it is no longer what it was; expected " +
                                   origin.format + ", got something else");
  }
  return from_opened(found->format->open(found->place, origin.inside, options), {}, {},
                     last_part(place_of(origin)));
}

MORSEL_INLINE const std::string& version_of(const AnyLazyArray& array) {
  return std::get<SourceNode>(array.edge().node->payload).version;
}

/// The array of a leaf, if it is still the one that was looked at.
MORSEL_INLINE AnyLazyArray open_unchanged(const LeafOrigin& origin, const LeafInfo& info,
                                          const FormatOptions& options) {
  AnyLazyArray array = open_origin(origin, options);
  const auto other = [&](const std::string& expected, const std::string& got) {
    fail(Errc::source_changed, "open '" + place_of(origin) +
                                   "': it changed since the tree was made; expected " + expected + ", got " +
                                   got);
  };
  if (!(array.dtype() == info.dtype)) other(info.dtype.name(), array.dtype().name());
  if (array.shape() != info.grid.shape()) other(to_string(info.grid.shape()), to_string(array.shape()));
  if (version_of(array) != origin.version) other("version " + origin.version, version_of(array));
  return array;
}

/// A loaded leaf's elements, and their place in the ledger: given back after them.
struct HeldElements {
  Grant grant;
  AnyArray elements;
  HeldElements(const Workspace& workspace, const AnyLazyArray& array, std::stop_token stop)
      : grant(workspace.state(), array.nbytes(), array.nbytes(), std::move(stop), Grant::Kind::holding),
        elements(array.dtype(), array.shape()) {}
};

MORSEL_INLINE AnyLazyArray held_array(const AnyLazyArray& array, const ComputeOptions& options) {
  const Workspace& workspace = options.workspace ? *options.workspace : Workspace::process();
  auto held = std::make_shared<HeldElements>(workspace, array, options.stop);
  const BufferView view = held->elements.view();
  array.compute_into(view, options);
  // Declared chunks stay, so that reductions give the same bits.
  return AnyLazyArray(
      make_source(memory_source(array.dtype(), view, std::move(held)), View::identity(array.shape()),
                  ChunkSpec::of(array.grid()), array.edge().node->name),
      array.dims(), array.attrs());
}

/// Waiting for a thread that might wait for this one would never end.
MORSEL_INLINE void require_may_wait(const std::string& path, std::uint64_t loader,
                                    const ComputeOptions& options) {
  const Workspace& workspace = options.workspace ? *options.workspace : Workspace::process();
  const bool holds_stream = [&] {
    const auto lock = workspace.state()->lock();
    return workspace.state()->holds_stream(this_thread_number());
  }();
  if (loader != this_thread_number() && !holds_stream) return;
  fail(Errc::unsupported, "loading '" + path +
                              "': it is being loaded; expected a thread that may wait, got " +
                              (holds_stream ? "one that holds a stream" : "the one that loads it"));
}

MORSEL_INLINE Leaf stored_leaf(std::string path, const FoundFormat& found, const std::string& inside,
                               const FormatOptions& options) {
  LeafOrigin origin{canonical_path(found.place.path), inside, found.format->name, ""};
  try {
    if (!found.format->open) open_path(found.place.path, options);  // says which component is missing
    OpenedArray opened = found.format->open(found.place, inside, options);
    auto state = std::make_shared<Leaf::State>();
    const ArraySpec& spec = opened.source.spec();
    if (spec.has_native_chunks) state->info.native_grid = map_grid(opened.view, spec.grid);
    const AnyLazyArray array = from_opened(std::move(opened), {}, {}, last_part(place_of(origin)));
    array.nbytes();  // refused here if they are too many to count
    state->info.dtype = array.dtype();
    state->info.grid = array.grid();
    state->info.dims = array.dims();
    state->info.attributes = array.attrs();
    origin.version = version_of(array);
    state->origin = std::move(origin);
    state->options = options;
    return Leaf(std::move(path), std::move(state));
  } catch (const Error& error) {
    if (error.code() == Errc::cancelled) throw;
    return broken_leaf(std::move(path), std::move(origin), error);
  }
}

MORSEL_INLINE Leaf broken_leaf(std::string path, LeafOrigin origin, const Error& error) {
  auto state = std::make_shared<Leaf::State>();
  state->origin = std::move(origin);
  state->error = error;
  return Leaf(std::move(path), std::move(state));
}

MORSEL_INLINE Leaf described_leaf(std::string path, LeafOrigin origin, LeafInfo info) {
  auto state = std::make_shared<Leaf::State>();
  state->origin = std::move(origin);
  state->info = std::move(info);
  return Leaf(std::move(path), std::move(state));
}

}  // namespace detail

MORSEL_INLINE Leaf::Leaf(AnyLazyArray array) : state_(std::make_shared<State>()) {
  state_->info = {array.dtype(), array.grid(), std::nullopt, array.dims(), array.attrs()};
  state_->opened = std::move(array);
}

MORSEL_INLINE const LeafInfo& Leaf::info() const {
  if (state_->error) throw *state_->error;
  return state_->info;
}

MORSEL_INLINE std::size_t Leaf::nbytes() const {
  return static_cast<std::size_t>(
      checked_mul(size(), static_cast<Index>(dtype().item_bytes()), "array bytes"));
}

MORSEL_INLINE const LeafOrigin* Leaf::origin() const { return state_->origin ? &*state_->origin : nullptr; }
MORSEL_INLINE const Error* Leaf::error() const { return state_->error ? &*state_->error : nullptr; }

MORSEL_INLINE bool Leaf::has_options() const { return !state_->options.empty(); }

MORSEL_INLINE bool Leaf::is_loaded() const {
  const std::lock_guard lock(state_->mutex);
  return state_->loaded.has_value();
}

MORSEL_INLINE AnyLazyArray Leaf::array() const {
  const LeafInfo& known = info();
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->loaded) return *state_->loaded;
    if (state_->opened) return *state_->opened;
  }
  AnyLazyArray array = detail::open_unchanged(*state_->origin, known, state_->options);
  const std::lock_guard lock(state_->mutex);
  if (state_->loaded) return *state_->loaded;
  state_->opened = array;
  return array;
}

MORSEL_INLINE const Leaf& Leaf::load(const ComputeOptions& options) const {
  info();
  {
    std::unique_lock lock(state_->mutex);
    if (state_->loaded) return *this;
    detail::require_outside_tasks("loading a leaf");
    if (state_->is_loading) detail::require_may_wait(path_, state_->loader, options);
    if (!state_->changed.wait(lock, options.stop, [&] { return !state_->is_loading; }))
      fail(Errc::cancelled, "loading '" + path_ + "': cancelled while another thread loads it");
    if (state_->loaded) return *this;
    state_->is_loading = true;
    state_->loader = this_thread_number();
  }
  std::optional<AnyLazyArray> loaded;
  const auto finish = [&] {
    const std::lock_guard lock(state_->mutex);
    state_->is_loading = false;
    state_->loaded = std::move(loaded);
    if (state_->loaded && state_->origin) state_->opened.reset();
    state_->changed.notify_all();
  };
  try {
    loaded = detail::held_array(array(), options);
  } catch (const Error& error) {
    finish();
    throw error.during("loading '" + path_ + "'");
  } catch (...) {
    finish();
    throw;
  }
  finish();
  return *this;
}

MORSEL_INLINE void Leaf::release() const {
  std::optional<AnyLazyArray> loaded, opened;  // go when the lock is open again
  const std::lock_guard lock(state_->mutex);
  loaded.swap(state_->loaded);
  if (state_->origin) opened.swap(state_->opened);
}

MORSEL_INLINE std::string to_string(const Leaf& leaf) {
  if (const Error* error = leaf.error()) return leaf.path() + "  (cannot be read: " + error->what() + ")";
  std::string text = leaf.path() + "  " + leaf.dtype().name() + "  " + to_string(leaf.shape());
  for (std::size_t i = 0; i < leaf.dims().size(); ++i)
    text += (i == 0 ? "  [" : ", ") + (leaf.dims()[i].empty() ? "-" : leaf.dims()[i]);
  if (!leaf.dims().empty()) text += "]";
  return text + "  " + format_bytes(leaf.nbytes()) + (leaf.is_loaded() ? "  (loaded)" : "  (proxy)");
}

MORSEL_INLINE std::ostream& operator<<(std::ostream& out, const Leaf& leaf) { return out << to_string(leaf); }

MORSEL_INLINE AnyLazyArray concat(const std::vector<Leaf>& leaves, const AxisName& axis) {
  if (leaves.empty()) fail(Errc::invalid_argument, "concat: no leaf at all; expected one or more, got none");
  const bool is_new =
      axis.is_named && std::none_of(leaves.begin(), leaves.end(), [&](const Leaf& leaf) {
        return std::find(leaf.dims().begin(), leaf.dims().end(), axis.name) != leaf.dims().end();
      });
  std::vector<AnyLazyArray> arrays;
  arrays.reserve(leaves.size());
  for (const Leaf& leaf : leaves) arrays.push_back(leaf.array());
  if (!is_new) return concat(arrays, axis);
  const AnyLazyArray stacked = stack(arrays, 0);
  std::vector<std::string> dims = stacked.dims();
  dims.resize(stacked.ndim());
  dims[0] = axis.name;
  return stacked.with_dims(std::move(dims));
}

MORSEL_INLINE AnyLazyArray concat(std::initializer_list<Leaf> leaves, const AxisName& axis) {
  return concat(std::vector<Leaf>(leaves), axis);
}

}  // namespace morsel::inline MORSEL_ABI
