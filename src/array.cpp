// The compiled bodies of the array layer.
#include <morsel/array/impl/buffer.ipp>
#include <morsel/array/impl/chunk_spec.ipp>
#include <morsel/array/impl/dims.ipp>
#include <morsel/array/impl/dtype.ipp>
#include <morsel/array/impl/grid.ipp>
#include <morsel/array/impl/region.ipp>
#include <morsel/array/impl/slice.ipp>
#include <morsel/array/impl/view.ipp>
