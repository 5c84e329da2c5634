// The compiled bodies of layer io.
#include <morsel/io/impl/attributes_json.ipp>
#include <morsel/io/impl/codec.ipp>
#include <morsel/io/impl/counting_store.ipp>
#include <morsel/io/impl/file.ipp>
#include <morsel/io/impl/file_store.ipp>
#include <morsel/io/impl/format.ipp>
#include <morsel/io/impl/generated.ipp>
#include <morsel/io/impl/memmap.ipp>
#include <morsel/io/impl/memory_source.ipp>
#include <morsel/io/impl/memory_store.ipp>
#include <morsel/io/impl/npy.ipp>
#include <morsel/io/impl/npy_sink.ipp>
#include <morsel/io/impl/npz.ipp>
#include <morsel/io/impl/raw_source.ipp>
#include <morsel/io/impl/read_region.ipp>
#include <morsel/io/impl/store_key.ipp>
#include <morsel/io/impl/zip.ipp>
