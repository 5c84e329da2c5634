#include "arrays.hpp"
#include "zarr_stores.hpp"
//
#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <morsel/conformance/chunk_source.hpp>
#include <morsel/io/codec_registry.hpp>
#include <morsel/io/counting_store.hpp>
#include <morsel/io/file_store.hpp>
#include <morsel/io/memory_store.hpp>
#include <morsel/io/store_key.hpp>
#include <morsel/io/zarr_hierarchy.hpp>
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
using morsel_test::keys_of;
using morsel_test::put;
using morsel_test::text_of;

namespace {

bool has_blosc() {
  const std::vector<std::string> names = codec_names();
  return std::binary_search(names.begin(), names.end(), "blosc");
}

}  // namespace

TEST_CASE("a saved array is a lawful source with the same elements", "[api][zarr]") {
  struct Case {
    Shape shape;
    ChunkSpec chunks, shards;
    const char* codec;
    FormatOptions options;
  };
  const Case cases[] = {
      {{7, 10}, {3, 4}, {}, "", {}},
      {{7, 10}, {3, 4}, {6, 8}, "", {}},
      {{7, 10}, {3, 4}, {6, 8}, "zstd:1+crc32c", {{"order", "F"}}},
      {{7, 10}, {3, 4}, {}, "none", {}},
      {{7, 10}, {3, 4}, {}, "none", {{"order", "F"}}},
      {{7, 10}, {3, 4}, {6, 8}, "none", {}},
      {{7, 10}, {3, 4}, {}, "gzip:1", {{"zarr_format", "2"}, {"order", "F"}}},
      {{7, 10}, {3, 4}, {}, "blosc-lz4:5:bitshuffle", {{"zarr_format", "2"}}},
      {{7, 10}, {3, 4}, {}, "", {{"zarr_format", "2"}, {"separator", "/"}}},
      {{3, 4, 5}, {2, 2, 2}, {4, 4, 4}, "blosc-zstd:3", {{"separator", "."}}},
      {{20}, {20}, {}, "lz4", {}},
      {{20}, {64}, {}, "bz2", {}},
      {{}, {}, {}, "", {}},
      {{0, 3}, {}, {}, "", {}},
  };
  for (const Case& c : cases) {
    INFO(to_string(c.shape) << " codec '" << c.codec << "'"
                            << (c.options.empty() ? ""
                                                  : " " + c.options[0].first + "=" + c.options[0].second));
    const MemoryStore store;
    const auto a = counting<double>(c.shape, 5) - 10.5;
    SaveOptions options;
    options.chunks = c.chunks;
    options.shards = c.shards;
    options.codec = c.codec;
    options.options = c.options;
    save(a, store, "g/a", options);
    const auto b = open<double>(store, "g/a");
    CHECK(b.shape() == c.shape);
    const std::vector<std::byte> expected = bytes_of(a);
    CHECK(bytes_of(b) == expected);
    conformance::check_source([&] { return open_zarr(store, "g/a").source; }, expected);
  }
}

TEST_CASE("every numeric type goes into a store and back", "[api][zarr]") {
  const auto check = [&]<class T>(T) {
    for (const char* format : {"2", "3"}) {
      const MemoryStore store;
      const auto a = counting<T>({5, 6}, {2, 3});
      SaveOptions options;
      options.options = {{"zarr_format", format}};
      save(a, store, "", options);
      CHECK(bytes_of(open<T>(store, "")) == bytes_of(a));
    }
  };
  check(std::int8_t{}), check(std::uint8_t{}), check(std::int16_t{}), check(std::uint16_t{});
  check(std::int32_t{}), check(std::uint32_t{}), check(std::int64_t{}), check(std::uint64_t{});
  check(float{}), check(double{}), check(std::complex<float>{}), check(std::complex<double>{});
}

TEST_CASE("names, attributes and groups are kept", "[api][zarr]") {
  for (const char* format : {"2", "3"}) {
    const MemoryStore store;
    const auto a = counting<std::int32_t>({4, 6}, {2, 3})
                       .with_dims({"time", "x"})
                       .with_attrs({{"units", "\"K\""}, {"levels", "[1,2.5]"}});
    SaveOptions options;
    options.options = {{"zarr_format", format}};
    save(a, store, "run/one/t", options);
    const auto b = open<std::int32_t>(store, "run/one/t");
    CHECK(b.dims() == std::vector<std::string>{"time", "x"});
    Attributes expected{{"units", "\"K\""}, {"levels", "[1,2.5]"}};
    // Version 2 has no other place for names.
    if (format[0] == '2') expected.emplace_back("_ARRAY_DIMENSIONS", "[\"time\",\"x\"]");
    CHECK((b.attrs() == expected));
    const std::string document = format[0] == '3' ? "/zarr.json" : "/.zgroup";
    CHECK(store.size("run" + document));
    CHECK(store.size("run/one" + document));
    CHECK(store.size(document.substr(1)));
    CHECK(contains(failure_of([&] { open_any(store, "run/one"); }), "a group; expected an array in it: t"));
    CHECK(contains(failure_of([&] { open_any(store, "run/two"); }), "expected one of those in 'run': one"));
  }
}

TEST_CASE("a slice reads what it needs", "[api][zarr]") {
  const auto a = counting<float>({64, 64}, {64, 64});
  SECTION("chunks: one request each") {
    const CountingStore store = counting_store(MemoryStore());
    SaveOptions options;
    options.chunks = {16, 16};
    save(a, store, "a", options);
    const auto b = open<float>(store, "a");
    store.reset();
    CHECK(bytes_of(b["0:16, 0:32"].rechunk(-1)) == bytes_of(a["0:16, 0:32"].rechunk(-1)));
    // Versions are compared before and after: the array's document.
    StoreCounts counts = store.counts();
    CHECK(counts.hits == 2 + 2);
  }
  SECTION("shards: the index once, neighbours in one request") {
    const CountingStore store = counting_store(MemoryStore());
    SaveOptions options;
    options.chunks = {8, 8};
    options.shards = {32, 32};
    options.codec = "none";
    save(a, store, "a", options);
    std::map<std::string, int> chunk_gets;
    std::mutex mutex;
    store.observe([&](std::string_view key) {
      const std::lock_guard lock(mutex);
      if (contains(std::string(key), "/c/")) ++chunk_gets[std::string(key)];
    });
    const auto b = open<float>(store, "a", {.chunks = {32, 32}});
    store.reset();
    // A row of four inner chunks of one shard: they lie together.
    CHECK(bytes_of(b["0:8, 0:32"]) == bytes_of(a["0:8, 0:32"]));
    CHECK(chunk_gets == std::map<std::string, int>{{"a/c/0/0", 2}});
    CHECK(store.counts().read_bytes < 4 * 8 * 8 * 4 + 16 * 16 + 4 + 4096);
    // A run that follows asks for the index anew: the shard may be another one by now.
    CHECK(bytes_of(b["8:16, 8:16"]) == bytes_of(a["8:16, 8:16"]));
    CHECK(chunk_gets == std::map<std::string, int>{{"a/c/0/0", 4}});
    // All of it: one index and one run of inner chunks per shard.
    const auto fresh = open<float>(store, "a", {.chunks = {32, 32}});
    chunk_gets.clear();
    CHECK(bytes_of(fresh) == bytes_of(a));
    CHECK(chunk_gets ==
          std::map<std::string, int>{{"a/c/0/0", 2}, {"a/c/0/1", 2}, {"a/c/1/0", 2}, {"a/c/1/1", 2}});
    store.observe(nullptr);
  }
  SECTION("blosc: the blocks that are touched") {
    if (!has_blosc()) MORSEL_SKIP("no c-blosc");
    const CountingStore store = counting_store(MemoryStore());
    SaveOptions options;
    options.chunks = {512, 512};
    options.codec = "blosc-lz4:1:noshuffle";
    const auto c = from_function<std::uint32_t>(
        {512, 512}, [](Index i, Index j) { return static_cast<std::uint32_t>((i * 512 + j) * 2654435761u); });
    save(c, store, "c", options);
    const auto b = open<std::uint32_t>(store, "c");
    const std::uint64_t stored = *store.size("c/c/0/0"), document = *store.size("c/zarr.json");
    store.reset();
    CHECK(b["100, 7"].item() == (100 * 512 + 7) * 2654435761u);
    CHECK(store.counts().read_bytes - 2 * document < stored / 8);
    store.reset();
    CHECK(bytes_of(b["300:310:3, ::5"]) == bytes_of(c["300:310:3, ::5"]));
    CHECK(store.counts().read_bytes - 2 * document < stored / 4);
    store.reset();
    CHECK(bytes_of(b["::-1, 3:400"]) == bytes_of(c["::-1, 3:400"]));
    CHECK(store.counts().read_bytes - 2 * document == stored);
  }
  SECTION("elements stored as they are: their bytes") {
    const CountingStore store = counting_store(MemoryStore());
    SaveOptions options;
    options.chunks = {64, 64};
    options.codec = "none";
    save(a, store, "a", options);
    const auto b = open<float>(store, "a");
    const std::uint64_t document = *store.size("a/zarr.json");
    store.reset();
    CHECK(b["5, 6"].item() == 5 * 64 + 6);
    CHECK(store.counts().read_bytes - 2 * document == 4);
  }
}

TEST_CASE("chunks that are not there count with the fill value, unread and unfilled", "[api][zarr]") {
  const AnyStore cases[] = {MemoryStore(), MemoryStore()};
  for (int sharded = 0; sharded < 2; ++sharded) {
    const AnyStore& store = cases[sharded];
    const auto a = concat(
        {where(counting<double>({40, 30}, {10, 10}) > 300.0, counting<double>({40, 30}, {10, 10}), 2.5),
         counting<double>({3, 30}, {10, 10}) * 0.1});
    SaveOptions options;
    options.chunks = {10, 10};
    if (sharded) options.shards = {20, 20};
    options.options = {{"fill_value", "2.5"}};
    save(a, store, "", options);
    const auto b = open<double>(store, "");
    const auto c = from_array(a.compute(), {.chunks = {10, 10}});
    RunReport report;
    ComputeOptions run;
    run.report = &report;
    run.threads = 2;
    for (const Axes& axes : {Axes(), Axes(0), Axes(1)}) {
      const auto statistics = [&](const LazyArray<double>& x, const ComputeOptions& how) {
        const auto [s, lo, hi, m, v] =
            compute(how, sum(x, axes), min(x, axes), max(x, axes), mean(x, axes), var(x, axes));
        return morsel_test::text_of_elements(s) + morsel_test::text_of_elements(lo) +
               morsel_test::text_of_elements(hi) + morsel_test::text_of_elements(m) +
               morsel_test::text_of_elements(v);
      };
      CHECK(statistics(b, run) == statistics(c, {}));
      if (!sharded) CHECK(report.chunks_missing > 0);
      CHECK(text_of(sum(sqrt(b + 1.0), axes)) == text_of(sum(sqrt(c + 1.0), axes)));
      CHECK(text_of(argmin(b, axes)) == text_of(argmin(c, axes)));
      CHECK(text_of(count_nonzero(b, axes)) == text_of(count_nonzero(c, axes)));
    }
    CHECK(text_of(histogram(b, 16, {0, 1300})) == text_of(histogram(c, 16, {0, 1300})));
    CHECK(bytes_of(b) == bytes_of(c));
    CHECK(bytes_of(b["::-3, 5:25:2"]) == bytes_of(c["::-3, 5:25:2"]));
  }
  const MemoryStore store;
  put(store, "zarr.json",
      R"({"zarr_format":3,"node_type":"array","shape":[1000000000,1000],"data_type":"float32",
    "chunk_grid":{"name":"regular","configuration":{"chunk_shape":[100000,1000]}},
    "chunk_key_encoding":{"name":"default"},"fill_value":"NaN",
    "codecs":[{"name":"bytes","configuration":{"endian":"little"}}]})");
  RunReport report;
  ComputeOptions run;
  run.report = &report;
  run.memory = 2 * GiB;
  const auto [n, m] = compute(run, sum(isnan(open<float>(store, ""))), max(open<float>(store, "")));
  CHECK(n() == 1000000000000);
  CHECK(std::isnan(m()));
  CHECK(report.bytes_read == 0);
}

TEST_CASE("a save that was interrupted is resumed", "[api][zarr]") {
  const test::TempDir dir;
  const auto path = (dir / "x.zarr").string();
  std::atomic<int> calls{0};
  const auto a = counting<float>({8, 8}, {2, 8});
  save(a, (dir / "source.npy").string());
  const auto source = open<float>((dir / "source.npy").string(), {.chunks = {2, 8}});
  std::atomic<bool> fails{false};
  const auto plan = map(
      [&](float x) {
        if (fails && ++calls > 40) throw std::runtime_error("enough");
        return x * 2;
      },
      source);
  SaveOptions options;
  options.chunks = {2, 4};
  options.threads = 1;
  save(plan, (dir / "whole.zarr").string(), options);

  fails = true;
  CHECK(contains(failure_of([&] { save(plan, path, options); }), "enough"));
  fails = false;
  const FileStore store(path);
  CHECK(keys_of(store).size() >= 3);
  CHECK(keys_of(store).size() < 2 + 8);
  {
    CHECK(open<float>(path).shape() == Shape{8, 8});
    CHECK(contains(failure_of([&] { save(plan, path, options); }),
                   "an unfinished save is there; expected resume"));
    options.resume = true;
    CHECK(contains(failure_of([&] { save(source * 3.0, path, options); }),
                   "an unfinished save of something else"));
    SaveOptions other = options;
    other.codec = "none";
    CHECK(contains(failure_of([&] { save(plan, path, other); }), "an unfinished save of something else"));
    const auto first = std::filesystem::last_write_time(path + "/c/0/0");
    calls = 0;
    save(plan, path, options);
    CHECK(std::filesystem::last_write_time(path + "/c/0/0") == first);
    CHECK(!store.size(".morsel-save"));
  }
  CHECK(content_of(store) == content_of(FileStore((dir / "whole.zarr").string())));
  options.resume = true;
  CHECK(contains(failure_of([&] { save(source * 3.0, path, options); }), "already_exists"));
}

TEST_CASE("an array is replaced as a whole, or not at all", "[api][zarr]") {
  const test::TempDir dir;
  const auto path = (dir / "x.zarr").string();
  const auto a = counting<float>({8, 8}, {4, 4});
  save(a, path);
  CHECK(contains(failure_of([&] { save(a, path); }), "already_exists"));
  SaveOptions options;
  options.overwrite = true;
  const auto fails = map([](float x) -> float { return x > 20 ? throw std::runtime_error("no") : x; }, a);
  CHECK(contains(failure_of([&] { save(fails, path, options); }), "no"));
  CHECK(bytes_of(open<float>(path)) == bytes_of(a));
  save(a * 2.0, path, options);
  CHECK(bytes_of(open<float>(path)) == bytes_of(a * 2.0));
  CHECK(std::distance(std::filesystem::directory_iterator(dir.path()),
                      std::filesystem::directory_iterator()) == 1);
  const auto x = open<float>(path);
  CHECK(contains(failure_of([&] { save(x + 1.0, path, options); }), "the array is read from this file"));
  std::ofstream(dir / "file.zarr") << "text";
  CHECK(contains(failure_of([&] { save(a, (dir / "file.zarr").string(), options); }), "not a directory"));
}

TEST_CASE("regions and ends of an array are written, whole chunks or not", "[api][zarr]") {
  for (const bool sharded : {false, true}) {
    const MemoryStore store;
    SaveOptions options;
    options.chunks = {4, 5};
    if (sharded) options.shards = {8, 10};
    auto expected = counting<std::int32_t>({10, 12}).compute();
    save(counting<std::int32_t>({10, 12}), store, "a", options);
    const auto patch = counting<std::int32_t>({5, 7}, {2, 2}) + 1000;
    SaveOptions into;
    into.region = "3:8, 4:11";
    save(patch, store, "a", into);
    xt::view(expected, xt::range(3, 8), xt::range(4, 11)) = patch.compute();
    CHECK((open<std::int32_t>(store, "a").compute() == expected));

    SaveOptions more;
    more.append = 0;
    const auto rows = counting<std::int32_t>({3, 12}, {1, 12}) - 77;
    save(rows, store, "a", more);
    CHECK(open<std::int32_t>(store, "a").shape() == Shape{13, 12});
    CHECK((open<std::int32_t>(store, "a")["0:10"].compute() == expected));
    CHECK((open<std::int32_t>(store, "a")["10:"].compute() == rows.compute()));

    into.region = "9:20, 0:7";
    CHECK(contains(failure_of([&] { save(patch, store, "a", into); }), "the region does not fit"));
    into.region = "0:10:2, 0:7";
    CHECK(contains(failure_of([&] { save(patch, store, "a", into); }), "expected ranges of step 1"));
    into.region = "0:5, 0:7";
    CHECK(contains(failure_of([&] { save(patch.as<float>(), store, "a", into); }), "dtype_mismatch"));
    CHECK(contains(failure_of([&] {
                     save(counting<std::int32_t>({3, 11}), store, "a", more);
                   }),
                   "does not fit"));
    CHECK(contains(failure_of([&] { save(patch, store, "b", into); }), "not_found"));
  }
}

TEST_CASE("shards in shards are written like shards, and regions of them", "[api][zarr]") {
  const auto shards = [](const char* chunk, const char* location, const std::string& codecs) {
    return std::string(R"({"name":"sharding_indexed","configuration":{"chunk_shape":)") + chunk +
           R"(,"codecs":)" + codecs + R"(,"index_location":")" + location +
           R"(","index_codecs":[{"name":"bytes","configuration":{"endian":"little"}},"crc32c"]}})";
  };
  const std::string bytes = R"({"name":"bytes","configuration":{"endian":"little"}})";
  const std::string turn = R"({"name":"transpose","configuration":{"order":[1,0]}})";
  for (const char* outer : {"start", "end"})
    for (const char* inner : {"start", "end"}) {
      const MemoryStore store;
      SaveOptions options;
      options.chunks = {8, 12};
      options.codec =
          "[" + turn + "," +
          shards("[6,4]", outer, "[" + turn + "," + shards("[2,3]", inner, "[" + bytes + "]") + "]") + "]";
      const auto a = counting<std::int16_t>({16, 12});
      auto values = where(a < 20, std::int16_t{0}, a).compute();
      save(from_array(values), store, "a", options);
      CHECK((open<std::int16_t>(store, "a").compute() == values));
      save(counting<std::int16_t>({5, 7}) - 3, store, "a", {.region = "6:11, 2:9"});
      xt::view(values, xt::range(6, 11), xt::range(2, 9)) = (counting<std::int16_t>({5, 7}) - 3).compute();
      CHECK((open<std::int16_t>(store, "a").compute() == values));
      // Zeros are left out on both levels unless they are wanted.
      options.options = {{"empty_chunks", "write"}};
      save(from_array(values), store, "b", options);
      CHECK((open<std::int16_t>(store, "b").compute() == values));
      CHECK(*store.size("b/c/0/0") > *store.size("a/c/0/0"));
    }
}

TEST_CASE("a handle sees what has been written since, and nothing of what was there before", "[api][zarr]") {
  const MemoryStore store;
  SaveOptions options;
  options.chunks = {2};
  options.shards = {4};
  options.codec = "zstd:3";
  save(counting<std::int32_t>({8}), store, "a", options);
  const auto a = open<std::int32_t>(store, "a");
  CHECK(text_of(a) == "(8,): 0 1 2 3 4 5 6 7");
  save(counting<std::int32_t>({4}) * 1000 + 123456, store, "a", {.region = "4:8"});
  CHECK(text_of(a) == "(8,): 0 1 2 3 123456 124456 125456 126456");

  // Chunks whose array has gone are no chunks of the next one.
  store.erase("a/zarr.json");
  save(zeros<std::int32_t>({8}), store, "a", options);
  CHECK(text_of(open<std::int32_t>(store, "a")) == "(8,): 0 0 0 0 0 0 0 0");
}

TEST_CASE("indices of shards and documents are read again when their files have changed", "[api][zarr]") {
  const test::TempDir dir;
  const CountingStore store = counting_store(FileStore((dir / "x.zarr").string()));
  const auto a = counting<std::int32_t>({16, 16}, {16, 16}), b = a + 1000;
  SaveOptions options;
  options.chunks = {4, 4};
  options.shards = {16, 16};
  save(a, store, "", options);
  const auto x = open<std::int32_t>(store, "");
  // The times of young files may not tell that they change.
  CHECK(!store.stamp("c/7/7").has_value());
  while (!store.stamp("c/0/0") || !store.stamp("zarr.json"))
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const std::optional<std::uint64_t> old = store.stamp("c/0/0");
  CHECK(x["1, 2"].item() == 18);
  store.reset();
  for (int i = 0; i < 5; ++i) CHECK(x["1, 2"].item() == 18);
  CHECK(store.counts().gets == 5);  // the inner chunk alone, each time
  options.overwrite = true;
  save(b, (dir / "y.zarr").string(), options);
  std::filesystem::rename((dir / "y.zarr" / "c" / "0" / "0").string(),
                          (dir / "x.zarr" / "c" / "0" / "0").string());
  CHECK(store.stamp("c/0/0") != old);
  CHECK(x["1, 2"].item() == 1018);
  put(store, "zarr.json", *get_text(store, "zarr.json") + "\n");
  CHECK(contains(failure_of([&] { x["1, 2"].item(); }), "source_changed"));
}

TEST_CASE("a resumed save writes the documents that a killed one has not", "[api][zarr]") {
  const auto a = arange<std::int32_t>(8).with_attrs({{"units", "\"m\""}});
  for (const char* format : {"2", "3"}) {
    const MemoryStore store, whole;
    SaveOptions options;
    options.options = {{"zarr_format", format}};
    save(a, whole, format, options);
    const std::string name(format);
    options.resume = true;
    // What a run leaves that is killed right behind its journal.
    put(store, name + "/.morsel-save", "something else");
    CHECK(contains(failure_of([&] { save(a, store, format, options); }),
                   "an unfinished save of something else"));
    std::string journal = "morsel save, resume with the same plan only\n" + fingerprint(a) + "\n";
    for (const char* document : {"/zarr.json", "/.zarray", "/.zattrs"})
      journal += get_text(whole, name + document).value_or("");
    put(store, name + "/.morsel-save", journal);
    CHECK(contains(failure_of([&] { save(a, store, format, {.region = "0:8"}); }), "not_found"));
    save(a, store, format, options);
    CHECK(open<std::int32_t>(store, format).attrs()[0].second == "\"m\"");
    CHECK(text_of(open<std::int32_t>(store, format)) == text_of(a));
    put(store, name + "/.morsel-save", journal);
    CHECK(contains(failure_of([&] { save(a, store, format, {.region = "0:8"}); }),
                   "expected it to be resumed first"));
    store.erase(name + "/.morsel-save");
  }
}

TEST_CASE("targets in one another, and links out of a hierarchy, are refused", "[api][zarr]") {
  const test::TempDir dir;
  const auto root = (dir / "x.zarr").string();
  const auto a = counting<float>({4});
  CHECK(contains(failure_of([&] { save({}, {{a, root}, {a, root + "/b"}}); }), "one into the other"));
  save(a, root + "/g/a");
  std::filesystem::create_directories(dir / "victim" / "keep");
  std::filesystem::create_directory_symlink(dir / "victim", dir / "x.zarr" / "link");
  SaveOptions options;
  options.overwrite = true;
  CHECK(contains(failure_of([&] { save(a, root + "/link/keep", options); }), "a symbolic link leads out"));
  CHECK(std::filesystem::is_empty(dir / "victim" / "keep"));
  CHECK(contains(failure_of([&] { save(open<float>(root + "/g/a"), root + "/g", options); }),
                 "read from this file"));
  // A store of files is replaced as a whole, too.
  const auto fails = map([](float x) -> float { return x > 1 ? throw std::runtime_error("no") : x; }, a);
  CHECK(contains(failure_of([&] { save(fails, FileStore(root), "g/a", options); }), "no"));
  CHECK(bytes_of(open<float>(root + "/g/a")) == bytes_of(a));
}

TEST_CASE("several arrays go out in one pass", "[api][zarr]") {
  const test::TempDir dir;
  const auto a = counting<float>({8, 8}, {4, 4});
  const auto root = (dir / "x.zarr").string();
  save({}, {{a, root + "/a"}, {a * 2.0, root + "/deep/b"}});
  CHECK(bytes_of(open<float>(root + "/a")) == bytes_of(a));
  CHECK(bytes_of(open<float>(root + "/deep/b")) == bytes_of(a * 2.0));
}

TEST_CASE("the metadata of a tree is consolidated on request", "[api][zarr]") {
  for (const char* format : {"2", "3"}) {
    const CountingStore store = counting_store(MemoryStore());
    SaveOptions options;
    options.options = {{"zarr_format", format}};
    save(counting<float>({4}), store, "g/a", options);
    options.options.emplace_back("consolidate", "1");
    save(counting<float>({4}), store, "g/deep/b", options);
    const std::string document = get_text(store, format[0] == '2' ? ".zmetadata" : "zarr.json").value_or("");
    const std::string ending = format[0] == '2' ? "/.zarray\"" : "\"";
    CHECK(contains(document, "\"g/a" + ending));
    CHECK(contains(document, "\"g/deep/b" + ending));
    store.reset();
    CHECK(open<float>(store, "g/deep/b").size() == 4);
    const ZarrHierarchy hierarchy(store);
    CHECK(hierarchy.children("g").size() == 2);
    CHECK(store.counts().lists == 0);
    // It does not grow stale.
    save(counting<float>({3}), store, "g/a", {.append = 0});
    CHECK(hierarchy_shape(store, "g/a") == Shape{7});
  }
}

TEST_CASE("members of records become arrays", "[api][zarr]") {
  const MemoryStore store;
  put(store, "t/.zarray",
      R"({"zarr_format":2,"shape":[5],"chunks":[2],"order":"C","compressor":null,"filters":null,
    "dtype":[["id","<u2"],["box",[["lo",">i4"],["hi","<f4",[2,2]]]],["area","<f8"]],"fill_value":null})");
  std::vector<std::byte> chunk(2 * 30);
  const auto set = [&](std::size_t record, auto id, std::int32_t lo, float hi, double area) {
    std::byte* at = chunk.data() + record * 30;
    const auto number = static_cast<std::uint16_t>(id);
    std::memcpy(at, &number, 2);
    for (int k = 0; k < 4; ++k) at[2 + k] = static_cast<std::byte>(lo >> (24 - 8 * k));
    for (int k = 0; k < 4; ++k) {
      const float value = hi + static_cast<float>(k);
      std::memcpy(at + 6 + 4 * k, &value, 4);
    }
    std::memcpy(at + 22, &area, 8);
  };
  set(0, 1, -5, 10, 0.5), set(1, 2, 70000, 20, 1.5);
  store.put("t/0", chunk);
  set(0, 3, 8, 30, 2.5), set(1, 4, 9, 40, 3.5);
  store.put("t/1", chunk);
  CHECK(text_of(open<double>(store, "t", {.field = "area"})) == "(5,): 0.5 1.5 2.5 3.5 0");
  CHECK(text_of(open<std::uint16_t>(store, "t", {.field = "id"})["::-2"]) == "(3,): 0 3 1");
  CHECK(text_of(open<std::int32_t>(store, "t", {.field = "box.lo"})) == "(5,): -5 70000 8 9 0");
  const auto records = open_any(store, "t");
  CHECK(contains(failure_of([&] { field(records, "size"); }), "expected 'id', 'box', 'area', got 'size'"));
  // A member that is an array has axes of its own, also inside of another member.
  const auto hi = open<float>(store, "t", {.field = "box.hi"});
  CHECK(hi.shape() == Shape{5, 2, 2});
  CHECK(text_of(hi["1:3, 1, ::-1"]) == "(2, 2): 23 22 33 32");
  CHECK(sum(hi).item() == 4 * (10 + 20 + 30 + 40) + 4 * 6);
  CHECK(contains(failure_of([&] { field(field(records, "box")["1:"], "hi"); }), "take the member first"));
}

TEST_CASE("empty chunks stay away unless they are wanted", "[api][zarr]") {
  for (const char* empty : {"omit", "write"}) {
    const MemoryStore store;
    SaveOptions options;
    options.chunks = {4, 4};
    options.options = {{"empty_chunks", empty}, {"fill_value", "7"}};
    save(full<std::int16_t>({8, 8}, 7), store, "", options);
    CHECK(keys_of(store).size() == (empty[0] == 'o' ? 1u : 5u));
    CHECK(sum(open<std::int16_t>(store, "")).item() == 7 * 64);
  }
}

TEST_CASE("what cannot be saved is refused with a reason", "[api][zarr]") {
  const MemoryStore store;
  const auto a = counting<float>({8, 8}, {4, 4});
  const auto refused = [&](const SaveOptions& options) {
    return failure_of([&] { save(a, store, "a", options); });
  };
  CHECK(contains(refused({.codec = "rar"}), "reading codec 'rar': not understood"));
  CHECK(contains(refused({.codec = "zstd:99"}), "a level up to 22"));
  CHECK(contains(refused({.codec = "[]"}), "no codec makes bytes"));
  CHECK(contains(refused({.shards = {6, 6}}), "shards must hold whole chunks"));
  CHECK(contains(refused({.shards = {8, 8}, .options = {{"zarr_format", "2"}}}), "version 3"));
  CHECK(contains(refused({.options = {{"zarr_format", "4"}}}), "bad option zarr_format"));
  CHECK(contains(refused({.options = {{"colour", "red"}}}), "unknown option"));
  CHECK(contains(refused({.options = {{"fill_value", "\"x\""}}}), "fill_value"));
  CHECK(contains(refused({.chunks = {{3, 5}, {4, 4}}}), "unequal lengths"));
  CHECK(keys_of(store).empty());
  for (const char* path : {"..", "a/../b", ".", "a/."})
    CHECK(contains(failure_of([&] { save(a, store, path); }), "a path inside of a hierarchy"));
  CHECK(keys_of(store).empty());
  save(a, store, "//deep///b/");
  CHECK(open<float>(store, "deep/b").shape() == Shape{8, 8});
}

TEST_CASE("damaged chunks and shards are errors that name them", "[api][zarr]") {
  const MemoryStore store;
  SaveOptions options;
  options.chunks = {4, 4};
  options.codec = "zstd";
  const auto a = counting<float>({8, 8}, {4, 4}) + 1.0;
  save(a, store, "a", options);
  options.shards = {8, 8};
  save(a, store, "s", options);
  put(store, "a/c/1/0", "not zstd");
  const std::string chunk = failure_of([&] { open<float>(store, "a").compute(); });
  CHECK(contains(chunk, "corrupt_data"));
  CHECK(contains(chunk, "a/c/1/0"));
  std::string shard = *get_text(store, "s/c/0/0");
  shard[shard.size() - 6] ^= 1;  // in the index
  put(store, "s/c/0/0", shard);
  CHECK(contains(failure_of([&] { open<float>(store, "s").compute(); }), "crc32c"));
  put(store, "s/c/0/0", "short");
  CHECK(contains(failure_of([&] { open<float>(store, "s").compute(); }), "s/c/0/0"));
}

TEST_CASE("chunks are turned in a budget that holds few of them, in parts", "[api][zarr]") {
  if (!has_blosc()) MORSEL_SKIP("no c-blosc");
  const test::TempDir dir;
  const auto from = (dir / "x.zarr").string(), to = (dir / "y.zarr").string();
  const auto values = [](Index i, Index j, Index k) {
    return static_cast<float>(((i * 64 + j) * 128 + k) * 2654435761u % 1000003u);
  };
  const auto a = from_function<float>({256, 64, 128}, values);
  using Stored = std::pair<const char*, const char*>;
  const auto [codec, order] = GENERATE(Stored{"blosc-lz4:5:shuffle", "C"},
                                       Stored{"blosc-zstd:1:bitshuffle", "F"}, Stored{"none", "C"});
  INFO(codec << " " << order);
  // Each way the axis that is slowest in storage is cut.
  const bool f = std::string(order) == "F";
  SaveOptions options;
  options.chunks = f ? ChunkSpec{32, 16, 128} : ChunkSpec{256, 16, 16};
  options.codec = codec;
  options.options = {{"order", order}};
  save(a, from, options);
  RunReport report;
  const auto b = open<float>(from);
  options = {};
  options.chunks = f ? ChunkSpec{256, 64, 8} : ChunkSpec{16, 64, 128};
  options.codec = "blosc-lz4:1:shuffle";
  options.memory = 6 * MiB;
  options.report = &report;
  save(b, to, options);
  CHECK(report.peak_bytes <= 6 * MiB);
  CHECK(all(open<float>(to) == a).item());
  ComputeOptions two;
  two.memory = 6 * MiB;
  CHECK(all(b == a).item(two));
}

TEST_CASE("a part of a chunk at the edge is changed, however many runs the rest has", "[api][zarr]") {
  if (!has_blosc()) MORSEL_SKIP("no c-blosc");
  const MemoryStore store;
  const auto a = counting<float>({5000, 20}, {5000, 20});
  SaveOptions options;
  options.chunks = {16384, 16};
  options.codec = "blosc-lz4:5:shuffle";
  save(a, store, "a", options);
  SaveOptions region;
  region.region = "0:5000, 17:19";
  save(zeros<float>({5000, 2}) - 1.0f, store, "a", region);
  const auto b = open<float>(store, "a");
  CHECK(all(b[":, :17"] == a[":, :17"]).item());
  CHECK(all(b[":, 17:19"] == -1.0f).item());
  CHECK(all(b[":, 19"] == a[":, 19"]).item());
}

TEST_CASE("a chunk that is replaced while parts of it are read is the old one or the new", "[api][zarr]") {
  if (!has_blosc()) MORSEL_SKIP("no c-blosc");
  const CountingStore store = counting_store(MemoryStore());
  const auto value = [](Index i, std::uint32_t salt) {
    return static_cast<std::uint32_t>(i) * 2654435761u + salt;
  };
  const auto array = [&](std::uint32_t salt) {
    return from_function<std::uint32_t>({1 << 20}, [=](Index i) { return value(i, salt); });
  };
  SaveOptions options;
  options.chunks = {1 << 20};
  // Frames of blocks, and one that is a copy of its elements.
  options.codec = "blosc-lz4:1:noshuffle";
  save(array(1), store, "a", options);
  options.codec = "blosc-lz4:9:shuffle";
  save(array(2), store, "b", options);
  const std::string first = *get_text(store, "a/c/0"), second = *get_text(store, "b/c/0");
  for (const bool swapped : {false, true}) {
    put(store, "a/c/0", swapped ? second : first);
    const auto x = open<std::uint32_t>(store, "a");
    int reads = 0;
    store.observe([&](std::string_view key) {
      if (key == "a/c/0" && ++reads == 2) put(store, "a/c/0", swapped ? first : second);
    });
    std::vector<std::uint32_t> part(1000);
    x["70000:71000"].compute_into(std::span<std::uint32_t>(part), {.threads = 1});
    store.observe(nullptr);
    CHECK(reads >= 2);
    const std::uint32_t salt = part[0] - value(70000, 0);
    CHECK((salt == 1 || salt == 2));
    bool right = true;
    for (std::size_t i = 0; i < part.size(); ++i)
      right = right && part[i] == value(70000 + static_cast<Index>(i), salt);
    CHECK(right);
  }
}

TEST_CASE("reading and writing stay inside the budget", "[api][zarr]") {
  const test::TempDir dir;
  const auto path = (dir / "x.zarr").string();
  SaveOptions options;
  options.chunks = {256, 256};
  options.shards = {512, 512};
  RunReport report;
  options.report = &report;
  options.memory = 16 * MiB;
  const auto a =
      from_function<float>({2048, 2048}, [](Index i, Index j) { return static_cast<float>(i * 7 + j % 13); });
  save(a, path, options);
  CHECK(report.peak_bytes <= 16 * MiB);
  ComputeOptions run;
  run.memory = 12 * MiB;
  run.report = &report;
  const double all = sum(open<float>(path)).compute(run)();
  CHECK(report.peak_bytes <= 12 * MiB);
  CHECK(all == sum(a).compute()());
  run.memory = 64 * KiB;
  CHECK(contains(failure_of([&] { sum(open<float>(path)).compute(run); }), "budget_too_small"));
}
