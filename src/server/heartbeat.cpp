#include "server/heartbeat.hpp"

#include <curl/curl.h>

#include <csignal>
#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/log.hpp"
#include "server/status_api.hpp"

namespace rbee {
namespace {

constexpr long kTimeoutMs = 5000;

std::string rfc3339_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::string text(32, '\0');
  text.resize(std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts));
  return text;
}

std::size_t discard(char* /*data*/, std::size_t size, std::size_t n, void* /*user*/) {
  return size * n;
}

std::string without_slash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

}  // namespace

Heartbeat::Heartbeat(const Service& service) : service_(service) {
  const ServerOptions& options = service.options;
  if (options.heartbeat_url.empty() && options.callback_url.empty()) return;
  thread_ = std::thread([this] { run(); });
}

Heartbeat::~Heartbeat() { stop(); }

void Heartbeat::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Heartbeat::model_ready() {
  {
    const std::lock_guard lock(mutex_);
    ready_ = true;
  }
  changed_.notify_all();
}

bool Heartbeat::stopping() const {
  const std::lock_guard lock(mutex_);
  return stop_;
}

void Heartbeat::run() {
  const ServerOptions& options = service_.options;
  sigset_t pipe;  // a peer that closes a TLS connection early must not end the process
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  bool was_ready = false;
  while (true) {
    if (was_ready && !std::exchange(called_back_, true)) call_back();
    if (!options.heartbeat_url.empty()) beat();
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, options.heartbeat_interval,
                      [&] { return stop_ || ready_ != was_ready; });
    if (stop_) return;
    was_ready = ready_;
  }
}

void Heartbeat::beat() {
  const std::string now = rfc3339_now();
  Json body = Json::object();
  body["worker"] = worker_info(service_);
  body["timestamp"] = now;
  body["worker_id"] = service_.options.worker_id;
  body["health_status"] = service_.status.state() == ServingState::failed ? "degraded" : "healthy";
  const std::string base = without_slash(service_.options.heartbeat_url);
  long status = 0;
  if (!old_path_) status = post(base + "/v1/worker-heartbeat", dump_json(body));
  if (old_path_ || status == 404) {
    status = post(base + "/v1/heartbeat", dump_json(body));
    old_path_ = status >= 200 && status < 300;  // else ask for the new one again
  }
  const bool reached = status >= 200 && status < 300;
  if (reached != reachable_ && !stopping()) {  // once for each change, not every 30 s
    reachable_ = reached;
    if (reached) {
      log::info("heartbeats reach {}", base);
    } else {
      log::warn("heartbeat to {} failed: {}", base,
                status == 0 ? std::string("no answer") : "status " + std::to_string(status));
    }
  }
}

void Heartbeat::call_back() {
  const ServerOptions& options = service_.options;
  // Test set-ups of older hives name this port for a callback that nobody hears.
  if (options.callback_url.empty() ||
      options.callback_url.find("localhost:9999") != std::string::npos) {
    return;
  }
  const Json body = {{"worker_id", options.worker_id},
                     {"url", "http://localhost:" + std::to_string(service_.port)},
                     {"model_ref", options.model_ref},
                     {"backend", options.backend},
                     {"device", options.device_index}};
  const long status = post(options.callback_url, dump_json(body));
  if (status < 200 || status >= 300) log::warn("the ready callback failed with status {}", status);
}

long Heartbeat::post(const std::string& url, const std::string& body) {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(),
                                                                 &curl_easy_cleanup);
  if (!curl) return 0;
  curl_slist* list = curl_slist_append(nullptr, "Content-Type: application/json");
  const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(list,
                                                                            &curl_slist_free_all);
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, kTimeoutMs);
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, list);
  curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, body.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &discard);
  curl_easy_setopt(curl.get(), CURLOPT_NOPROGRESS, 0L);
  const curl_xferinfo_callback abort_when_stopping = [](void* self, curl_off_t, curl_off_t,
                                                        curl_off_t, curl_off_t) {
    return static_cast<const Heartbeat*>(self)->stopping() ? 1 : 0;
  };
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFOFUNCTION, abort_when_stopping);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFODATA, this);
  long status = 0;
  if (curl_easy_perform(curl.get()) == CURLE_OK) {
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  }
  return status;
}

}  // namespace rbee
