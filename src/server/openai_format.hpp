// The JSON of OpenAI answers.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "engine/request.hpp"
#include "tokenizer/tokenizer.hpp"

namespace rbee {

// {"content":[{"token","logprob","bytes","top_logprobs"}]}
Json chat_logprobs(const std::vector<TokenEvent>& tokens, const Tokenizer& tokenizer);

// {"tokens","token_logprobs","top_logprobs","text_offset"}. text_offset is where the first token
// begins in the answer, in characters; it is moved past the tokens.
Json legacy_logprobs(const std::vector<TokenEvent>& tokens, const Tokenizer& tokenizer,
                     std::size_t& text_offset);

Json usage(int prompt_tokens, int completion_tokens);

std::string_view finish_reason(FinishReason reason);  // "stop" or "length"

}  // namespace rbee
