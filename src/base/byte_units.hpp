// Bytes in the units of messages.
#pragma once
#include <cstddef>

namespace rbee {

constexpr double in_mib(std::size_t bytes) { return static_cast<double>(bytes) / (1 << 20); }
constexpr double in_gib(std::size_t bytes) { return static_cast<double>(bytes) / (1 << 30); }

}  // namespace rbee
