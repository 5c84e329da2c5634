#include <morsel/plan/impl/describe.ipp>
#include <morsel/plan/impl/form.ipp>
#include <morsel/plan/impl/layout.ipp>
#include <morsel/plan/impl/lower.ipp>
#include <morsel/plan/impl/sweep.ipp>
