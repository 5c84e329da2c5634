// The compiled body of the component hdf5.
#include <morsel/ext/impl/hdf5.ipp>
