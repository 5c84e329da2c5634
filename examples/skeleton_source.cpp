// The file to copy when adding a source: a small chunked format, from its bytes to morsel::open and the suite
// that checks the laws. Replace what is marked with (1) to (7); nothing else in Morsel needs to know.
//
//   file:   "SKELETON" rows columns rows_per_chunk offset[0] offset[1] ...   int64 each, 0: the chunk is
//   missing chunk:  checksum (uint32), then rows_per_chunk x columns int16
#include <cstring>
#include <fstream>
#include <iostream>
#include <morsel/conformance/chunk_source.hpp>
#include <morsel/io/file.hpp>
#include <morsel/morsel.hpp>

using morsel::Dims;
using morsel::Errc;
using morsel::Index;
using morsel::Region;

std::uint32_t checksum(std::span<const std::byte> bytes) {
  std::uint32_t sum = 2166136261u;
  for (const std::byte b : bytes) sum = (sum ^ std::to_integer<std::uint32_t>(b)) * 16777619u;
  return sum;
}

class SkeletonSource {
 public:
  // (1) Opening reads metadata and nothing else. Whatever the file says is checked before it is believed:
  // sizes that overflow, counts that are negative, tables that are longer than the file.
  explicit SkeletonSource(const std::string& path) : file_(path) {
    const std::string doing = "opening '" + path + "'";
    Index header[4];
    read_numbers(0, header, 4, doing);
    if (std::memcmp(header, "SKELETON", 8) != 0)
      morsel::fail(Errc::corrupt_data, doing + ": wrong magic; expected SKELETON");
    const auto [rows, columns, height] = std::tuple(header[1], header[2], header[3]);
    if (rows < 0 || columns < 1 || height < 1)
      morsel::fail(Errc::corrupt_data,
                   doing +
                       ": impossible shape; expected rows >= 0, columns and rows per chunk "
                       ">= 1, got " +
                       std::to_string(rows) + ", " + std::to_string(columns) + ", " + std::to_string(height));
    spec_.dtype = morsel::Type::int16;
    spec_.grid = morsel::Grid::regular({rows, columns}, {height, columns});
    spec_.dims = {"time", "channel"};
    spec_.format = "skeleton";
    spec_.stored_bytes = file_.size_bytes();
    // What missing chunks hold: one element, native byte order. Without it: zero.
    const std::int16_t fill = -1;
    spec_.fill.resize(sizeof fill);
    std::memcpy(spec_.fill.data(), &fill, sizeof fill);
    // size_of and checked_mul refuse shapes whose bytes do not fit 63 bits.
    morsel::checked_mul(morsel::size_of(spec_.shape()), 2, "array bytes");
    const Index chunks = spec_.grid.count();
    if (chunks > file_.size_bytes() / 8)
      morsel::fail(Errc::corrupt_data, doing + ": truncated; expected a table of " + std::to_string(chunks) +
                                           " chunks, got a file of " + std::to_string(file_.size_bytes()) +
                                           " bytes");
    offsets_.resize(static_cast<std::size_t>(chunks));
    read_numbers(32, offsets_.data(), offsets_.size(), doing);
  }

  // (2) Dtype, shape, native chunks, abilities. Constant for the source's life.
  const morsel::ArraySpec& spec() const { return spec_; }

  // (3) Memory for a region of a chunk, exact or an upper bound, without I/O. This format reads whole chunks;
  // one that can read parts says so with `partial`.
  morsel::FetchCost cost(const Dims& chunk, const Region&) const {
    morsel::FetchCost cost;
    cost.encoded_bytes = 4 + 2 * static_cast<std::size_t>(spec_.grid.region(chunk).size());
    return cost;
  }

  // (4) I/O only, into memory that is given; from many threads at once. File says would_block for
  // cached_only.
  morsel::Fetched fetch(const Dims& chunk, const Region& region, std::span<std::byte> room,
                        morsel::FetchMode mode, std::stop_token stop) const {
    morsel::Fetched fetched;
    const Index offset = offsets_[static_cast<std::size_t>(chunk[0])];
    if (offset == 0) {
      fetched.state = morsel::Fetched::State::missing;
      return fetched;
    }
    fetched.encoded_bytes = cost(chunk, region).encoded_bytes;
    if (!file_.read(offset, room.first(fetched.encoded_bytes), mode, stop))
      fetched.state = morsel::Fetched::State::would_block;
    return fetched;
  }

  // (5) Computation only. Writes every element of the region to `out`, whose strides may be any; trusts
  // nothing that it finds in `encoded`.
  void decode(const Dims& chunk, const Region& region, std::span<const std::byte> encoded,
              morsel::BufferView out, std::span<std::byte>) const {
    const Region whole = spec_.grid.region(chunk);
    const std::string doing = "reading chunk " + morsel::to_string(chunk) + " of '" + file_.path() + "'";
    if (encoded.size() != 4 + 2 * static_cast<std::size_t>(whole.size()))
      morsel::fail(Errc::corrupt_data, doing + ": wrong size; expected " +
                                           std::to_string(4 + 2 * whole.size()) + " bytes, got " +
                                           std::to_string(encoded.size()));
    std::uint32_t stored = 0;
    std::memcpy(&stored, encoded.data(), 4);
    const std::span<const std::byte> samples = encoded.subspan(4);
    if (checksum(samples) != stored)
      morsel::fail(Errc::corrupt_data, doing + ": wrong checksum; expected " + std::to_string(stored) +
                                           ", got " + std::to_string(checksum(samples)));
    const auto all = morsel::BufferView::c_order(const_cast<std::byte*>(samples.data()), whole.shape(), 2);
    morsel::copy_elements(all.part(whole, region), out);
  }

  // (6) Which data, and which state of it. File::version notices a file that was changed or replaced.
  std::string identity() const { return "skeleton:" + file_.path(); }
  std::string version() const { return file_.version(); }

 private:
  void read_numbers(Index offset, Index* to, std::size_t count, const std::string& doing) const {
    if (file_.size_bytes() - offset < static_cast<Index>(8 * count))
      morsel::fail(Errc::corrupt_data, doing + ": truncated; expected " + std::to_string(8 * count) +
                                           " bytes at " + std::to_string(offset) + ", got a file of " +
                                           std::to_string(file_.size_bytes()));
    file_.read(offset, std::as_writable_bytes(std::span(to, count)));
  }

  morsel::File file_;
  morsel::ArraySpec spec_;
  std::vector<Index> offsets_;
};

// (7) The format by name, so that morsel::open and the command find it. Called explicitly, never by a static
// object.
void enable_skeleton() {
  morsel::Format format;
  format.name = "skeleton";
  format.title = "skeleton file";
  format.endings = {".skel"};
  format.recognises = [](const morsel::Place& place) { return place.has_magic("SKELETON"); };
  format.open = [](const morsel::Place& place, const std::string& inside, const morsel::FormatOptions&) {
    if (!inside.empty())
      morsel::fail(Errc::not_found, "open '" + place.path +
                                        "': holds one array; expected nothing behind the path, "
                                        "got '" +
                                        inside + "'");
    SkeletonSource source(place.path);
    const morsel::View view = morsel::View::identity(source.spec().shape());
    return morsel::OpenedArray{std::move(source), view};
  };
  morsel::register_format(std::move(format));
}

// ---- What follows makes a file and checks the source; a real format has its own writer and its own samples.
// ----

std::vector<std::int16_t> write_sample(const std::string& path, Index rows, Index columns, Index height,
                                       Index missing) {
  const Index chunks = (rows + height - 1) / height;
  std::vector<Index> header{0, rows, columns, height};
  std::memcpy(header.data(), "SKELETON", 8);
  std::vector<std::int16_t> values;
  std::vector<char> body;
  for (Index k = 0; k < chunks; ++k) {
    const Index n = std::min(height, rows - k * height) * columns;
    std::vector<std::int16_t> chunk;
    for (Index i = 0; i < n; ++i)
      chunk.push_back(k == missing ? -1 : static_cast<std::int16_t>(k * 1000 + i % 997));
    values.insert(values.end(), chunk.begin(), chunk.end());
    header.push_back(k == missing ? 0 : 32 + 8 * chunks + static_cast<Index>(body.size()));
    if (k == missing) continue;
    const std::uint32_t sum = checksum(std::as_bytes(std::span(chunk)));
    body.insert(body.end(), reinterpret_cast<const char*>(&sum), reinterpret_cast<const char*>(&sum + 1));
    body.insert(body.end(), reinterpret_cast<const char*>(chunk.data()),
                reinterpret_cast<const char*>(chunk.data() + chunk.size()));
  }
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(header.data()), static_cast<std::streamsize>(8 * header.size()));
  file.write(body.data(), static_cast<std::streamsize>(body.size()));
  return values;
}

int main() {
  const std::vector<std::int16_t> values = write_sample("sample.skel", 103, 12, 10, 4);

  // The suite: threads, strides, guards around all memory, damaged bytes. It throws what law is broken.
  morsel::conformance::check_source([] { return SkeletonSource("sample.skel"); },
                                    std::as_bytes(std::span(values)));

  // And now it is an array like any other.
  enable_skeleton();
  const auto a = morsel::open<std::int16_t>("sample.skel");
  std::cout << a << "\nmean over time of channel 3: " << morsel::mean(a[":, 3"]).item() << "\n";

  // A damaged chunk is an error, and only where it is needed.
  std::fstream("sample.skel", std::ios::in | std::ios::out | std::ios::binary)
      .seekp(32 + 8 * 11 + 50)
      .put('x');
  const auto damaged = morsel::open<std::int16_t>("sample.skel");
  const auto last = damaged[-1].compute();
  try {
    damaged.compute();
    return 1;
  } catch (const morsel::Error& error) {
    std::cout << error.what() << "\n";
    return error.code() == Errc::corrupt_data && last(11) == values.back() ? 0 : 1;
  }
}
