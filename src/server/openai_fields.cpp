#include "server/openai_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

namespace rbee {
namespace {

constexpr std::size_t kMaxStops = 16;
constexpr std::size_t kMaxStopBytes = 1024;
constexpr std::size_t kMaxBiases = 1024;

std::vector<std::string> read_stop(const Json* stop) {
  std::vector<std::string> result;
  if (stop == nullptr) return result;
  const auto add = [&](const Json& one) {
    if (!one.is_string()) refuse("stop", "stop must be a string or a list of strings");
    const auto& text = one.get_ref<const Json::string_t&>();
    if (text.empty()) refuse("stop", "a stop sequence must not be empty");
    if (text.size() > kMaxStopBytes) {
      refuse("stop", fmt::format("a stop sequence may have at most {} bytes", kMaxStopBytes));
    }
    result.push_back(text);
  };
  if (!stop->is_array()) {
    add(*stop);
    return result;
  }
  if (stop->size() > kMaxStops) {
    refuse("stop", fmt::format("stop may have at most {} sequences", kMaxStops));
  }
  for (const Json& one : *stop) add(one);
  return result;
}

std::vector<std::pair<std::int32_t, float>> read_logit_bias(const Json* biases, int vocab_size) {
  std::vector<std::pair<std::int32_t, float>> result;
  if (biases == nullptr) return result;
  if (!biases->is_object()) refuse("logit_bias", "logit_bias must be an object");
  if (biases->size() > kMaxBiases) {
    refuse("logit_bias", fmt::format("logit_bias may have at most {} entries", kMaxBiases));
  }
  for (const auto& [key, value] : biases->items()) {
    std::int32_t id = -1;
    const auto end = std::from_chars(key.data(), key.data() + key.size(), id);
    if (end.ec != std::errc{} || end.ptr != key.data() + key.size() || id < 0 || id >= vocab_size) {
      refuse("logit_bias",
             fmt::format("keys of logit_bias are token ids from 0 to {}", vocab_size - 1));
    }
    result.emplace_back(id, static_cast<float>(checked_number(value, "logit_bias", -100, 100)));
  }
  return result;
}

SamplingParams read_sampling(const OpenAiFields& fields, int vocab_size) {
  SamplingParams sampling;
  sampling.temperature = fields.number("temperature", 0, 2).value_or(1.0F);
  sampling.top_p = fields.number("top_p", 0, 1).value_or(1.0F);
  sampling.min_p = fields.number("min_p", 0, 1).value_or(0.0F);
  // -1 is how vLLM and Hugging Face spell "off".
  sampling.top_k =
      static_cast<int>(std::max<std::int64_t>(0, fields.integer("top_k", -1, kMaxInt).value_or(0)));
  sampling.repetition_penalty = fields.number("repetition_penalty", 0.01, 10).value_or(1.0F);
  sampling.frequency_penalty = fields.number("frequency_penalty", -2, 2).value_or(0.0F);
  sampling.presence_penalty = fields.number("presence_penalty", -2, 2).value_or(0.0F);
  sampling.logit_bias = read_logit_bias(fields.find("logit_bias"), vocab_size);
  if (const Json* seed = fields.find("seed")) {
    if (seed->is_number_unsigned()) {
      sampling.seed = seed->get<std::uint64_t>();
    } else if (seed->is_number_integer()) {  // negative seeds are only other names of large ones
      sampling.seed = static_cast<std::uint64_t>(seed->get<std::int64_t>());
    } else {
      refuse("seed", "seed must be an integer of 64 bits");
    }
  }
  return sampling;
}

bool is_text(const Json& value, std::string_view text) {
  return value.is_string() && value.get_ref<const Json::string_t&>() == text;
}

bool is_off(const Json& value) {
  return (value.is_array() && value.empty()) || (value.is_boolean() && !value.get<bool>()) ||
         is_text(value, "none");
}

// Silence about these would be a wrong answer.
void refuse_what_is_not_built(const OpenAiFields& fields) {
  if (const Json* format = fields.find("response_format")) {
    if (!format->is_object() || !format->contains("type")) {
      refuse("response_format", "response_format must be an object with a type");
    }
    if ((*format)["type"] != "text") {
      refuse_unsupported("response_format", "a response_format other than text");
    }
  }
  const Json* choice = fields.find("tool_choice");
  const bool tools_off = choice != nullptr && is_off(*choice);
  for (const char* field : {"tools", "functions"}) {
    const Json* tools = fields.find(field);
    if (tools != nullptr && !is_off(*tools) && !tools_off) {
      refuse_unsupported(field, "tool calling (set tool_choice to none to go on without)");
    }
  }
  static constexpr std::array kConstrained{"structured_outputs", "guided_json",    "guided_regex",
                                           "guided_choice",      "guided_grammar", "grammar",
                                           "json_schema",        "audio"};
  for (const char* field : kConstrained) {
    const Json* value = fields.find(field);
    if (value != nullptr && !is_off(*value) && !is_text(*value, "")) {
      refuse_unsupported(field, field);
    }
  }
  if (fields.integer("min_tokens", 0, kMaxInt).value_or(0) > 0) {
    refuse_unsupported("min_tokens", "min_tokens");
  }
}

}  // namespace

void refuse(std::string_view param, std::string message) {
  throw OpenAiRefusal({400, std::move(message), std::string(param), {}});
}

void refuse_unsupported(std::string_view param, std::string_view what) {
  throw OpenAiRefusal({400, fmt::format("this build does not support {}", what), std::string(param),
                       "unsupported_parameter"});
}

const Json* OpenAiFields::find(const char* field) const {
  const auto found = body_.find(field);
  return found == body_.end() || found->is_null() ? nullptr : &*found;
}

bool OpenAiFields::boolean(const char* field, bool absent) const {
  const Json* value = find(field);
  if (value == nullptr) return absent;
  if (!value->is_boolean()) refuse(field, fmt::format("{} must be true or false", field));
  return value->get<bool>();
}

std::string OpenAiFields::string(const char* field) const {
  const Json* value = find(field);
  if (value == nullptr) return {};
  if (!value->is_string()) refuse(field, fmt::format("{} must be a string", field));
  return value->get<std::string>();
}

std::optional<std::int64_t> OpenAiFields::integer(const char* field, std::int64_t low,
                                                  std::int64_t high) const {
  const Json* value = find(field);
  if (value == nullptr) return std::nullopt;
  return checked_integer(*value, field, low, high);
}

std::optional<float> OpenAiFields::number(const char* field, double low, double high) const {
  const Json* value = find(field);
  if (value == nullptr) return std::nullopt;
  return static_cast<float>(checked_number(*value, field, low, high));
}

std::int64_t checked_integer(const Json& value, std::string_view param, std::int64_t low,
                             std::int64_t high) {
  if (!value.is_number_integer()) refuse(param, fmt::format("{} must be an integer", param));
  const bool huge = value.is_number_unsigned() &&
                    value.get<std::uint64_t>() >
                        static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const std::int64_t number =
      huge ? std::numeric_limits<std::int64_t>::max() : value.get<std::int64_t>();
  if (number < low || number > high) {
    refuse(param, fmt::format("{} must be from {} to {}, not {}", param, low, high, value.dump()));
  }
  return number;
}

double checked_number(const Json& value, std::string_view param, double low, double high) {
  if (!value.is_number()) refuse(param, fmt::format("{} must be a number", param));
  const double number = value.get<double>();
  if (!(number >= low && number <= high)) {
    refuse(param, fmt::format("{} must be from {} to {}, not {}", param, low, high, value.dump()));
  }
  return number;
}

std::vector<std::int32_t> token_list(const Json& list, std::string_view param, int vocab_size) {
  std::vector<std::int32_t> tokens;
  tokens.reserve(list.size());
  for (const Json& one : list) {
    tokens.push_back(static_cast<std::int32_t>(checked_integer(one, param, 0, vocab_size - 1)));
  }
  return tokens;
}

OpenAiRequest read_common(const Json& body, const OpenAiBounds& bounds) {
  const OpenAiFields fields(body);
  OpenAiRequest request;
  request.model = fields.string("model");
  refuse_what_is_not_built(fields);
  GenerationParams& generation = request.generation;
  generation.sampling = read_sampling(fields, bounds.vocab_size);
  generation.stop = read_stop(fields.find("stop"));
  generation.ignore_eos = fields.boolean("ignore_eos", false);
  if (const Json* ids = fields.find("stop_token_ids")) {
    if (!ids->is_array() || ids->size() > kMaxStops) {
      refuse("stop_token_ids",
             fmt::format("stop_token_ids must be a list of at most {} ids", kMaxStops));
    }
    generation.stop_token_ids = token_list(*ids, "stop_token_ids", bounds.vocab_size);
  }
  request.n = static_cast<int>(fields.integer("n", 1, bounds.max_choices).value_or(1));
  const std::int64_t best_of = fields.integer("best_of", 1, kMaxInt).value_or(request.n);
  if (best_of != request.n) refuse_unsupported("best_of", "a best_of that differs from n");
  request.stream = fields.boolean("stream", false);
  if (const Json* options = fields.find("stream_options")) {
    if (!request.stream) refuse("stream_options", "stream_options is only allowed with stream");
    if (!options->is_object()) refuse("stream_options", "stream_options must be an object");
    request.include_usage = OpenAiFields(*options).boolean("include_usage", false);
  }
  return request;
}

}  // namespace rbee
