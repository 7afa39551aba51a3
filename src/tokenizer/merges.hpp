// Merges: which pairs of adjacent tokens a BPE vocabulary joins, into what, and in what order.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace rbee {

class Merges {
 public:
  static constexpr std::uint32_t kNoRank = 0xFFFFFFFF;

  struct Merge {
    std::int32_t left;
    std::int32_t right;
    std::int32_t result;
    std::uint32_t rank;  // lower ranks are applied first; below kNoRank
  };
  // What a pair becomes; rank is kNoRank for a pair that is not joined.
  struct Target {
    std::uint32_t rank = kNoRank;
    std::int32_t result = -1;
  };

  Merges() = default;
  // Where a pair occurs twice the later one counts. Precondition: ids are at least 0.
  explicit Merges(const std::vector<Merge>& merges);

  std::size_t size() const noexcept { return size_; }
  std::vector<Merge> all() const;  // by rank

  Target find(std::int32_t left, std::int32_t right) const noexcept {
    if (slots_.empty()) return {};
    for (std::size_t at = slot_of(left, right);; at = (at + 1) & (slots_.size() - 1)) {
      const Slot& slot = slots_[at];
      if (slot.left == left && slot.right == right) return slot.target;
      if (slot.left < 0) return {};
    }
  }

 private:
  struct Slot {
    std::int32_t left = -1;
    std::int32_t right = -1;
    Target target;
  };

  std::size_t slot_of(std::int32_t left, std::int32_t right) const noexcept {
    const std::uint64_t key = static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
                              static_cast<std::uint32_t>(right);
    const std::uint64_t mixed = (key ^ key >> 29) * 0x9E3779B97F4A7C15u;
    return static_cast<std::size_t>((mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93u >> shift_);
  }

  std::vector<Slot> slots_;  // open addressing, a power of two of them, at most half full
  unsigned shift_ = 0;
  std::size_t size_ = 0;
};

}  // namespace rbee
