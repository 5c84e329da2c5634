// Files of given bytes, and all elements of an opened array, for the tests of file-backed sources.
#pragma once

#include <cstring>
#include <fstream>
#include <morsel/array/buffer.hpp>
#include <morsel/io/opened_array.hpp>
#include <morsel/io/read_region.hpp>
#include <string>
#include <support/paths.hpp>
#include <vector>

namespace test {

using ByteVector = std::vector<std::byte>;

template <class T>
ByteVector bytes_of(const std::vector<T>& values) {
  ByteVector bytes(values.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}
inline ByteVector bytes_of(const std::string& text) {
  ByteVector bytes(text.size());
  if (!bytes.empty()) std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}
/// 0, 1, 2, ... modulo 251, so that no power of two is a period.
inline ByteVector counted_bytes(std::size_t count) {
  ByteVector bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i % 251);
  return bytes;
}

inline std::string write_file(const std::filesystem::path& path, const ByteVector& bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) throw std::runtime_error("cannot write " + path.string());
  return path.string();
}

inline ByteVector read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  return bytes_of(text);
}

/// The bytes of a region of a source, C order.
inline ByteVector region_bytes(const morsel::AnyChunkSource& source, const morsel::Region& region) {
  const std::size_t item_bytes = source.spec().dtype.item_bytes();
  ByteVector bytes(static_cast<std::size_t>(region.size()) * item_bytes);
  morsel::read_region(source, region, morsel::BufferView::c_order(bytes.data(), region.shape(), item_bytes));
  return bytes;
}

/// The bytes of the array, in C order of its own axes.
inline ByteVector array_bytes(const morsel::OpenedArray& array) {
  const morsel::Shape stored = array.source.spec().shape();
  const std::size_t item_bytes = array.source.spec().dtype.item_bytes();
  const ByteVector source = region_bytes(array.source, morsel::Region::of(stored));
  const morsel::Dims strides = morsel::c_strides(stored, static_cast<morsel::Index>(item_bytes));
  ByteVector out;
  morsel::for_each_position(morsel::Region::of(array.view.shape), [&](const morsel::Dims& at) {
    morsel::Index offset = 0;
    for (std::size_t i = 0; i < strides.size(); ++i) offset += array.view.maps[i].at(at) * strides[i];
    out.insert(out.end(), source.begin() + offset,
               source.begin() + offset + static_cast<std::ptrdiff_t>(item_bytes));
  });
  return out;
}

/// The code and message of the error that f throws.
template <class F>
std::pair<morsel::Errc, std::string> error_of(F&& f) {
  try {
    f();
  } catch (const morsel::Error& error) {
    return {error.code(), error.what()};
  }
  return {morsel::Errc::internal_error, "no error"};
}

inline std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

}  // namespace test
