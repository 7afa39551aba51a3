#include "backend/cpu/huge_memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

#include "backend/backend.hpp"

namespace rbee::cpu {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kLeastReserve = std::size_t{64} << 20;
constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();

// The number in a file of one line, or kUnlimited.
std::size_t read_number(const std::string& path) {
  std::ifstream file(path);
  std::size_t value = 0;
  return file >> value ? value : kUnlimited;
}

std::size_t system_available() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  std::size_t kib = 0;
  std::string unit;
  while (file >> key >> kib) {
    if (key == "MemAvailable:") return kib * 1024;
    std::getline(file, unit);
  }
  return kUnlimited;
}

std::size_t group_available(const std::string& limit_file, const std::string& use_file) {
  const std::size_t limit = read_number(limit_file);
  const std::size_t use = read_number(use_file);
  if (limit == kUnlimited || use == kUnlimited) return kUnlimited;
  return limit > use ? limit - use : 0;
}

}  // namespace

HugeMemory::HugeMemory(std::size_t bytes, const char* purpose) : size_(bytes) {
  if (bytes == 0) return;
  if (bytes > kUnlimited / 2) throw BackendError(std::string("too much memory for ") + purpose);
  mapping_size_ = bytes + kHugePage + kGuard;
  mapping_ = mmap(nullptr, mapping_size_, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping_ == MAP_FAILED) {
    throw BackendError("cannot map " + std::to_string(bytes >> 20) + " MiB for " + purpose);
  }
  const auto address = reinterpret_cast<std::uintptr_t>(mapping_);
  const std::uintptr_t aligned = (address + kHugePage - 1) / kHugePage * kHugePage;
  data_ = static_cast<std::byte*>(mapping_) + (aligned - address);
  // Advice only: without huge pages everything works, a little slower.
  (void)madvise(data_, bytes, MADV_HUGEPAGE);
}

HugeMemory HugeMemory::reserve(std::size_t wanted, const char* purpose) {
  while (wanted > kLeastReserve) {
    try {
      return HugeMemory(wanted, purpose);
    } catch (const BackendError&) {
      wanted /= 2;
    }
  }
  return HugeMemory(wanted, purpose);
}

HugeMemory::~HugeMemory() {
  if (mapping_) munmap(mapping_, mapping_size_);
}

HugeMemory::HugeMemory(HugeMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapping_(std::exchange(other.mapping_, nullptr)),
      mapping_size_(std::exchange(other.mapping_size_, 0)) {}

HugeMemory& HugeMemory::operator=(HugeMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapping_, other.mapping_);
  std::swap(mapping_size_, other.mapping_size_);
  return *this;
}

std::size_t available_memory() {
  const std::string v1 = "/sys/fs/cgroup/memory/memory.";
  const std::string v2 = "/sys/fs/cgroup/memory.";
  return std::min({system_available(), group_available(v2 + "max", v2 + "current"),
                   group_available(v1 + "limit_in_bytes", v1 + "usage_in_bytes")});
}

}  // namespace rbee::cpu
