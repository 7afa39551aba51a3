#include "engine/token_stream.hpp"

#include <algorithm>

namespace rbee {

TokenStream::TokenStream(std::size_t capacity, std::function<void()> wake_engine)
    : capacity_(std::max<std::size_t>(capacity, 1)), wake_engine_(std::move(wake_engine)) {}

std::optional<TokenStream::Item> TokenStream::take(std::unique_lock<std::mutex>& lock) {
  if (items_.empty()) return std::nullopt;
  std::optional<Item> item(std::move(items_.front()));
  items_.pop_front();
  const bool has_room = items_.size() == capacity_ / 2;
  lock.unlock();
  if (has_room && wake_engine_) wake_engine_();
  return item;
}

std::optional<TokenStream::Item> TokenStream::try_pop() {
  std::unique_lock lock(mutex_);
  return take(lock);
}

TokenStream::Item TokenStream::pop() {
  std::unique_lock lock(mutex_);
  ready_.wait(lock, [&] { return !items_.empty(); });
  return *take(lock);
}

void TokenStream::on_ready(std::function<void()> callback) {
  auto shared = callback ? std::make_shared<const std::function<void()>>(std::move(callback))
                         : std::shared_ptr<const std::function<void()>>();
  const std::lock_guard lock(mutex_);
  callback_.swap(shared);
}

void TokenStream::cancel() noexcept {
  if (cancelled_.exchange(true, std::memory_order_acq_rel)) return;
  if (wake_engine_) wake_engine_();
}

bool TokenStream::paused(bool was_paused) const {
  const std::lock_guard lock(mutex_);
  return was_paused ? items_.size() > capacity_ / 2 : items_.size() >= capacity_;
}

bool TokenStream::full() const {
  const std::lock_guard lock(mutex_);
  return items_.size() >= capacity_;
}

void TokenStream::push(Item item) {
  std::shared_ptr<const std::function<void()>> callback;
  {
    const std::lock_guard lock(mutex_);
    if (items_.empty()) callback = callback_;
    items_.push_back(std::move(item));
  }
  ready_.notify_one();
  if (callback) (*callback)();
}

}  // namespace rbee
