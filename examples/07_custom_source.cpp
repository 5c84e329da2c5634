// A source of one's own: six functions make any data an array. skeleton_source.cpp explains each of them.
//
//   Mandelbrot ──decode(region)──► chunks ──► mean, slices, files ...
#include <cstring>
#include <iostream>
#include <morsel/morsel.hpp>

// The Mandelbrot set's escape times: no file behind it, so fetch has nothing to do and decode makes the
// values.
class Mandelbrot {
 public:
  explicit Mandelbrot(morsel::Index n) : n_(n) {
    spec_.dtype = morsel::Type::uint16;
    spec_.grid = morsel::Grid::regular({n, n}, {64, 64});
    spec_.does_io = false;
    spec_.format = "mandelbrot";
  }
  const morsel::ArraySpec& spec() const { return spec_; }
  morsel::FetchCost cost(const morsel::Dims&, const morsel::Region&) const { return {}; }
  morsel::Fetched fetch(const morsel::Dims&, const morsel::Region&, std::span<std::byte>, morsel::FetchMode,
                        std::stop_token) const {
    return {};
  }
  void decode(const morsel::Dims&, const morsel::Region& region, std::span<const std::byte>,
              morsel::BufferView out, std::span<std::byte>) const {
    for (morsel::Index i = region.lo[0]; i < region.hi[0]; ++i)
      for (morsel::Index j = region.lo[1]; j < region.hi[1]; ++j) {
        const std::uint16_t steps = escape(3.0 * j / n_ - 2.0, 3.0 * i / n_ - 1.5);
        std::memcpy(out.data + (i - region.lo[0]) * out.strides[0] + (j - region.lo[1]) * out.strides[1],
                    &steps, sizeof steps);
      }
  }
  std::string identity() const { return "mandelbrot:" + std::to_string(n_); }
  std::string version() const { return "1"; }

 private:
  static std::uint16_t escape(double cx, double cy) {
    double x = 0, y = 0;
    for (std::uint16_t k = 0; k < 200; ++k) {
      const double next = x * x - y * y + cx;
      y = 2 * x * y + cy;
      x = next;
      if (x * x + y * y > 4) return k;
    }
    return 200;
  }
  morsel::Index n_;
  morsel::ArraySpec spec_;
};

int main() {
  const auto a = morsel::from_source<std::uint16_t>(Mandelbrot(512));
  const double inside = morsel::mean(a == 200).item();
  std::cout << a << "\narea of the set: about " << inside * 9 << "\n";  // 1.5066 is exact
  return inside * 9 > 1.4 && inside * 9 < 1.65 && a[256]["170"].item() == 200 ? 0 : 1;
}
