#pragma once

#include <morsel/api/create.hpp>

namespace morsel::inline MORSEL_ABI {

namespace detail {

MORSEL_INLINE void fail_index_count(std::size_t rank) {
  fail(Errc::invalid_argument, "from_function: the function cannot be called; expected one that takes " +
                                   std::to_string(rank) + (rank == 1 ? " index" : " indices") +
                                   " (up to 8) or the position as a Dims, got another");
}

}  // namespace detail

MORSEL_INLINE AnyLazyArray from_source(AnyChunkSource source, const ArrayOptions& options) {
  std::vector<std::string> dims = options.dims.empty() ? source.spec().dims : options.dims;
  Attributes attrs = options.attrs.empty() ? source.spec().attributes : options.attrs;
  const View whole = View::identity(source.spec().shape());
  return AnyLazyArray(make_source(std::move(source), whole, options.chunks, options.name), std::move(dims),
                      std::move(attrs));
}

}  // namespace morsel::inline MORSEL_ABI
