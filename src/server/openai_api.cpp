#include "server/openai_api.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "server/api_error.hpp"
#include "server/generation.hpp"
#include "server/openai_reply.hpp"
#include "server/openai_request.hpp"

namespace rbee {
namespace {

HttpResponse model_unavailable(const Service& service) {
  switch (service.status.state()) {
    case ServingState::failed:
      return openai_error(503, "The model could not be loaded: " + service.status.failure());
    case ServingState::stopping:
      return openai_error(503, "The worker is shutting down");
    case ServingState::loading:
    case ServingState::ready:
      break;
  }
  return openai_error(503, "Loading model");
}

bool is_served(const ServedModel& served, std::string_view name) {
  return name.empty() || name == served.name ||
         std::find(served.aliases.begin(), served.aliases.end(), name) != served.aliases.end();
}

HttpResponse unknown_model(const std::string& name) {
  return openai_error(404, "The model `" + name + "` does not exist", "model", "model_not_found");
}

Json model_entry(const ServedModel& served) {
  const LoadedModel& model = served.model;
  Json meta = {{"n_params", model.parameters}, {"architecture", model.architecture}};
  if (model.model) {
    meta["n_vocab"] = model.model->info().vocab_size;
    meta["n_ctx_train"] = model.model->info().max_context;
  }
  return {{"id", served.name},
          {"object", "model"},
          {"created", served.created},
          {"owned_by", "llm-worker-rbee"},
          {"max_model_len", served.engine.max_context()},
          {"meta", std::move(meta)}};
}

HttpResponse refused(const OpenAiError& error) {
  return openai_error(error.status, error.message, error.param, error.code);
}

HttpResponse submit_failure(SubmitError error, std::size_t n_tokens, const ServedModel& served,
                            std::string_view param) {
  const std::string message = describe(error, n_tokens, served.engine);
  switch (error) {
    case SubmitError::queue_full:
      return openai_error(429, message, {}, "overloaded");
    case SubmitError::shutting_down:
      return openai_error(503, message);
    case SubmitError::prompt_too_long: {
      Json body = openai_error_body(400, message, param, "context_length_exceeded");
      body["error"]["n_prompt_tokens"] = n_tokens;
      body["error"]["n_ctx"] = served.engine.max_context();
      return json_response(400, body);
    }
    case SubmitError::prompt_empty:
    case SubmitError::token_out_of_range:
      break;
  }
  return openai_error(400, message, param);
}

OpenAiBounds bounds_of(const Service& service, const ServedModel& served) {
  const int n_logits = served.model.model->info().vocab_size;
  return {.vocab_size = std::min(served.model.tokenizer->vocab_size(), n_logits),
          .max_choices = service.options.limits.choices};
}

Answer begin_answer(const Service& service, const ServedModel& served, const OpenAiRequest& request,
                    bool chat) {
  Answer answer;
  answer.chat = chat;
  answer.id = (chat ? "chatcmpl-" : "cmpl-") + random_uuid();
  answer.model = request.model.empty() ? served.name : request.model;
  answer.created = unix_seconds();
  answer.logprobs = request.logprobs;
  answer.include_usage = request.include_usage;
  answer.tokenizer = served.model.tokenizer;
  answer.keep_alive = service.options.sse_keep_alive;
  return answer;
}

// Adds n choices for one prompt, or says why it cannot.
std::optional<HttpResponse> add_choices(const ServedModel& served, const OpenAiRequest& request,
                                        const std::vector<std::int32_t>& prompt,
                                        const std::string& echo, Answer& answer) {
  answer.prompt_tokens += static_cast<int>(prompt.size());
  GenerationParams params = request.generation;
  for (int i = 0; i < request.n; ++i) {
    auto stream = start_generation(served, prompt, params);
    if (!stream) {
      return submit_failure(stream.error(), prompt.size(), served,
                            answer.chat ? "messages" : "prompt");
    }
    answer.choices.push_back({std::move(stream).value(), echo});
    if (params.sampling.seed) ++*params.sampling.seed;  // choices of one request differ
  }
  return std::nullopt;
}

Reply finish_answer(const OpenAiRequest& request, Answer answer) {
  return request.stream ? streamed_answer(std::move(answer)) : whole_answer(std::move(answer));
}

}  // namespace

Reply list_models(Service& service, const HttpRequest& /*request*/) {
  Json data = Json::array();
  if (const ServedModel* served = service.status.model()) data.push_back(model_entry(*served));
  return json_response(200, {{"object", "list"}, {"data", std::move(data)}});
}

Reply get_model(Service& service, const HttpRequest& /*request*/, const std::string& id) {
  const ServedModel* served = service.status.model();
  if (served == nullptr) return model_unavailable(service);
  if (!is_served(*served, id)) return unknown_model(id);
  return json_response(200, model_entry(*served));
}

Reply chat_completions(Service& service, const HttpRequest& request) {
  const ServedModel* served = service.status.model();
  if (served == nullptr) return model_unavailable(service);
  Json variables;
  auto parsed = parse_chat_request(request.body, bounds_of(service, *served), variables);
  if (!parsed) return refused(parsed.error());
  if (!is_served(*served, parsed->model)) return unknown_model(parsed->model);
  if (!served->chat_template) {
    return openai_error(400, "this model has no chat template: use /v1/completions", "messages");
  }
  const Tokenizer& tokenizer = *served->model.tokenizer;
  variables["bos_token"] = tokenizer.bos_text();
  variables["eos_token"] = tokenizer.eos_text();
  std::vector<std::int32_t> prompt;
  try {
    // The template prints BOS where the model wants one.
    prompt = tokenizer.encode(served->chat_template->render(variables),
                              {.add_special = false, .parse_special = true});
  } catch (const TemplateError& e) {
    return openai_error(400, std::string("the chat template refuses these messages: ") + e.what(),
                        "messages");
  }
  parsed->generation.stop.insert(parsed->generation.stop.end(), served->chat_stop.begin(),
                                 served->chat_stop.end());
  Answer answer = begin_answer(service, *served, *parsed, true);
  if (auto failure = add_choices(*served, *parsed, prompt, {}, answer)) return std::move(*failure);
  return finish_answer(*parsed, std::move(answer));
}

Reply completions(Service& service, const HttpRequest& request) {
  const ServedModel* served = service.status.model();
  if (served == nullptr) return model_unavailable(service);
  auto parsed = parse_completion_request(request.body, bounds_of(service, *served));
  if (!parsed) return refused(parsed.error());
  if (!is_served(*served, parsed->common.model)) return unknown_model(parsed->common.model);
  const Tokenizer& tokenizer = *served->model.tokenizer;
  Answer answer = begin_answer(service, *served, parsed->common, false);
  for (const auto& prompt : parsed->prompts) {
    const auto* text = std::get_if<std::string>(&prompt);
    const std::vector<std::int32_t> tokens =
        text != nullptr ? tokenizer.encode(*text) : std::get<std::vector<std::int32_t>>(prompt);
    std::string echo;
    if (parsed->echo) echo = text != nullptr ? *text : tokenizer.decode(tokens);
    if (auto failure = add_choices(*served, parsed->common, tokens, echo, answer)) {
      return std::move(*failure);
    }
  }
  return finish_answer(parsed->common, std::move(answer));
}

}  // namespace rbee
