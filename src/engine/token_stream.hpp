// TokenStream: the bounded, cancellable channel from the engine thread to one consumer.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <variant>

#include "engine/request.hpp"

namespace rbee {

class TokenStream {
 public:
  using Item = std::variant<TokenEvent, Finish>;

  explicit TokenStream(std::size_t capacity) : capacity_(capacity) {}

  // --- consumer ---
  // The next item if there is one. Finish is the last item, given once.
  std::optional<Item> try_pop();
  // Waits for the next item.
  Item pop();
  // Called (from the engine thread, holding no lock) whenever an item arrives on an empty stream;
  // must not block.
  void on_ready(std::function<void()> callback);
  // Frees the sequence at the engine's next step, wherever it is: queued, in prefill, in decode.
  // Any thread, any time.
  void cancel() noexcept { cancelled_.store(true, std::memory_order_release); }

  // --- engine ---
  bool cancelled() const noexcept { return cancelled_.load(std::memory_order_acquire); }
  bool full() const;  // the engine pauses a sequence whose consumer does not keep up
  void push(Item item);

 private:
  const std::size_t capacity_;
  std::atomic<bool> cancelled_{false};
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Item> items_;
  std::function<void()> callback_;
};

}  // namespace rbee
