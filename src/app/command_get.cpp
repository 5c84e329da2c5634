#include "commands.hpp"
#include "open_source.hpp"
#include "slice_argument.hpp"
#include "write_result.hpp"

namespace morsel::app {

void get(Session& session, const GetArguments& arguments) {
  slice_items(arguments.slice);  // a slice that does not parse is wrong whatever the file
  const OpenedEdge opened = open_edge(source_path(arguments.source, session.dataset),
                                      is_npy(arguments.out) ? Values::as_stored : Values::computed_with);
  write_result(session, sliced(opened.edge, arguments.slice), arguments.out, Existing::replace);
}

}  // namespace morsel::app
