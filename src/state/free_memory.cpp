#include "state/free_memory.hpp"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace rbee {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

// The number in a file that holds just one; nullopt for "max" or when there is no such file.
std::optional<std::uint64_t> number_in(const fs::path& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

// The number after key in a file of "key value" lines.
std::optional<std::uint64_t> field_in(const fs::path& path, std::string_view key) {
  std::ifstream file(path);
  std::string name;
  std::uint64_t value = 0;
  while (file >> name) {
    if (name == key && file >> value) return value;
    file.clear();
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::nullopt;
}

// throttle: the limit from which on the kernel slows a group down to a crawl.
struct GroupFiles {
  std::string_view limit, throttle, usage, reclaimable;
};
constexpr GroupFiles kV2{"memory.max", "memory.high", "memory.current", "inactive_file"};
constexpr GroupFiles kV1{"memory.limit_in_bytes", "", "memory.usage_in_bytes",
                         "total_inactive_file"};

// The least that the group and the groups above it leave. Page cache that the kernel may drop
// counts as free, as it does in MemAvailable.
std::uint64_t free_in_groups(const fs::path& mount, fs::path group, const GroupFiles& files) {
  std::uint64_t least = kUnlimited;
  for (;;) {
    const fs::path folder = mount / group;
    const std::uint64_t limit = std::min(number_in(folder / files.limit).value_or(kUnlimited),
                                         number_in(folder / files.throttle).value_or(kUnlimited));
    const auto usage = number_in(folder / files.usage);
    if (limit != kUnlimited && usage) {
      const std::uint64_t cache =
          std::min(field_in(folder / "memory.stat", files.reclaimable).value_or(0), *usage);
      const std::uint64_t used = *usage - cache;
      least = std::min(least, limit > used ? limit - used : 0);
    }
    if (group.empty()) return least;
    group = group.parent_path();
  }
}

// Whether a list like ":cpu,memory:" holds memory (and not just hugememory, say).
bool names_memory(std::string_view list) {
  const std::size_t at = list.find("memory");
  if (at == 0 || at == std::string_view::npos) return false;
  const char before = list[at - 1];
  const char after = at + 6 < list.size() ? list[at + 6] : ':';
  return (before == ':' || before == ',') && (after == ':' || after == ',');
}

std::uint64_t free_in_control_groups(const fs::path& root) {
  std::uint64_t least = kUnlimited;
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // "id:controllers:/path"
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string_view controllers(line.data() + first, second + 1 - first);  // ":a,memory:"
    const fs::path group = fs::path(line.substr(second + 1)).relative_path();
    const fs::path mount = root / "sys/fs/cgroup";
    if (controllers == "::") {
      least = std::min(least, free_in_groups(mount, group, kV2));
    } else if (names_memory(controllers)) {
      least = std::min(least, free_in_groups(mount / "memory", group, kV1));
    }
  }
  return least;
}

}  // namespace

std::size_t free_memory(const std::filesystem::path& root) {
  const auto available = field_in(root / "proc/meminfo", "MemAvailable:");
  std::uint64_t least = free_in_control_groups(root);
  if (available) least = std::min(least, *available * 1024);
  return least == kUnlimited ? std::size_t{1} << 30 : static_cast<std::size_t>(least);
}

}  // namespace rbee
