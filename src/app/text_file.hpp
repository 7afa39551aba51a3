// Files that a user names on the command line.
#pragma once
#include <string>

namespace rbee {

// All bytes of a file. Throws UsageError, with the reason, when it cannot be read.
std::string read_text_file(const std::string& path);

}  // namespace rbee
