// Which batches are so small that every worker repeats the work on rows for itself.
#pragma once

namespace rbee::cpu {

// Normalising or converting a row takes less than a microsecond: repeating it on every worker costs
// less than a barrier and the transfer of what another worker wrote.
inline constexpr int kSmallBatch = 8;  // a tile of converted activations

inline bool is_small(int tokens) noexcept { return tokens <= kSmallBatch; }

}  // namespace rbee::cpu
