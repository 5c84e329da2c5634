// A sink that keeps what it is given in memory, checks that every element comes once, and can refuse.
#pragma once

#include <atomic>
#include <functional>
#include <morsel/io/chunk_sink.hpp>
#include <mutex>
#include <support/test_source.hpp>

namespace test {

/// What became of a sink; outlives it.
struct SinkLog {
  std::mutex mutex;
  Whole values;
  std::vector<int> writes;  ///< per element
  std::atomic<int> regions{0}, commits{0}, wrong{0};
};

struct TestSinkOptions {
  morsel::Grid grid;
  bool regions = true;
  std::size_t scratch_bytes = 0;
  std::string identity = "test sink";
  std::function<void(const morsel::Region&)> on_write;  ///< may throw
};

class TestSink {
 public:
  TestSink(morsel::DType dtype, TestSinkOptions options, std::shared_ptr<SinkLog> log)
      : spec_{dtype, options.grid, options.regions}, options_(std::move(options)), log_(std::move(log)) {
    log_->values = {dtype, spec_.grid.shape(), {}};
    const auto n = static_cast<std::size_t>(morsel::size_of(log_->values.shape));
    log_->values.bytes.resize(n * dtype.item_bytes());
    log_->writes.assign(n, 0);
  }
  const morsel::SinkSpec& spec() const { return spec_; }
  std::size_t scratch_bytes(const morsel::Region& region) const {
    return options_.scratch_bytes ? options_.scratch_bytes + static_cast<std::size_t>(region.size()) : 0;
  }
  void write(const morsel::Region& region, const morsel::BufferView& values, std::span<std::byte> scratch,
             std::stop_token) {
    if (options_.on_write) options_.on_write(region);
    ++log_->regions;
    if (scratch.size() < scratch_bytes(region) || values.shape != region.shape() ||
        values.item_bytes != spec_.dtype.item_bytes() || !values.is_c_order())
      ++log_->wrong;
    if (!spec_.writes_regions) {
      const morsel::Region chunks = spec_.grid.overlapping(region);
      if (chunks.size() != 1 || spec_.grid.region(chunks.lo) != region) ++log_->wrong;
    }
    if (!scratch.empty()) std::memset(scratch.data(), 0xDD, scratch.size());
    const std::lock_guard lock(log_->mutex);
    const morsel::Region all = morsel::Region::of(log_->values.shape);
    morsel::copy_elements(values, log_->values.view().part(all, region));
    morsel::for_each_position(region, [&](const morsel::Dims& at) {
      std::size_t k = 0;
      for (std::size_t i = 0; i < at.size(); ++i)
        k = k * static_cast<std::size_t>(all.hi[i]) + static_cast<std::size_t>(at[i]);
      ++log_->writes[k];
    });
  }
  void commit() { ++log_->commits; }
  std::string identity() const { return options_.identity; }

 private:
  morsel::SinkSpec spec_;
  TestSinkOptions options_;
  std::shared_ptr<SinkLog> log_;
};
static_assert(morsel::ChunkSink<TestSink>);

}  // namespace test
