#include "tokenizer/token_trie.hpp"

#include <algorithm>

namespace rbee {

TokenTrie::TokenTrie(std::vector<TextTable::Entry> entries) {
  std::ranges::stable_sort(entries, {}, &TextTable::Entry::text);
  // The entries below each node, by node; depth is how many bytes lead to it.
  struct Range {
    std::size_t begin;
    std::size_t end;
    std::size_t depth;
  };
  std::vector<Range> ranges{{0, entries.size(), 0}};
  nodes_.emplace_back();
  for (std::size_t at = 0; at < nodes_.size(); ++at) {
    auto [begin, end, depth] = ranges[at];
    for (; begin < end && entries[begin].text.size() == depth; ++begin) {
      if (depth > 0) nodes_[at].token = entries[begin].id;
    }
    nodes_[at].first_child = static_cast<std::uint32_t>(nodes_.size());
    while (begin < end) {
      const char byte = entries[begin].text[depth];
      std::size_t next = begin + 1;
      while (next < end && entries[next].text[depth] == byte) ++next;
      nodes_.push_back({.byte = static_cast<std::uint8_t>(byte)});
      ranges.push_back({begin, next, depth + 1});
      ++nodes_[at].children;
      begin = next;
    }
  }
  for (std::uint32_t i = 0; i < nodes_[0].children; ++i) {
    first_[nodes_[1 + i].byte] = 1 + i;
  }
}

std::uint32_t TokenTrie::child(std::uint32_t node, unsigned char byte) const noexcept {
  if (node == 0) return first_[byte];
  const Node& parent = nodes_[node];
  const auto begin = nodes_.begin() + parent.first_child;
  const auto found = std::lower_bound(begin, begin + parent.children, byte,
                                      [](const Node& a, unsigned char b) { return a.byte < b; });
  if (found == begin + parent.children || found->byte != byte) return 0;
  return static_cast<std::uint32_t>(found - nodes_.begin());
}

}  // namespace rbee
