#include "server/status_api.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "server/sse.hpp"

namespace rbee {
namespace {

std::string_view worker_status(const Service& service) {
  switch (service.status.state()) {
    case ServingState::loading:
      return "starting";
    case ServingState::failed:
      return "stopped";
    case ServingState::stopping:
      return "stopping";
    case ServingState::ready:
      break;
  }
  const ServedModel* served = service.status.model();
  if (served == nullptr) return "stopping";
  const EngineStats stats = served->engine.stats();
  return stats.running + stats.waiting > 0 ? "busy" : "ready";
}

std::size_t weight_bytes(const Service& service) {
  const ServedModel* served = service.status.any_model();
  return served == nullptr ? 0 : served->weight_bytes;
}

Json progress_event(const LoadProgress& progress) {
  const int total = progress.n_layers > 0 ? progress.n_layers : 100;
  int done = 0;
  if (progress.bytes_total > 0) {
    const double share =
        static_cast<double>(progress.bytes_done) / static_cast<double>(progress.bytes_total);
    done = std::clamp(static_cast<int>(share * total), 0, total);
  }
  return {{"stage", "loading_to_vram"},
          {"layers_loaded", done},
          {"layers_total", total},
          {"vram_mb", progress.bytes_done >> 20}};
}

class ProgressStream final : public Exchange {
 public:
  explicit ProgressStream(Service& service) : service_(service) {}
  ~ProgressStream() override {
    if (listener_) service_.status.unlisten(*listener_);
  }

  void on_wake(std::function<void()> wake) override {
    listener_ = service_.status.listen(std::move(wake));
  }

  void poll(Output& out) override {
    if (!started_) out.head = sse_head();
    const ServingState state = service_.status.state();
    if (state == ServingState::loading) {
      Json event = progress_event(service_.status.progress());
      if (!started_ || event != last_) append_sse(out.body, event);
      last_ = std::move(event);
    } else {
      append_sse(out.body, final_event(state));
      out.body += kSseDone;
      out.end = true;
    }
    started_ = true;
  }

  std::chrono::milliseconds keep_alive_interval() const override {
    return std::chrono::seconds{10};
  }
  void keep_alive(Output& out) override { out.body += kSseComment; }
  void shut_down() override {}  // the state says so

 private:
  Json final_event(ServingState state) const {
    if (state == ServingState::ready) return {{"stage", "ready"}};
    return {{"stage", "error"},
            {"message", state == ServingState::failed ? service_.status.failure()
                                                      : "the worker is shutting down"}};
  }

  Service& service_;
  std::optional<ServingStatus::Listeners::iterator> listener_;
  bool started_ = false;
  Json last_;
};

class MetricsText {
 public:
  void add(std::string_view name, std::string_view type, std::string_view help, double value) {
    text_ += fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n{0} {3}\n", name, type, help, value);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void add_engine_metrics(MetricsText& text, const EngineStats& stats) {
  text.add("worker_sequences_running", "gauge", "Sequences in the batch.", stats.running);
  text.add("worker_sequences_waiting", "gauge", "Requests in the queue.", stats.waiting);
  text.add("worker_kv_pages", "gauge", "Pages of the key/value cache.", stats.pages_total);
  text.add("worker_kv_pages_free", "gauge", "Pages that no sequence holds.", stats.pages_free);
  text.add("worker_recurrent_slots", "gauge", "Slots of recurrent state.", stats.slots_total);
  text.add("worker_recurrent_slots_free", "gauge", "Slots that no sequence holds.",
           stats.slots_free);
  text.add("worker_steps_total", "counter", "Model steps.", static_cast<double>(stats.steps));
  text.add("worker_prompt_tokens_total", "counter", "Prompt tokens computed.",
           static_cast<double>(stats.prompt_tokens));
  text.add("worker_tokens_generated_total", "counter", "Tokens generated.",
           static_cast<double>(stats.generated_tokens));
  text.add("worker_preemptions_total", "counter", "Sequences set back for want of state.",
           static_cast<double>(stats.preemptions));
  text.add("worker_guessed_tokens_total", "counter", "Tokens guessed ahead and checked.",
           static_cast<double>(stats.guessed_tokens));
  text.add("worker_guesses_kept_total", "counter", "Guesses that became part of answers.",
           static_cast<double>(stats.guesses_kept));
  text.add("worker_drafted_tokens_total", "counter", "Guesses by the draft model.",
           static_cast<double>(stats.drafted_tokens));
  text.add("worker_drafts_kept_total", "counter", "Of these, what became part of answers.",
           static_cast<double>(stats.drafts_kept));
  text.add("worker_sequences_finished_total", "counter", "Generations that ended by themselves.",
           static_cast<double>(stats.finished));
  text.add("worker_sequences_cancelled_total", "counter", "Generations that were cancelled.",
           static_cast<double>(stats.cancelled));
}

}  // namespace

Json worker_info(const Service& service) {
  const ServerOptions& options = service.options;
  return {{"id", options.worker_id},          {"model_id", options.model_ref},
          {"device", options.device_label},   {"port", service.port},
          {"status", worker_status(service)}, {"implementation", options.implementation},
          {"version", options.version}};
}

Reply get_health(Service& service, const HttpRequest& /*request*/) {
  const ServingState state = service.status.state();
  if (state == ServingState::ready) return json_response(200, {{"status", "healthy"}});
  Json body = {{"status", state == ServingState::loading ? "loading" : "unhealthy"}};
  if (state == ServingState::failed) body["message"] = service.status.failure();
  if (state == ServingState::stopping) body["message"] = "the worker is shutting down";
  HttpResponse response = json_response(503, body);
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

Reply get_ready(Service& service, const HttpRequest& /*request*/) {
  const ServingState state = service.status.state();
  if (state == ServingState::ready) {
    return json_response(200, {{"ready", true}, {"state", "idle"}, {"model_loaded", true}});
  }
  return json_response(200, {{"ready", false},
                             {"state", state == ServingState::loading ? "loading" : "error"},
                             {"progress_url", "/v1/loading/progress"}});
}

Reply get_info(Service& service, const HttpRequest& /*request*/) {
  return json_response(200, worker_info(service));
}

Reply get_metrics(Service& service, const HttpRequest& /*request*/) {
  MetricsText text;
  const auto uptime = std::chrono::steady_clock::now() - service.started;
  const auto count = [](const std::atomic<std::uint64_t>& counter) {
    return static_cast<double>(counter.load(std::memory_order_relaxed));
  };
  const ServerCounters& counters = service.counters;
  text.add("worker_uptime_seconds", "gauge", "Time since the server was made.",
           std::chrono::duration<double>(uptime).count());
  text.add("worker_ready", "gauge", "Whether a model is served.",
           service.status.state() == ServingState::ready ? 1 : 0);
  text.add("worker_vram_bytes", "gauge", "Bytes of the model's weights.",
           static_cast<double>(weight_bytes(service)));
  text.add("worker_jobs", "gauge", "Jobs waiting for their reader or being read.",
           static_cast<double>(service.jobs.size()));
  text.add("worker_jobs_total", "counter", "Jobs made.", count(counters.jobs));
  text.add("worker_jobs_expired_total", "counter", "Jobs that nobody read in time.",
           count(counters.jobs_expired));
  text.add("worker_http_requests_total", "counter", "Requests answered.", count(counters.requests));
  text.add("worker_http_client_errors_total", "counter", "Answers with a status of 4xx.",
           count(counters.client_errors));
  text.add("worker_http_server_errors_total", "counter", "Answers with a status of 5xx.",
           count(counters.server_errors));
  text.add("worker_http_disconnects_total", "counter",
           "Clients that left before their answer's end.", count(counters.disconnects));
  if (const ServedModel* served = service.status.model()) {
    add_engine_metrics(text, served->engine.stats());
  }
  return HttpResponse{.status = 200,
                      .content_type = "text/plain; version=0.0.4; charset=utf-8",
                      .body = text.take(),
                      .headers = {}};
}

Reply stream_progress(Service& service, const HttpRequest& request) {
  if (service.status.state() != ServingState::loading) {
    return text_response(503, "Model not loading");
  }
  if (request.method == Method::head) return sse_head();
  return std::make_unique<ProgressStream>(service);
}

}  // namespace rbee
