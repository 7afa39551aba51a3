// HugeMemory: zeroed memory for weights, state and activations, in huge pages where the system has
// them. Pages are taken from the system when they are first written.
#pragma once
#include <cstddef>
#include <span>

namespace rbee::cpu {

class HugeMemory {
 public:
  HugeMemory() = default;
  // Aligned to 2 MiB; kGuard readable bytes follow. Throws BackendError saying what the memory was
  // for.
  HugeMemory(std::size_t bytes, const char* purpose);
  // As much as the system reserves, at most wanted: halved until it fits.
  static HugeMemory reserve(std::size_t wanted, const char* purpose);
  ~HugeMemory();
  HugeMemory(HugeMemory&& other) noexcept;
  HugeMemory& operator=(HugeMemory&& other) noexcept;
  HugeMemory(const HugeMemory&) = delete;
  HugeMemory& operator=(const HugeMemory&) = delete;

  std::span<std::byte> bytes() const noexcept { return {data_, size_}; }

  // Kernels may read, not use, this far beyond the end.
  static constexpr std::size_t kGuard = 4096;

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  void* mapping_ = nullptr;
  std::size_t mapping_size_ = 0;
};

// Bytes this process can still take: what the system has available, or less if its control group is
// limited.
std::size_t available_memory();

}  // namespace rbee::cpu
