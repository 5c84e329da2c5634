#include <hdf5.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <morsel/conformance/chunk_sink.hpp>
#include <morsel/ext/all.hpp>
#include <morsel/morsel.hpp>
#include <numeric>
#include <support/failure.hpp>
#include <support/paths.hpp>

using namespace morsel;
using Catch::Matchers::Contains;
using morsel_test::failure_of;

namespace {

namespace fs = std::filesystem;

std::shared_ptr<const Format> hdf5_format() {
  enable_all();
  for (const auto& format : formats())
    if (format->name == "hdf5") return format;
  return nullptr;
}

/// A fresh directory, and what is in it.
struct Folder : test::TempDir {
  std::string file(const std::string& name) const { return (path() / name).string(); }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(path()))
      found.push_back(entry.path().filename().string());
    std::sort(found.begin(), found.end());
    return found;
  }
};

template <class T>
xt::xarray<T> ramp(const std::vector<std::size_t>& shape) {
  xt::xarray<T> a(shape);
  std::iota(a.begin(), a.end(), T{});
  return a;
}

template <class T>
bool equal(const xt::xarray<T>& a, const xt::xarray<T>& b) {
  return a.shape() == b.shape() && std::equal(a.begin(), a.end(), b.begin());
}

std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Raw elements of any dtype as an array.
AnyLazyArray array_of(const DType& dtype, const Shape& shape) {
  const auto bytes = std::make_shared<std::vector<std::byte>>(
      std::max<std::size_t>(1, static_cast<std::size_t>(size_of(shape)) * dtype.item_bytes()));
  for (std::size_t i = 0; i < bytes->size(); ++i)
    (*bytes)[i] = static_cast<std::byte>(dtype == DType(Type::bool_) ? i % 3 == 0 : i * 37 + i / 256);
  const BufferView view = BufferView::c_order(bytes->data(), shape, dtype.item_bytes());
  return AnyLazyArray(make_source(MemorySource(dtype, view, bytes), View::identity(shape), {}, "values"));
}

}  // namespace

TEST_CASE("the sink keeps the laws of sinks", "[hdf5][sink]") {
  const Folder folder;
  const auto format = hdf5_format();
  for (const std::string codec : {"none", "", "shuffle+zstd:1+fletcher32"})
    for (const Shape& shape : {Shape{7, 9, 5}, Shape{64}, Shape{}}) {
      CAPTURE(codec, to_string(shape));
      int made = 0;
      std::string path;
      const auto make = [&] {
        path = folder.file("a" + std::to_string(made++) + ".h5");
        fs::remove(path);
        NewArray array;
        array.dtype = Type::int32;
        array.chunk_shape = Shape(shape.size(), 4);
        array.grid = Grid::regular(shape, array.chunk_shape);
        array.asked_for_chunks = true;
        array.codec = codec;
        return format->create(path + "/g/v", array);
      };
      const auto read = [&]() -> std::optional<std::vector<std::byte>> {
        if (!fs::exists(path)) return std::nullopt;
        const AnyLazyArray a = open_any(path + "/g/v");
        std::vector<std::byte> bytes(static_cast<std::size_t>(a.nbytes()));
        evaluate({a.edge()}, {MemoryTarget{BufferView::c_order(bytes.data(), shape, 4)}}, {});
        return bytes;
      };
      conformance::check_sink(make, read, {.threads = 4, .rounds = 3});
      for (const std::string& name : folder.names()) CHECK(name.find(".morsel") == std::string::npos);
    }
}

TEST_CASE("what is saved is read as it was: dtypes, names of axes, attributes, chunks, fill",
          "[hdf5][sink]") {
  const Folder folder;
  enable_all();
  std::vector<DType> dtypes;
  for (int t = 0; t < numeric_type_count; ++t) dtypes.emplace_back(static_cast<Type>(t));
  for (const char* name : {"S5", "V3", "<M8[ns]", "<m8[s]"}) dtypes.push_back(parse_dtype(name));
  dtypes.push_back(DType::carried("complex_float16", 4));
  dtypes.push_back(parse_dtype("[('a', '<i2'), ('b', '<f8', (2,)), ('c', 'S3')]"));
  for (const DType& dtype : dtypes)
    for (const Shape& shape : {Shape{5, 7}, Shape{}, Shape{0, 3}}) {
      CAPTURE(dtype.name(), to_string(shape));
      const std::string path = folder.file("x.h5") + "/g/v";
      const AnyLazyArray a = array_of(dtype, shape);
      save(a, path, {.chunks = shape.size() == 2 ? ChunkSpec({2, 7}) : ChunkSpec(), .overwrite = true});
      const AnyLazyArray b = open_any(path);
      REQUIRE(b.dtype() == dtype);
      REQUIRE(b.shape() == shape);
      if (shape == Shape{5, 7}) CHECK(b.chunks()[0] == std::vector<Index>{2, 2, 1});
      const auto bytes = [&](const AnyLazyArray& of) {
        std::vector<std::byte> room(static_cast<std::size_t>(of.nbytes()));
        evaluate({of.edge()}, {MemoryTarget{BufferView::c_order(room.data(), shape, dtype.item_bytes())}},
                 {});
        return room;
      };
      CHECK(bytes(a) == bytes(b));
    }

  const auto named = from_array(ramp<float>({4, 6}), {.chunks = {4, 3}})
                         .with_dims({"time", "x"})
                         .with_attrs({{"units", "\"K\""}, {"n", "[1,2]"}, {"_FillValue", "\"NaN\""}});
  const std::string path = folder.file("named.h5");
  save(named, path + "/run/t", {.options = {{"fill_value", "NaN"}}});
  const auto back = open<float>(path + "/run/t");
  CHECK(back.dims() == std::vector<std::string>{"time", "x"});
  CHECK(back.attrs() == Attributes{{"units", "\"K\""},
                                   {"n", "[1,2]"},
                                   {"_FillValue", "\"NaN\""},
                                   {"DIMENSION_LIST", "[[\"/run/time\"],[\"/run/x\"]]"}});
  CHECK(equal<float>(back.compute(), ramp<float>({4, 6})));
}

TEST_CASE("several arrays go into one file in one pass", "[hdf5][sink]") {
  const Folder folder;
  enable_all();
  const xt::xarray<double> values = ramp<double>({30, 20});
  const auto a = from_array(values, {.chunks = {7, 20}});
  const std::string path = folder.file("x.h5");
  RunReport report;
  save({.memory = 8 * MiB, .threads = 2, .report = &report}, {{a + 1.0, path + "/g/one"},
                                                              {mean(a, 0), path + "/g/mean"},
                                                              {sum(a), path + "/total"},
                                                              {a, folder.file("a.npy")}});
  CHECK(folder.names() == std::vector<std::string>{"a.npy", "x.h5"});
  CHECK(report.peak_bytes <= report.budget_bytes);
  CHECK(equal<double>(open<double>(path + "/g/one").compute(), values + 1.0));
  CHECK(open<double>(path + "/total").item() == 599 * 600 / 2.0);
  CHECK(open<double>(path + "/g/mean").shape() == Shape{20});

  CHECK_THAT(failure_of([&] {
               save({}, {{a, folder.file("y.h5/g")}, {a, folder.file("y.h5/g/b")}});
             }),
             Contains("two arrays go to one place"));
  CHECK_THAT(failure_of([&] {
               save({}, {{a, folder.file("y.h5/g")}, {a, folder.file("y.h5/g")}});
             }),
             Contains("two arrays go to one place"));
  CHECK_FALSE(fs::exists(folder.file("y.h5")));
}

TEST_CASE("a file that fails, or is only explained, leaves what was there", "[hdf5][sink]") {
  const Folder folder;
  enable_all();
  const auto a = from_array(ramp<double>({40, 40}), {.chunks = {10, 40}});
  const std::string path = folder.file("x.h5");
  const auto fails = map(
      [](double v) {
        if (v == 1234) throw std::runtime_error("no more");
        return v;
      },
      a);
  const auto explained = explain_save(a, path + "/v");
  CHECK(explained.text().find("x.h5") == std::string::npos);
  CHECK(folder.names().empty());
  CHECK_THAT(failure_of([&] { save(fails, path + "/v"); }), Contains("no more"));
  CHECK(folder.names().empty());

  save(a, path + "/v");
  const std::string before = bytes_of(path);
  CHECK_THAT(failure_of([&] { save(fails, path + "/w"); }), Contains("no more"));
  CHECK_THAT(failure_of([&] { save(fails, path + "/v", {.overwrite = true}); }), Contains("no more"));
  CHECK_THAT(failure_of([&] { save(fails, path, {.overwrite = true}); }), Contains("no more"));
  CHECK(bytes_of(path) == before);
  CHECK(folder.names() == std::vector<std::string>{"x.h5"});

  // The disk is full: here a limit of the process.
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  for (const rlim_t limit : {rlim_t{0}, rlim_t{3000}, rlim_t{9000}}) {
    CAPTURE(limit);
    const rlimit small{limit, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    const std::string message = failure_of([&] { save(a, folder.file("y.h5/v"), {.codec = "none"}); });
    setrlimit(RLIMIT_FSIZE, &old);
    CHECK_THAT(message, Contains("io_error") || Contains("File too large"));
    CHECK(folder.names() == std::vector<std::string>{"x.h5"});
  }
  std::signal(SIGXFSZ, handler);
}

TEST_CASE("saves add to a file, replace in it, or are refused", "[hdf5][sink]") {
  const Folder folder;
  enable_all();
  const xt::xarray<int> values = ramp<int>({12, 5});
  const auto a = from_array(values, {.chunks = {5, 5}});
  const std::string path = folder.file("x.h5");
  save(a, path);  // a name of its own
  CHECK(equal<int>(open<int>(path + "/data").compute(), values));
  CHECK_THAT(failure_of([&] { save(a, path); }), Contains("the file exists"));
  CHECK_THAT(failure_of([&] { save(a, path + "/data"); }), Contains("the target exists"));
  CHECK_THAT(failure_of([&] { save(a, path + "/data/x"); }), Contains("'/data' is in the way"));
  save(a + 1, path + "/g/b");
  CHECK_THAT(failure_of([&] { save(a, path + "/g", {.overwrite = true}); }),
             Contains("a group or link is there"));
  save(a + 2, path + "/g/b", {.overwrite = true});
  CHECK(equal<int>(open<int>(path + "/g/b").compute(), values + 2));
  CHECK(equal<int>(open<int>(path + "/data").compute(), values));

  // Of the file that it is computed from, another array is a target; the array itself is none.
  save(open<int>(path + "/g/b") * 2, path + "/twice");
  CHECK(equal<int>(open<int>(path + "/twice").compute(), (values + 2) * 2));
  CHECK_THAT(failure_of([&] { save(open<int>(path + "/g/b") * 2, path + "/g/b", {.overwrite = true}); }),
             Contains("is read from"));
  CHECK_THAT(failure_of([&] { save(open<int>(path + "/g/b") * 2, path, {.overwrite = true}); }),
             Contains("is read from"));

  // A coordinate of other arrays stays.
  const auto named = from_array(values).with_dims({"y", "x"});
  save(named, path + "/n/field");
  CHECK_THAT(failure_of([&] { save(arange<float>(0, 12), path + "/n/y", {.overwrite = true}); }),
             Contains("a dimension scale"));

  // Somebody else writes it meanwhile.
  const auto slow = map(
      [&](int v) {
        if (v == 0) {
          std::ofstream out(path, std::ios::app);
          out << "x";
        }
        return v;
      },
      a);
  CHECK_THAT(failure_of([&] { save(slow, path + "/late", {.threads = 1}); }), Contains("has changed since"));
  const auto rival = map(
      [&](int v) {
        if (v == 0) std::ofstream(folder.file("new.h5")) << "mine";
        return v;
      },
      a);
  CHECK_THAT(failure_of([&] { save(rival, folder.file("new.h5/v"), {.threads = 1}); }),
             Contains("came into being meanwhile"));
  CHECK(bytes_of(folder.file("new.h5")) == "mine");
  CHECK_THAT(failure_of([&] { save(a, folder.file("new.h5/w")); }), Contains("new.h5"));
  save(a, folder.file("new.h5"), {.overwrite = true});  // whatever it was
  CHECK(equal<int>(open<int>(folder.file("new.h5/data")).compute(), values));
  CHECK(folder.names() == std::vector<std::string>{"new.h5", "x.h5"});

  fs::create_directory(folder.file("dir.h5"));
  CHECK_THAT(failure_of([&] { save(a, folder.file("dir.h5"), {.overwrite = true}); }), Contains("directory"));
  save(a, folder.file("dir.h5/in.h5/v"));  // a directory of that name is one
  CHECK(equal<int>(open<int>(folder.file("dir.h5/in.h5/v")).compute(), values));
  CHECK_THAT(failure_of([&] { save(a, folder.file("none/x.h5/v")); }), Contains("no such directory"));
}

TEST_CASE("what an HDF5 file cannot have is refused before anything is computed", "[hdf5][sink]") {
  const Folder folder;
  enable_all();
  const auto a = from_array(ramp<float>({40, 40}), {.chunks = {10, 40}});
  const std::string path = folder.file("x.h5/v");
  struct Row {
    const char* name;
    SaveOptions options;
    const char* message;
  };
  for (const Row& row :
       {Row{"resume", {.resume = true}, "got resume"},
        {"shards", {.shards = {40, 40}}, "got shards"},
        {"option", {.options = {{"layout", "x"}}}, "unknown option"},
        {"empty_chunks", {.options = {{"empty_chunks", "maybe"}}}, "bad option empty_chunks"},
        {"fill", {.options = {{"fill_value", "[1"}}}, "not JSON"},
        {"codec", {.codec = "snappy"}, "not understood"},
        {"level", {.codec = "deflate:10"}, "bad level"},
        {"word", {.codec = "deflate:fast"}, "not understood"},
        {"twice", {.codec = "deflate:1:2"}, "not understood"},
        {"empty", {.codec = "shuffle+"}, "not understood"},
        {"read only", {.codec = "szip"}, "is only read"},
        {"list", {.codec = "[{\"name\":\"scaleoffset\"}]"}, "is only read"},
        {"no list", {.codec = "[1"}, "not JSON"}}) {
    CAPTURE(row.name);
    CHECK_THAT(failure_of([&] { save(a, path, row.options); }), Contains(row.message));
  }
  for (const DType& dtype : {parse_dtype("<U3"), DType::carried("bfloat16", 2), DType::carried("int4", 1),
                             DType::carried("float8_e4m3", 1), parse_dtype("[('a', '<U2')]")}) {
    CAPTURE(dtype.name());
    CHECK_THAT(failure_of([&] { save(array_of(dtype, {3}), path); }), Contains("HDF5 has no type for"));
  }
  CHECK_THAT(failure_of([&] {
               save(zeros<std::uint8_t>({3000, 3000, 1000}), path, {.chunks = {3000, 3000, 1000}});
             }),
             Contains("chunks too large for HDF5"));
  CHECK_THAT(failure_of([&] { save(a, folder.file("x.h5/a/../b")); }), Contains("'.' or '..'"));
  CHECK(folder.names().empty());

  save(a, path);
  CHECK_THAT(failure_of([&] { save(a, path, {.region = "0:40, :"}); }), Contains("got a region"));
  CHECK_THAT(failure_of([&] { save(a, path, {.append = 0}); }), Contains("got append"));
}

TEST_CASE("what a batch holds appears when it is committed, or not at all", "[hdf5][sink]") {
  const Folder folder;
  const auto format = hdf5_format();
  const xt::xarray<int> values = ramp<int>({12, 5});
  const std::string path = folder.file("x.h5");
  for (const bool commits : {false, true}) {
    const auto batch = std::make_shared<WriteBatch>();
    format->create_group(path + "/g", {{"title", "\"all\""}}, {}, batch);
    format->create_group(path, {{"root", "1"}}, {}, batch);
    save(from_array(values), path + "/g/a", {.batch = batch});
    save(from_array(values) + 1, path + "/b", {.batch = batch});
    CHECK_THAT(failure_of([&] { save(from_array(values), path + "/g", {.batch = batch}); }),
               Contains("two arrays go to one place"));
    CHECK_FALSE(fs::exists(path));
    if (commits) batch->commit();
  }
  CHECK(folder.names() == std::vector<std::string>{"x.h5"});
  CHECK(equal<int>(open<int>(path + "/g/a").compute(), values));
  CHECK(equal<int>(open<int>(path + "/b").compute(), values + 1));
  const FoundFormat found = find_format(path);
  CHECK(format->attributes(found.place, "g") == Attributes{{"title", "\"all\""}});
  CHECK(format->attributes(found.place, "") == Attributes{{"root", "1"}});
  format->create_group(path + "/g", {{"title", "2"}}, {}, nullptr);  // alone: one that is there
  CHECK(format->attributes(find_format(path).place, "g") == Attributes{{"title", "2"}});
  CHECK(equal<int>(open<int>(path + "/b").compute(), values + 1));
  CHECK_THAT(failure_of([&] { format->create_group(path + "/b", {}, {}, nullptr); }),
             Contains("'/b' is in the way"));

  // All of a file is new.
  const auto all = std::make_shared<WriteBatch>(WriteBatch::Ends::on_commit, WriteBatch::Old::goes);
  save(from_array(values), path + "/only", {.batch = all});
  all->commit();
  CHECK_THAT(failure_of([&] { open<int>(path + "/b"); }), Contains("no such member"));
  CHECK(equal<int>(open<int>(path + "/only").compute(), values));
}

TEST_CASE("texts are written beside many chunks", "[hdf5][sink]") {
  // Texts lie in heaps, which libhdf5 writes when its cache of metadata is full: amid the chunks.
  enable_all();
  const Folder folder;
  const std::string path = folder.file("texts.h5");
  const auto batch = std::make_shared<WriteBatch>();
  const xt::xarray<double> values = ramp<double>({48'000});
  const auto text = [](int i, int k) {
    return '"' + std::string(static_cast<std::size_t>(20 + i + k), 'x') + '"';
  };
  for (int i = 0; i < 24; ++i) {
    Attributes attributes;
    for (int k = 0; k < 8; ++k) attributes.emplace_back("text" + std::to_string(k), text(i, k));
    save(from_array(values).with_attrs(attributes), path + "/a" + std::to_string(i),
         {.chunks = {i == 0 ? 8 : 400}, .codec = "none", .batch = batch});
  }
  batch->commit();
  for (int i = 0; i < 24; ++i) {
    const LazyArray<double> a = open<double>(path + "/a" + std::to_string(i));
    CHECK(equal<double>(a.compute(), values));
    REQUIRE(a.attrs().size() == 8);
    for (int k = 0; k < 8; ++k) CHECK(a.attrs()[static_cast<std::size_t>(k)].second == text(i, k));
  }
}

TEST_CASE("of a failed save a batch keeps nothing", "[hdf5][sink]") {
  enable_all();
  const Folder folder;
  const std::string path = folder.file("f.h5");
  const xt::xarray<double> values = ramp<double>({64, 100});
  const auto breaks = map(
      [](double x) {
        if (x == 6000) throw std::runtime_error("no more");
        return x;
      },
      from_array(values, {.chunks = {1, 100}}));
  {
    const auto batch = std::make_shared<WriteBatch>();
    const SaveOptions options{.chunks = {1, 100}, .batch = batch};
    CHECK_THAT(failure_of([&] { save(breaks, path + "/a", options); }), Contains("no more"));
    save(from_array(values), path + "/b", options);
    save(from_array(values + 1.0), path + "/a", options);  // its place is free again
    batch->commit();
  }
  CHECK(equal<double>(open<double>(path + "/a").compute(), values + 1.0));
  CHECK(equal<double>(open<double>(path + "/b").compute(), values));
  // What a failed save was to replace cannot be had back: the file stays as it was.
  const std::string before = bytes_of(path);
  const auto batch = std::make_shared<WriteBatch>();
  CHECK_THAT(failure_of([&] {
               save(breaks, path + "/a", {.chunks = {1, 100}, .overwrite = true, .batch = batch});
             }),
             Contains("no more"));
  CHECK_THAT(failure_of([&] { batch->commit(); }), Contains("the save of '/a' into it failed"));
  CHECK(bytes_of(path) == before);
}

TEST_CASE("all threads of a save that fails give the first reason", "[hdf5][sink]") {
  enable_all();
  const Folder folder;
  const auto array =
      from_array(ramp<double>({400, 100}), {.chunks = {1, 100}}).with_attrs({{std::string("a\0b", 3), "1"}});
  for (int i = 0; i < 40; ++i) {
    const std::string failure = failure_of([&] {
      save(array, folder.file("r.h5/a"), {.chunks = {1, 100}, .threads = 4});
    });
    CHECK_THAT(failure, !Contains("already_exists"));
    CHECK_FALSE(failure.empty());
  }
  CHECK(folder.names().empty());
}

TEST_CASE("what libhdf5 holds while it writes is in the budget", "[hdf5][sink]") {
  const Folder folder;
  enable_all();
  const auto a = from_array(ramp<float>({400, 40}), {.chunks = {10, 40}});
  CHECK_THAT(failure_of([&] { save(a, folder.file("x.h5") + "/v", {.memory = 512 * KiB, .threads = 1}); }),
             Contains("does not fit the memory budget"));
  CHECK(folder.names().empty());
  save(a, folder.file("x.npy"), {.memory = 512 * KiB, .threads = 1});
  RunReport report;
  save({.memory = 4 * MiB, .threads = 2, .report = &report},
       {{a, folder.file("x.h5") + "/a"}, {a, folder.file("x.h5") + "/b"}, {a, folder.file("x.h5") + "/c"}});
  CHECK(report.peak_bytes <= 4 * MiB);
}

TEST_CASE("a save that is stopped leaves what was there", "[hdf5][sink]") {
  const Folder folder;
  enable_all();
  const std::string path = folder.file("x.h5");
  std::stop_source source;
  const auto stops = map(
      [&](double v) {
        if (v == 1500) source.request_stop();
        return v;
      },
      from_array(ramp<double>({400, 40}), {.chunks = {10, 40}}));
  CHECK_THAT(failure_of([&] { save(stops, path + "/v", {.threads = 1, .stop = source.get_token()}); }),
             Contains("cancelled"));
  CHECK(folder.names().empty());
}

TEST_CASE("chunks that hold nothing but the fill value are not stored, unless they are asked for",
          "[hdf5][sink]") {
  const Folder folder;
  enable_all();
  xt::xarray<float> values = xt::xarray<float>::from_shape({8, 8});
  values.fill(-1.5f);
  values(7, 7) = 3;
  const auto stored = [&](const std::string& name, const FormatOptions& options) {
    save(from_array(values), folder.file(name) + "/v", {.chunks = {4, 4}, .options = options});
    CHECK(equal<float>(open<float>(folder.file(name) + "/v").compute(), values));
    const hid_t file = H5Fopen(folder.file(name).c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
    const hid_t dataset = H5Dopen2(file, "v", H5P_DEFAULT), space = H5Dget_space(dataset);
    hsize_t count = 0;
    CHECK(H5Dget_num_chunks(dataset, space, &count) >= 0);
    H5Sclose(space), H5Dclose(dataset), H5Fclose(file);
    return count;
  };
  CHECK(stored("a.h5", {{"fill_value", "-1.5"}}) == 1);
  CHECK(stored("b.h5", {{"fill_value", "-1.5"}, {"empty_chunks", "write"}, {"fsync", "1"}}) == 4);
  CHECK(stored("c.h5", {}) == 4);
}

TEST_CASE("files written by libhdf5 and by Morsel mix: groups, versions, user blocks", "[hdf5][sink]") {
  const Folder folder;
  enable_all();
  const std::string path = folder.file("x.h5");
  for (const bool is_latest : {false, true})
    for (const hsize_t user_block : {hsize_t{0}, hsize_t{512}}) {
      fs::remove(path);
      {
        const hid_t access = H5Pcreate(H5P_FILE_ACCESS), create = H5Pcreate(H5P_FILE_CREATE);
        if (is_latest) H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
        H5Pset_userblock(create, user_block);
        const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, create, access);
        H5Gclose(H5Gcreate2(file, "g", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
        H5Fclose(file), H5Pclose(access), H5Pclose(create);
      }
      const xt::xarray<std::int64_t> values = ramp<std::int64_t>({33, 9});
      const auto a = from_array(values, {.chunks = {4, 4}});
      save({.chunks = {4, 4}, .threads = 2}, {{a, path + "/g/a"}, {a + 1, path + "/h/b"}});
      CHECK(equal<std::int64_t>(open<std::int64_t>(path + "/g/a").compute(), values));
      CHECK(equal<std::int64_t>(open<std::int64_t>(path + "/h/b").compute(), values + std::int64_t{1}));
      // The library itself sees the same.
      const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
      const hid_t dataset = H5Dopen2(file, "g/a", H5P_DEFAULT);
      xt::xarray<std::int64_t> read = xt::zeros<std::int64_t>({33, 9});
      CHECK(H5Dread(dataset, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, read.data()) >= 0);
      H5Dclose(dataset), H5Fclose(file);
      CHECK(equal<std::int64_t>(read, values));
    }
  // A writer that was killed: the file may lack what it had not written.
  {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(512 + 11);
    file.put(1);
  }
  CHECK_THAT(failure_of([&] { save(zeros<int>({2}), path + "/c"); }),
             Contains("open for writing") || Contains("not an HDF5 file"));
}
