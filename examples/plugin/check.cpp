// Runs the installed conformance suites over the plugin. A suite throws an Error that names the law that is
// broken.
#include <cstdio>
#include <morsel/conformance/chunk_source.hpp>
#include <morsel/conformance/codec.hpp>
#include <morsel/conformance/combiner.hpp>
#include <morsel/conformance/store.hpp>
#include <morsel/io/memory_store.hpp>

#include "log_sum_exp.hpp"
#include "run_length.hpp"
#include "smooth_step.hpp"
#include "stored_chunks.hpp"

namespace {

namespace conformance = morsel::conformance;

/// A matrix of 23 x 17 in chunks of 5 x 6, the chunk at (2, 1) missing; `values` gets its elements.
morsel::MemoryStore make_store(std::vector<float>& values) {
  constexpr morsel::Index rows = 23, columns = 17;
  const auto grid = morsel::Grid::regular({rows, columns}, {5, 6});
  morsel::MemoryStore store;
  const std::string shape = "23 17 5 6";
  store.put("shape", std::as_bytes(std::span(shape)));
  values.assign(rows * columns, 0);
  const auto codec = plugin::RunLength().prepare({morsel::Type::float32, grid.chunk_shape(), 5 * 6 * 4});
  morsel::for_each_position({{0, 0}, grid.counts()}, [&](const morsel::Dims& at) {
    if (at == morsel::Dims{2, 1}) return;
    const morsel::Region region = grid.region(at);
    std::vector<float> chunk;
    morsel::for_each_position(region, [&](const morsel::Dims& element) {
      chunk.push_back(static_cast<float>((element[0] * columns + element[1]) / 4));
      values[static_cast<std::size_t>(element[0] * columns + element[1])] = chunk.back();
    });
    std::vector<std::byte> encoded(codec.max_encoded_bytes(chunk.size() * 4));
    encoded.resize(codec.encode(std::as_bytes(std::span(chunk)), encoded, {}));
    store.put(std::to_string(at[0]) + "/" + std::to_string(at[1]), encoded);
  });
  return store;
}

void require(bool is_true, const char* what) {
  if (!is_true) morsel::fail(morsel::Errc::internal_error, std::string("checking the plugin: ") + what);
}

}  // namespace

int main() {
  try {
    // The codec, for elements of 1, 4 and 8 bytes.
    for (const morsel::Type type : {morsel::Type::uint8, morsel::Type::float32, morsel::Type::int64})
      conformance::check_codec(plugin::RunLength(), type,
                               conformance::codec_samples(morsel::item_bytes_of(type)));
    std::puts("ok  codec run_length");

    // The source, over a store that keeps its own laws.
    conformance::check_store([] { return morsel::MemoryStore(); });
    std::vector<float> values;
    const morsel::MemoryStore store = make_store(values);
    const auto make = [&] { return plugin::StoredChunks(store, plugin::RunLength()); };
    conformance::check_source(make, std::as_bytes(std::span(values)));
    std::puts("ok  source stored_chunks");

    // The combiner; another grouping may differ in the last bits.
    conformance::CombinerCheckOptions options;
    options.tolerance = 1e-9;
    conformance::check_combiner(*morsel::make_reducer_from<float>(plugin::LogSumExp(), "log_sum_exp"),
                                std::as_bytes(std::span(values)), options);
    std::puts("ok  combiner log_sum_exp");

    // The kernel: lazy, eager and plain numbers give the same bits.
    const auto a = morsel::from_source<float>(make());
    const xt::xarray<float> eager = plugin::smooth_step(a.compute(), 10, 60);
    const xt::xarray<float> lazy = plugin::smooth_step(a, 10, 60).compute();
    const plugin::SmoothStep step{10, 60};
    for (std::size_t i = 0; i < values.size(); ++i)
      require(lazy.flat(i) == step(values[i]) && eager.flat(i) == lazy.flat(i), "smooth_step differs");
    std::puts("ok  kernel smooth_step");

    // All four together.
    const double result = morsel::reduce_with(plugin::LogSumExp(), plugin::smooth_step(a, 10, 60)).item();
    plugin::LogSumExp by_hand;
    for (const float value : values) by_hand.absorb(std::vector<float>{step(value)});
    require(std::abs(result - by_hand.finish()) < 1e-9, "log_sum_exp differs from a plain loop");
    std::printf("ok  together: %.12f\n", result);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
