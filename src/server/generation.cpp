#include "server/generation.hpp"

#include <utility>

namespace rbee {

Result<std::unique_ptr<TextStream>, SubmitError> start_generation(const ServedModel& served,
                                                                  std::vector<std::int32_t> prompt,
                                                                  const GenerationParams& params) {
  const auto& tokenizer = served.model.tokenizer;
  GenerationRequest request;
  request.prompt = std::move(prompt);
  request.sampling = params.sampling;
  request.max_tokens = params.max_tokens;
  request.top_logprobs = params.top_logprobs;
  if (!params.ignore_eos) {
    request.end_ids.assign(tokenizer->end_ids().begin(), tokenizer->end_ids().end());
  }
  request.end_ids.insert(request.end_ids.end(), params.stop_token_ids.begin(),
                         params.stop_token_ids.end());
  auto stream = served.engine.submit(std::move(request));
  if (!stream) return Err{stream.error()};
  return std::make_unique<TextStream>(std::move(stream).value(), tokenizer, params.stop);
}

std::string describe(SubmitError error, std::size_t prompt_tokens, const Engine& engine) {
  switch (error) {
    case SubmitError::queue_full:
      return "the queue is full: try again later";
    case SubmitError::prompt_empty:
      return "the prompt has no tokens";
    case SubmitError::prompt_too_long:
      return "the prompt has " + std::to_string(prompt_tokens) +
             " tokens, which leaves no room for an answer in the context of " +
             std::to_string(engine.max_context()) + " tokens";
    case SubmitError::token_out_of_range:
      return "the prompt holds a token id that is not in the vocabulary";
    case SubmitError::shutting_down:
      return "the worker is shutting down";
  }
  return "the request cannot be served";
}

}  // namespace rbee
