#include "server/rbee_api.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/log.hpp"
#include "server/generation.hpp"
#include "server/rbee_request.hpp"
#include "server/sse.hpp"

namespace rbee {
namespace {

std::string_view stop_reason(FinishReason reason) {
  switch (reason) {
    case FinishReason::length:
      return "MAX_TOKENS";
    case FinishReason::eos:
      return "EOS";
    case FinishReason::stop:
      return "STOP_SEQUENCE";
    case FinishReason::cancelled:
      return "CANCELLED";
    case FinishReason::error:
      break;
  }
  return "ERROR";
}

// The events of one job: started, token*, then end or error, then [DONE].
class JobStream final : public Exchange {
 public:
  struct Style {
    bool event_names = false;
    std::chrono::milliseconds keep_alive{0};
  };

  JobStream(Service& service, std::string id, Style style)
      : service_(service), id_(std::move(id)), style_(style) {}
  ~JobStream() override {
    if (taken_) service_.jobs.forget(id_);
  }

  JobRegistry::TakeResult take() {
    const auto result = service_.jobs.take(
        id_, [this] { cancel(); }, job_);
    taken_ = result == JobRegistry::TakeResult::ok;
    return result;
  }

  void on_wake(std::function<void()> wake) override {
    wake_ = std::move(wake);
    if (job_.text) job_.text->tokens().on_ready(wake_);
  }

  void poll(Output& out) override;

  std::chrono::milliseconds keep_alive_interval() const override { return style_.keep_alive; }
  void keep_alive(Output& out) override { out.body += kSseComment; }
  void shut_down() override {
    stopping_ = true;
    cancel();
  }

 private:
  void cancel() {
    cancelled_ = true;
    if (job_.text) job_.text->tokens().cancel();
    if (wake_) wake_();
  }
  void event(Output& out, const Json& event);
  void send_started(Output& out);
  void send_end(Output& out, const Finish& finish, const std::string& matched);
  void send_error(Output& out, std::string_view code, std::string_view message);

  Service& service_;
  const std::string id_;
  const Style style_;
  Job job_;
  std::function<void()> wake_;
  bool taken_ = false;
  bool started_ = false;
  bool cancelled_ = false;
  bool stopping_ = false;
  std::uint32_t pieces_ = 0;
  int n_tokens_ = 0;
  const std::chrono::steady_clock::time_point opened_ = std::chrono::steady_clock::now();
};

void JobStream::event(Output& out, const Json& event) {
  if (style_.event_names) {
    out.body += "event: " + event["type"].get_ref<const Json::string_t&>() + "\n";
  }
  append_sse(out.body, event);
}

void JobStream::send_started(Output& out) {
  started_ = true;
  out.head = sse_head();
  const ServedModel* served = service_.status.any_model();
  event(out, {{"type", "started"},
              {"job_id", id_},
              {"model", served->name},
              {"started_at", std::to_string(unix_seconds())}});
}

void JobStream::send_end(Output& out, const Finish& finish, const std::string& matched) {
  const double milliseconds = 1000 * std::max(0.0, finish.decode_seconds);
  Json end = {{"type", "end"},
              {"tokens_out", finish.completion_tokens},
              {"decode_time_ms", static_cast<std::uint64_t>(milliseconds)},
              {"stop_reason", stop_reason(finish.reason)}};
  if (finish.reason == FinishReason::stop) end["stop_sequence_matched"] = matched;
  event(out, end);
  out.body += kSseDone;
  out.end = true;
}

void JobStream::send_error(Output& out, std::string_view code, std::string_view message) {
  event(out, {{"type", "error"}, {"code", code}, {"message", message}});
  out.body += kSseDone;
  out.end = true;
}

void JobStream::poll(Output& out) {
  if (!started_) send_started(out);
  if (stopping_) return send_error(out, "CANCELLED", "the worker is shutting down");
  if (!job_.text || cancelled_) {
    Finish finish;
    finish.reason = cancelled_ ? FinishReason::cancelled : FinishReason::length;
    finish.completion_tokens = n_tokens_;
    if (n_tokens_ > 0) {
      finish.decode_seconds =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - opened_).count();
    }
    return send_end(out, finish, {});
  }
  while (auto piece = job_.text->try_next()) {
    n_tokens_ += static_cast<int>(piece->tokens.size());
    if (piece->text.empty()) continue;
    event(out, {{"type", "token"}, {"t", piece->text}, {"i", pieces_++}});
  }
  if (const auto& finish = job_.text->finished()) {
    if (finish->reason == FinishReason::error) {
      return send_error(out, "INFERENCE_FAILED", finish->error);
    }
    send_end(out, *finish, job_.text->matched_stop());
  }
}

bool is_on(std::optional<std::string_view> value) {
  return value && *value != "0" && *value != "false";
}

HttpResponse not_found(const std::string& id) {
  return text_response(404, "Job " + id + " not found");
}

HttpResponse submit_failure(SubmitError error, std::size_t n_tokens, const ServedModel& served) {
  const std::string message = describe(error, n_tokens, served.engine);
  HttpResponse response;
  switch (error) {
    case SubmitError::prompt_empty:
    case SubmitError::token_out_of_range:
      return field_error_response({{"prompt", "non_empty", message, std::nullopt}});
    case SubmitError::prompt_too_long:
      return field_error_response(
          {{"prompt", "max_tokens(" + std::to_string(served.engine.max_context()) + ")",
            "prompt is too long: " + message, std::nullopt}});
    case SubmitError::queue_full:
      response = rbee_error(429, "queue", message);
      break;
    case SubmitError::shutting_down:
      response = rbee_error(503, "queue", message);
      break;
  }
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

HttpResponse parse_failure(const Service& service, const RbeeErrors& errors) {
  if (errors.tagged && service.options.tagged_errors_as_text) {
    return text_response(500, errors.text);
  }
  return field_error_response(errors.fields);
}

}  // namespace

HttpResponse unavailable(const Service& service) {
  std::string message = "the model is loading";
  switch (service.status.state()) {
    case ServingState::failed:
      message = "the model could not be loaded: " + service.status.failure();
      break;
    case ServingState::stopping:
      message = "the worker is shutting down";
      break;
    case ServingState::loading:
    case ServingState::ready:
      break;
  }
  HttpResponse response = rbee_error(503, "queue", std::move(message));
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

Reply create_job(Service& service, const HttpRequest& request) {
  const ServedModel* served = service.status.model();
  if (served == nullptr) return unavailable(service);
  auto parsed = parse_rbee_request(request.body, served->engine.max_context());
  if (!parsed) return parse_failure(service, parsed.error());
  HttpResponse full = rbee_error(429, "queue", "there are too many jobs: try again later");
  full.headers.emplace_back("Retry-After", "1");
  if (service.jobs.full()) return full;

  Job job{.id = "job-" + random_uuid(), .text = nullptr};
  const std::string id = job.id;
  if (parsed->max_tokens > 0) {
    auto tokens = served->model.tokenizer->encode(parsed->prompt);
    const std::size_t n_tokens = tokens.size();
    GenerationParams params;
    params.sampling = std::move(parsed->sampling);
    params.max_tokens = parsed->max_tokens;
    params.stop = std::move(parsed->stop);
    auto stream = start_generation(*served, std::move(tokens), params);
    if (!stream) return submit_failure(stream.error(), n_tokens, *served);
    job.text = std::move(stream).value();
  }
  if (!service.jobs.add(std::move(job), JobRegistry::Clock::now())) return full;
  service.counters.jobs.fetch_add(1, std::memory_order_relaxed);
  log::debug("{} made by {}", id, request.id);
  return json_response(200, {{"job_id", id}, {"sse_url", "/v1/jobs/" + id + "/stream"}});
}

Reply stream_job(Service& service, const HttpRequest& request, const std::string& id) {
  if (request.method == Method::head) {  // must not take the job from its reader
    return service.jobs.known(id) ? sse_head() : not_found(id);
  }
  JobStream::Style style;
  style.event_names = is_on(request.parameter("events"));
  if (is_on(request.parameter("keep_alive"))) style.keep_alive = std::chrono::seconds{15};
  auto stream = std::make_unique<JobStream>(service, id, style);
  switch (stream->take()) {
    case JobRegistry::TakeResult::ok:
      return stream;
    case JobRegistry::TakeResult::taken:
      return text_response(500, "Job " + id + " has no token receiver");
    case JobRegistry::TakeResult::unknown:
      break;
  }
  return not_found(id);
}

Reply cancel_job(Service& service, const HttpRequest& /*request*/, const std::string& id) {
  if (!service.jobs.cancel(id)) return not_found(id);
  return json_response(200, {{"job_id", id}, {"status", "cancelled"}});
}

}  // namespace rbee
