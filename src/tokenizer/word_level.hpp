// WordLevel: each piece is a token or unknown.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/text_table.hpp"

namespace rbee {

class WordLevel {
 public:
  // unknown: what a piece that is no token becomes; else it vanishes.
  WordLevel(TextTable vocabulary, std::optional<std::int32_t> unknown)
      : vocabulary_(std::move(vocabulary)), unknown_(unknown) {}

  void encode(std::string_view piece, std::vector<std::int32_t>& out) const {
    const auto id = vocabulary_.find(piece);
    if (id || unknown_) out.push_back(id ? *id : *unknown_);
  }

 private:
  TextTable vocabulary_;
  std::optional<std::int32_t> unknown_;
};

}  // namespace rbee
