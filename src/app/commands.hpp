// The subcommands: what each does once its arguments are known. `morsel explain` runs the same with
// session.explain.
#pragma once

#include <string>
#include <vector>

#include "part_argument.hpp"
#include "session.hpp"
#include "storage.hpp"

namespace morsel::app {

/// Shape, dtype, chunks, codecs, attributes; of a container its arrays.
void info(Session& session, const std::string& source);

/// The hierarchy of a container.
void tree(Session& session, const std::string& source);

struct StatsArguments {
  std::string source, slice, axes;  ///< `axes`: numbers or names, separated by commas
  PartArguments part;
};
/// count, nan_count, min, max, mean, stddev and sum in one pass.
void stats(Session& session, const StatsArguments& arguments);

struct GetArguments {
  std::string source, slice, out;
  PartArguments part;
};
/// Part of an array, to a file or printed.
void get(Session& session, const GetArguments& arguments);

struct EvalArguments {
  std::string expression;
  std::vector<std::string> inputs;  ///< name=SRC
  std::string out, chunks;
  bool functions = false;  ///< print the table of functions instead
  PartArguments part;      ///< of every input
};
/// The value of an expression, to a file or printed.
void eval(Session& session, const EvalArguments& arguments);

struct CopyArguments {
  std::string source, target;
  StorageArguments storage;
  std::string region, append;
  bool overwrite = false, resume = false, skip_unsupported = false;
};
/// An array, or a container with all that is in it, converted to another format.
void copy(Session& session, const CopyArguments& arguments);

struct DiffArguments {
  std::string a, b, relative, absolute;  ///< two SRCs and the tolerances
};
/// What two arrays or containers differ in. Sets the exit code to 1 if they do.
void diff(Session& session, const DiffArguments& arguments);

/// Versions, limits and the environment in force.
void doctor(Session& session);

/// What --version prints: version, formats, codecs.
std::string version_text();

}  // namespace morsel::app
