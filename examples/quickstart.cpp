// The main job on real input: a file larger than the budget, read once, and every promise checked.
//
//   quickstart [DATA_SIZE [BUDGET [JSON [keep]]]]      defaults: 64MiB 8MiB quickstart.json, the data removed
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <morsel/morsel.hpp>

namespace {

const bool colours = isatty(1) && !std::getenv("NO_COLOR");
const char* bold() { return colours ? "\033[1m" : ""; }
const char* dim() { return colours ? "\033[2m" : ""; }
const char* green() { return colours ? "\033[32m" : ""; }
const char* red() { return colours ? "\033[31m" : ""; }
const char* plain() { return colours ? "\033[0m" : ""; }

int broken = 0;
std::string json;

void heading(const char* text) { std::printf("\n%s%s%s\n", bold(), text, plain()); }

/// One aligned line; `...` as printf.
[[gnu::format(printf, 2, 3)]] void line(const char* name, const char* format, ...) {
  std::printf("  %s%-20s%s", dim(), name, plain());
  va_list arguments;
  va_start(arguments, format);
  std::vprintf(format, arguments);
  va_end(arguments);
  std::printf("\n");
  std::fflush(stdout);
}

/// A promise, kept or not.
void promise(const char* text, bool kept) {
  std::printf("  %s%s%s %s\n", kept ? green() : red(), kept ? "ok    " : "BROKEN", plain(), text);
  std::fflush(stdout);
  broken += !kept;
}

void record(const char* name, double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.17g", value);
  json += std::string(json.empty() ? "" : ",\n") + "  \"" + name + "\": " + text;
}
template <class N>
void record(const char* name, N value) requires(std::is_integral_v<N>) {
  json += std::string(json.empty() ? "" : ",\n") + "  \"" + name + "\": " + std::to_string(value);
}

/// A line "NAME:   N kB" of /proc/self/status, in bytes.
std::size_t memory_of_process(const char* name) {
  std::ifstream status("/proc/self/status");
  for (std::string text; std::getline(status, text);)
    if (text.rfind(name, 0) == 0 && text[std::strlen(name)] == ':')
      return std::strtoull(text.c_str() + std::strlen(name) + 1, nullptr, 10) * 1024;
  return 0;
}

std::string size(std::size_t bytes) { return morsel::format_bytes(bytes); }

/// A measurement in degrees on a day, at a cell of the map: latitude, season and noise.
float temperature(std::int32_t day, std::int32_t cell) {
  std::uint64_t h =
      (static_cast<std::uint64_t>(day) << 32 | static_cast<std::uint32_t>(cell)) * 0x9E3779B97F4A7C15u;
  h = (h ^ (h >> 29)) * 0xBF58476D1CE4E5B9u;
  const float noise = static_cast<float>(h >> 40) * (1.f / (1 << 24)) - 0.5f;
  const float season = static_cast<float>(std::abs(day % 365 - 182)) * (1.f / 182) - 0.5f;
  const float north = static_cast<float>(cell / 720 - 360) * (1.f / 360);
  return 28 - 40 * north * north + 20 * north * season + 8 * noise;
}

enum class Data { remove, keep };

int quickstart(const std::string& data_size, const std::string& budget, const std::string& json_path,
               Data data) {
  const std::string path = "temperature.npy";
  const std::size_t budget_bytes = morsel::parse_bytes(budget);
  const morsel::Index days = static_cast<morsel::Index>(morsel::parse_bytes(data_size) / (720 * 720 * 4));
  record("budget_bytes", budget_bytes);

  heading("1  A file larger than the budget, written chunk by chunk");
  morsel::RunReport report;
  const auto day = morsel::arange<std::int32_t>(days)[":, None, None"];
  const auto cell = morsel::from_function<std::int32_t>({720, 720}, [](morsel::Index lat, morsel::Index lon) {
    return static_cast<std::int32_t>(lat * 720 + lon);
  });
  morsel::save(morsel::map(temperature, day, morsel::from_array(cell.compute())), path,
               {.overwrite = true, .memory = budget, .report = &report});
  const auto t = morsel::open<float>(path, {.dims = {"day", "lat", "lon"}});
  line(path.c_str(), "%s: float32, %s x 720 x 720, %s chunks, written in %.1f s", size(t.nbytes()).c_str(),
       std::to_string(days).c_str(), std::to_string(t.grid().count()).c_str(), report.run_seconds);
  line("budget", "%s, 1/%zu of the file", size(budget_bytes).c_str(), t.nbytes() / budget_bytes);
  record("data_bytes", t.nbytes());
  record("data_chunks", t.grid().count());
  record("write_seconds", report.run_seconds);
  promise("the file is larger than the budget", t.nbytes() > budget_bytes);

  // The peak counter starts anew here, where the kernel allows it; otherwise it covers the writing too.
  std::ofstream("/proc/self/clear_refs") << "5";
  const std::size_t before = memory_of_process("VmRSS");

  heading("2  Five statistics in one read");
  int reports = 0;
  const auto bar = morsel::progress_bar(true);
  const bool terminal = isatty(2);
  const auto progress = [&](const morsel::Progress& p) {
    ++reports;
    if (terminal || p.finished) bar(p);
  };
  const auto statistics = [&](int threads, std::size_t memory, morsel::ProgressCallback show) {
    return morsel::compute(
        {.memory = memory, .threads = threads, .progress = std::move(show), .report = &report},
        morsel::mean(t), morsel::stddev(t), morsel::min(t), morsel::max(t),
        morsel::histogram(t, 24, {-30, 40}));
  };
  const auto two = statistics(2, budget_bytes, progress);
  const auto& [mean, sd, lo, hi, bins] = two;
  line("mean, stddev", "%.6f, %.6f", mean(), sd());
  line("min, max", "%.4f, %.4f", lo(), hi());
  std::string picture;
  const auto most = *std::max_element(bins.begin(), bins.end());
  for (const auto count : bins) {
    static constexpr const char* bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    picture += count == 0 ? " " : bars[count * 7 / most];
  }
  line("histogram", "-30 %s 40", picture.c_str());
  line("read", "%s of %s in %.2f s, %.1f GB/s", size(report.bytes_read).c_str(), size(t.nbytes()).c_str(),
       report.run_seconds, static_cast<double>(report.bytes_read) / report.run_seconds / 1e9);
  const std::size_t ledger_peak = report.peak_bytes;
  record("mean", mean());
  record("stddev", sd());
  record("min", lo());
  record("max", hi());
  record("statistics_bytes_read", report.bytes_read);
  record("statistics_seconds", report.run_seconds);
  record("progress_reports", reports);
  promise("every chunk was read once", report.bytes_read >= t.nbytes() &&
                                           report.bytes_read < t.nbytes() + 65536 &&
                                           report.chunks_read == t.grid().count());
  promise("progress was reported", reports > 0);

  // The loop one would write by hand: the numbers must agree.
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (!file) return 1;
  struct stat status = {};
  fstat(fileno(file), &status);
  std::fseek(file, static_cast<long>(static_cast<std::size_t>(status.st_size) - t.nbytes()), SEEK_SET);
  std::vector<float> block(1 << 18);
  double sum = 0;
  float least = INFINITY, greatest = -INFINITY;
  for (std::size_t n; (n = std::fread(block.data(), 4, block.size(), file)) > 0;)
    for (std::size_t i = 0; i < n; ++i) {
      sum += static_cast<double>(block[i]);
      least = std::min(least, block[i]);
      greatest = std::max(greatest, block[i]);
    }
  std::fclose(file);
  promise("mean, min and max agree with a loop written by hand",
          std::abs(mean() - sum / static_cast<double>(t.size())) < 1e-5 && lo() == least && hi() == greatest);

  heading("3  A slice reads what it shows");
  const xt::xarray<float> slice = t["-1, 100:110, ::4"].compute({.memory = budget, .report = &report});
  line("t[-1, 100:110, ::4]", "%zu x %zu elements", slice.shape(0), slice.shape(1));
  line("read", "%s of %s, %lld of %lld chunks", size(report.bytes_read).c_str(), size(t.nbytes()).c_str(),
       static_cast<long long>(report.chunks_read), static_cast<long long>(t.grid().count()));
  record("slice_bytes_read", report.bytes_read);
  record("slice_chunks_read", report.chunks_read);
  promise(
      "it read one chunk's part, and the right one",
      report.chunks_read == 1 && report.bytes_read <= 10 * 720 * 4 + 4096 &&
          std::abs(slice(3, 5) - temperature(static_cast<std::int32_t>(days - 1), 103 * 720 + 20)) < 1e-5f);

  heading("4  A fused expression: sqrt(mean((t - 15)^2, day))");
  const auto rms = morsel::sqrt(morsel::mean(morsel::square(t - 15.0f), "day"));
  const auto map = [&](int threads) {
    return rms.compute({.memory = budget, .threads = threads, .report = &report});
  };
  const xt::xarray<float> with_two = map(2);
  const double seconds = report.run_seconds;
  double direct = 0;
  for (std::int32_t d = 0; d < days; ++d) direct += std::pow(temperature(d, 500 * 720 + 77) - 15.0f, 2);
  line("result", "%zu x %zu, at (500, 77): %.5f", with_two.shape(0), with_two.shape(1), with_two(500, 77));
  line("run", "%.2f s, %s read, no temporary arrays", seconds, size(report.bytes_read).c_str());
  record("expression_seconds", seconds);
  record("expression_bytes_read", report.bytes_read);
  record("expression_peak_bytes", report.peak_bytes);
  promise("one read, and the value that the formula gives",
          report.bytes_read < t.nbytes() + 65536 &&
              std::abs(with_two(500, 77) - std::sqrt(direct / static_cast<double>(days))) < 1e-4);

  heading("5  Memory");
  const std::size_t high = memory_of_process("VmHWM"), anonymous = memory_of_process("RssAnon");
  const std::size_t above = high > before ? high - before : 0;
  line("budget", "%s", size(budget_bytes).c_str());
  line("booked at most", "%s", size(std::max(ledger_peak, report.peak_bytes)).c_str());
  line("VmHWM", "%s; %s above what the process had before", size(high).c_str(), size(above).c_str());
  line("RssAnon now", "%s", size(anonymous).c_str());
  record("ledger_peak_bytes", std::max(ledger_peak, report.peak_bytes));
  record("vm_hwm_bytes", high);
  record("rss_before_bytes", before);
  record("peak_above_before_bytes", above);
  record("rss_anon_bytes", anonymous);
  promise("the peak of the process stayed within the budget and 8 MiB",
          high > 0 && above <= budget_bytes + 8 * morsel::MiB && ledger_peak <= budget_bytes);

  heading("6  The same bits on 1 and 2 threads");
  const auto one = statistics(1, budget_bytes, {});
  const xt::xarray<float> with_one = map(1);
  const auto same = [](const auto& a, const auto& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof *a.data()) == 0;
  };
  const bool equal = same(std::get<0>(one), mean) && same(std::get<1>(one), sd) &&
                     same(std::get<2>(one), lo) && same(std::get<3>(one), hi) &&
                     same(std::get<4>(one), bins) && same(with_one, with_two);
  record("same_bits_on_1_and_2_threads", equal ? 1 : 0);
  promise("statistics and map are equal bit for bit", equal);

  heading("7  A budget that is too small is refused before anything is read");
  std::size_t smallest = 0;
  try {
    statistics(1, 4096, {});
  } catch (const morsel::Error& error) {
    std::printf("  %s\n", error.what());
    const char* words = "expected at least ";
    if (const char* found = std::strstr(error.what(), words);
        found && error.code() == morsel::Errc::budget_too_small)
      smallest = std::strtoull(found + std::strlen(words), nullptr, 10);
  }
  bool refused = false, works = false;
  if (smallest > 0) {
    try {
      statistics(1, smallest - 1, {});
    } catch (const morsel::Error& error) {
      refused = error.code() == morsel::Errc::budget_too_small;
    }
    const auto tight = statistics(1, smallest, {});
    works = same(std::get<0>(tight), mean) && same(std::get<1>(tight), sd) && report.peak_bytes <= smallest;
  }
  record("refused_budget_bytes", 4096);
  record("smallest_budget_bytes", smallest);
  promise("the smallest that it names works, with the same bits; one byte less is refused", refused && works);

  record("promises_broken", broken);
  std::ofstream out(json_path);
  out << "{\n" << json << "\n}\n";
  out.close();
  if (data == Data::remove) std::remove(path.c_str());
  std::printf("\n%s%s%s  figures: %s\n", broken ? red() : green(),
              broken ? "something is not as promised" : "everything as promised", plain(), json_path.c_str());
  return out && broken == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return quickstart(argc > 1 ? argv[1] : "64MiB", argc > 2 ? argv[2] : "8MiB",
                      argc > 3 ? argv[3] : "quickstart.json",
                      argc > 4 && std::strcmp(argv[4], "keep") == 0 ? Data::keep : Data::remove);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "quickstart: %s\n", error.what());
    return 1;
  }
}
