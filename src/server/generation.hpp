// From a checked request to the engine, for both APIs.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "engine/text_stream.hpp"
#include "server/server.hpp"

namespace rbee {

// What a request says about its generation, whatever its API.
struct GenerationParams {
  SamplingParams sampling;
  int max_tokens = -1;  // -1: up to the end of the context
  std::vector<std::string> stop;
  std::vector<std::int32_t> stop_token_ids;  // besides the model's own end
  bool ignore_eos = false;
  int top_logprobs = -1;  // as GenerationRequest
};

Result<std::unique_ptr<TextStream>, SubmitError> start_generation(const ServedModel& served,
                                                                  std::vector<std::int32_t> prompt,
                                                                  const GenerationParams& params);

// A sentence for the client.
std::string describe(SubmitError error, std::size_t prompt_tokens, const Engine& engine);

}  // namespace rbee
