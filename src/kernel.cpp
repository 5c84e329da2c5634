// Layer kernel: what is done to one chunk.
#include <morsel/kernel/impl/leaf.ipp>
#include <morsel/kernel/impl/reducer.ipp>
#include <morsel/kernel/impl/simd.ipp>
