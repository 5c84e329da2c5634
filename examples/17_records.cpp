// Events of several runs as one table: a range of time, a condition, a fold; only chunks that can hold such
// rows are read.
//
//   runs ──► concat ──► in_range(time) ──► where(area) ──► fold ──► one number
#include <functional>
#include <iostream>
#include <morsel/morsel.hpp>

int main() {
  std::vector<morsel::Records> runs;
  for (const char* name : {"run_041", "run_042"}) {
    const auto time = morsel::from_function<std::int64_t>({100000}, [](morsel::Index i) { return i / 10; },
                                                          {.chunks = {1000}});
    const auto area = morsel::from_function<float>({100000}, [](morsel::Index i) { return float(i % 10); },
                                                   {.chunks = {1000}});
    runs.emplace_back(std::vector<std::string>{"time", "area"}, std::vector<morsel::AnyLazyArray>{time, area},
                      name);
  }
  const morsel::Records events = morsel::concat(runs);
  std::cout << "run_042 begins at row " << events.segment("run_042").begin << " of " << events.rows() << "\n";

  const morsel::Records some =
      events.in_range("time", 5000, 5100).where<float>("area", [](float a) { return a >= 5; });
  const auto total = morsel::fold(
      some,
      [](const morsel::RecordBlock& block) {
        double sum = 0;
        const morsel::Column<float> areas = block.column<float>("area");
        for (morsel::Index i = 0; i < block.size(); ++i) sum += double(areas[i]);
        return sum;
      },
      std::plus<>());
  std::cout << "sum of " << total.n_rows << " areas in " << total.n_chunks << " chunks: " << *total.value
            << "\n";

  const morsel::Index lines = morsel::save_csv(some, "some.csv", {.overwrite = true});
  return *total.value == 2 * 100 * 35 && total.n_rows == 1000 && total.n_chunks == 2 && lines == 1000 ? 0 : 1;
}
