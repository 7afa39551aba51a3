// TokenTrie: which tokens a text begins with. Made once from the whole vocabulary; twelve bytes for
// each byte of it at most.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizer/text_table.hpp"

namespace rbee {

class TokenTrie {
 public:
  TokenTrie() = default;
  // Of tokens with the same bytes the later one counts; empty ones are left out.
  explicit TokenTrie(std::vector<TextTable::Entry> entries);

  // Calls on_token(id, size) for each token that text begins with, shortest first.
  template <class F>
  void for_each_prefix(std::string_view text, F&& on_token) const {
    std::uint32_t node = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      node = child(node, static_cast<unsigned char>(text[i]));
      if (node == 0) return;
      if (nodes_[node].token >= 0) on_token(nodes_[node].token, i + 1);
    }
  }

  struct Match {
    std::int32_t id = -1;  // -1: none
    std::size_t size = 0;
  };
  // The longest token that text begins with.
  Match longest_prefix(std::string_view text) const {
    Match longest;
    for_each_prefix(text, [&](std::int32_t id, std::size_t size) { longest = {id, size}; });
    return longest;
  }

 private:
  struct Node {
    std::int32_t token = -1;
    std::uint32_t first_child = 0;  // children lie side by side, by their bytes
    std::uint16_t children = 0;
    std::uint8_t byte = 0;
  };
  std::uint32_t child(std::uint32_t node, unsigned char byte) const noexcept;

  std::vector<Node> nodes_;                 // the root first
  std::array<std::uint32_t, 256> first_{};  // the root's children; 0: none
};

}  // namespace rbee
