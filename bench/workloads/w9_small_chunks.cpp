// W9: sum of very many chunks of 1 KiB, planning included, in memory and from a warm file.
#include "workload.hpp"

using namespace workload;

namespace {

constexpr std::size_t chunk = 128;  // float64

WORKLOAD_CLONES double sum_chunks(const double* x, std::size_t chunks) {
  double total = 0;
  for (std::size_t c = 0; c < chunks; ++c, x += chunk) {
    Lanes s[2] = {};
    for (std::size_t i = 0; i < chunk; i += 16) {
      s[0] += *reinterpret_cast<const Lanes*>(x + i);
      s[1] += *reinterpret_cast<const Lanes*>(x + i + 8);
    }
    s[0] += s[1];
    double sum = 0;
    for (int lane = 0; lane < 8; ++lane) sum += s[0][lane];
    total += sum;
  }
  return total;
}

double loop(const double* x, std::size_t chunks) {
  double part[2] = {};
  on_two_threads([&](std::size_t k) {
    part[k] = sum_chunks(x + k * (chunks / 2) * chunk, k ? chunks - chunks / 2 : chunks / 2);
  });
  return part[0] + part[1];
}

double loop(const std::string& path, std::size_t chunks) {
  double part[2] = {};
  on_two_threads([&](std::size_t k) {
    double total = 0;
    read_blocks<double>(path, k * (chunks / 2) * chunk, (k ? chunks : chunks / 2) * chunk,
                        [&](const double* x, std::size_t n) { total += sum_chunks(x, n / chunk); });
    part[k] = total;
  });
  return part[0] + part[1];
}

std::vector<double> per_chunk(const Times& times, std::size_t chunks) {
  std::vector<double> micros;
  for (const Time& t : times) micros.push_back(t.seconds * 1e6 / static_cast<double>(chunks));
  return micros;
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t most = 1000000;
  Settings settings = read_settings(argc, argv, most * chunk * sizeof(double));
  return guarded([&] {
    const std::size_t whole = settings.size_bytes / (chunk * sizeof(double));
    const std::string path = random_file<double>(settings, "f64", whole * chunk);
    const morsel::ComputeOptions options{.memory = 32 * morsel::MiB, .threads = 2};
    for (const std::size_t chunks : {whole / 10, whole}) {
      const std::string name = chunks == most ? "1e6" : chunks == most / 10 ? "1e5" : std::to_string(chunks);
      Settings shown = settings;
      shown.size_bytes = chunks * chunk * sizeof(double);
      std::vector<double> values(chunks * chunk);
      read_blocks<double>(
          path, 0, values.size(),
          [at = values.data()](const double* x, std::size_t n) mutable { at = std::copy(x, x + n, at); });
      const morsel::Shape shape{static_cast<morsel::Index>(chunks * chunk)};
      const double* data = values.data();
      double in_loop = 0, in_morsel = 0, file_loop = 0, file_morsel = 0;
      const auto array = morsel::from_array(std::move(values), shape, {.chunks = morsel::Index{chunk}});
      const auto file = morsel::memmap<double>(path, {.shape = shape, .chunks = morsel::Index{chunk}});
      const auto times = interleaved(
          settings.repeats,
          {[&] { in_loop = loop(data, chunks); }, [&] { in_morsel = morsel::sum(array).item(options); },
           [&] { file_loop = loop(path, chunks); }, [&] { file_morsel = morsel::sum(file).item(options); }});
      require_close(in_morsel, in_loop, "sum in memory");
      if (file_morsel != in_morsel) std::abort();
      print({"W9-" + name, "sum of " + name + " chunks of 1 KiB in memory", "us/chunk",
             per_chunk(times[1], chunks), 1.0, times[0], times[1]},
            shown);
      print({"W9-" + name + "-file", "sum of " + name + " chunks of 1 KiB in a warm file", "us/chunk",
             per_chunk(times[3], chunks), 1.5, times[2], times[3]},
            shown);
    }
    if (settings.clean) std::remove(path.c_str());
  });
}
