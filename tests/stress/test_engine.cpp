// The engine under pressure: many graphs at tight budgets, very many chunks, and real memory limits.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <morsel/io/generated.hpp>
#include <morsel/io/memmap.hpp>
#include <morsel/io/npy_sink.hpp>
#include <support/evaluate.hpp>
#include <support/paths.hpp>
#include <support/random_program.hpp>
#include <support/seed.hpp>
#include <support/skip.hpp>

namespace {

using namespace morsel;
using test::reduced;
using test::value_of;

/// Ends the process if a block of work takes longer: a deadlock must not look like a slow test.
class Watchdog {
 public:
  explicit Watchdog(unsigned seconds) { alarm(seconds); }
  ~Watchdog() { alarm(0); }
  Watchdog(const Watchdog&) = delete;
};

}  // namespace

TEST_CASE("a thousand random graphs at the smallest budget end, with any threads", "[stress]") {
  const std::uint64_t first = test::first_seed() + 7000000;
  const int cases = test::effort(1000);
  int failures = 0;
  for (int i = 0; i < cases; ++i) {
    const std::uint64_t seed = first + static_cast<std::uint64_t>(i);
    const Watchdog watchdog(60);
    const test::Program program = test::random_program(seed, {3000, 12, true, true});
    const int threads = 1 + static_cast<int>(seed % 9);
    const std::size_t smallest = test::smallest_budget(program.outputs, threads);
    RunReport report;
    try {
      test::values_of(program.outputs,
                      {.memory = smallest, .threads = threads, .report = &report, .shuffle_seed = seed});
      if (report.peak_bytes > smallest) throw std::runtime_error("peak above the budget");
    } catch (const Error& error) {
      // What the values themselves refuse is no failure of the engine.
      if (error.code() == Errc::invalid_argument) continue;
      ++failures;
      UNSCOPED_INFO("seed " << seed << ": " << error.what() << "\n" << program.text());
    } catch (const std::exception& error) {
      ++failures;
      UNSCOPED_INFO("seed " << seed << ": " << error.what() << "\n" << program.text());
    }
  }
  CHECK(failures == 0);
}

TEST_CASE("the sum of ten million chunks fits 32 MiB", "[stress]") {
  const Watchdog watchdog(600);
  const std::uint8_t one = 1;
  const Index chunks = test::effort(10'000'000);
  const Edge e = make_source(full_source(Type::uint8, {chunks * 8}, &one), View::identity({chunks * 8}),
                             ChunkSpec(8), "ones");
  REQUIRE(e.grid().count() == chunks);
  RunReport report;
  const test::Whole sum =
      value_of(reduced(Reduction::sum, e), {.memory = 32 * MiB, .threads = 2, .report = &report});
  CHECK(test::element<std::uint64_t>(sum) == static_cast<std::uint64_t>(chunks) * 8);
  CHECK(report.peak_bytes <= 32 * MiB);
}

namespace {

/// Holds a child to a number of bytes: a memory cgroup where one can be made, else its data segment.
std::string limit_child(pid_t child, std::size_t bytes, std::string& folder) {
  namespace fs = std::filesystem;
  const auto write = [](const fs::path& path, const std::string& text) {
    std::ofstream file(path);
    file << text << std::flush;
    return file.good();
  };
  struct Place {
    const char *root, *limit;
  };
  for (const Place& place :
       {Place{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, Place{"/sys/fs/cgroup", "memory.max"}}) {
    std::error_code error;
    const fs::path made = fs::path(place.root) / ("morsel-test-" + std::to_string(child));
    if (!fs::exists(fs::path(place.root)) || !fs::create_directory(made, error) || error) continue;
    if (fs::exists(made / place.limit) && write(made / place.limit, std::to_string(bytes)) &&
        write(made / "cgroup.procs", std::to_string(child))) {
      folder = made.string();
      return place.limit;
    }
    fs::remove(made, error);
  }
  return {};
}

/// True if `work` ends well in a child that may use `bytes` of memory.
bool ends_within(std::size_t bytes, const std::function<bool()>& work, std::string& how) {
  int gate[2];
  if (pipe(gate) != 0) return false;
  const pid_t child = fork();
  if (child == 0) {
    close(gate[1]);
    char limited = 0;
    if (read(gate[0], &limited, 1) != 1) _exit(3);
    if (limited == 'd') {
      const rlimit data{bytes, bytes};
      if (setrlimit(RLIMIT_DATA, &data) != 0) _exit(3);
    }
    alarm(300);
    bool good = false;
    try {
      good = work();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "child: %s\n", error.what());
    }
    _exit(good ? 0 : 1);
  }
  close(gate[0]);
  std::string folder;
  how = limit_child(child, bytes, folder);
  const char kind = how.empty() ? 'd' : 'c';
  if (how.empty()) how = "RLIMIT_DATA";
  const bool told = write(gate[1], &kind, 1) == 1;
  close(gate[1]);
  int status = -1;
  waitpid(child, &status, 0);
  std::error_code ignored;
  if (!folder.empty()) std::filesystem::remove(folder, ignored);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) how += ", wait status " + std::to_string(status);
  return told && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// A file of zeros that takes no room on disk.
Edge sparse(const std::string& path, Index rows, Index columns) {
  const int file = open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0 || ftruncate(file, rows * columns * 8) != 0) throw std::runtime_error("cannot make " + path);
  close(file);
  const OpenedArray opened = open_memmap(path, Type::float64, {.shape = {rows, columns}, .drop_cache = true});
  return make_source(opened.source, opened.view, {}, "sparse");
}

}  // namespace

TEST_CASE("a reduction, a store and a rechunk of large files stay within budget and 64 MiB",
          "[stress][memory]") {
  if (!test::environment("MORSEL_SANITIZER").empty()) MORSEL_SKIP("sanitizers take memory of their own");
  const test::TempDir dir;
  const Index gib = 1024 * 1024 * 1024 / 8 / 4096;  // rows of 4096 elements
  for (const std::size_t budget : {16 * MiB, 32 * MiB, 1 * GiB}) {
    std::string how;
    INFO("budget " << format_bytes(budget));
    CAPTURE(how);
    CHECK(ends_within(
        budget + 64 * MiB,
        [&] {
          const Edge a = sparse((dir / "reduce").string(), 4 * gib, 4096);
          return test::element<double>(
                     value_of(reduced(Reduction::sum, a), {.memory = budget, .threads = 2})) == 0;
        },
        how));
    for (const bool rechunked : {false, true}) {
      INFO((rechunked ? "rechunk" : "store"));
      CHECK(ends_within(
          budget + 64 * MiB,
          [&] {
            const Index rows = rechunked ? gib / 8 : gib / 2;
            const Edge a = sparse((dir / "store").string(), rows, 4096);
            const Edge e = rechunked ? permute_dims(a, {1, 0}) : morsel::apply(Op::add, {a, Scalar::of(1.0)});
            const std::string out = (dir / "out.npy").string();
            evaluate(
                {e},
                {SinkTarget{NpySink(out, Type::float64, e.shape(), {.overwrite = true, .drop_cache = true})}},
                {.memory = budget, .threads = 2});
            return std::filesystem::file_size(out) > static_cast<std::uintmax_t>(rows) * 4096 * 8;
          },
          how));
    }
  }
}
