// TokenStream: the bounded, cancellable channel from the engine thread to one consumer.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <variant>

#include "engine/request.hpp"

namespace rbee {

class TokenStream {
 public:
  using Item = std::variant<TokenEvent, Finish>;

  // wake_engine is called, on the consumer's thread, when the engine has a reason to look at the
  // stream: it was cancelled, or it has room again.
  explicit TokenStream(std::size_t capacity, std::function<void()> wake_engine = {});

  // --- consumer ---
  // The next item if there is one. Finish is the last item, given once.
  std::optional<Item> try_pop();
  // Waits for the next item. Precondition: Finish was not taken yet.
  Item pop();
  // Called (from the engine thread, holding no lock) whenever an item arrives on an empty stream;
  // must not block. Items that are there already are not announced: set the callback, then
  // try_pop until nothing comes. A call under way may still be running when a new callback is set.
  void on_ready(std::function<void()> callback);
  // Frees the sequence at the engine's next step, wherever it is: queued, in prefill, in decode.
  // Any thread, any time. Finish still comes.
  void cancel() noexcept;

  // --- engine ---
  bool cancelled() const noexcept { return cancelled_.load(std::memory_order_acquire); }
  // Whether a sequence is to be paused now: full() pauses it, and it goes on once half of the items
  // are taken, so that a slow consumer costs few changes.
  bool paused(bool was_paused) const;
  bool full() const;
  // Never refuses: capacity binds the engine, which asks paused() before it makes a token.
  void push(Item item);

 private:
  std::optional<Item> take(std::unique_lock<std::mutex>& lock);

  const std::size_t capacity_;
  const std::function<void()> wake_engine_;
  std::atomic<bool> cancelled_{false};
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Item> items_;
  std::shared_ptr<const std::function<void()>> callback_;
};

}  // namespace rbee
