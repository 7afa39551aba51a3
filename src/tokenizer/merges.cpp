#include "tokenizer/merges.hpp"

#include <algorithm>
#include <bit>
#include <tuple>

namespace rbee {

Merges::Merges(const std::vector<Merge>& merges) {
  if (merges.empty()) return;
  slots_.resize(std::bit_ceil(merges.size() * 2));
  shift_ = 64 - static_cast<unsigned>(std::countr_zero(slots_.size()));
  for (const Merge& merge : merges) {
    for (std::size_t at = slot_of(merge.left, merge.right);; at = (at + 1) & (slots_.size() - 1)) {
      Slot& slot = slots_[at];
      const bool same = slot.left == merge.left && slot.right == merge.right;
      if (!same && slot.left >= 0) continue;
      if (!same) ++size_;
      slot = {merge.left, merge.right, {merge.rank, merge.result}};
      break;
    }
  }
}

std::vector<Merges::Merge> Merges::all() const {
  std::vector<Merge> merges;
  merges.reserve(size_);
  for (const Slot& slot : slots_) {
    if (slot.left < 0) continue;
    merges.push_back({slot.left, slot.right, slot.target.result, slot.target.rank});
  }
  std::ranges::sort(merges, {}, [](const Merge& merge) {
    return std::tuple(merge.rank, merge.left, merge.right);
  });
  return merges;
}

}  // namespace rbee
