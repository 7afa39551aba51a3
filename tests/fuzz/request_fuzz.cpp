// links: rbee_server rbee_engine rbee_families
// Reads the input as the body of each kind of request, and checks that what is accepted is within
// the bounds that the engine relies on.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "server/openai_request.hpp"
#include "server/rbee_request.hpp"

namespace {

constexpr int kContext = 4096;
constexpr rbee::OpenAiBounds kBounds{.vocab_size = 1000, .max_choices = 4};

void require(bool condition) {
  if (!condition) std::abort();
}

void check_sampling(const rbee::SamplingParams& sampling) {
  require(std::isfinite(sampling.temperature) && sampling.temperature >= 0);
  require(sampling.top_p >= 0 && sampling.top_p <= 1);
  require(sampling.min_p >= 0 && sampling.min_p <= 1);
  require(sampling.top_k >= 0 && sampling.repeat_last_n >= 0);
  require(std::isfinite(sampling.repetition_penalty) && sampling.repetition_penalty >= 0);
  for (const auto& [id, bias] : sampling.logit_bias) {
    require(id >= 0 && id < kBounds.vocab_size && std::abs(bias) <= 100);
  }
}

void check_common(const rbee::OpenAiRequest& request) {
  check_sampling(request.generation.sampling);
  require(request.n >= 1 && request.n <= kBounds.max_choices);
  require(request.generation.max_tokens == -1 || request.generation.max_tokens >= 1);
  require(request.generation.top_logprobs >= -1 && request.generation.top_logprobs <= 20);
  for (const std::int32_t id : request.generation.stop_token_ids) {
    require(id >= 0 && id < kBounds.vocab_size);
  }
}

void read_job(std::string_view body) {
  const auto request = rbee::parse_rbee_request(body, kContext);
  if (!request) {
    require(!request.error().fields.empty() && !request.error().text.empty());
    require(rbee::field_error_response(request.error().fields).status == 400);
    return;
  }
  require(request->max_tokens >= 0 && request->max_tokens <= kContext);
  require(request->stop.size() <= 4);
  check_sampling(request->sampling);
}

void read_chat(std::string_view body) {
  rbee::Json variables;
  const auto request = rbee::parse_chat_request(body, kBounds, variables);
  if (!request) return require(!request.error().message.empty());
  check_common(*request);
  require(variables["messages"].is_array() && !variables["messages"].empty());
}

void read_completion(std::string_view body) {
  const auto request = rbee::parse_completion_request(body, kBounds);
  if (!request) return require(!request.error().message.empty());
  check_common(request->common);
  require(!request->prompts.empty() && request->prompts.size() <= 4);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  read_job(body);
  read_chat(body);
  read_completion(body);
  return 0;
}
