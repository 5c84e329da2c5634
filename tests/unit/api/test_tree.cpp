#include <morsel/api/tree.hpp>

#include <sys/stat.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <fstream>
#include <morsel/io/container.hpp>
#include <morsel/io/file.hpp>
#include <morsel/io/file_store.hpp>
#include <morsel/io/zarr_sink.hpp>
#include <morsel/morsel.hpp>
#include <sstream>
#include <support/paths.hpp>
#include <thread>

#include "arrays.hpp"

using namespace morsel;
using Catch::Matchers::Contains;
using morsel_test::counting;
using morsel_test::text_of;

namespace {

struct Failure {
  Errc code;
  std::string message;
};
template <class F>
Failure failure_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {Errc::internal_error, "no error"};
}

std::vector<std::string> paths_of(const std::vector<Leaf>& leaves) {
  std::vector<std::string> paths;
  for (const Leaf& leaf : leaves) paths.push_back(leaf.path());
  return paths;
}
using Paths = std::vector<std::string>;

void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

/// days 0 to n - 1, each a Zarr group with precipitation (24, 5), whose sum is 24 * 5 * day, and a scalar.
void write_days(const std::filesystem::path& folder, int n) {
  for (int day = 0; day < n; ++day) {
    char name[32];
    std::snprintf(name, sizeof name, "day%03d.zarr", day);
    const std::string root = (folder / name).string();
    create_zarr_group(FileStore(root), "", {{"day", std::to_string(day)}}, {});
    ArrayOptions rain;
    rain.chunks = {8, 5};
    rain.dims = {"time", "x"};
    rain.attrs = {{"units", "\"mm\""}};
    save(full<float>({24, 5}, day, rain), root + "/precipitation", {.chunks = {8, 5}});
    save(full<std::int32_t>({}, day), root + "/station/number");
  }
}

struct Handler {
  std::vector<std::string> warnings;
  WarningHandler before;
  Handler() {
    before = set_warning_handler([this](std::string_view name, std::string_view text) {
      warnings.push_back(std::string(name) + ": " + std::string(text));
    });
  }
  ~Handler() { set_warning_handler(before); }
};

}  // namespace

TEST_CASE("a pattern matches paths part by part") {
  struct Row {
    const char *pattern, *path;
    bool matches;
  };
  const Row rows[] = {
      {"**/precipitation", "precipitation", true},
      {"**/precipitation", "a/b/precipitation", true},
      {"**/precipitation", "a/precipitation/b", false},
      {"**", "a", true},
      {"**", "a/b/c", true},
      {"*", "a/b", false},
      {"a/*/c", "a/b/c", true},
      {"a/*/c", "a/c", false},
      {"a/**/c", "a/c", true},
      {"a/**/c", "a/x/y/c", true},
      {"**/b/**", "a/b", true},
      {"**/b/**", "b/c/d", true},
      {"**/b/**", "c/d", false},
      {"day0??.h5", "day012.h5", true},
      {"day0[0-3]?", "day042", false},
      {"./a//b", "a/b", true},
      {"a\\*", "a*", true},
      {"a\\*", "ab", false},
      {"[*]", "*", true},
      {"A", "a", false},
      {"**/**/**/**/**/x", "a/b/c/d/e/f/g/h/i/j/k/l", false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.pattern, row.path);
    CHECK(Glob(row.pattern).matches(row.path) == row.matches);
  }
  CHECK(Glob("a/*/c").may_match_below("a"));
  CHECK(Glob("a/*/c").may_match_below("a/b"));
  CHECK_FALSE(Glob("a/*/c").may_match_below("b"));
  CHECK_FALSE(Glob("a/*/c").may_match_below("a/b/c"));
  CHECK(Glob("**/c").may_match_below("x/y/z"));
  for (const char* bad : {"", "/", ".", "/a", "a/../b", "//"}) {
    CAPTURE(bad);
    CHECK(failure_of([&] { Glob{bad}; }).code == Errc::invalid_argument);
  }
}

TEST_CASE("a directory of runs opens as a tree of proxies") {
  const test::TempDir folder;
  const auto runs = folder.path() / "runs";
  std::filesystem::create_directories(runs / "extra");
  write_days(runs, 3);
  save(counting<double>({4, 2}), (runs / "extra" / "x.npy").string());
  write_text(runs / "README.txt", "no array\n");
  write_text(runs / ".hidden.npy", "no array\n");
  const Tree tree = open_tree(runs.string());
  CHECK(paths_of(tree.leaves()) == Paths{"day000/precipitation", "day000/station/number",
                                         "day001/precipitation", "day001/station/number",
                                         "day002/precipitation", "day002/station/number", "extra/x"});
  CHECK(tree.size() == 7);
  CHECK(tree.is_group("day001/station"));
  CHECK_FALSE(tree.contains("README"));
  CHECK(tree.attrs("day002") == Attributes{{"day", "2"}});
  const Leaf leaf = tree.leaf("day001/precipitation");
  CHECK(leaf.dtype() == DType(Type::float32));
  CHECK(leaf.shape() == Shape{24, 5});
  CHECK(leaf.dims() == std::vector<std::string>{"time", "x"});
  CHECK(leaf.grid().counts() == Dims{3, 1});
  CHECK(leaf.attrs() == Attributes{{"units", "\"mm\""}});
  CHECK(leaf.nbytes() == 480);
  CHECK(leaf.origin()->inside == "precipitation");
  CHECK_FALSE(leaf.is_loaded());
  CHECK(sum(tree["day002/precipitation"]).compute().to<float>()() == 240);
  CHECK(tree.group("day001").leaf("station/number").path() == "station/number");
  CHECK(tree.members("day001").size() == 2);
  CHECK(tree.members("day001")[0] == Member{"precipitation", Member::Kind::array});
  CHECK(tree.members("day001")[1] == Member{"station", Member::Kind::group});
  const TreeOptions with_endings{.ignore = {"extra", "day000*"}, .endings = Endings::kept, .threads = 3};
  CHECK(paths_of(open_tree(runs.string(), with_endings).leaves()) ==
        Paths{"day001.zarr/precipitation", "day001.zarr/station/number", "day002.zarr/precipitation",
              "day002.zarr/station/number"});
}

TEST_CASE("a tree of a container, of a group in it and of one array") {
  const test::TempDir folder;
  write_days(folder.path(), 1);
  const std::string day = (folder.path() / "day000.zarr").string();
  CHECK(paths_of(open_tree(day).leaves()) == Paths{"precipitation", "station/number"});
  CHECK(open_tree(day).attrs() == Attributes{{"day", "0"}});
  CHECK(paths_of(open_tree(day, {.ignore = {"station"}}).leaves()) == Paths{"precipitation"});
  CHECK(paths_of(open_tree(day + "/station").leaves()) == Paths{"number"});
  CHECK(paths_of(open_tree(day + "/precipitation").leaves()) == Paths{"precipitation"});
  save(counting<float>({3}), (folder.path() / "v.npy").string());
  const Tree one = open_tree((folder.path() / "v.npy").string());
  CHECK(paths_of(one.leaves()) == Paths{"v"});
  CHECK(failure_of([&] { open_tree((folder.path() / "nothing").string()); }).code == Errc::not_found);
  write_text(folder.path() / "text", "no array at all");
  CHECK(failure_of([&] { open_tree((folder.path() / "text").string()); }).code == Errc::unsupported);
  write_text(folder.path() / "bad.npy", "\x93NUMPY\x01");
  CHECK(failure_of([&] { open_tree((folder.path() / "bad.npy").string()); }).code == Errc::corrupt_data);
  CHECK(failure_of([&] { open_tree(day, {.threads = -1}); }).code == Errc::invalid_argument);
}

TEST_CASE("files whose names differ in their endings alone keep them") {
  const test::TempDir folder;
  const auto at = [&](const char* name) { return (folder.path() / name).string(); };
  save(counting<float>({3}), at("a.npy"));
  save(counting<float>({3}), at("a.zarr"));
  save(counting<float>({3}), at("b.npy"));
  std::filesystem::create_directory(at("c"));
  save(counting<float>({3}), at("c/d.npy"));
  save(counting<float>({3}), at("c.npy"));
  save(counting<float>({3}), at("a.npy.npy"));
  CHECK(paths_of(open_tree(folder.path().string()).leaves()) ==
        Paths{"a.npy", "a.npy.npy", "a.zarr", "b", "c/d", "c.npy"});
}

TEST_CASE("what cannot be read is a leaf that says why") {
  const test::TempDir folder;
  save(counting<float>({3}), (folder.path() / "good.npy").string());
  write_text(folder.path() / "bad.npy", "\x93NUMPY\x01");
  write_text(folder.path() / "scan.tif", std::string("II*\0", 4));
  const Tree tree = open_tree(folder.path().string());
  CHECK(paths_of(tree.leaves()) == Paths{"bad", "good", "scan"});
  const Leaf bad = tree.leaf("bad");
  REQUIRE(bad.error());
  CHECK(bad.error()->code() == Errc::corrupt_data);
  CHECK(failure_of([&] { bad.shape(); }).code == Errc::corrupt_data);
  CHECK(failure_of([&] { bad.load(); }).code == Errc::corrupt_data);
  CHECK(failure_of([&] { tree["bad"]; }).code == Errc::corrupt_data);
  CHECK(tree.leaf("scan").error()->code() == Errc::unsupported);
  CHECK_THAT(to_string(tree), Contains("bad  (cannot be read: ") && Contains("tiff component"));
}

TEST_CASE("what is not in a tree is named, with what is there") {
  Tree tree;
  tree.add("a/b", counting<float>({3})).add("a/c", counting<float>({2}));
  const auto failure = failure_of([&] { tree.leaf("a/x/y"); });
  CHECK(failure.code == Errc::not_found);
  CHECK_THAT(failure.message, Contains("expected one of 'b', 'c' in 'a'"));
  CHECK(failure_of([&] { tree.leaf("a"); }).code == Errc::invalid_argument);
  CHECK(failure_of([&] { tree.leaf(""); }).code == Errc::invalid_argument);
  CHECK(failure_of([&] { tree["a/b/c"]; }).code == Errc::not_found);
  CHECK(failure_of([&] { tree.group("a/b"); }).code == Errc::invalid_argument);
  CHECK(failure_of([&] { tree.group("z"); }).code == Errc::not_found);
  CHECK(failure_of([&] { tree.members("z"); }).code == Errc::not_found);
  CHECK(failure_of([&] { tree.attrs("z"); }).code == Errc::not_found);
  CHECK(failure_of([&] { tree.add("a/b", counting<float>({3})); }).code == Errc::already_exists);
  CHECK(failure_of([&] { tree.add("a", counting<float>({3})); }).code == Errc::already_exists);
  CHECK(failure_of([&] { tree.add("a/b/c", counting<float>({3})); }).code == Errc::invalid_argument);
  CHECK(failure_of([&] { tree.add("", counting<float>({3})); }).code == Errc::invalid_argument);
  CHECK(failure_of([&] { tree.add_group("a/b"); }).code == Errc::already_exists);
  tree.add("a/b", counting<float>({7}), ExistingTarget::skip);
  CHECK(tree.leaf("a/b").shape() == Shape{3});
  tree.add("/a//b/", counting<float>({7}), ExistingTarget::overwrite);
  CHECK(tree.leaf("a/b").shape() == Shape{7});
  tree.add("a", counting<float>({1}), ExistingTarget::overwrite);
  CHECK(paths_of(tree.leaves()) == Paths{"a"});
  tree.add_group("g/h", {{"n", "1"}}).remove("a");
  CHECK(tree.size() == 0);
  CHECK(tree.is_group("g/h"));
  CHECK(failure_of([&] { tree.remove("a"); }).code == Errc::not_found);
  tree.remove("g");
  CHECK_FALSE(tree.contains("g/h"));
}

TEST_CASE("a leaf stands wherever a lazy array does") {
  Tree tree;
  const LazyArray<float> a = counting<float>({2, 3});
  tree.add("a", a.any().with_dims({"y", "x"}));
  const Leaf leaf = tree.leaf("a");
  CHECK(mean(leaf).compute().to<float>()() == 2.5f);
  CHECK(sum(leaf * 2.0, "x").compute().to<float>()(1) == 24);
  CHECK(all(leaf == a).compute().to<bool>()());
  CHECK(astype<double>(leaf).compute()(1, 2) == 5);
  CHECK(sqrt(leaf).shape() == Shape{2, 3});
  CHECK(permute_dims(leaf, {"x", "y"}).shape() == Shape{3, 2});
  CHECK(concat({leaf, leaf}, "x").shape() == Shape{2, 6});
  CHECK(concat({leaf, leaf}, 0).shape() == Shape{4, 3});
  const AnyLazyArray days = concat({leaf, leaf, leaf}, "day");
  CHECK(days.shape() == Shape{3, 2, 3});
  CHECK(days.dims() == std::vector<std::string>{"day", "y", "x"});
  CHECK(failure_of([&] { concat(std::vector<Leaf>{}, "day"); }).code == Errc::invalid_argument);
  const auto [low, high] = compute({.threads = 1}, min(leaf), leaf);
  CHECK(low.to<float>()() == 0);
  CHECK(high.shape() == Shape{2, 3});
  const test::TempDir folder;
  save(leaf, (folder.path() / "a.npy").string());
  save({}, {{leaf, (folder.path() / "b.npy").string()}});
  CHECK(text_of(open<float>((folder.path() / "b.npy").string())) == "(2, 3): 0 1 2 3 4 5");
  CHECK_THAT(explain(leaf).text(), Contains("array"));
  CHECK(explain({}, leaf, mean(leaf)).json().size() > 10);
}

TEST_CASE("42 days are one view over many files") {
  const test::TempDir folder;
  std::filesystem::create_directory(folder.path() / "measurements");
  write_days(folder.path() / "measurements", 42);
  Tree tree(folder.path().string());
  const LoadReport report = tree.load("measurements/*.zarr", {.path_regex = "measurements/day(\\d+)\\.zarr",
                                                              .target = "measurements/{match}"});
  CHECK(report.files.size() == 42);
  CHECK(report.added.front() == "measurements/000");
  CHECK(report.added.back() == "measurements/041");
  CHECK(tree.members("measurements").size() == 42);
  const AnyLazyArray days = concat(tree.glob("**/precipitation"), "day");
  CHECK(days.shape() == Shape{42, 24, 5});
  CHECK(days.dims() == std::vector<std::string>{"day", "time", "x"});
  const AnyArray sums = sum(days, {"time", "x"}).compute();
  for (int day = 0; day < 42; ++day) CHECK(sums.to<float>()(day) == 120.0f * static_cast<float>(day));
  CHECK(sum(days).compute().to<float>()() == 120.0f * 861);
  // The chunks of one day alone are read for it.
  std::filesystem::remove_all(folder.path() / "measurements" / "day007.zarr" / "precipitation" / "c" / "0");
  CHECK(sum(days["6"]).compute().to<float>()() == 720);
}

TEST_CASE("files go where a target says") {
  const test::TempDir folder;
  for (const char* name : {"b/run_2_x.npy", "a/run_1_y.npy", "a/note.txt"}) {
    std::filesystem::create_directories((folder.path() / name).parent_path());
    if (std::string(name).ends_with(".npy"))
      save(counting<float>({3}), (folder.path() / name).string());
    else
      write_text(folder.path() / name, "text");
  }
  const auto loaded = [&](const LoadOptions& options) {
    Tree tree(folder.path().string());
    tree.load("**/*.npy", options);
    return paths_of(tree.leaves());
  };
  CHECK(loaded({}) == Paths{"a/run_1_y", "b/run_2_x"});
  CHECK(loaded({.target = "all/{stem}"}) == Paths{"all/run_1_y", "all/run_2_x"});
  CHECK(loaded({.target = "all/{name}"}) == Paths{"all/run_1_y.npy", "all/run_2_x.npy"});
  CHECK(loaded({.path_regex = "run_(\\d)_(.)", .target = "{2}/{1}"}) == Paths{"x/2", "y/1"});
  CHECK(loaded({.path_regex = "run_.", .target = "{match}/v"}) == Paths{"run_1/v", "run_2/v"});
  CHECK(loaded({.ignore = {"a/*"}}) == Paths{"b/run_2_x"});
  CHECK(loaded({.ignore = {"b"}}) == Paths{"a/run_1_y"});
  struct Row {
    LoadOptions options;
    Errc code;
    const char* part;
  };
  const Row rows[] = {
      {{.target = "{nothing}"}, Errc::invalid_argument, "{nothing}"},
      {{.target = "{match}"}, Errc::invalid_argument, "{match}"},
      {{.path_regex = "run_(\\d)"}, Errc::invalid_argument, "without a place"},
      {{.path_regex = "run_(", .target = "{match}"}, Errc::invalid_argument, "does not parse"},
      {{.path_regex = "run_(\\d)", .target = "{match}{2}"}, Errc::invalid_argument, "up to {1}"},
      {{.path_regex = "run_(1)", .target = "{match}"}, Errc::not_found, "b/run_2_x.npy"},
      {{.target = "same"}, Errc::already_exists, "'same'"},
      {{.target = "/"}, Errc::invalid_argument, "no name for an array"},
      {{.base = "/nowhere/at/all"}, Errc::not_found, "no such directory"},
      {{.base = "/dev/null"}, Errc::invalid_argument, "not a directory"},
      {{.threads = -2}, Errc::invalid_argument, "thread count"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.part);
    const auto failure = failure_of([&] { loaded(row.options); });
    CHECK(failure.code == row.code);
    CHECK_THAT(failure.message, Contains(row.part));
  }
  CHECK(failure_of([&] { Tree().load(std::vector<std::string>{}); }).code == Errc::invalid_argument);
  CHECK(failure_of([&] { Tree().load("../*"); }).code == Errc::invalid_argument);
}

TEST_CASE("required entries refuse, optional ones warn and report") {
  const test::TempDir folder;
  save(counting<float>({3}), (folder.path() / "good.npy").string());
  write_text(folder.path() / "bad.npy", "\x93NUMPY\x01");
  write_text(folder.path() / "note.txt", "text");
  Tree tree(folder.path().string());
  CHECK(failure_of([&] { tree.load("*.h5"); }).code == Errc::not_found);
  CHECK(failure_of([&] { tree.load("*.npy"); }).code == Errc::corrupt_data);
  CHECK(failure_of([&] { tree.load("note*"); }).code == Errc::unsupported);
  CHECK(tree.size() == 0);
  const Handler handler;
  CHECK(tree.load("*.h5", {.required = false}).files.empty());
  const LoadReport report = tree.load({"*.npy", "*o*.*"}, {.required = false});
  CHECK(report.files == Paths{"bad.npy", "good.npy", "note.txt"});
  CHECK(report.added == Paths{"good"});
  REQUIRE(report.failed.size() == 2);
  CHECK(report.failed[0].first == "bad.npy");
  CHECK(report.failed[0].second.code() == Errc::corrupt_data);
  CHECK(report.failed[1].second.code() == Errc::unsupported);
  CHECK(handler.warnings.size() == 3);
  CHECK(handler.warnings[1].starts_with("tree_entry: "));
}

TEST_CASE("existing targets are refused, skipped or replaced") {
  const test::TempDir folder;
  save(counting<float>({3}), (folder.path() / "a.npy").string());
  save(counting<float>({4}), (folder.path() / "b.npy").string());
  Tree tree(folder.path().string());
  tree.add("a", counting<float>({9}));
  CHECK(failure_of([&] { tree.load("*.npy"); }).code == Errc::already_exists);
  CHECK(tree.size() == 1);
  const LoadReport skipped = tree.load("*.npy", {.existing = ExistingTarget::skip});
  CHECK(skipped.skipped == Paths{"a"});
  CHECK(skipped.added == Paths{"b"});
  CHECK(tree.leaf("a").shape() == Shape{9});
  const LoadReport replaced = tree.load("*.npy", {.existing = ExistingTarget::overwrite});
  CHECK(replaced.added == Paths{"a", "b"});
  CHECK(tree.leaf("a").shape() == Shape{3});
  CHECK(tree.leaf("b").shape() == Shape{4});
}

TEST_CASE("links that lead upwards are not followed") {
  const test::TempDir folder;
  std::filesystem::create_directories(folder.path() / "a" / "b");
  save(counting<float>({3}), (folder.path() / "a" / "x.npy").string());
  std::filesystem::create_directory_symlink("../..", folder.path() / "a" / "b" / "up");
  std::filesystem::create_directory_symlink(".", folder.path() / "a" / "self");
  std::filesystem::create_symlink("a/x.npy", folder.path() / "y.npy");
  CHECK(paths_of(open_tree(folder.path().string()).leaves()) == Paths{"a/x", "y"});
  const std::vector<ContainerEntry> entries = contents_of(find_container(folder.path().string()));
  Paths listed;
  for (const ContainerEntry& entry : entries)
    if (entry.kind == Member::Kind::array) listed.push_back(entry.path);
  CHECK(listed == Paths{"a/x.npy", "y.npy"});
}

TEST_CASE("a loaded leaf is booked until it is released") {
  const Workspace workspace({.memory = 1 * MiB, .threads = 2});
  const ComputeOptions in_it{.workspace = workspace};
  Tree tree;
  tree.add("a", counting<double>({256, 64}, {64, 64}));  // 128 KiB
  const Leaf leaf = tree.leaf("a");
  const auto before = mean(leaf).compute(in_it).to<double>()();
  CHECK_THAT(to_string(tree), Contains("(proxy)") && !Contains("(loaded)"));
  leaf.load(in_it);
  CHECK(leaf.is_loaded());
  CHECK(tree.leaf("a").is_loaded());
  CHECK_THAT(to_string(tree), Contains("(loaded)"));
  CHECK(workspace.held_bytes() == 128 * KiB);
  CHECK(workspace.granted_bytes() == 128 * KiB);
  CHECK(leaf.array().grid() == leaf.grid());
  CHECK(mean(leaf).compute(in_it).to<double>()() == before);
  std::optional<AnyLazyArray> kept = leaf.array()["0:2"];
  leaf.release();
  CHECK_FALSE(leaf.is_loaded());
  CHECK(workspace.held_bytes() == 128 * KiB);
  CHECK(kept->compute(in_it).to<double>()(1, 0) == 64);
  kept.reset();
  CHECK(workspace.held_bytes() == 0);
  CHECK(workspace.granted_bytes() == 0);
  leaf.release();
  CHECK(mean(leaf).compute(in_it).to<double>()() == before);
}

TEST_CASE("loaded leaves leave less to runs, which are refused rather than kept waiting") {
  const Workspace workspace({.memory = 1 * MiB, .threads = 1});
  const ComputeOptions in_it{.workspace = workspace};
  const Leaf big(full<double>({100, 1000}, 1.0, {.chunks = {10, 1000}}));  // 800 000 bytes
  const Leaf other(full<double>({50, 1000}, 1.0, {.chunks = {10, 1000}}));
  big.load(in_it);
  const auto refused = failure_of([&] { other.load(in_it); });
  CHECK(refused.code == Errc::budget_too_small);
  CHECK_THAT(refused.message, Contains("loaded arrays hold 800000") && Contains("loading ''"));
  CHECK_FALSE(other.is_loaded());
  const auto needs =
      map_chunks<double>([](const ChunkInfo&, const auto& block) { return xt::xarray<double>(block); },
                         full<double>({50, 1000}, 1.0, {.chunks = {50, 1000}}));
  const auto run = failure_of([&] { mean(needs).compute(in_it); });
  CHECK(run.code == Errc::budget_too_small);
  CHECK_THAT(run.message, Contains("800000 bytes that loaded arrays hold"));
  big.release();
  other.load(in_it);
  CHECK(workspace.held_bytes() == 400000);
}

TEST_CASE("a leaf that many ask to load is computed once") {
  std::atomic<int> calls{0};
  const LazyArray<double> counted = map_chunks<double>(
      [&calls](const ChunkInfo&, const auto& block) {
        ++calls;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        return xt::xarray<double>(block);
      },
      counting<double>({64, 16}, {16, 16}));
  const Leaf leaf(counted);
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < 16; ++i)
    threads.emplace_back([&] {
      leaf.load();
      good += leaf.is_loaded() && leaf.array().compute().to<double>()(63, 15) == 1023;
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(good == 16);
  CHECK(calls == 4);
  leaf.release();
  leaf.load();
  CHECK(calls == 8);
}

TEST_CASE("a load that fails leaves a proxy, and another may try again") {
  std::atomic<bool> fails{true};
  const Leaf leaf(map_chunks<double>(
      [&fails](const ChunkInfo&, const auto& block) {
        if (fails) throw std::runtime_error("not now");
        return xt::xarray<double>(block);
      },
      counting<double>({4})));
  CHECK(failure_of([&] { leaf.load(); }).code == Errc::user_error);
  CHECK_FALSE(leaf.is_loaded());
  CHECK(Workspace::process().held_bytes() == 0);
  fails = false;
  leaf.load();
  CHECK(leaf.is_loaded());
  std::stop_source stop;
  stop.request_stop();
  const Leaf never(counting<double>({4}));
  CHECK(failure_of([&] { never.load({.stop = stop.get_token()}); }).code == Errc::cancelled);
  const Leaf inside(counting<double>({4}));
  const auto failure = failure_of([&] {
    map_chunks<double>(
        [&](const ChunkInfo&, const auto& block) {
          inside.load();
          return xt::xarray<double>(block);
        },
        counting<double>({4}))
        .compute();
  });
  CHECK(failure.code == Errc::unsupported);
}

TEST_CASE("a tree prints its hierarchy, all of it or condensed") {
  Tree tree("/data/runs");
  tree.add_group("", {{"station", "\"A\""}});
  for (int i = 0; i < 9; ++i)
    tree.add("day" + std::to_string(i) + "/rain", counting<float>({2, 3}).any().with_dims({"time", "x"}));
  tree.add_group("empty", {{"a", "1"}, {"b", "2"}});
  tree.leaf("day8/rain").load();
  CHECK(to_string(tree, {.most_members = 3}) ==
        "runs  10 groups, 9 arrays  1 attribute\n"
        "├── day0\n"
        "│   └── rain  float32  (2, 3)  [time, x]  24 B  (proxy)\n"
        "├── day1\n"
        "│   └── rain  float32  (2, 3)  [time, x]  24 B  (proxy)\n"
        "├── ... (7 more)\n"
        "└── empty  2 attributes\n");
  const std::string all = to_string(tree);
  CHECK(std::count(all.begin(), all.end(), '\n') == 20);
  CHECK_THAT(all, Contains("├── day8\n│   └── rain  float32  (2, 3)  [time, x]  24 B  (loaded)\n"));
  CHECK(to_string(tree, {.most_members = 1}) ==
        "runs  10 groups, 9 arrays  1 attribute\n"
        "├── day0\n"
        "│   └── rain  float32  (2, 3)  [time, x]  24 B  (proxy)\n"
        "└── ... (9 more)\n");
  std::ostringstream out;
  out << Tree() << tree.leaf("day0/rain");
  CHECK(out.str() == "tree  0 groups, 0 arrays\nday0/rain  float32  (2, 3)  [time, x]  24 B  (proxy)");
  CHECK(failure_of([&] { to_string(tree, {.most_members = -1}); }).code == Errc::invalid_argument);
}

TEST_CASE("a saved tree opens again, with its files beside it") {
  const test::TempDir folder;
  const auto runs = folder.path() / "runs";
  std::filesystem::create_directory(runs);
  write_days(runs, 2);
  save(counting<double>({4, 2}), (runs / "x.npy").string());
  write_text(runs / "bad.npy", "\x93NUMPY\x01");
  Tree tree = open_tree(runs.string());
  tree.add_group("empty", {{"a", "[1, 2]"}});
  tree.leaf("x").load();
  const std::string file = (folder.path() / "runs.tree").string();
  save_tree(tree, file);
  CHECK(std::filesystem::file_size(file) < 4000);
  CHECK(failure_of([&] { save_tree(tree, file); }).code == Errc::already_exists);
  save_tree(tree, file, {.overwrite = true});

  const Tree again = open_tree(file);
  CHECK(paths_of(again.leaves()) == paths_of(tree.leaves()));
  CHECK(tree.leaf("x").is_loaded());
  CHECK_FALSE(again.leaf("x").is_loaded());
  for (const Leaf& leaf : tree.leaves()) {
    CAPTURE(leaf.path());
    const Leaf other = again.leaf(leaf.path());
    if (leaf.error()) {
      REQUIRE(other.error());
      CHECK(std::string(other.error()->what()) == leaf.error()->what());
      CHECK(other.error()->code() == leaf.error()->code());
      continue;
    }
    CHECK(other.dtype() == leaf.dtype());
    CHECK(other.grid() == leaf.grid());
    CHECK(other.info().native_grid == leaf.info().native_grid);
    CHECK(other.dims() == leaf.dims());
    CHECK(other.attrs() == leaf.attrs());
    CHECK(*other.origin() == *leaf.origin());
    CHECK(mean(astype<double>(other)).compute()() == mean(astype<double>(leaf)).compute()());
  }
  CHECK(again.attrs("day001") == Attributes{{"day", "1"}});
  CHECK(again.attrs("empty") == Attributes{{"a", "[1,2]"}});
  CHECK(again.origin() == tree.origin());

  const auto moved = folder.path() / "moved";
  std::filesystem::create_directory(moved);
  std::filesystem::rename(runs, moved / "runs");
  std::filesystem::rename(file, moved / "runs.tree");
  const Tree there = open_tree((moved / "runs.tree").string());
  CHECK(sum(there["x"]).compute().to<double>()() == 28);
  CHECK(sum(there["day001/precipitation"]).compute().to<float>()() == 120);

  // A file that changed, one that is gone, and a store that changed.
  save(counting<double>({5, 2}), (moved / "runs" / "x.npy").string(), {.overwrite = true});
  std::filesystem::remove_all(moved / "runs" / "day000.zarr");
  save(full<float>({24, 5}, 7, {.chunks = {24, 5}}),
       (moved / "runs" / "day001.zarr" / "precipitation").string(), {.overwrite = true});
  CHECK(failure_of([&] { there["day001/precipitation"].compute(); }).code == Errc::source_changed);
  const Tree stale = open_tree((moved / "runs.tree").string());
  CHECK(stale.leaf("x").error()->code() == Errc::source_changed);
  CHECK(stale.leaf("day000/precipitation").error()->code() == Errc::source_changed);
  CHECK(failure_of([&] { stale["day001/precipitation"]; }).code == Errc::source_changed);
  CHECK(sum(stale["day001/station/number"]).compute().to<std::int64_t>()() == 1);
}

TEST_CASE("a file of a tree that is damaged is refused") {
  const test::TempDir folder;
  save(counting<double>({4, 2}), (folder.path() / "x.npy").string());
  const std::string file = (folder.path() / "t.json").string();
  save_tree(open_tree((folder.path() / "x.npy").string()), file);
  std::ifstream in(file);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const auto with = [&](const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    write_text(file, text.substr(0, at) + to + text.substr(at + from.size()));
    return failure_of([&] { open_tree(file); });
  };
  struct Row {
    const char *from, *to;
    Errc code;
  };
  const Row rows[] = {
      {"{\"morsel_tree\":1", "{\"morsel_tree\":2", Errc::unsupported},
      {"{\"morsel_tree\":1", "{\"morsel_tree\":\"1\"", Errc::corrupt_data},
      {"\n]}", "", Errc::corrupt_data},
      {"\"file\":0", "\"file\":1", Errc::corrupt_data},
      {"\"file\":0", "\"file\":-1", Errc::corrupt_data},
      {"\"file\":0", "\"file\":0.5", Errc::corrupt_data},
      {"\"nodes\"", "\"modes\"", Errc::corrupt_data},
      {"\"files\":[", "\"files\":{}, \"f\":[", Errc::corrupt_data},
      {"\"<f8\"", "\"<q8\"", Errc::syntax_error},
      {"\"grid\":[[4,", "\"grid\":[[-4,", Errc::corrupt_data},
      {"\"grid\":[[4,4]", "\"grid\":[[4,0]", Errc::corrupt_data},
      {"\"grid\":[[4,4]", "\"grid\":[[4]", Errc::corrupt_data},
      {"\"grid\":[[4,4]", "\"grid\":[7", Errc::corrupt_data},
      {"\"grid\":[[4,4]", "\"grid\":[[4611686018427387904,1]", Errc::overflow},
      {"\"grid\":[[4,4]", "\"grid\":[{\"lengths\":[9223372036854775807,9]}", Errc::overflow},
      {"\"dims\":[]", "\"dims\":[\"a\"]", Errc::corrupt_data},
      {"\"dims\":[]", "\"dims\":[1]", Errc::corrupt_data},
      {"\"attributes\":{}", "\"attributes\":[]", Errc::corrupt_data},
  };
  for (const Row& row : rows) {
    CAPTURE(row.from, row.to);
    CHECK(with(row.from, row.to).code == row.code);
  }
  CHECK(failure_of([&] { save_tree(Tree(), folder.path().string()); }).code == Errc::invalid_argument);
  Tree computed;
  computed.add("a", counting<float>({3}));
  CHECK(failure_of([&] { save_tree(computed, (folder.path() / "c").string()); }).code == Errc::unsupported);
  CHECK_FALSE(std::filesystem::exists(folder.path() / "c"));
}

TEST_CASE("looking at many files keeps few of them open") {
  const test::TempDir folder;
  for (int i = 0; i < 600; ++i)
    save(full<float>({10}, i), (folder.path() / ("a" + std::to_string(i) + ".npy")).string());
  const Tree tree = open_tree(folder.path().string(), {.threads = 4});
  CHECK(tree.size() == 600);
  CHECK(open_file_count() <= open_file_limit());
  const AnyLazyArray all = concat(tree.leaves(), "file");
  CHECK(sum(all).compute().to<float>()() == 10 * 599 * 300);
  CHECK(open_file_count() <= open_file_limit());
}
