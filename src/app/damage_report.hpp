// What the command says when a damaged file makes a library crash.
#pragma once

namespace morsel::app {

/// From now on a crash inside libhdf5 ends the process with exit code 1 and one line. Other crashes are as
/// they were.
void report_crashes_in_libhdf5();

}  // namespace morsel::app
