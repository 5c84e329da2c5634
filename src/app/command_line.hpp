// The command: arguments in, exit code out.
#pragma once

#include <string>
#include <vector>

namespace morsel::app {

/// Runs one command line (without the program's name). Exit codes: 0; 1 failure, with one line on stderr; 2
/// usage and expression syntax; 130 on Ctrl-C.
int run_command(const std::vector<std::string>& arguments);

}  // namespace morsel::app
