#include "server/service.hpp"

#include <utility>

namespace rbee {

LoadProgress ServingStatus::progress() const {
  const std::lock_guard lock(mutex_);
  return progress_;
}

std::string ServingStatus::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void ServingStatus::set_progress(const LoadProgress& progress) {
  {
    const std::lock_guard lock(mutex_);
    progress_ = progress;
  }
  notify();
}

void ServingStatus::set_model(ServedModel model) {
  model_ = std::make_unique<const ServedModel>(std::move(model));
  published_.store(model_.get(), std::memory_order_release);
  ServingState expected = ServingState::loading;  // not when the server stops already
  state_.compare_exchange_strong(expected, ServingState::ready, std::memory_order_acq_rel);
  notify();
}

void ServingStatus::set_failed(const std::string& reason) {
  {
    const std::lock_guard lock(mutex_);
    failure_ = reason;
  }
  ServingState expected = ServingState::loading;
  state_.compare_exchange_strong(expected, ServingState::failed, std::memory_order_acq_rel);
  notify();
}

void ServingStatus::set_stopping() {
  state_.store(ServingState::stopping, std::memory_order_release);
  notify();
}

ServingStatus::Listeners::iterator ServingStatus::listen(std::function<void()> callback) {
  const std::lock_guard lock(mutex_);
  return listeners_.insert(listeners_.end(), std::move(callback));
}

void ServingStatus::unlisten(Listeners::iterator listener) {
  const std::lock_guard lock(mutex_);
  listeners_.erase(listener);
}

void ServingStatus::notify() {
  const std::lock_guard lock(mutex_);
  for (const auto& listener : listeners_) listener();
}

Service::Service(ServerOptions server_options)
    : options(std::move(server_options)),
      started(std::chrono::steady_clock::now()),
      tokens(options.token),
      origins(options.bind_address, options.allowed_origins),
      jobs(static_cast<std::size_t>(options.limits.jobs), options.limits.job_ttl) {}

}  // namespace rbee
