// How many cores this process may use.
#pragma once
#include <string_view>

namespace rbee::cpu {

// The cores of the affinity mask, or fewer where the control group's quota allows less time.
int usable_cores();

// The cores a quota is worth, rounded up; 0: no limit. text as in cgroup v2's cpu.max: "max 100000"
// or "150000 100000".
int cores_of_quota(std::string_view text) noexcept;

}  // namespace rbee::cpu
