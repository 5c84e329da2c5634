// What a run will do, before it does it: passes, chunks, bytes, peak; as text, JSON, DOT or a picture.
//
//   12_explain [PLAN.svg]       docs/images/plan.svg is what this program writes
#include <fstream>
#include <iostream>
#include <morsel/morsel.hpp>

int main(int argc, char** argv) {
  morsel::save(morsel::zeros<float>({720, 360, 180}), "temperature.npy", {.overwrite = true});
  const auto t = morsel::open<float>("temperature.npy", {.dims = {"time", "lat", "lon"}});

  // Each place's deviation from its own mean needs two passes; the spread of the whole shares the first.
  const auto anomaly = morsel::sqrt(morsel::mean(morsel::square(t - morsel::mean(t, "time")), "time"));
  const morsel::Explanation plan =
      morsel::explain({.memory = "64MiB", .threads = 2}, anomaly, morsel::stddev(t));

  std::cout << plan;
  std::ofstream(argc > 1 ? argv[1] : "plan.svg") << plan.svg();
  std::ofstream("graph.dot") << morsel::graph(anomaly).dot();

  // A budget that cannot do is refused before anything is read, with the smallest that would do.
  try {
    morsel::explain(anomaly, {.memory = 1000});
    return 1;
  } catch (const morsel::Error& error) {
    std::cout << error.what() << "\n";
    return error.code() == morsel::Errc::budget_too_small && plan.svg().starts_with("<svg") &&
                   plan.json().starts_with("{")
               ? 0
               : 1;
  }
}
