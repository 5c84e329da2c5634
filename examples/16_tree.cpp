// A directory of runs as one tree: look at everything, read nothing, use any array as if it had always been
// there.
//
//   runs/day000.zarr ... day011.zarr ──► tree ──► concat(glob("**/rain"), "day") ──► sum over each day
#include <cstdio>
#include <iostream>
#include <morsel/morsel.hpp>

int main() {
  for (int day = 0; day < 12; ++day) {
    char path[40];
    std::snprintf(path, sizeof path, "runs/day%03d.zarr/rain", day);
    morsel::save(morsel::full<float>({24, 100}, day, {.dims = {"time", "x"}}), path, {.overwrite = true});
  }
  morsel::Tree tree = morsel::open_tree("runs");
  std::cout << morsel::to_string(tree, {.most_members = 3});

  // One view over twelve files; "day" is a new axis.
  const auto rain = morsel::concat(tree.glob("**/rain"), "day");
  const auto per_day = morsel::sum(rain, {"time", "x"}).compute().to<float>();
  std::cout << "rain of the last day: " << per_day(11) << "\n";

  // A leaf in memory is booked in the workspace until it is released.
  const morsel::Leaf leaf = tree.leaf("day003/rain");
  leaf.load();
  std::cout << leaf << "\n";
  const std::size_t held = morsel::Workspace::process().held_bytes();
  leaf.release();

  // Where everything is, in a small file.
  morsel::save_tree(tree, "runs.tree", {.overwrite = true});
  const morsel::Tree again = morsel::open_tree("runs.tree");
  return per_day(11) == 26400 && held == leaf.nbytes() &&
                 morsel::mean(again["day005/rain"]).compute().to<float>()() == 5
             ? 0
             : 1;
}
