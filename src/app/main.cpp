#include "command_line.hpp"

int main(int argc, char** argv) { return morsel::app::run_command({argv + 1, argv + argc}); }
