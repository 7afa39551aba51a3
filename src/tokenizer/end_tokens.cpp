#include "tokenizer/end_tokens.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "tokenizer/added_tokens.hpp"

namespace rbee {
namespace {

constexpr std::array<std::string_view, 16> kEndTexts = {"<|eot_id|>",
                                                        "<|eom_id|>",
                                                        "<|im_end|>",
                                                        "<|return|>",
                                                        "<|call|>",
                                                        "<end_of_turn>",
                                                        "<eos>",
                                                        "<|endoftext|>",
                                                        "<|end_of_text|>",
                                                        "<EOT>",
                                                        "_<EOT>",
                                                        "[EOT]",
                                                        "[EOS]",
                                                        "<｜end▁of▁sentence｜>",
                                                        "[e~[",
                                                        "<end_of_utterance>"};

}  // namespace

std::vector<TokenId> end_ids(std::vector<TokenId> stated,
                             const std::function<const AddedToken*(std::string_view)>& find) {
  std::vector<TokenId> ids = std::move(stated);
  for (const std::string_view text : kEndTexts) {
    if (const AddedToken* token = find(text)) ids.push_back(token->id);
  }
  // In vocabularies with HTML tags </s> ends struck-out text, as an ordinary token.
  const AddedToken* sentence_end = find("</s>");
  if (sentence_end != nullptr && sentence_end->special) ids.push_back(sentence_end->id);
  // In the harmony format <|end|> separates messages; <|return|> and <|call|> end the turn.
  const bool harmony = find("<|return|>") != nullptr && find("<|call|>") != nullptr;
  if (const AddedToken* end = find("<|end|>")) {
    if (harmony) {
      std::erase(ids, end->id);
    } else {
      ids.push_back(end->id);
    }
  }
  std::erase_if(ids, [](TokenId id) { return id < 0; });
  std::ranges::sort(ids);
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

}  // namespace rbee
