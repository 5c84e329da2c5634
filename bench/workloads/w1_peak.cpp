// W1's private peak: what a sum with a budget of 32 MiB adds to a process's memory, page tables and stacks
// aside.
#include "workload.hpp"

using namespace workload;

int main(int argc, char** argv) {
  Settings settings = read_settings(argc, argv, std::size_t{4} << 30);
  return guarded([&] {
    const std::size_t count = settings.size_bytes / sizeof(double);
    const std::string path = random_file<double>(settings, "f64", count);
    const auto a = morsel::memmap<double>(path);
    // VmHWM begins anew at "5"; file pages of the program itself are counted before and after alike.
    std::vector<double> peaks;
    for (int round = 0; round < 3; ++round) {
      if (std::FILE* file = std::fopen("/proc/self/clear_refs", "w")) {
        std::fputs("5", file);
        std::fclose(file);
      }
      const long before = status_kib("VmRSS");
      morsel::RunReport report;
      morsel::sum(a).item({.memory = 32 * morsel::MiB, .threads = 2, .report = &report});
      const long peak = status_kib("VmHWM");
      if (before < 0 || peak < 0)
        morsel::fail(morsel::Errc::unsupported, "measuring memory: /proc/self/status has no VmRSS or VmHWM");
      if (report.peak_bytes > 32 * morsel::MiB)
        morsel::fail(morsel::Errc::internal_error, "the ledger went above its budget");
      peaks.push_back(static_cast<double>(peak - before) / 1024);
    }
    // The first evaluation of a process also starts its threads: that one counts.
    print({"W1-peak", "memory that the sum adds at a budget of 32 MiB", "MiB", {peaks[0]}, 40, {}, {}},
          settings);
    if (settings.clean) std::remove(path.c_str());
  });
}
