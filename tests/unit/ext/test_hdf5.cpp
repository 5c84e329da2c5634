#include <morsel/ext/hdf5.hpp>

#include <hdf5.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <functional>
#include <morsel/conformance/chunk_source.hpp>
#include <morsel/ext/all.hpp>
#include <morsel/morsel.hpp>
#include <numeric>
#include <support/failure.hpp>
#include <support/paths.hpp>
#include <thread>

using namespace morsel;
using Catch::Matchers::Contains;
using morsel_test::failure_of;

namespace {

/// An identifier that is closed at the end.
struct Id {
  hid_t id;
  herr_t (*close)(hid_t);
  Id(hid_t made, herr_t (*closes)(hid_t)) : id(made), close(closes) { REQUIRE(id >= 0); }
  Id(const Id&) = delete;
  Id& operator=(const Id&) = delete;
  ~Id() { close(id); }
  operator hid_t() const { return id; }  // NOLINT(google-explicit-constructor)
};

struct NewFile {
  explicit NewFile(const std::filesystem::path& path, bool is_latest = false, hsize_t user_block = 0)
      : access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose),
        create(H5Pcreate(H5P_FILE_CREATE), H5Pclose),
        file(
            [&] {
              if (is_latest) H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
              if (user_block) H5Pset_userblock(create, user_block);
              return H5Fcreate(path.c_str(), H5F_ACC_TRUNC, create, access);
            }(),
            H5Fclose) {}
  Id access, create, file;
};

struct Layout {
  std::vector<hsize_t> chunk = {};             // none: contiguous
  std::function<void(hid_t create)> set = {};  // filters and the like
  std::vector<hsize_t> most = {};              // none: as the shape
};

/// Writes elements of `memory` type as `stored`; null: none.
void write_dataset(hid_t file, const char* name, hid_t stored, hid_t memory,
                   const std::vector<hsize_t>& shape, const void* elements, const Layout& layout = {}) {
  const Id create(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  if (!layout.chunk.empty()) H5Pset_chunk(create, static_cast<int>(layout.chunk.size()), layout.chunk.data());
  if (layout.set) layout.set(create);
  const Id space(shape.empty() ? H5Screate(H5S_SCALAR)
                               : H5Screate_simple(static_cast<int>(shape.size()), shape.data(),
                                                  layout.most.empty() ? nullptr : layout.most.data()),
                 H5Sclose);
  const Id dataset(H5Dcreate2(file, name, stored, space, H5P_DEFAULT, create, H5P_DEFAULT), H5Dclose);
  if (elements) REQUIRE(H5Dwrite(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, elements) >= 0);
}

std::vector<float> some_floats(std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = std::sin(static_cast<float>(i)) * 100;
  return values;
}

AnyChunkSource source_at(const std::string& path) {
  hdf5::enable();
  return open_path(path).source;
}

template <class T>
void check_source_of(const std::string& path, const std::vector<T>& elements) {
  conformance::check_source([&] { return source_at(path); }, std::as_bytes(std::span(elements)));
}

std::string hdf5_file_message(const std::string& path) {
  return failure_of([&] { open_any(path).compute(); });
}

}  // namespace

TEST_CASE("every layout obeys the laws of sources", "[hdf5]") {
  test::TempDir dir;
  const std::string path = dir / "a.h5";
  const bool is_latest = GENERATE(false, true);
  const hsize_t user_block = GENERATE(0, 1024);
  const std::vector<float> values = some_floats(11 * 7);
  {
    const NewFile made(path, is_latest, user_block);
    const auto put = [&](const char* name, const Layout& layout, hid_t stored = H5T_IEEE_F32LE) {
      write_dataset(made.file, name, stored, H5T_NATIVE_FLOAT, {11, 7}, values.data(), layout);
    };
    put("contiguous", {});
    put("big", {}, H5T_IEEE_F32BE);
    put("compact", {{}, [](hid_t p) { H5Pset_layout(p, H5D_COMPACT); }});
    put("chunked", {{4, 3}});
    put("growing", {{4, 3}, {}, {H5S_UNLIMITED, 7}});
    put("growing twice", {{4, 3}, {}, {H5S_UNLIMITED, H5S_UNLIMITED}});
    put("one chunk", {{11, 7}});
    put("early", {{4, 3}, [](hid_t p) { H5Pset_alloc_time(p, H5D_ALLOC_TIME_EARLY); }});
    put("deflate", {{4, 3}, [](hid_t p) { H5Pset_shuffle(p), H5Pset_deflate(p, 4); }});
    put("deflate big", {{4, 3}, [](hid_t p) { H5Pset_deflate(p, 4), H5Pset_fletcher32(p); }}, H5T_IEEE_F32BE);
    put("raw edges", {{4, 3}, [](hid_t p) {
                        H5Pset_deflate(p, 4);
                        H5Pset_chunk_opts(p, H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS);
                      }});
    put("growing deflate", {{4, 3}, [](hid_t p) { H5Pset_deflate(p, 1); }, {H5S_UNLIMITED, H5S_UNLIMITED}});
    if (H5Zfilter_avail(H5Z_FILTER_SZIP) > 0)
      put("szip", {{4, 6}, [](hid_t p) { H5Pset_szip(p, H5_SZIP_NN_OPTION_MASK, 8); }});
  }
  for (const char* name : {"contiguous", "big", "compact", "chunked", "growing", "growing twice", "one chunk",
                           "early", "deflate", "deflate big", "raw edges", "growing deflate"}) {
    CAPTURE(name, is_latest, user_block);
    CHECK_NOTHROW(check_source_of(path + "/" + name, values));
  }
  if (H5Zfilter_avail(H5Z_FILTER_SZIP) > 0) CHECK_NOTHROW(check_source_of(path + "/szip", values));
}

TEST_CASE("what libhdf5 has to convert obeys the laws of sources, and explain says so", "[hdf5]") {
  test::TempDir dir;
  const std::string path = dir / "a.h5";
  std::vector<float> values(11 * 7);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) / 4 - 5;
  {
    const NewFile made(path);
    const Id small(H5Tcopy(H5T_IEEE_F32LE), H5Tclose);
    H5Tset_fields(small, 23, 15, 8, 0, 15);
    H5Tset_size(small, 3);
    H5Tset_ebias(small, 127);
    write_dataset(made.file, "floats of 3 bytes", small, H5T_NATIVE_FLOAT, {11, 7}, values.data());
    write_dataset(made.file, "in chunks", small, H5T_NATIVE_FLOAT, {11, 7}, values.data(),
                  {{4, 3}, [](hid_t p) { H5Pset_deflate(p, 4); }});
  }
  for (const char* name : {"floats of 3 bytes", "in chunks"}) {
    CAPTURE(name);
    CHECK_NOTHROW(check_source_of(path + "/" + name, values));
    std::ostringstream text;
    text << explain(open_any(path + "/" + name));
    CHECK_THAT(text.str(), Contains("read by libhdf5, one thread at a time, for its type"));
  }
}

TEST_CASE("bits that a type leaves out are taken out, with and without the filter for it", "[hdf5]") {
  test::TempDir dir;
  const std::string path = dir / "a.h5";
  std::vector<std::int32_t> values(60);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int32_t>(i * 2999) - 65536;
  {
    const NewFile made(path);
    const hid_t order = GENERATE(H5T_ORDER_LE, H5T_ORDER_BE);
    const Id stored(H5Tcopy(H5T_STD_I32LE), H5Tclose);
    H5Tset_order(stored, static_cast<H5T_order_t>(order));
    H5Tset_precision(stored, 18);
    H5Tset_offset(stored, 7);
    write_dataset(made.file, "plain", stored, H5T_NATIVE_INT32, {60}, values.data());
    write_dataset(made.file, "nbit", stored, H5T_NATIVE_INT32, {60}, values.data(),
                  {{16}, [](hid_t p) { H5Pset_nbit(p); }});
    write_dataset(made.file, "scaleoffset", H5T_STD_I32LE, H5T_NATIVE_INT32, {60}, values.data(),
                  {{16}, [](hid_t p) { H5Pset_scaleoffset(p, H5Z_SO_INT, 0); }});
  }
  for (const char* name : {"plain", "nbit", "scaleoffset"}) {
    CAPTURE(name);
    CHECK(source_at(path + "/" + name).spec().note.empty());
    CHECK_NOTHROW(check_source_of(path + "/" + name, values));
  }
}

TEST_CASE("axes of elements stand behind those of the dataset", "[hdf5]") {
  test::TempDir dir;
  const std::string path = dir / "a.h5";
  std::vector<std::int16_t> values(5 * 2 * 3);
  std::iota(values.begin(), values.end(), std::int16_t{-7});
  {
    const NewFile made(path);
    const hsize_t inner[] = {2, 3};
    const Id stored(H5Tarray_create2(H5T_STD_I16BE, 2, inner), H5Tclose),
        memory(H5Tarray_create2(H5T_NATIVE_INT16, 2, inner), H5Tclose);
    write_dataset(made.file, "contiguous", stored, memory, {5}, values.data());
    write_dataset(made.file, "chunked", stored, memory, {5}, values.data(), {{2}});
    write_dataset(made.file, "deflate", stored, memory, {5}, values.data(),
                  {{2}, [](hid_t p) { H5Pset_shuffle(p), H5Pset_deflate(p, 4); }});
    std::vector<std::int16_t> fill{1, 2, 3, 4, 5, 6};
    write_dataset(made.file, "fill", stored, memory, {5}, nullptr,
                  {{2}, [&](hid_t p) { H5Pset_fill_value(p, memory, fill.data()); }});
  }
  for (const char* name : {"contiguous", "chunked", "deflate"}) {
    CAPTURE(name);
    CHECK(source_at(path + "/" + name).spec().shape() == Shape{5, 2, 3});
    CHECK_NOTHROW(check_source_of(path + "/" + name, values));
  }
  const auto filled = open<std::int16_t>(path + "/fill").compute();
  CHECK(filled(3, 1, 2) == 6);
  CHECK(filled(0, 0, 1) == 2);
}

TEST_CASE("chunks that were never written are the fill value", "[hdf5]") {
  test::TempDir dir;
  const std::string path = dir / "a.h5";
  {
    const NewFile made(path);
    const float fill = 2.5f;
    const auto set = [&](hid_t p) { H5Pset_fill_value(p, H5T_NATIVE_FLOAT, &fill); };
    write_dataset(made.file, "chunked", H5T_IEEE_F32BE, H5T_NATIVE_FLOAT, {11, 7}, nullptr, {{4, 3}, set});
    write_dataset(made.file, "contiguous", H5T_IEEE_F32BE, H5T_NATIVE_FLOAT, {11, 7}, nullptr, {{}, set});
    write_dataset(made.file, "empty", H5T_IEEE_F32BE, H5T_NATIVE_FLOAT, {0, 7}, nullptr,
                  {{4, 3}, set, {H5S_UNLIMITED, 7}});
  }
  for (const char* name : {"chunked", "contiguous"}) {
    CHECK(sum(open<float>(path + "/" + name)).item() == 2.5f * 77);
    CHECK_NOTHROW(check_source_of(path + "/" + name, std::vector<float>(77, 2.5f)));
  }
  CHECK(open<float>(path + "/empty").compute().size() == 0);
}

TEST_CASE("a slice reads only the chunks that it touches", "[hdf5]") {
  test::TempDir dir;
  const std::string path = dir / "a.h5";
  const std::vector<float> values = some_floats(64);
  {
    const NewFile made(path);
    write_dataset(made.file, "g", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, {64}, values.data(),
                  {{16}, [](hid_t p) { H5Pset_deflate(p, 4); }});
  }
  haddr_t address = 0;
  hsize_t size = 0;
  {
    const Id file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
    const Id dataset(H5Dopen2(file, "g", H5P_DEFAULT), H5Dclose);
    const hsize_t offset[] = {32};
    unsigned mask = 0;
    REQUIRE(H5Dget_chunk_info_by_coord(dataset, offset, &mask, &address, &size) >= 0);
  }
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(address));
  file << std::string(size, '\x5a');
  file.close();
  hdf5::enable();
  CHECK(open<float>(path + "/g")["0:32"].compute()(31) == values[31]);
  CHECK(open<float>(path + "/g")["48:"].compute()(0) == values[48]);
  const std::string message = hdf5_file_message(path + "/g");
  CHECK_THAT(message, Contains("corrupt_data") && Contains(path + "/g") && Contains("chunk (2,)") &&
                          Contains("deflate"));
}

TEST_CASE("members of records open by their names", "[hdf5]") {
  test::TempDir dir;
  const std::string path = dir / "a.h5";
  struct Row {
    std::int32_t id;
    double value;
    char name[5];
  };
  const std::vector<Row> rows = {{1, 0.5, "one"}, {2, -0.25, "two"}, {3, 4, "five"}};
  {
    const NewFile made(path);
    const Id name(H5Tcopy(H5T_C_S1), H5Tclose), memory(H5Tcreate(H5T_COMPOUND, sizeof(Row)), H5Tclose);
    H5Tset_size(name, 5);
    H5Tset_strpad(name, H5T_STR_NULLPAD);
    H5Tinsert(memory, "id", offsetof(Row, id), H5T_NATIVE_INT32);
    H5Tinsert(memory, "value", offsetof(Row, value), H5T_NATIVE_DOUBLE);
    H5Tinsert(memory, "name", offsetof(Row, name), name);
    write_dataset(made.file, "t", memory, memory, {3}, rows.data(),
                  {{2}, [](hid_t p) { H5Pset_deflate(p, 4); }});
  }
  hdf5::enable();
  CHECK(open_any(path + "/t").dtype().name() == "record[id: int32, value: float64, name: S5]");
  CHECK(sum(open<double>(path + "/t/value")).item() == 4.25);
  CHECK(sum(open<std::int32_t>(path + "/t", {.field = "id"})).item() == 6);
  CHECK_THAT(failure_of([&] { open_any(path + "/t/height"); }), Contains("not_found"));
}

TEST_CASE("enumerations of false and true are bool, pairs of r and i complex", "[hdf5]") {
  test::TempDir dir;
  const std::string path = dir / "a.h5";
  {
    const NewFile made(path);
    const Id flag(H5Tenum_create(H5T_NATIVE_INT8), H5Tclose), pair(H5Tcreate(H5T_COMPOUND, 8), H5Tclose);
    std::int8_t value = 0;
    H5Tenum_insert(flag, "FALSE", &value);
    value = 1;
    H5Tenum_insert(flag, "TRUE", &value);
    H5Tinsert(pair, "r", 0, H5T_IEEE_F32BE);
    H5Tinsert(pair, "i", 4, H5T_IEEE_F32BE);
    const Id memory(H5Tcreate(H5T_COMPOUND, 8), H5Tclose);
    H5Tinsert(memory, "r", 0, H5T_NATIVE_FLOAT);
    H5Tinsert(memory, "i", 4, H5T_NATIVE_FLOAT);
    const std::int8_t flags[] = {1, 0, 1};
    const float pairs[] = {1, 2, -3, 0.5f};
    write_dataset(made.file, "flags", flag, flag, {3}, flags);
    write_dataset(made.file, "pairs", pair, memory, {2}, pairs);
  }
  hdf5::enable();
  CHECK((open<bool>(path + "/flags").compute() == xt::xarray<bool>{true, false, true}));
  CHECK(open<std::complex<float>>(path + "/pairs").compute()(1) == std::complex<float>(-3, 0.5f));
}

TEST_CASE("a file that changes is noticed, and opens anew", "[hdf5]") {
  test::TempDir dir;
  const std::string path = dir / "a.h5";
  const auto write = [&](std::size_t count) {
    const NewFile made(path);
    const std::vector<float> values(count, 1.0f);
    write_dataset(made.file, "a", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, {count}, values.data(), {{8}});
  };
  write(64);
  hdf5::enable();
  const auto before = open<float>(path + "/a");
  CHECK(sum(before).item() == 64);
  write(80);
  CHECK_THAT(failure_of([&] { sum(before).item(); }), Contains("source_changed"));
  CHECK(sum(open<float>(path + "/a")).item() == 80);
}

TEST_CASE("paths are absolute: a working directory that changes does not matter", "[hdf5]") {
  test::TempDir dir;
  {
    const NewFile made(dir / "a.h5");
    const std::vector<float> values(64, 1.0f);
    write_dataset(made.file, "a", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, {64}, values.data(), {{8}});
  }
  hdf5::enable();
  const std::filesystem::path here = std::filesystem::current_path();
  std::filesystem::current_path(dir.path());
  const auto a = open<float>("a.h5/a");
  std::filesystem::current_path(here);
  CHECK(sum(a).item() == 64);
}

TEST_CASE("many files hold at most 64 handles of libhdf5, and all can be read", "[hdf5]") {
  test::TempDir dir;
  hdf5::enable();
  std::vector<AnyLazyArray> arrays;
  for (int i = 0; i < 150; ++i) {
    const std::string path = dir / (std::to_string(i) + ".h5");
    {
      const NewFile made(path);
      const std::vector<float> values(32, static_cast<float>(i));
      write_dataset(made.file, "a", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, {32}, values.data(),
                    {{8}, [](hid_t p) { H5Pset_deflate(p, 4); }});
    }
    arrays.push_back(open_any(path + "/a"));
  }
  const auto handles = [] { return H5Fget_obj_count(static_cast<hid_t>(H5F_OBJ_ALL), H5F_OBJ_FILE); };
  CHECK(handles() <= 64);
  const auto all = concat(arrays, 0);
  CHECK(sum(all).as<double>().item() == 32 * 149 * 75);
  CHECK(sum(all).as<double>().compute({.memory = "32MiB"})() == 32 * 149 * 75);
  CHECK(handles() <= 64);
}

TEST_CASE("sixteen threads that open and read one file at once get its values", "[hdf5]") {
  test::TempDir dir;
  const std::string path = dir / "a.h5";
  {
    const NewFile made(path);
    const std::vector<float> values(4096, 1.0f);
    write_dataset(made.file, "a", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, {4096}, values.data(),
                  {{16}, [](hid_t p) { H5Pset_shuffle(p), H5Pset_deflate(p, 4); }});
  }
  hdf5::enable();
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i)
    threads.emplace_back([&] {
      if (sum(open<float>(path + "/a")).item() == 4096) ++right;
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 16);
}

TEST_CASE("the program's own way of printing errors of libhdf5 stays", "[hdf5]") {
  test::TempDir dir;
  std::ofstream(dir / "bad.h5") << "\x89HDF\r\n\x1a\n" << std::string(40, 'x');
  hdf5::enable();
  static int calls = 0;
  const auto count = [](hid_t, void*) -> herr_t { return ++calls, 0; };
  H5E_auto2_t before = nullptr, after = nullptr;
  void *data_before = nullptr, *data_after = nullptr;
  H5Eget_auto2(H5E_DEFAULT, &before, &data_before);
  H5Eset_auto2(H5E_DEFAULT, count, nullptr);
  const std::string message = failure_of([&] { open_any((dir / "bad.h5").string() + "/a"); });
  H5Eget_auto2(H5E_DEFAULT, &after, &data_after);
  H5Eset_auto2(H5E_DEFAULT, before, data_before);
  CHECK_THAT(message, Contains("corrupt_data") && Contains("bad.h5"));
  CHECK(calls == 0);
  CHECK(after == static_cast<H5E_auto2_t>(count));
}

TEST_CASE("links that lead in a circle are listed once and can be followed", "[hdf5]") {
  test::TempDir dir;
  const std::string path = dir / "a.h5";
  {
    const NewFile made(path);
    const Id group(H5Gcreate2(made.file, "g", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
    const float one = 1;
    write_dataset(made.file, "g/a", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, {}, &one);
    H5Lcreate_soft("/g", made.file, "g/self", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_hard(made.file, "/", made.file, "g/up", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/nowhere", made.file, "broken", H5P_DEFAULT, H5P_DEFAULT);
  }
  hdf5::enable();
  CHECK(list_path(path) == std::vector<Member>{{"g", Member::Kind::group}});
  CHECK(list_path(path + "/g") == std::vector<Member>{{"a", Member::Kind::array}});
  CHECK(open<float>(path + "/g/up/g/self/a").item() == 1);
  CHECK_THAT(failure_of([&] { open_any(path + "/broken"); }), Contains("soft link to '/nowhere'"));
  CHECK_THAT(failure_of([&] { open_any(path + "/g"); }), Contains("not_found") && Contains("'a'"));
}

TEST_CASE("enable_all enables the components that are linked", "[hdf5]") {
  enable_all();
  bool found = false;
  for (const auto& format : formats()) found |= format->name == "hdf5" && format->open;
  CHECK(found);
}
