// TokenCounts: how often each token occurs in what the penalties look at.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace rbee {

// A hash table with linear probing; entries are never removed (their counts may return to zero),
// so its size is bounded by the distinct tokens of one sequence.
class TokenCounts {
 public:
  struct Entry {
    std::int32_t id = -1;  // -1: an empty place
    int window = 0;        // occurrences among the last repeat_last_n tokens
    int answer = 0;        // occurrences in the answer
  };

  // The entry of this id (>= 0), made if there is none. Valid until the next call.
  Entry& at(std::int32_t id) {
    if (2 * (used_ + 1) > table_.size()) grow();
    Entry& entry = find(id);
    if (entry.id < 0) {
      entry.id = id;
      ++used_;
    }
    return entry;
  }

  // All places, the empty ones too.
  std::span<const Entry> places() const noexcept { return table_; }

 private:
  Entry& find(std::int32_t id) {
    const std::size_t mask = table_.size() - 1;  // the size is a power of two
    std::size_t i = (static_cast<std::uint32_t>(id) * 0x9e3779b1u >> 8) & mask;
    while (table_[i].id >= 0 && table_[i].id != id) i = (i + 1) & mask;
    return table_[i];
  }

  void grow() {
    std::vector<Entry> old(table_.empty() ? 64 : 2 * table_.size());
    old.swap(table_);
    for (const Entry& entry : old) {
      if (entry.id >= 0) find(entry.id) = entry;
    }
  }

  std::vector<Entry> table_;
  std::size_t used_ = 0;
};

}  // namespace rbee
