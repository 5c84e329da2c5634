// Layer kernel: what is done to one chunk. The build says by MORSEL_HAVE_AVX2 and MORSEL_HAVE_AVX512 which
// instruction-set files are linked.
#include <morsel/kernel/impl/leaf.ipp>
#include <morsel/kernel/impl/op.ipp>
#include <morsel/kernel/impl/reducer.ipp>
#include <morsel/kernel/impl/simd.ipp>
#include <morsel/kernel/impl/tape.ipp>
