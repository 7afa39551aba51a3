// Service: what all handlers share. Made once for each server; thread-safe where it says so.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "server/auth.hpp"
#include "server/http.hpp"
#include "server/jobs.hpp"
#include "server/server.hpp"

namespace rbee {

enum class ServingState : std::uint8_t { loading, ready, failed, stopping };

struct LoadProgress {
  std::size_t bytes_done = 0;
  std::size_t bytes_total = 0;
  int n_layers = 0;  // 0: not known
};

// Where the model comes from nothing to being served. Thread-safe.
class ServingStatus {
 public:
  ServingState state() const { return state_.load(std::memory_order_acquire); }
  // Null unless ready (and then valid until the server has stopped).
  const ServedModel* model() const {
    return state() == ServingState::ready ? any_model() : nullptr;
  }
  // The same also while stopping, for what is in flight.
  const ServedModel* any_model() const { return published_.load(std::memory_order_acquire); }
  LoadProgress progress() const;
  std::string failure() const;

  void set_progress(const LoadProgress& progress);
  void set_model(ServedModel model);  // once
  void set_failed(const std::string& reason);
  void set_stopping();

  // Called after each change until the handle is destroyed; from any thread, must not block.
  using Listeners = std::list<std::function<void()>>;
  Listeners::iterator listen(std::function<void()> callback);
  void unlisten(Listeners::iterator listener);

 private:
  void notify();

  std::atomic<ServingState> state_{ServingState::loading};
  std::unique_ptr<const ServedModel> model_;
  std::atomic<const ServedModel*> published_{nullptr};
  mutable std::mutex mutex_;
  LoadProgress progress_;
  std::string failure_;
  Listeners listeners_;
};

// Counters of finished things, for /metrics.
struct ServerCounters {
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> client_errors{0};  // 4xx
  std::atomic<std::uint64_t> server_errors{0};  // 5xx
  std::atomic<std::uint64_t> jobs{0};
  std::atomic<std::uint64_t> jobs_expired{0};
  std::atomic<std::uint64_t> disconnects{0};  // clients that left before their answer was complete
};

struct Service {
  explicit Service(ServerOptions server_options);

  const ServerOptions options;
  const std::chrono::steady_clock::time_point started;
  TokenCheck tokens;
  OriginCheck origins;
  ServingStatus status;
  JobRegistry jobs;
  ServerCounters counters;
  std::uint16_t port = 0;
  std::size_t body_bytes = 0;  // granted to bodies in flight; on the I/O thread
};

}  // namespace rbee
