#include <morsel/graph/impl/build.ipp>
#include <morsel/graph/impl/node.ipp>
