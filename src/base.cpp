// The compiled bodies of the base layer.
#include <morsel/base/impl/bytes.ipp>
#include <morsel/base/impl/error.ipp>
#include <morsel/base/impl/warning.ipp>
