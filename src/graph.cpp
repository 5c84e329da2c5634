#include <morsel/graph/impl/build.ipp>
#include <morsel/graph/impl/hash.ipp>
#include <morsel/graph/impl/node.ipp>
#include <morsel/graph/impl/pass.ipp>
