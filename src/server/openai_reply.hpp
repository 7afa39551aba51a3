// Answers of the OpenAI surface, whole or as a stream of chunks.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/text_stream.hpp"
#include "server/http.hpp"
#include "tokenizer/tokenizer.hpp"

namespace rbee {

struct Choice {
  std::unique_ptr<TextStream> stream;
  std::string echo;  // goes before the answer
};

// All that an answer needs to know of its request.
struct Answer {
  bool chat = true;
  std::string id;  // "chatcmpl-<uuid>" or "cmpl-<uuid>"
  std::string model;
  std::int64_t created = 0;
  bool logprobs = false;
  bool include_usage = false;
  int prompt_tokens = 0;  // of each prompt once
  std::shared_ptr<const Tokenizer> tokenizer;
  std::vector<Choice> choices;
  std::chrono::milliseconds keep_alive{0};
};

std::unique_ptr<Exchange> whole_answer(Answer answer);
std::unique_ptr<Exchange> streamed_answer(Answer answer);

}  // namespace rbee
