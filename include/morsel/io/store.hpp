// Keyed byte strings: what chunked formats are kept in. The concept and its handle.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <morsel/base/checked.hpp>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// Bytes [offset, offset + length) of a value; a negative offset counts from its end; length -1 is all that
/// follows.
struct ByteRange {
  Index offset = 0;
  Index length = -1;
  bool clipped = false;  ///< a value that ends sooner gives what it has; otherwise it is an error
};

/// One wanted range and the room for it. `get` sets `found` and `filled_bytes`.
struct GetRequest {
  std::string_view key;
  ByteRange range;
  std::span<std::byte> room;
  bool found = false;
  std::size_t filled_bytes = 0;
};

/// Reads, lists and atomically replaces keyed byte strings. Keys are '/'-separated, relative, without "." or
/// "..".
///
/// Laws: `get` takes many ranges at once, so that an asynchronous store can drive them from one lane; a
/// missing key is a value, not an error; a value longer than its room is an error (corrupt_data naming key,
/// room and size). `put` makes the whole value visible at once or not at all. `list` calls back with the keys
/// directly below a prefix (directories end in '/'), sorted. All are callable from many threads at once.
template <class S>
concept Store = std::move_constructible<S> &&
    requires(const S& s, std::span<GetRequest> requests, std::string_view key,
             std::span<const std::byte> value, std::stop_token stop,
             const std::function<void(std::string_view)>& visit) {
  { s.get(requests, stop) } -> std::same_as<void>;
  { s.size(key) } -> std::same_as<std::optional<Index>>;
  { s.put(key, value) } -> std::same_as<void>;
  { s.erase(key) } -> std::same_as<void>;
  { s.list(key, visit) } -> std::same_as<void>;
  { s.identity() } -> std::convertible_to<std::string>;
};

/// Optional ability: a number that changes when a value does, for less than reading it; nothing: not known,
/// or there is no such value.
template <class S>
concept StampsValues = Store<S> && requires(const S& s, std::string_view key) {
  { s.stamp(key) } -> std::same_as<std::optional<std::uint64_t>>;
};

/// A shared handle on any store; models Store itself.
class AnyStore {
 public:
  AnyStore() = default;
  template <class S>
  requires(!std::same_as<std::remove_cvref_t<S>, AnyStore> && Store<std::remove_cvref_t<S>>)
      AnyStore(S&& store)  // NOLINT(google-explicit-constructor)
      : self_(std::make_shared<const Model<std::remove_cvref_t<S>>>(std::forward<S>(store))) {}

  explicit operator bool() const { return self_ != nullptr; }
  void get(std::span<GetRequest> requests, std::stop_token stop) const {
    self_->get(requests, std::move(stop));
  }
  std::optional<Index> size(std::string_view key) const { return self_->size(key); }
  std::optional<std::uint64_t> stamp(std::string_view key) const { return self_->stamp(key); }
  void put(std::string_view key, std::span<const std::byte> value) const { self_->put(key, value); }
  void erase(std::string_view key) const { self_->erase(key); }
  void list(std::string_view prefix, const std::function<void(std::string_view)>& visit) const {
    self_->list(prefix, visit);
  }
  std::string identity() const { return self_->identity(); }

 private:
  struct Interface {
    virtual ~Interface() = default;
    virtual void get(std::span<GetRequest>, std::stop_token) const = 0;
    virtual std::optional<Index> size(std::string_view) const = 0;
    virtual std::optional<std::uint64_t> stamp(std::string_view) const = 0;
    virtual void put(std::string_view, std::span<const std::byte>) const = 0;
    virtual void erase(std::string_view) const = 0;
    virtual void list(std::string_view, const std::function<void(std::string_view)>&) const = 0;
    virtual std::string identity() const = 0;
  };
  template <class S>
  struct Model final : Interface {
    explicit Model(S store) : store_(std::move(store)) {}
    void get(std::span<GetRequest> r, std::stop_token s) const override { store_.get(r, std::move(s)); }
    std::optional<Index> size(std::string_view k) const override { return store_.size(k); }
    std::optional<std::uint64_t> stamp(std::string_view k) const override {
      if constexpr (StampsValues<S>) return store_.stamp(k);
      return std::nullopt;
    }
    void put(std::string_view k, std::span<const std::byte> v) const override { store_.put(k, v); }
    void erase(std::string_view k) const override { store_.erase(k); }
    void list(std::string_view p, const std::function<void(std::string_view)>& f) const override {
      store_.list(p, f);
    }
    std::string identity() const override { return store_.identity(); }
    S store_;
  };
  std::shared_ptr<const Interface> self_;
};
static_assert(Store<AnyStore>);

}  // namespace morsel::inline MORSEL_ABI
