// Any lambda as an elementwise function, compiled into a loop of its own.
//
//   map([](float u, float v) { ... }, a, b)     one pass, no temporaries, as fast as the loop by hand
#include <cmath>
#include <iostream>
#include <morsel/morsel.hpp>

int main() {
  const auto u =
      morsel::from_function<float>({500, 400}, [](morsel::Index i, morsel::Index) { return i * 0.1f; });
  const auto v =
      morsel::from_function<float>({500, 400}, [](morsel::Index, morsel::Index j) { return j * 0.2f; });

  const float limit = 30;  // captured; the lambda is called as const from several threads
  const auto speed = morsel::map(
      [limit](float x, float y) {
        const float s = std::sqrt(x * x + y * y);
        return s < limit ? s : limit;
      },
      u, v);
  const auto is_fast = morsel::map([limit](float s) { return s >= limit; }, speed);  // another result type

  std::cout << speed << "\n" << morsel::count_nonzero(is_fast).item() << " elements reach the limit\n";

  long long expected = 0;
  for (int i = 0; i < 500; ++i)
    for (int j = 0; j < 400; ++j) {
      const float x = i * 0.1f, y = j * 0.2f;
      expected += std::sqrt(x * x + y * y) >= limit;
    }
  return morsel::count_nonzero(is_fast).item() == expected && morsel::max(speed).item() == limit ? 0 : 1;
}
