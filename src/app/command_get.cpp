#include "commands.hpp"
#include "open_source.hpp"
#include "slice_argument.hpp"
#include "string_array.hpp"
#include "write_result.hpp"

namespace morsel::app {

void get(Session& session, const GetArguments& arguments) {
  slice_items(arguments.slice);  // a slice that does not parse is wrong whatever the file
  const std::string path = source_path(arguments.source, session.dataset);
  OpenedEdge opened;
  try {
    opened = arguments.part.any()
                 ? open_part(path, arguments.part)
                 : open_edge(path, is_npy(arguments.out) ? Values::as_stored : Values::computed_with);
  } catch (const Error& error) {
    if (error.code() != Errc::unsupported) throw;
    const std::optional<StringArray> strings = StringArray::open(path);
    if (!strings) throw;
    return write_strings(session, *strings, arguments.slice, arguments.out);
  }
  if (!is_in_container(arguments.out))
    return write_result(session, AnyLazyArray(sliced(opened.edge, arguments.slice)), arguments.out,
                        Existing::replace);
  const AnyLazyArray array = named_array(opened);  // names and attributes go with it
  const SliceItems items = slice_items(arguments.slice);
  write_result(session, items.empty() ? array : array.slice(items), arguments.out, Existing::replace);
}

}  // namespace morsel::app
