#include "server/openai_request.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "server/http.hpp"
#include "server/openai_fields.hpp"

namespace rbee {
namespace {

constexpr int kMaxTopLogprobs = 20;
constexpr int kDefaultCompletionTokens = 16;

Json parse_object(std::string_view body) {
  Json json;
  try {
    json = parse_json(body);
  } catch (const JsonError& e) {
    refuse({}, "the body is not JSON: " + json_reason(e));
  }
  if (!json.is_object()) refuse({}, "the body must be a JSON object");
  return json;
}

// Text of a message: a string, or a list of text parts.
Json read_content(const Json& message, const std::string& where) {
  const auto found = message.find("content");
  if (found == message.end() || found->is_null()) return nullptr;
  if (found->is_string()) return *found;
  if (!found->is_array()) {
    refuse("messages", where + ".content must be a string or a list of text parts");
  }
  std::string text;
  for (const Json& part : *found) {
    if (!part.is_object() || !part.contains("type") || !part["type"].is_string()) {
      refuse("messages", where + ".content holds a part without a type");
    }
    const auto& type = part["type"].get_ref<const Json::string_t&>();
    if (type != "text" && type != "input_text" && type != "output_text") {
      refuse_unsupported("messages", "content parts other than text (" + type.substr(0, 32) + ")");
    }
    if (!part.contains("text") || !part["text"].is_string()) {
      refuse("messages", where + ".content holds a text part without text");
    }
    if (!text.empty()) text += '\n';
    text += part["text"].get_ref<const Json::string_t&>();
  }
  return text;
}

// Templates print the arguments of a call as JSON; clients send them as JSON in a string.
Json read_tool_calls(const Json& calls, const std::string& where) {
  if (!calls.is_array()) refuse("messages", where + ".tool_calls must be a list");
  Json result = Json::array();
  for (const Json& call : calls) {
    if (!call.is_object() || !call.contains("function") || !call["function"].is_object()) {
      refuse("messages", where + ".tool_calls holds a call without a function");
    }
    Json copy = call;
    Json& function = copy["function"];
    const auto arguments = function.find("arguments");
    if (arguments != function.end() && arguments->is_string()) {
      try {
        *arguments = parse_json(arguments->get_ref<const Json::string_t&>());
      } catch (const JsonError&) {
        refuse("messages", where + ".tool_calls holds arguments that are not JSON");
      }
    }
    result.push_back(std::move(copy));
  }
  return result;
}

Json read_message(const Json& message, std::size_t index) {
  const std::string where = fmt::format("messages[{}]", index);
  if (!message.is_object()) refuse("messages", where + " must be an object");
  std::string role = OpenAiFields(message).string("role");
  if (role == "developer") role = "system";
  static constexpr std::array<std::string_view, 4> kRoles{"system", "user", "assistant", "tool"};
  if (std::find(kRoles.begin(), kRoles.end(), role) == kRoles.end()) {
    refuse("messages", where + ".role must be system, developer, user, assistant or tool");
  }
  Json result = {{"role", role}};
  Json content = read_content(message, where);
  const auto calls = message.find("tool_calls");
  const bool has_calls =
      calls != message.end() && !calls->is_null() && !(calls->is_array() && calls->empty());
  if (content.is_null() && !(role == "assistant" && has_calls)) {
    refuse("messages", where + ".content is required");
  }
  result["content"] = std::move(content);
  if (has_calls) {
    if (role != "assistant") refuse("messages", where + ".tool_calls is for assistants only");
    result["tool_calls"] = read_tool_calls(*calls, where);
  }
  for (const char* field : {"name", "tool_call_id", "reasoning_content"}) {
    std::string text = OpenAiFields(message).string(field);
    if (!text.empty()) result[field] = std::move(text);
  }
  return result;
}

// Members of the body that become variables of the template.
Json read_variables(const Json& body) {
  const OpenAiFields fields(body);
  Json variables = Json::object();
  if (const Json* extra = fields.find("chat_template_kwargs")) {
    if (!extra->is_object()) {
      refuse("chat_template_kwargs", "chat_template_kwargs must be an object");
    }
    variables = *extra;
  }
  const std::string effort = fields.string("reasoning_effort");
  if (!effort.empty()) variables["reasoning_effort"] = effort;
  const Json* messages = fields.find("messages");
  if (messages == nullptr || !messages->is_array() || messages->empty()) {
    refuse("messages", "messages must be a list of at least one message");
  }
  Json list = Json::array();
  for (std::size_t i = 0; i < messages->size(); ++i) {
    list.push_back(read_message((*messages)[i], i));
  }
  variables["messages"] = std::move(list);
  variables["add_generation_prompt"] = fields.boolean("add_generation_prompt", true);
  variables["tools"] = nullptr;
  variables["documents"] = nullptr;
  return variables;
}

void read_chat_logprobs(const OpenAiFields& fields, OpenAiRequest& request) {
  request.logprobs = fields.boolean("logprobs", false);
  const auto top = fields.integer("top_logprobs", 0, kMaxTopLogprobs);
  if (top && *top > 0 && !request.logprobs) {
    refuse("top_logprobs", "top_logprobs needs logprobs to be true");
  }
  if (request.logprobs) request.generation.top_logprobs = static_cast<int>(top.value_or(0));
}

OpenAiRequest read_chat(std::string_view text, const OpenAiBounds& bounds, Json& variables) {
  const Json body = parse_object(text);
  const OpenAiFields fields(body);
  OpenAiRequest request = read_common(body, bounds);
  variables = read_variables(body);
  read_chat_logprobs(fields, request);
  const auto old_name = fields.integer("max_tokens", 1, kMaxInt);
  const auto new_name = fields.integer("max_completion_tokens", 1, kMaxInt);
  request.generation.max_tokens = static_cast<int>(new_name ? *new_name : old_name.value_or(-1));
  if (const Json* kinds = fields.find("modalities");
      kinds != nullptr && *kinds != Json::array({"text"})) {
    refuse_unsupported("modalities", "modalities other than text");
  }
  return request;
}

std::vector<CompletionRequest::Prompt> read_prompts(const Json* prompt,
                                                    const OpenAiBounds& bounds) {
  std::vector<CompletionRequest::Prompt> result;
  if (prompt == nullptr) refuse("prompt", "prompt is required");
  if (prompt->is_string()) {
    result.emplace_back(prompt->get<std::string>());
    return result;
  }
  if (!prompt->is_array() || prompt->empty()) {
    refuse("prompt", "prompt must be a string, a list of strings, or one or more lists of tokens");
  }
  if (prompt->front().is_number()) {
    result.emplace_back(token_list(*prompt, "prompt", bounds.vocab_size));
    return result;
  }
  if (prompt->size() > static_cast<std::size_t>(bounds.max_choices)) {
    refuse("prompt", fmt::format("there may be at most {} prompts", bounds.max_choices));
  }
  for (const Json& one : *prompt) {
    if (one.is_string()) {
      result.emplace_back(one.get<std::string>());
    } else if (one.is_array()) {
      result.emplace_back(token_list(one, "prompt", bounds.vocab_size));
    } else {
      refuse("prompt", "prompt must be a string, a list of strings, or lists of tokens");
    }
  }
  return result;
}

CompletionRequest read_completion(std::string_view text, const OpenAiBounds& bounds) {
  const Json body = parse_object(text);
  const OpenAiFields fields(body);
  CompletionRequest request{.common = read_common(body, bounds),
                            .prompts = read_prompts(fields.find("prompt"), bounds),
                            .echo = fields.boolean("echo", false)};
  if (request.prompts.size() * static_cast<std::size_t>(request.common.n) >
      static_cast<std::size_t>(bounds.max_choices)) {
    refuse("n", fmt::format("n times the number of prompts may be at most {}", bounds.max_choices));
  }
  if (const auto top = fields.integer("logprobs", 0, kMaxTopLogprobs)) {
    request.common.logprobs = true;
    request.common.generation.top_logprobs = static_cast<int>(*top);
    if (request.echo) refuse_unsupported("logprobs", "logprobs of an echoed prompt");
  }
  if (!fields.string("suffix").empty()) refuse_unsupported("suffix", "a suffix");
  request.common.generation.max_tokens =
      static_cast<int>(fields.integer("max_tokens", 1, kMaxInt).value_or(kDefaultCompletionTokens));
  return request;
}

}  // namespace

Result<OpenAiRequest, OpenAiError> parse_chat_request(std::string_view body,
                                                      const OpenAiBounds& bounds, Json& variables) {
  try {
    return read_chat(body, bounds, variables);
  } catch (const OpenAiRefusal& refusal) {
    return Err{refusal.error()};
  }
}

Result<CompletionRequest, OpenAiError> parse_completion_request(std::string_view body,
                                                                const OpenAiBounds& bounds) {
  try {
    return read_completion(body, bounds);
  } catch (const OpenAiRefusal& refusal) {
    return Err{refusal.error()};
  }
}

}  // namespace rbee
