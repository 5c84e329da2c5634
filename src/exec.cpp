#include <morsel/exec/impl/perform.ipp>
#include <morsel/exec/impl/progress.ipp>
#include <morsel/exec/impl/run.ipp>
#include <morsel/exec/impl/trace.ipp>
#include <morsel/exec/impl/workspace.ipp>
