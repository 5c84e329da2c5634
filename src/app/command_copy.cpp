#include "commands.hpp"
#include "open_source.hpp"
#include "write_result.hpp"

namespace morsel::app {

void copy(Session& session, const CopyArguments& arguments) {
  if (arguments.target.empty() || arguments.target == "-")
    throw UsageError("copy: no target; expected a file name that ends in .npy or .csv, got '" +
                     arguments.target + "'");
  ChunkSpec chunks;
  if (!arguments.chunks.empty()) {
    try {
      chunks = ChunkSpec::parse(arguments.chunks);
    } catch (const Error& error) {
      throw UsageError(std::string("--chunks: ") + error.what());
    }
  }
  const OpenedEdge opened = open_edge(source_path(arguments.source, session.dataset),
                                      is_npy(arguments.target) ? Values::as_stored : Values::computed_with);
  const Edge edge = arguments.chunks.empty() ? opened.edge : rechunk(opened.edge, chunks);
  if (!arguments.shards.empty() || !arguments.codec.empty())
    fail(Errc::unsupported, "copy to '" + arguments.target +
                                "': " + (arguments.codec.empty() ? "--shards" : "--codec") +
                                " means nothing there; expected a chunked format, got a plain file");
  write_result(session, edge, arguments.target, arguments.overwrite ? Existing::replace : Existing::refuse);
}

}  // namespace morsel::app
