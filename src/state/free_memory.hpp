// How much memory this process could still take.
#pragma once
#include <cstddef>
#include <filesystem>

namespace rbee {

// MemAvailable of /proc/meminfo, or what the process's control groups (v1 or v2, with every group
// above them) leave if that is less. Reads below root, for tests. A system that tells nothing
// counts as 1 GiB free.
std::size_t free_memory(const std::filesystem::path& root = "/");

}  // namespace rbee
