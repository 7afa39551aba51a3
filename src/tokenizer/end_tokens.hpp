// Which tokens end a generation.
#pragma once
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.hpp"

namespace rbee {

// The known texts that end a turn or a text, in the vocabularies that have them as added tokens.
// find gives the added token of a text, or nullptr.
std::vector<TokenId> known_end_ids(
    const std::function<const struct AddedToken*(std::string_view)>& find);

// Sorted, each once, none negative.
std::vector<TokenId> sorted_ids(std::vector<TokenId> ids);

}  // namespace rbee
