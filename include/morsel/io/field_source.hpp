// One member of an array of records, as a source of its own.
#pragma once

#include <morsel/io/chunk_source.hpp>
#include <string>

namespace morsel::inline MORSEL_ABI {

/// Decodes records and hands on one of their members. A member that is an array itself becomes axes at the
/// end: records of shape (n) with a member of shape (3, 2) give an array of shape (n, 3, 2).
class FieldSource {
 public:
  /// **Requires**: `field` is one of the fields of the records' dtype.
  FieldSource(AnyChunkSource records, const Field& field);

  const ArraySpec& spec() const { return spec_; }
  FetchCost cost(const Dims& chunk, const Region& region) const;
  Fetched fetch(const Dims& chunk, const Region& region, std::span<std::byte> room, FetchMode mode,
                std::stop_token stop) const;
  void decode(const Dims& chunk, const Region& region, std::span<const std::byte> encoded, BufferView out,
              std::span<std::byte> scratch) const;
  Index requests(const Dims& chunk, const Region& region) const;
  std::string identity() const { return records_.identity() + "?field=" + field_.name; }
  std::string version() const { return records_.version(); }
  std::vector<std::string> files() const { return records_.files(); }

 private:
  /// Before the records' bytes stands whether there are some.
  static constexpr std::size_t mark_bytes = 64;
  Region of_records(const Region& region) const;
  Dims of_records(const Dims& chunk) const;
  BufferView member_of(const BufferView& records, const Region& region) const;

  AnyChunkSource records_;
  Field field_;
  ArraySpec spec_;
  bool uniform_fill_ = true;  // else a record that is not there has members of several values
};
static_assert(PredictsRequests<FieldSource>);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/io/impl/field_source.ipp>
#endif
