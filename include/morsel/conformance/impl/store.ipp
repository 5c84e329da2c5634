#pragma once

#include <algorithm>
#include <atomic>
#include <morsel/conformance/impl/guarded.hpp>
#include <morsel/conformance/store.hpp>
#include <set>

namespace morsel::inline MORSEL_ABI {

namespace conformance {

using StoredValues = std::map<std::string, std::vector<std::byte>>;

/// The code of the error that f fails with; nothing if it does not.
template <class F>
std::optional<Errc> error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.code();
  }
  return std::nullopt;
}

class StoreChecker {
 public:
  StoreChecker(const AnyStore& store, std::uint64_t seed) : store_(store), random_(seed) {}

  [[noreturn]] void refuse(const std::string& law) const { violated("store " + store_.identity(), law); }

  /// One range; nothing if the key is missing.
  std::optional<std::vector<std::byte>> get(const std::string& key, ByteRange range, std::size_t room_bytes) {
    GuardedBytes room(room_bytes, random_());
    GetRequest request;
    request.key = key;
    request.range = range;
    request.room = room.span();
    request.filled_bytes = room_bytes + 1;
    store_.get(std::span<GetRequest>(&request, 1), {});
    if (!room.is_intact()) refuse("get of '" + key + "' writes outside of the room");
    if (!request.found) return std::nullopt;
    if (request.filled_bytes > room_bytes)
      refuse("get of '" + key + "' says that it filled more than the room; expected at most " +
             std::to_string(room_bytes) + ", got " + std::to_string(request.filled_bytes));
    return std::vector<std::byte>(room.data(), room.data() + request.filled_bytes);
  }

  void check_value(const std::string& key, const std::vector<std::byte>& value) {
    const auto n = static_cast<Index>(value.size());
    if (store_.size(key) != std::optional<Index>(n))
      refuse("size of '" + key + "' is wrong; expected " + std::to_string(n));
    check_range(key, value, {0, -1}, value.size());
    check_range(key, value, {0, -1}, value.size() + 100);
    check_range(key, value, {0, n}, value.size());
    check_range(key, value, {-n, -1}, value.size());
    check_range(key, value, {n, -1}, 0);
    check_range(key, value, {n, 0}, 0);
    for (int i = 0; i < 6 && n > 0; ++i) {
      const Index lo = random_in(random_, 0, n - 1), length = random_in(random_, 0, n - lo);
      check_range(key, value, {lo, length}, static_cast<std::size_t>(length));
      check_range(key, value, {lo, -1}, static_cast<std::size_t>(n - lo));
      check_range(key, value, {lo - n, length}, static_cast<std::size_t>(length) + 3);
    }
    // What does not fit must be said, never cut off in silence.
    const auto must_fail = [&](ByteRange range, std::size_t room_bytes, const char* what) {
      const std::optional<Errc> code = error_of([&] { get(key, range, room_bytes); });
      if (code != Errc::corrupt_data)
        refuse(std::string("get of '") + key + "' with " + what +
               " does not fail; expected corrupt_data, got " +
               (code ? std::string(name_of(*code)) : "no error"));
    };
    if (n > 0) must_fail({0, -1}, value.size() - 1, "too little room");
    must_fail({0, n + 1}, value.size() + 8, "a range that ends beyond the value");
    must_fail({n + 1, -1}, value.size() + 8, "a range that starts beyond the value");
    must_fail({-n - 1, -1}, value.size() + 8, "a range that starts before the value");
  }

  void check_missing(const std::string& key) {
    if (store_.size(key)) refuse("size of the missing key '" + key + "' is a number; expected nothing");
    if (get(key, {}, 16)) refuse("get of the missing key '" + key + "' finds it; expected not found");
    if (get(key, {-4, 4}, 16))
      refuse("get of a range of the missing key '" + key + "' finds it; expected not found");
  }

  /// Many ranges of many keys in one call.
  void check_batch(const StoredValues& values) {
    struct Wanted {
      std::string key;
      Index offset, length;
      bool is_there;
    };
    std::vector<Wanted> wanted;
    for (const auto& [key, value] : values) {
      const auto n = static_cast<Index>(value.size());
      for (int i = 0; i < 3; ++i) {
        const Index lo = random_in(random_, 0, n);
        wanted.push_back({key, lo, random_in(random_, 0, n - lo), true});
      }
      wanted.push_back({key + "-no-such-key", 0, -1, false});
    }
    std::shuffle(wanted.begin(), wanted.end(), random_);
    std::vector<std::unique_ptr<GuardedBytes>> rooms;
    std::vector<GetRequest> requests(wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      rooms.push_back(std::make_unique<GuardedBytes>(
          static_cast<std::size_t>(std::max<Index>(wanted[i].length, 0)), random_()));
      requests[i].key = wanted[i].key;
      requests[i].range = {wanted[i].offset, wanted[i].length};
      requests[i].room = rooms[i]->span();
    }
    store_.get(requests, {});
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const std::string where = "get of many ranges, '" + wanted[i].key + "'";
      if (!rooms[i]->is_intact()) refuse(where + ": writes outside of the room");
      if (requests[i].found != wanted[i].is_there) refuse(where + ": found is wrong");
      if (!wanted[i].is_there) continue;
      const std::vector<std::byte>& value = values.at(wanted[i].key);
      const auto begin = value.begin() + wanted[i].offset;
      if (requests[i].filled_bytes != static_cast<std::size_t>(wanted[i].length) ||
          !std::equal(begin, begin + wanted[i].length, rooms[i]->data()))
        refuse(where + ": wrong bytes");
    }
  }

  /// `list` of every directory there is, and of some that there are not.
  void check_lists(const StoredValues& values) {
    std::set<std::string> directories{""};
    for (const auto& [key, value] : values)
      for (std::size_t slash = key.find('/'); slash != std::string::npos; slash = key.find('/', slash + 1))
        directories.insert(key.substr(0, slash));
    for (const std::string& directory : directories) {
      const std::string start = directory.empty() ? "" : directory + "/";
      std::set<std::string> want;
      for (const auto& [key, value] : values) {
        if (key.compare(0, start.size(), start) != 0) continue;
        const std::size_t slash = key.find('/', start.size());
        want.insert(slash == std::string::npos ? key : key.substr(0, slash + 1));
      }
      for (const std::string& prefix :
           directory.empty() ? std::vector<std::string>{""} : std::vector<std::string>{directory, start})
        compare_list(prefix, {want.begin(), want.end()});
    }
    // A key is no directory, and neither is the beginning of a name.
    for (const auto& [key, value] : values) {
      if (directories.count(key) == 0) compare_list(key, {});
      const std::string part = key.substr(0, key.size() - 1);
      if (!part.empty() && static_cast<unsigned char>(key.back()) < 128 && part.back() != '/' &&
          part.back() != '.' && directories.count(part) == 0 && values.count(part) == 0)
        compare_list(part, {});
    }
    compare_list("no/such/directory", {});
  }

  void check_bad_keys(bool writes) {
    using namespace std::string_literals;
    for (const std::string& key :
         {""s, "/"s, "/absolute"s, "a//b"s, "a/"s, "."s, ".."s, "../out"s, "a/../b"s, "a/./b"s, "a\0b"s}) {
      const auto must_refuse = [&](const char* call, const std::function<void()>& f) {
        const std::optional<Errc> code = error_of(f);
        if (code != Errc::invalid_argument)
          refuse(std::string(call) + " takes the key '" + key.c_str() + "'; expected invalid_argument, got " +
                 (code ? std::string(name_of(*code)) : "no error"));
      };
      must_refuse("get", [&] { get(key, {}, 16); });
      must_refuse("size", [&] { store_.size(key); });
      if (!writes) continue;
      must_refuse("put", [&] { store_.put(key, {}); });
      must_refuse("erase", [&] { store_.erase(key); });
    }
  }

 private:
  void check_range(const std::string& key, const std::vector<std::byte>& value, ByteRange range,
                   std::size_t room_bytes) {
    const auto n = static_cast<Index>(value.size());
    const Index begin = range.offset < 0 ? n + range.offset : range.offset;
    const Index length = range.length < 0 ? n - begin : range.length;
    const std::optional<std::vector<std::byte>> got = get(key, range, room_bytes);
    const std::string where = "get of '" + key + "', offset " + std::to_string(range.offset) + ", length " +
                              std::to_string(range.length);
    if (!got) refuse(where + ": not found; expected a value");
    if (got->size() != static_cast<std::size_t>(length))
      refuse(where + ": wrong number of bytes; expected " + std::to_string(length) + ", got " +
             std::to_string(got->size()));
    if (!std::equal(got->begin(), got->end(), value.begin() + begin)) refuse(where + ": wrong bytes");
  }

  void compare_list(const std::string& prefix, const std::vector<std::string>& want) {
    std::vector<std::string> got;
    store_.list(prefix, [&](std::string_view key) { got.emplace_back(key); });
    if (got == want) return;
    const auto text = [](const std::vector<std::string>& keys) {
      std::string all;
      for (const std::string& key : keys) all += " '" + key + "'";
      return all.empty() ? std::string(" nothing") : all;
    };
    refuse("list of '" + prefix + "' is wrong; expected" + text(want) + ", got" + text(got));
  }

  const AnyStore& store_;
  Random random_;
};

inline void check_store_reads(const AnyStore& store, const StoredValues& values,
                              const StoreCheckOptions& options) {
  StoreChecker checker(store, options.seed);
  const std::string identity = store.identity();
  if (identity.empty()) checker.refuse("identity() is empty; expected a text that says which store");
  for (const auto& [key, value] : values) checker.check_value(key, value);
  checker.check_missing("no-such-key");
  checker.check_missing("no/such/key");
  for (const auto& [key, value] : values) {
    const std::size_t slash = key.find('/');
    if (slash != std::string::npos && values.count(key.substr(0, slash)) == 0)
      checker.check_missing(key.substr(0, slash));
  }
  checker.check_batch(values);
  checker.check_lists(values);
  checker.check_bad_keys(false);
  in_threads(options.threads, [&](int thread) {
    StoreChecker own(store, options.seed + 100u + static_cast<unsigned>(thread));
    for (const auto& [key, value] : values) own.check_value(key, value);
    own.check_batch(values);
    own.check_lists(values);
  });
  if (store.identity() != identity) checker.refuse("identity() is not constant; expected '" + identity + "'");
}

/// One key is replaced again and again by values of many lengths, each of one repeated byte: a reader sees
/// one of them whole, or with too little room an error.
inline void check_replacement(const AnyStore& store, const StoreCheckOptions& options) {
  const auto value_of = [](int version) {
    return std::vector<std::byte>(static_cast<std::size_t>(1 + version * 7919 % 70000),
                                  static_cast<std::byte>(version));
  };
  store.put("replaced/value", value_of(0));
  std::atomic<bool> done{false};
  in_threads(options.threads + 1, [&](int thread) {
    if (thread == 0) {
      struct Finish {
        std::atomic<bool>& done;
        ~Finish() { done = true; }
      } finish{done};
      for (int version = 1; version <= options.replacements; ++version)
        store.put("replaced/value", value_of(version));
      return;
    }
    StoreChecker reader(store, options.seed + static_cast<unsigned>(thread));
    do {
      const std::optional<std::vector<std::byte>> got = reader.get("replaced/value", {}, 80000);
      if (!got)
        reader.refuse(
            "a key that is being replaced is missing for a moment; expected the old or the new value");
      bool is_whole = false;
      for (int version = 0; version <= options.replacements && !got->empty(); ++version)
        is_whole |= static_cast<std::byte>(version) == got->front() && *got == value_of(version);
      if (!is_whole)
        reader.refuse("a reader sees a value that was never put; expected the old or the new value, whole");
    } while (!done);
  });
  StoreChecker checker(store, options.seed);
  checker.check_value("replaced/value", value_of(options.replacements));
  store.erase("replaced/value");
}

inline void check_store(const std::function<AnyStore()>& make_store, const StoreCheckOptions& options) {
  const AnyStore store = make_store();
  StoreChecker checker(store, options.seed);
  checker.check_missing("a");
  checker.check_lists({});
  checker.check_bad_keys(true);
  checker.check_lists({});
  Random random(options.seed);
  StoredValues values;
  const std::string keys[] = {"zarr.json",
                              "a/.zarray",
                              "a/0.0",
                              "a/0.1",
                              "a/c/0/0",
                              "a/c/0/1",
                              "a/c/10/3",
                              "b",
                              "b.c/d",
                              "with space/and?#*[:=]",
                              "uni/\xc3\xa4\xe2\x82\xac",
                              "c/...",
                              "c/..hidden",
                              "c/-n",
                              "c/%2e%2e",
                              "deep/er/and/deep/er/still"};
  int number = 0;
  for (const std::string& key : keys) {
    std::vector<std::byte> value(number % 5 == 0 ? 0 : static_cast<std::size_t>(random_in(random, 1, 5000)));
    for (std::byte& byte : value) byte = static_cast<std::byte>(random());
    store.put(key, value);
    values[key] = value;
    ++number;
  }
  check_store_reads(store, values, options);
  // Replacing: longer, shorter, empty.
  for (const std::size_t bytes : {9000u, 10u, 0u, 70u}) {
    values["a/0.0"] = std::vector<std::byte>(bytes, std::byte{7});
    store.put("a/0.0", values["a/0.0"]);
    checker.check_value("a/0.0", values["a/0.0"]);
  }
  check_replacement(store, options);
  // Erasing: that key alone, and twice is no error.
  for (const char* key : {"b", "a/c/0/1", "uni/\xc3\xa4\xe2\x82\xac"}) {
    store.erase(key);
    store.erase(key);
    values.erase(key);
    checker.check_missing(key);
  }
  store.erase("never/was/there");
  for (const auto& [key, value] : values) checker.check_value(key, value);
  // Writers of different keys do not disturb each other.
  in_threads(options.threads, [&](int thread) {
    StoreChecker own(store, options.seed + static_cast<unsigned>(thread));
    for (int i = 0; i < 20; ++i) {
      const std::string key =
          "threads/" + std::to_string(i % 5) + "/" + std::to_string(thread) + "." + std::to_string(i);
      const std::vector<std::byte> value(static_cast<std::size_t>(i * 37), static_cast<std::byte>(thread));
      store.put(key, value);
      own.check_value(key, value);
    }
  });
  // Stopping: cancelled or done.
  std::stop_source stop;
  stop.request_stop();
  std::vector<std::byte> room(10000);
  GetRequest request;
  request.key = "zarr.json";
  request.room = room;
  const std::optional<Errc> code =
      error_of([&] { store.get(std::span<GetRequest>(&request, 1), stop.get_token()); });
  if (code && *code != Errc::cancelled)
    checker.refuse("a stopped get fails; expected cancelled or success, got " + std::string(name_of(*code)));
}

}  // namespace conformance

}  // namespace morsel::inline MORSEL_ABI
