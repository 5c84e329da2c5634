#include <morsel/api/impl/any_array.ipp>
#include <morsel/api/impl/any_lazy_array.ipp>
#include <morsel/api/impl/async.ipp>
#include <morsel/api/impl/axes.ipp>
#include <morsel/api/impl/cf_time.ipp>
#include <morsel/api/impl/coordinates.ipp>
#include <morsel/api/impl/create.ipp>
#include <morsel/api/impl/evaluate.ipp>
#include <morsel/api/impl/explain.ipp>
#include <morsel/api/impl/glob.ipp>
#include <morsel/api/impl/leaf.ipp>
#include <morsel/api/impl/library_versions.ipp>
#include <morsel/api/impl/manipulation.ipp>
#include <morsel/api/impl/map.ipp>
#include <morsel/api/impl/mask_and_scale.ipp>
#include <morsel/api/impl/open.ipp>
#include <morsel/api/impl/operand.ipp>
#include <morsel/api/impl/partial.ipp>
#include <morsel/api/impl/records.ipp>
#include <morsel/api/impl/records_csv.ipp>
#include <morsel/api/impl/reduction.ipp>
#include <morsel/api/impl/save.ipp>
#include <morsel/api/impl/slicing.ipp>
#include <morsel/api/impl/stream.ipp>
#include <morsel/api/impl/tree.ipp>
#include <morsel/api/impl/tree_file.ipp>
#include <morsel/api/impl/tree_scan.ipp>
#include <morsel/morsel.hpp>

namespace morsel::inline MORSEL_ABI {

#define MORSEL_INSTANTIATE(NAME, CPP) template class LazyArray<CPP>;
MORSEL_FOR_EACH_NUMERIC(MORSEL_INSTANTIATE)
#undef MORSEL_INSTANTIATE

}  // namespace morsel::inline MORSEL_ABI
