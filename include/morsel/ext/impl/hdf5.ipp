#pragma once

#include <morsel/ext/hdf5.hpp>
#include <morsel/ext/impl/hdf5_open.ipp>
#include <morsel/ext/impl/hdf5_sink.ipp>
#include <morsel/ext/impl/hdf5_strings.ipp>

namespace morsel::inline MORSEL_ABI {

MORSEL_INLINE const char* hdf5::doing_in_libhdf5() noexcept {
  const detail::Hdf5Shared& shared = detail::hdf5_shared();
  return shared.is_busy && pthread_equal(shared.owner, pthread_self()) ? shared.doing : nullptr;
}

MORSEL_INLINE void hdf5::enable() {
  detail::hdf5_shared();  // made before a handler of signals can ask for it

  Format format;
  for (const std::shared_ptr<const Format>& known : formats())
    if (known->name == "hdf5") format = *known;  // how it is recognised, for those that cannot open it
  format.name = "hdf5";
  format.open = &detail::open_hdf5;
  format.list = &detail::list_hdf5;
  format.attributes = &detail::attributes_of_hdf5;
  format.attribute_types = &detail::attribute_types_of_hdf5;
  format.create = &detail::create_hdf5;
  format.create_group = &detail::create_hdf5_group;
  format.is_one_file = true;
  register_format(std::move(format));
}

}  // namespace morsel::inline MORSEL_ABI
