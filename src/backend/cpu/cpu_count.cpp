#include "backend/cpu/cpu_count.hpp"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <string>
#include <thread>

namespace rbee::cpu {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

int cores_of_affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return static_cast<int>(std::thread::hardware_concurrency());
}

// The tightest quota of this process's group and of those above it.
int cores_of_groups() {
  int least = 0;
  const auto note = [&least](int cores) {
    if (cores > 0) least = least == 0 ? cores : std::min(least, cores);
  };
  const std::string line = first_line("/proc/self/cgroup");
  if (line.starts_with("0::")) {
    std::string group = line.substr(3);
    for (;;) {
      note(cores_of_quota(first_line("/sys/fs/cgroup" + group + "/cpu.max")));
      const std::size_t slash = group.rfind('/');
      if (slash == std::string::npos) break;
      group.resize(slash);
    }
  }
  note(cores_of_quota(first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") + " " +
                      first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us")));
  return least;
}

}  // namespace

int cores_of_quota(std::string_view text) noexcept {
  long long quota = 0;
  long long period = 0;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, quota);
  if (first.ec != std::errc{} || first.ptr == end || *first.ptr != ' ') return 0;
  const auto second = std::from_chars(first.ptr + 1, end, period);
  if (second.ec != std::errc{} || quota <= 0 || period <= 0) return 0;
  const long long cores = quota / period + (quota % period != 0 ? 1 : 0);
  return static_cast<int>(std::min<long long>(cores, std::numeric_limits<int>::max()));
}

int usable_cores() {
  const int quota = cores_of_groups();
  const int cores = std::max(1, cores_of_affinity());
  return quota > 0 ? std::min(cores, quota) : cores;
}

}  // namespace rbee::cpu
