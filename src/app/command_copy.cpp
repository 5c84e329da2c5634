#include <utility>

#include "commands.hpp"
#include "open_source.hpp"
#include "write_result.hpp"

namespace morsel::app {

void copy(Session& session, const CopyArguments& arguments) {
  if (arguments.target.empty() || arguments.target == "-")
    throw UsageError("copy: no target; expected a file name that ends in .npy or .csv, got '" +
                     arguments.target + "'");
  const std::pair<const char*, const std::string*> of_chunked_formats[] = {
      {"--chunks", &arguments.chunks}, {"--shards", &arguments.shards}, {"--codec", &arguments.codec}};
  for (const auto& [option, value] : of_chunked_formats)
    if (!value->empty())
      fail(Errc::unsupported, "copy to '" + arguments.target + "': " + option +
                                  " means nothing there; expected a chunked format, got a plain file");
  const OpenedEdge opened = open_edge(source_path(arguments.source, session.dataset),
                                      is_npy(arguments.target) ? Values::as_stored : Values::computed_with);
  write_result(session, opened.edge, arguments.target,
               arguments.overwrite ? Existing::replace : Existing::refuse);
}

}  // namespace morsel::app
