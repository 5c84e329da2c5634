// Saves into Zarr arrays that meet: one that was killed and the one that resumes it, two at one time.
#include "arrays.hpp"
#include "zarr_stores.hpp"
//
#include <fcntl.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <condition_variable>
#include <morsel/io/file_store.hpp>
#include <morsel/io/memory_store.hpp>
#include <mutex>
#include <set>
#include <support/failure.hpp>
#include <support/paths.hpp>
#include <support/skip.hpp>
#include <thread>

using namespace morsel;
using morsel_test::bytes_of;
using morsel_test::contains;
using morsel_test::content_of;
using morsel_test::counting;
using morsel_test::failure_of;
using morsel_test::hierarchy_shape;
using morsel_test::put;
using morsel_test::text_of;

namespace {

/// What has been flushed to the disk, by path.
struct Flushed {
  std::mutex mutex;
  std::set<std::string> paths;
  static Flushed& all() {
    static Flushed flushed;
    return flushed;
  }
  std::set<std::string> take() {
    const std::lock_guard lock(mutex);
    return std::exchange(paths, {});
  }
};

/// A store whose process dies at its n-th change: that one and all that follow fail.
class DyingStore {
 public:
  DyingStore(AnyStore inner, int changes) : inner_(std::move(inner)), state_(std::make_shared<State>()) {
    state_->left = changes;
  }
  void get(std::span<GetRequest> requests, std::stop_token stop) const { inner_.get(requests, stop); }
  std::optional<Index> size(std::string_view key) const { return inner_.size(key); }
  void put(std::string_view key, std::span<const std::byte> value) const {
    change();
    inner_.put(key, value);
    const std::lock_guard lock(state_->mutex);
    state_->written.emplace(key);
  }
  void erase(std::string_view key) const {
    change();
    inner_.erase(key);
  }
  void list(std::string_view prefix, const std::function<void(std::string_view)>& visit) const {
    inner_.list(prefix, visit);
  }
  std::string identity() const { return inner_.identity(); }
  std::set<std::string> written() const { return state_->written; }

 private:
  struct State {
    std::mutex mutex;
    int left = 0;
    std::set<std::string> written;
  };
  void change() const {
    const std::lock_guard lock(state_->mutex);
    if (state_->left == 0) fail(Errc::io_error, "died");
    --state_->left;
  }
  AnyStore inner_;
  std::shared_ptr<State> state_;
};

/// A store that calls a function after it has read a value, or before it puts one.
class HookedStore {
 public:
  using Hook = std::function<void(std::string_view key)>;
  HookedStore(MemoryStore inner, Hook after_get, Hook before_put)
      : inner_(std::move(inner)), after_get_(std::move(after_get)), before_put_(std::move(before_put)) {}
  void get(std::span<GetRequest> requests, std::stop_token stop) const {
    inner_.get(requests, stop);
    for (const GetRequest& request : requests)
      if (after_get_) after_get_(request.key);
  }
  std::optional<Index> size(std::string_view key) const { return inner_.size(key); }
  void put(std::string_view key, std::span<const std::byte> value) const {
    if (before_put_) before_put_(key);
    inner_.put(key, value);
  }
  void erase(std::string_view key) const { inner_.erase(key); }
  void list(std::string_view prefix, const std::function<void(std::string_view)>& visit) const {
    inner_.list(prefix, visit);
  }
  std::string identity() const { return inner_.identity(); }

 private:
  MemoryStore inner_;
  Hook after_get_, before_put_;
};

/// Two threads that wait for each other, but not for long.
struct Meeting {
  std::mutex mutex;
  std::condition_variable changed;
  int arrived = 0;
  void arrive() {
    std::unique_lock lock(mutex);
    ++arrived;
    changed.notify_all();
    changed.wait_for(lock, std::chrono::milliseconds(100), [&] { return arrived >= 2; });
  }
};

/// Zeros of two chunks whose last element calls a function while the first chunk has been written.
LazyArray<std::int32_t> calling(Index rows, Index chunk, std::function<void()> call) {
  return from_function<std::int32_t>({rows},
                                     [=](Index i) {
                                       if (i == rows - 1) call();
                                       return std::int32_t{0};
                                     },
                                     {.chunks = {chunk}});
}

std::map<std::string, std::filesystem::file_time_type> times_of(const std::filesystem::path& directory) {
  std::map<std::string, std::filesystem::file_time_type> times;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
    times[entry.path().string()] = entry.last_write_time();
  return times;
}

/// Without attributes of files a complete save is not known to be one.
bool has_attributes(const test::TempDir& dir) {
  return ::setxattr(dir.path().c_str(), "user.morsel.test", "1", 1, 0) == 0;
}

}  // namespace

extern "C" int fsync(int fd) {
  char path[4096];
  const ssize_t n = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof path);
  if (n > 0) {
    const std::lock_guard lock(Flushed::all().mutex);
    Flushed::all().paths.emplace(path, static_cast<std::size_t>(n));
  }
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

TEST_CASE("regions that share a storage chunk are written at one time, and none is lost", "[api][zarr]") {
  for (const bool sharded : {false, true}) {
    Meeting meeting;
    const auto meet = [&](std::string_view key) {
      if (key.find("/c/") != std::string_view::npos) meeting.arrive();
    };
    const HookedStore store(MemoryStore(), meet, nullptr);
    SaveOptions options;
    options.chunks = {4};
    if (sharded) options.shards = {8};
    save(counting<std::int32_t>({8}), store, "a", options);
    std::string failures[2];
    {
      const auto write = [&](int k, const char* region) {
        SaveOptions into;
        into.region = region;
        into.threads = 1;
        failures[k] = failure_of([&] { save(zeros<std::int32_t>({2}) + 100 * (k + 1), store, "a", into); });
      };
      std::thread first(write, 0, "0:2");
      write(1, "2:4");
      first.join();
    }
    CHECK(failures[0] == "");
    CHECK(failures[1] == "");
    CHECK(text_of(open<std::int32_t>(store, "a")) == "(8,): 100 100 200 200 4 5 6 7");
  }
}

TEST_CASE("each storage chunk is written once, by one task, and read only for what stays in it",
          "[api][zarr]") {
  struct Case {
    const char* what;
    SaveOptions made, into;
    Shape shape;       // of what is written; its chunks fit nothing
    std::size_t read;  // storage chunks that are covered in part
  };
  const Case cases[] = {
      {"chunks", {.chunks = {5, 4}}, {}, {23, 18}, 0},
      {"shards", {.chunks = {5, 4}, .shards = {10, 8}}, {}, {23, 18}, 0},
      {"a region", {.chunks = {5, 4}}, {.region = "3:17, 2:16"}, {14, 14}, 10},
      {"a region of shards", {.chunks = {5, 4}, .shards = {10, 8}}, {.region = "3:20, 8:16"}, {17, 8}, 1},
      {"whole chunks", {.chunks = {5, 4}}, {.region = "5:15, 8:16"}, {10, 8}, 0},
      {"an end", {.chunks = {5, 4}}, {.append = 0}, {9, 18}, 5},
      {"an end of shards", {.chunks = {5, 4}, .shards = {10, 8}}, {.append = 0}, {9, 18}, 3},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    std::mutex mutex;
    std::map<std::string, int> reads, writes;
    const auto count = [&](std::map<std::string, int>& counts) {
      return [&](std::string_view key) {
        const std::lock_guard lock(mutex);
        if (key.find("/c/") != std::string_view::npos) ++counts[std::string(key)];
      };
    };
    const HookedStore store(MemoryStore(), count(reads), count(writes));
    const bool is_new = c.into.region.empty() && !c.into.append;
    if (!is_new) save(counting<std::int32_t>({23, 18}) + 1, store, "a", c.made);
    reads.clear(), writes.clear();
    SaveOptions options = is_new ? c.made : c.into;
    options.threads = 4;
    const auto a = counting<std::int32_t>(c.shape, {3, 7}) + 1000;
    save(a, store, "a", options);
    CHECK(reads.size() == c.read);
    CHECK(std::all_of(writes.begin(), writes.end(), [](const auto& one) { return one.second == 1; }));
    const auto b = open<std::int32_t>(store, "a");
    CHECK(bytes_of(is_new ? b : c.into.append ? b["23:"] : b[c.into.region]) == bytes_of(a));
  }
}

TEST_CASE("two arrays of one save read their common source once", "[api][zarr]") {
  std::mutex mutex;
  std::map<std::string, int> reads;
  const HookedStore store(
      MemoryStore(),
      [&](std::string_view key) {
        const std::lock_guard lock(mutex);
        if (key.find("/c/") != std::string_view::npos) ++reads[std::string(key)];
      },
      nullptr);
  save(counting<float>({12, 12}), store, "source", {.chunks = {4, 4}});
  const auto a = open<float>(store, "source");
  save({.chunks = {4, 4}}, {{a + 1.0f, store, "a"}, {a * 2.0f, store, "b"}});
  CHECK(reads.size() == 9);
  CHECK(std::all_of(reads.begin(), reads.end(), [](const auto& one) { return one.second == 1; }));
}

TEST_CASE("many threads write rows of the same chunks of a directory", "[api][zarr]") {
  const test::TempDir dir;
  const auto path = (dir / "x.zarr").string();
  constexpr Index rows = 48, columns = 6;
  save(zeros<std::int32_t>({rows, columns}), path, {.chunks = {16, 4}});
  std::vector<std::thread> threads;
  std::vector<std::string> failures(4);
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      failures[static_cast<std::size_t>(t)] = failure_of([&] {
        for (Index row = t; row < rows; row += 4) {
          SaveOptions into;
          into.region = std::to_string(row) + ":" + std::to_string(row + 1) + ", :";
          into.threads = 1 + t % 2;
          save(zeros<std::int32_t>({1, columns}) + static_cast<std::int32_t>(row + 1), path, into);
        }
      });
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == std::vector<std::string>(4));
  CHECK(text_of(min(open<std::int32_t>(path), 1)) == text_of(arange<std::int32_t>(rows) + 1));
  CHECK(text_of(max(open<std::int32_t>(path), 1)) == text_of(arange<std::int32_t>(rows) + 1));
}

TEST_CASE("beside a region only regions are written, beside a whole array nothing", "[api][zarr]") {
  const test::TempDir dir;
  const AnyStore stores[] = {MemoryStore(), FileStore((dir / "x.zarr").string())};
  for (const AnyStore& store : stores) {
    INFO(store.identity());
    save(counting<std::int32_t>({20}), store, "a", {.chunks = {4}});
    std::string failure;
    const auto during = [&](const SaveOptions& outer, const SaveOptions& inner) {
      failure = "not called";
      const auto other = zeros<std::int32_t>({2}, {.chunks = {2}});
      SaveOptions how = outer;
      how.threads = 1;
      how.memory = 16 * MiB;
      how.chunks = {4};
      save(calling(8, 4, [&] { failure = failure_of([&] { save(other, store, "a", inner); }); }), store, "a",
           how);
      return failure;
    };
    const char* busy = "another save of this process is writing the array";
    SaveOptions parts, whole, append, all;
    parts.region = "2:10";
    whole.region = "4:12";
    append.append = 0;
    all.overwrite = true;
    CHECK(during(parts, {.region = "17:19"}) == "");
    CHECK_THAT(during(parts, append), Catch::Contains(busy));
    CHECK_THAT(during(whole, append), Catch::Contains(busy));
    CHECK_THAT(during(whole, all), Catch::Contains(busy));
    CHECK_THAT(during(append, {.region = "0:2"}), Catch::Contains(busy));
    CHECK_THAT(during(append, append), Catch::Contains(busy));
    CHECK(open<std::int32_t>(store, "a").shape() == Shape{36});
    // What is replaced is still there where there are directories.
    if (store.identity().starts_with("file:"))
      CHECK_THAT(during(all, {.region = "0:2"}), Catch::Contains(busy));
    save(zeros<std::int32_t>({2}), store, "a", all);
    CHECK(open<std::int32_t>(store, "a").shape() == Shape{2});
  }
}

TEST_CASE("a save finds what has come to its target since it was planned", "[api][zarr]") {
  const MemoryStore store;
  const auto a = counting<std::int32_t>({6}, {4});
  const auto run = [](const SavePlan& plan) {
    return failure_of([&] { evaluate(plan.values, plan.targets, plan.run); });
  };
  const SavePlan first = plan_save({}, {{a, store, "a"}}), second = plan_save({}, {{a * 2, store, "a"}});
  CHECK(run(first).empty());
  CHECK(contains(run(second), "already_exists"));
  CHECK(text_of(open<std::int32_t>(store, "a")) == text_of(a));

  // The last chunk of the old shape would take the new rows away.
  const SavePlan region = plan_save({.region = "4:6"}, {{zeros<std::int32_t>({2}), store, "a"}});
  const SavePlan rows = plan_save({.append = 0}, {{zeros<std::int32_t>({1}) + 8, store, "a"}});
  const SavePlan more_rows = plan_save({.append = 0}, {{zeros<std::int32_t>({1}) + 9, store, "a"}});
  CHECK(run(rows).empty());
  CHECK(contains(run(region), "the array has changed since the save was planned"));
  CHECK(contains(run(more_rows), "the array has changed since the save was planned"));
  CHECK(text_of(open<std::int32_t>(store, "a")) == "(7,): 0 1 2 3 4 5 8");
}

TEST_CASE("parts of storage chunks are written by one process at a time", "[api][zarr]") {
  const test::TempDir dir;
  const auto path = (dir / "x.zarr").string();
  save(counting<std::int32_t>({10}), path, {.chunks = {4}});
  // As another process holds it.
  const int other = ::open(path.c_str(), O_RDONLY | O_DIRECTORY);
  REQUIRE(::flock(other, LOCK_EX) == 0);
  const auto two = zeros<std::int32_t>({2});
  const char* busy = "another process is writing the array";
  CHECK(contains(failure_of([&] { save(two, path, {.region = "2:4"}); }), busy));
  CHECK(contains(failure_of([&] { save(two, path, {.append = 0}); }), busy));
  CHECK(contains(failure_of([&] { save(two, path, {.overwrite = true}); }), busy));
  CHECK(text_of(open<std::int32_t>(path)) == text_of(counting<std::int32_t>({10})));
  save(zeros<std::int32_t>({4}), path, {.region = "4:8"});
  save(two, path, {.region = "8:10"});  // all that there is of the last chunk
  ::close(other);
  save(two, path, {.region = "2:4"});
  CHECK(text_of(open<std::int32_t>(path)) == "(10,): 0 1 0 0 0 0 0 0 0 0");
}

TEST_CASE("two saves consolidate the metadata of one hierarchy", "[api][zarr]") {
  const MemoryStore inner;
  const SaveOptions options{.options = {{"consolidate", "1"}}};
  save(zeros<std::int32_t>({1}), inner, "a", options);
  // The first one has read all documents when the second one begins, and puts what it has read last.
  std::thread second;
  std::once_flag once;
  const HookedStore store(inner, nullptr, [&](std::string_view key) {
    if (key != "zarr.json") return;
    std::call_once(once, [&] {
      second = std::thread([&] { save(zeros<std::int32_t>({3}), inner, "c", options); });
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    });
  });
  save(zeros<std::int32_t>({2}), store, "b", options);
  second.join();
  CHECK(hierarchy_shape(inner, "a") == Shape{1});
  CHECK(hierarchy_shape(inner, "b") == Shape{2});
  CHECK(hierarchy_shape(inner, "c") == Shape{3});
}

TEST_CASE("a save that dies at any change of the store is resumed, and what is there stays", "[api][zarr]") {
  if (!has_attributes(test::TempDir())) MORSEL_SKIP("the file system has no extended attributes");
  const auto a = counting<float>({6, 8}, {2, 8}) + 1.0f;
  struct Case {
    std::vector<AnyLazyArray> arrays;
    SaveOptions options;
  };
  std::vector<Case> cases{
      {{a}, {.chunks = {2, 4}}},
      {{a}, {.chunks = {2, 4}, .options = {{"zarr_format", "2"}}}},
      {{a}, {.chunks = {2, 2}, .shards = {4, 4}, .codec = "zstd+crc32c"}},
      {{a, a * 2.0f}, {.chunks = {2, 4}}},
      {{a, sum(a, 1), a - mean(a)}, {.codec = "none", .options = {{"consolidate", "1"}}}}};
  for (Case& c : cases) {
    c.options.threads = 1;
    const auto savings = [&](const AnyStore& store) {
      std::vector<Saving> all;
      for (const AnyLazyArray& array : c.arrays)
        all.emplace_back(array, store, "g/" + std::to_string(all.size()));
      return all;
    };
    const test::TempDir dir;
    const FileStore whole((dir / "whole").string());
    save(c.options, savings(whole));
    const auto expected = content_of(whole);
    bool is_done = false;
    for (int changes = 0; !is_done; ++changes) {
      INFO(c.arrays.size() << " arrays, dies at change " << changes);
      const FileStore files((dir / std::to_string(changes)).string());
      const DyingStore dying(files, changes), alive(files, -1);
      SaveOptions options = c.options;
      is_done = failure_of([&] { save(options, savings(dying)); }).empty();
      options.resume = true;
      CHECK(failure_of([&] { save(options, savings(alive)); }).empty());
      CHECK(content_of(files) == expected);
      for (const std::string& key : alive.written())
        if (contains(key, "/c/") || (contains(key, ".0") && !contains(key, "morsel")))
          CHECK(dying.written().count(key) == 0);
      // Done is done.
      const auto times = times_of(dir / std::to_string(changes));
      save(options, savings(files));
      CHECK(times_of(dir / std::to_string(changes)) == times);
    }
  }
}

TEST_CASE("what is complete is resumed without a change, and only by the same plan", "[api][zarr]") {
  const test::TempDir dir;
  if (!has_attributes(dir)) MORSEL_SKIP("the file system has no extended attributes");
  const auto path = (dir / "x.zarr").string();
  const auto a = counting<float>({8}, {4});
  save(a, path);
  const auto times = times_of(path);
  const SaveOptions again{.resume = true};
  save(a, path, again);
  save(a, path, {.overwrite = true, .resume = true});
  CHECK(times_of(path) == times);
  const char* other = "a finished array that is not known to be the same";
  CHECK(contains(failure_of([&] { save(a * 2.0f, path, again); }), other));
  CHECK(contains(failure_of([&] { save(a, path, {.codec = "none", .resume = true}); }), other));
  CHECK(contains(failure_of([&] { save(a, path); }), "the target exists; expected overwrite"));
  // It is another one by now.
  save(zeros<float>({2}), path, {.region = "0:2"});
  CHECK(contains(failure_of([&] { save(a, path, again); }), other));
  save(a, path, {.overwrite = true});
  save(a, path, again);
  save(zeros<float>({2}), path, {.append = 0});
  CHECK(contains(failure_of([&] { save(a, path, again); }), other));
  save(a * 2.0f, path, {.overwrite = true, .resume = true});
  CHECK(text_of(open<float>(path)) == text_of(a * 2.0f));
}

TEST_CASE("several arrays that were to be replaced are resumed between the first and the last",
          "[api][zarr]") {
  const test::TempDir dir;
  const auto root = (dir / "x.zarr").string();
  const auto a = counting<float>({8}, {4});
  const std::vector<Saving> savings{{a * 2.0f, root + "/a"}, {a * 3.0f, root + "/b"}};
  save({}, {{a, root + "/a"}, {a, root + "/b"}});
  // What a run leaves that is killed behind the first commit.
  SavePlan plan = plan_save({.overwrite = true}, savings);
  std::get<SinkTarget>(plan.targets[0]).sink.commit();
  CHECK(std::filesystem::exists(root + "/a/.morsel-save"));
  plan = {};
  CHECK(text_of(open<float>(root + "/b")) == text_of(a));
  save({.overwrite = true, .resume = true}, savings);
  CHECK(text_of(open<float>(root + "/b")) == text_of(a * 3.0f));
  CHECK(!std::filesystem::exists(root + "/a/.morsel-save"));
}

TEST_CASE("fsync reaches values, their directories, and what replaces an array", "[api][zarr]") {
  const test::TempDir dir;
  const auto home = std::filesystem::canonical(dir.path());
  const std::string root = (home / "x.zarr").string();
  const auto a = counting<float>({2, 2}, {1, 2});
  const auto flushed = [&] {
    std::string temporary = "-";
    std::set<std::string> found;
    for (std::string path : Flushed::all().take()) {
      const std::size_t at = path.find("/.morsel-tmp-");
      // Files still have their temporary names; those of directories matter.
      if (at != std::string::npos && path.find("/.morsel-tmp-new-") == std::string::npos)
        path.replace(at, std::string::npos, "/(file)");
      found.insert(path);
    }
    return found;
  };
  flushed();
  save(a, root + "/g/a");
  CHECK(flushed().empty());
  save(a, root + "/g/a", {.overwrite = true, .options = {{"fsync", "1"}}});
  auto found = flushed();
  CHECK(found.count(root + "/g"));
  CHECK(found.count(root + "/g/.morsel-tmp-new-a/c/0"));
  std::filesystem::remove_all(root);
  save(a, root + "/g/a", {.options = {{"fsync", "1"}}});
  CHECK(flushed() == std::set<std::string>{home.string(), root, root + "/(file)", root + "/g",
                                           root + "/g/(file)", root + "/g/a", root + "/g/a/(file)",
                                           root + "/g/a/c", root + "/g/a/c/0", root + "/g/a/c/0/(file)",
                                           root + "/g/a/c/1", root + "/g/a/c/1/(file)"});
  save(zeros<float>({1, 2}), root + "/g/a", {.region = "0:1", .options = {{"fsync", "1"}}});
  CHECK(flushed().count(root + "/g/a/c/0"));  // a chunk is taken away
}
