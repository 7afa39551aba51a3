// The command line: subcommands, flags, environment twins, exit codes.
#pragma once

namespace rbee {

// Parses the arguments and runs the subcommand. Returns the exit code: 0 done, 1 a fault (message
// on stderr), 2 wrong usage. The only place where the process's arguments and environment are read.
int run_command_line(int argc, const char* const* argv);

}  // namespace rbee
