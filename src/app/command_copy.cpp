#include <morsel/io/container.hpp>
#include <morsel/io/zarr.hpp>
#include <utility>

#include "commands.hpp"
#include "container_copy.hpp"
#include "open_source.hpp"
#include "slice_argument.hpp"
#include "write_result.hpp"

namespace morsel::app {
namespace {

using GivenOption = std::pair<const char*, bool>;

/// Refuses options that mean nothing for a target.
void refuse_options(const CopyArguments& arguments, const std::vector<GivenOption>& options,
                    const std::string& expected) {
  for (const auto& [option, is_given] : options)
    if (is_given)
      fail(Errc::unsupported,
           "copy to '" + arguments.target + "': " + option + " means nothing there; " + expected);
}

std::vector<GivenOption> storage_options(const StorageArguments& storage) {
  return {{"--chunks", !storage.chunks.empty()},
          {"--shards", !storage.shards.empty()},
          {"--codec", !storage.codec.empty()},
          {"--format", !storage.format.empty()},
          {"--fill-value", !storage.fill_value.empty()}};
}

void copy_to_file(Session& session, const CopyArguments& arguments) {
  std::vector<GivenOption> options = storage_options(arguments.storage);
  options.insert(options.end(), {{"--region", !arguments.region.empty()},
                                 {"--append", !arguments.append.empty()},
                                 {"--resume", arguments.resume},
                                 {"--skip-unsupported", arguments.skip_unsupported}});
  refuse_options(arguments, options, "expected a chunked format, got a plain file");
  const OpenedEdge opened = open_edge(source_path(arguments.source, session.dataset),
                                      is_npy(arguments.target) ? Values::as_stored : Values::computed_with);
  write_result(session, AnyLazyArray(opened.edge), arguments.target,
               arguments.overwrite ? Existing::replace : Existing::refuse);
}

/// An axis by number or name.
AxisName axis_argument(const std::string& text) {
  const bool is_number = text.find_first_not_of("0123456789", text[0] == '-' ? 1 : 0) == std::string::npos &&
                         text.size() > (text[0] == '-' ? 1u : 0u) && text.size() < 10;
  return is_number ? AxisName(std::stoi(text)) : AxisName(text);
}

void refuse_options_of_directories(const CopyArguments& arguments) {
  refuse_options(arguments,
                 {{"--shards", !arguments.storage.shards.empty() && arguments.storage.shards != "none"},
                  {"--format", !arguments.storage.format.empty()},
                  {"--region", !arguments.region.empty()},
                  {"--append", !arguments.append.empty()},
                  {"--resume", arguments.resume}},
                 "expected a file, which is written whole, got an option of Zarr hierarchies");
}

void copy_array_to_file(Session& session, const CopyArguments& arguments, const std::string& path) {
  refuse_options(arguments, {{"--skip-unsupported", arguments.skip_unsupported}},
                 "expected a container as the source, got an array");
  const OpenedEdge opened = open_edge(path);
  std::vector<SaveOptions> ways = storage_in_one_file(open_path(path), arguments.storage);
  for (SaveOptions& way : ways) way.overwrite = arguments.overwrite;
  const SavePlan plan = plan_first(ways, Saving(named_array(opened), arguments.target));
  if (!session.run(plan.values, plan.targets) || !session.json) return;
  JsonWriter json;
  json.begin_object();
  write_written(json, arguments.target, opened.edge);
  json.end_object();
  session.out << json.text() << "\n";
}

void copy_array(Session& session, const CopyArguments& arguments, const std::string& path) {
  const OpenedEdge opened = open_edge(path);
  const Saving saving(named_array(opened), arguments.target);
  SavePlan plan;
  const bool into_existing = !arguments.region.empty() || !arguments.append.empty();
  if (into_existing) {
    std::vector<GivenOption> options = storage_options(arguments.storage);
    options.insert(options.end(), {{"--overwrite", arguments.overwrite}, {"--resume", arguments.resume}});
    refuse_options(arguments, options, "expected neither with --region or --append, got one");
    SaveOptions into;
    slice_items(arguments.region);  // a slice that does not parse is wrong usage
    into.region = arguments.region;
    if (!arguments.append.empty()) into.append = axis_argument(arguments.append);
    plan = plan_save(into, {saving});
  } else {
    const ZarrTarget target = zarr_target(arguments.target, zarr_format_option(arguments.storage));
    std::vector<SaveOptions> ways = storage_of(open_path(path), arguments.storage, target.zarr_format);
    for (SaveOptions& way : ways) {
      way.overwrite = arguments.overwrite;
      way.resume = arguments.resume;
    }
    plan = plan_first(ways, saving);
    if (!arguments.overwrite && !arguments.resume) refuse_foreign_directory(arguments.target);
  }
  if (!session.explain)
    session.left_behind =
        into_existing ? "'" + arguments.target + "' is written in part: copy again"
                      : "what is written of '" + arguments.target + "' stays: finish it with --resume";
  if (!session.run(plan.values, plan.targets) || !session.json) return;
  JsonWriter json;
  json.begin_object();
  write_written(json, arguments.target, opened.edge);
  json.end_object();
  session.out << json.text() << "\n";
}

}  // namespace

void copy(Session& session, const CopyArguments& arguments) {
  if (arguments.target.empty() || arguments.target == "-")
    throw UsageError("copy: no target; expected a file name that ends in .npy, .csv, .zarr or .h5, got '" +
                     arguments.target + "'");
  if (!arguments.region.empty() && !arguments.append.empty())
    throw UsageError("copy: --region and --append; expected one of them, got both");
  chunks_argument(arguments.storage.chunks, "--chunks");
  if (arguments.storage.shards != "none") chunks_argument(arguments.storage.shards, "--shards");
  format_options(arguments.storage);
  if (!is_in_container(arguments.target)) return copy_to_file(session, arguments);
  const std::string path = source_path(arguments.source, session.dataset);
  const FoundFormat source = find_container(path);
  const bool into_file = is_in_one_file(arguments.target);
  if (into_file) refuse_options_of_directories(arguments);
  refuse_overlap(source, arguments.target);
  if (source.format->list && source.format->list(source.place, source.inside))
    return into_file ? copy_tree_to_file(session, source, arguments)
                     : copy_container(session, source, arguments);
  into_file ? copy_array_to_file(session, arguments, path) : copy_array(session, arguments, path);
}

}  // namespace morsel::app
