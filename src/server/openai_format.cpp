#include "server/openai_format.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace rbee {
namespace {

// JSON has no infinities; this is what others write for a token that cannot come.
constexpr double kLeastLogprob = -9999.0;

double finite(float logprob) { return std::isfinite(logprob) ? logprob : kLeastLogprob; }

Json token_entry(TokenId id, float logprob, const Tokenizer& tokenizer) {
  const std::string text = tokenizer.token_bytes(id, false);
  Json bytes = Json::array();
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  return {{"token", text}, {"logprob", finite(logprob)}, {"bytes", std::move(bytes)}};
}

std::size_t count_chars(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

}  // namespace

Json chat_logprobs(const std::vector<TokenEvent>& tokens, const Tokenizer& tokenizer) {
  Json content = Json::array();
  for (const TokenEvent& event : tokens) {
    Json entry = token_entry(event.id, event.logprob, tokenizer);
    Json top = Json::array();
    for (const auto& [id, logprob] : event.top) top.push_back(token_entry(id, logprob, tokenizer));
    entry["top_logprobs"] = std::move(top);
    content.push_back(std::move(entry));
  }
  Json result = Json::object();
  result["content"] = std::move(content);
  return result;
}

Json legacy_logprobs(const std::vector<TokenEvent>& tokens, const Tokenizer& tokenizer,
                     std::size_t& text_offset) {
  Json texts = Json::array();
  Json logprobs = Json::array();
  Json tops = Json::array();
  Json offsets = Json::array();
  for (const TokenEvent& event : tokens) {
    const std::string text = tokenizer.token_bytes(event.id, false);
    texts.push_back(text);
    logprobs.push_back(finite(event.logprob));
    Json top = Json::object();
    for (const auto& [id, logprob] : event.top) {
      top[tokenizer.token_bytes(id, false)] = finite(logprob);
    }
    tops.push_back(std::move(top));
    offsets.push_back(text_offset);
    text_offset += count_chars(text);
  }
  return {{"tokens", std::move(texts)},
          {"token_logprobs", std::move(logprobs)},
          {"top_logprobs", std::move(tops)},
          {"text_offset", std::move(offsets)}};
}

Json usage(int prompt_tokens, int completion_tokens) {
  Json details = Json::object();
  details["cached_tokens"] = 0;
  return {{"prompt_tokens", prompt_tokens},
          {"completion_tokens", completion_tokens},
          {"total_tokens", prompt_tokens + completion_tokens},
          {"prompt_tokens_details", std::move(details)}};
}

std::string_view finish_reason(FinishReason reason) {
  return reason == FinishReason::length ? "length" : "stop";
}

}  // namespace rbee
