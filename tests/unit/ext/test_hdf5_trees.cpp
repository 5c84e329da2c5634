#include <hdf5.h>

#include <catch2/catch.hpp>
#include <morsel/ext/hdf5.hpp>
#include <morsel/io/file.hpp>
#include <morsel/morsel.hpp>
#include <numeric>
#include <support/failure.hpp>
#include <support/paths.hpp>
#include <thread>

using namespace morsel;
using Catch::Matchers::Contains;
using morsel_test::failure_of;

namespace {

struct Id {
  hid_t id;
  herr_t (*close)(hid_t);
  Id(hid_t made, herr_t (*closes)(hid_t)) : id(made), close(closes) { REQUIRE(id >= 0); }
  Id(const Id&) = delete;
  Id& operator=(const Id&) = delete;
  ~Id() { close(id); }
  operator hid_t() const { return id; }  // NOLINT(google-explicit-constructor)
};

Id new_file(const std::filesystem::path& path) {
  return {H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose};
}

template <class T>
void write(hid_t file, const std::string& name, hid_t type, const std::vector<hsize_t>& shape,
           const std::vector<T>& values, const std::vector<hsize_t>& chunk = {}) {
  const Id links(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  H5Pset_create_intermediate_group(links, 1);
  const Id create(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  if (!chunk.empty()) H5Pset_chunk(create, static_cast<int>(chunk.size()), chunk.data());
  const Id space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), H5Sclose);
  const Id dataset(H5Dcreate2(file, name.c_str(), type, space, links, create, H5P_DEFAULT), H5Dclose);
  REQUIRE(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0);
}

void write_attribute(hid_t object, const char* name, int value) {
  const Id space(H5Screate(H5S_SCALAR), H5Sclose);
  const Id attribute(H5Acreate2(object, name, H5T_NATIVE_INT, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  REQUIRE(H5Awrite(attribute, H5T_NATIVE_INT, &value) >= 0);
}

std::vector<std::string> paths_of(const std::vector<Leaf>& leaves) {
  std::vector<std::string> paths;
  for (const Leaf& leaf : leaves) paths.push_back(leaf.path());
  return paths;
}
using Paths = std::vector<std::string>;

}  // namespace

TEST_CASE("contiguous and chunked datasets are proxies until they are loaded") {
  hdf5::enable();
  const test::TempDir folder;
  const auto path = folder.path() / "testfile.h5";
  {
    const Id file = new_file(path);
    write<int>(file, "foo", H5T_NATIVE_INT, {3}, {1, 2, 3});
    write<int>(file, "foochunk", H5T_NATIVE_INT, {3}, {1, 2, 3}, {1});
    write<int>(file, "chunked/zeros", H5T_NATIVE_INT, {3, 4, 5, 6}, std::vector<int>(360), {3, 4, 5, 1});
  }
  Tree tree = open_tree(path.string());
  CHECK(paths_of(tree.leaves()) == Paths{"chunked/zeros", "foo", "foochunk"});
  CHECK(tree.leaf("foo").shape() == Shape{3});
  CHECK(tree.leaf("foo").ndim() == 1);
  CHECK(tree.leaf("foo").size() == 3);
  CHECK_FALSE(tree.leaf("foo").info().native_grid);
  CHECK(tree.leaf("foochunk").info().native_grid->chunk_shape() == Shape{1});
  CHECK(tree.leaf("chunked/zeros").info().native_grid->chunk_shape() == Shape{3, 4, 5, 1});
  for (const Leaf& leaf : tree.leaves()) {
    const auto before = sum(leaf).compute().to<std::int64_t>()();
    leaf.load();
    CHECK(sum(leaf).compute().to<std::int64_t>()() == before);
  }
  // Data do not need the file any more; a released leaf does.
  std::filesystem::remove(path);
  CHECK(sum(tree["foochunk"]).compute().to<std::int64_t>()() == 6);
  tree.leaf("foochunk").release();
  CHECK(tree.leaf("foochunk").shape() == Shape{3});
  CHECK_THAT(failure_of([&] { tree["foochunk"]; }), Contains("not_found"));
}

TEST_CASE("files load with groups, attributes and letters as they are") {
  hdf5::enable();
  const test::TempDir folder;
  {
    const Id file = new_file(folder.path() / "basic.h5");
    write<double>(file, "float_dset", H5T_NATIVE_DOUBLE, {2, 3, 4}, std::vector<double>(24));
    write<int>(file, "int_dset", H5T_NATIVE_INT, {1, 2, 3}, std::vector<int>(6, 1));
    write_attribute(file, "foo", 1);
    for (const char* name : {"group", "UpperCaseGroup"}) {
      const Id group(H5Gcreate2(file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
      write_attribute(group, "foo", 2);
    }
    const Id strings(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(strings, H5T_VARIABLE);
    write<const char*>(file, "words", strings, {2}, {"foo", "bar"});
  }
  std::filesystem::create_directory(folder.path() / "sub");
  {
    const Id file = new_file(folder.path() / "sub" / "nested.h5");
    std::vector<double> values(60);
    std::iota(values.begin(), values.end(), 0.0);
    write<double>(file, "group1/group11/group111/dset", H5T_NATIVE_DOUBLE, {3, 4, 5}, values);
    const Id empty(H5Gcreate2(file, "group2", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
  }
  Tree tree(folder.path().string());
  tree.load("**/*.h5", {.target = "h5proxy/{stem}"});
  CHECK(paths_of(tree.leaves()) == Paths{"h5proxy/basic/float_dset", "h5proxy/basic/int_dset",
                                         "h5proxy/basic/words",
                                         "h5proxy/nested/group1/group11/group111/dset"});
  CHECK(tree.is_group("h5proxy/basic/UpperCaseGroup"));
  CHECK_FALSE(tree.contains("h5proxy/basic/uppercasegroup"));
  CHECK(tree.is_group("h5proxy/nested/group2"));
  CHECK(tree.attrs("h5proxy/basic") == Attributes{{"foo", "1"}});
  CHECK(tree.attrs("h5proxy/basic/group") == Attributes{{"foo", "2"}});
  REQUIRE(tree.leaf("h5proxy/basic/words").error());
  CHECK(tree.leaf("h5proxy/basic/words").error()->code() == Errc::unsupported);
  CHECK(sum(tree["h5proxy/basic/int_dset"]).compute().to<std::int64_t>()() == 6);
  CHECK(sum(tree["h5proxy/nested/group1/group11/group111/dset"]).compute().to<double>()() == 1770);

  // Loaded, saved and opened: a proxy there, loaded here.
  const Leaf leaf = tree.leaf("h5proxy/basic/float_dset");
  leaf.load();
  save_tree(tree, (folder.path() / "all.tree").string());
  CHECK(std::filesystem::file_size(folder.path() / "all.tree") < 10000);
  const Tree again = open_tree((folder.path() / "all.tree").string());
  CHECK(leaf.is_loaded());
  CHECK_FALSE(again.leaf("h5proxy/basic/float_dset").is_loaded());
  CHECK(sum(again["h5proxy/basic/float_dset"]).compute().to<double>()() == 0);
}

TEST_CASE("precipitation of 42 days is one array over 42 files") {
  hdf5::enable();
  const test::TempDir folder;
  std::filesystem::create_directory(folder.path() / "measurements");
  for (int day = 0; day < 42; ++day) {
    char name[32];
    std::snprintf(name, sizeof name, "day%03d.hdf5", day);
    const Id file = new_file(folder.path() / "measurements" / name);
    write<float>(file, "precipitation", H5T_NATIVE_FLOAT, {24, 4},
                 std::vector<float>(96, static_cast<float>(day)), {6, 4});
    write<double>(file, "temperature", H5T_NATIVE_DOUBLE, {24}, std::vector<double>(24, 280));
  }
  Tree tree(folder.path().string());
  const LoadReport report = tree.load(
      "measurements/*.hdf5", {.path_regex = "measurements/day(\\d+).hdf5", .target = "measurements/{match}"});
  CHECK(report.files.size() == 42);
  std::vector<std::string> names;
  for (const Member& member : tree.members("measurements")) names.push_back(member.path);
  REQUIRE(names.size() == 42);
  CHECK(names.front() == "000");
  CHECK(names.back() == "041");
  const AnyLazyArray rain = concat(tree.glob("**/precipitation"), "day");
  CHECK(rain.shape() == Shape{42, 24, 4});
  CHECK(sum(rain).compute().to<float>()() == 96.0f * 861);
  CHECK(max(rain, 0).compute().to<float>()(0, 0) == 41);
  CHECK(paths_of(open_tree(folder.path().string()).glob("*/day041/*")) ==
        Paths{"measurements/day041/precipitation", "measurements/day041/temperature"});
}

TEST_CASE("more files than may be open are looked at, loaded and read from many threads") {
  hdf5::enable();
  const test::TempDir folder;
  for (int i = 0; i < 300; ++i) {
    const Id file = new_file(folder.path() / ("f" + std::to_string(i) + ".h5"));
    write<int>(file, "a", H5T_NATIVE_INT, {8}, std::vector<int>(8, i), {4});
  }
  const Tree tree = open_tree(folder.path().string(), {.threads = 4});
  CHECK(tree.size() == 300);
  CHECK(open_file_count() <= open_file_limit());
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&tree] {
      for (const Leaf& leaf : tree.leaves()) leaf.load();
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(open_file_count() <= open_file_limit());
  std::filesystem::remove_all(folder.path());
  CHECK(sum(concat(tree.leaves(), 0)).compute().to<std::int64_t>()() == 8 * 299 * 150);
  for (const Leaf& leaf : tree.leaves()) leaf.release();
  CHECK(Workspace::process().held_bytes() == 0);
}
