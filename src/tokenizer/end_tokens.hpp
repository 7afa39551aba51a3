// Which tokens end a generation.
#pragma once
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.hpp"

namespace rbee {

// The ids that the files state, and those of the known texts that end a turn or a text, in the
// vocabularies that have them as added tokens: ascending, each once, none negative. A text that
// only separates messages is none of them, whatever the files state. find gives the added token of
// a text, or nullptr.
std::vector<TokenId> end_ids(std::vector<TokenId> stated,
                             const std::function<const struct AddedToken*(std::string_view)>& find);

}  // namespace rbee
