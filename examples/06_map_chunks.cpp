// A function of whole chunks: anything that needs neighbours inside a chunk, or another library.
//
//   chunk ──► f(info, chunk) ──► chunk of the result        info.region says where the chunk lies
#include <iostream>
#include <morsel/morsel.hpp>

int main() {
  const auto signal = morsel::arange<double>(0, 12000, 1, {.chunks = 1000});

  // Running sums inside each chunk: the function returns an xtensor array of the chunk's shape.
  const auto sums = morsel::map_chunks<double>(
      [](const morsel::ChunkInfo& info, const auto& x) {
        xt::xarray<double> out = xt::zeros<double>(x.shape());
        double total = static_cast<double>(info.region.lo[0]);  // this chunk's place in the array
        for (std::size_t i = 0; i < x.size(); ++i) out(i) = total += x(i);
        return out;
      },
      signal);

  // Or it writes into memory it is given; what it allocates itself is declared, so that the budget holds.
  const morsel::MapChunksOptions options{.name = "reverse", .memory_factor = 0};
  const auto reversed = morsel::map_chunks<double>(
      options,
      [](const morsel::ChunkInfo&, auto& out, const auto& x) {
        for (std::size_t i = 0; i < x.size(); ++i) out(i) = x(x.size() - 1 - i);
      },
      signal);

  const xt::xarray<double> s = sums["998:1002"].compute(), r = reversed["998:1002"].compute();
  std::cout << "sums: ... " << s(1) << " | " << s(2) << " ...  reversed: ... " << r(1) << " | " << r(2)
            << " ...\n";
  // Chunk 0 ends with 0 + 1 + ... + 999; chunk 1 begins anew at its place, 1000.
  return s(1) == 499500 && s(2) == 1000 + 1000 && r(1) == 0 && r(2) == 1999 ? 0 : 1;
}
