// Bodies of the OpenAI surface, to typed requests. Nothing here touches the model.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "server/generation.hpp"

namespace rbee {

struct OpenAiError {
  int status = 400;
  std::string message;
  std::string param;  // the field it is about
  std::string code;
};

// What the model and the server allow.
struct OpenAiBounds {
  int vocab_size = 0;
  int max_choices = 1;
};

// The members that chat completions and completions share.
struct OpenAiRequest {
  std::string model;  // empty: whichever is served
  GenerationParams generation;
  int n = 1;
  bool stream = false;
  bool include_usage = false;
  bool logprobs = false;
};

struct CompletionRequest {
  OpenAiRequest common;
  using Prompt = std::variant<std::string, std::vector<std::int32_t>>;
  std::vector<Prompt> prompts;  // at least one
  bool echo = false;
};

// The error is the first thing that is wrong. variables becomes those of the chat template:
// messages, add_generation_prompt, chat_template_kwargs and so on.
Result<OpenAiRequest, OpenAiError> parse_chat_request(std::string_view body,
                                                      const OpenAiBounds& bounds, Json& variables);
Result<CompletionRequest, OpenAiError> parse_completion_request(std::string_view body,
                                                                const OpenAiBounds& bounds);

}  // namespace rbee
