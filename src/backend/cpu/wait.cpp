#include "backend/cpu/wait.hpp"

#include <immintrin.h>

namespace rbee::cpu {

bool wait_while(const std::atomic<std::uint32_t>& word, std::uint32_t old,
                std::chrono::nanoseconds spin) {
  using Clock = std::chrono::steady_clock;
  Clock::time_point end{};
  for (unsigned i = 1;; ++i) {
    if (word.load(std::memory_order_acquire) != old) return false;
    _mm_pause();
    if (i % 32 != 0) continue;  // the clock is read now and then only
    const Clock::time_point now = Clock::now();
    if (end == Clock::time_point{}) end = now + spin;
    if (now >= end) break;
  }
  word.wait(old, std::memory_order_acquire);
  return true;
}

void advance(std::atomic<std::uint32_t>& word) {
  // Sequentially consistent: the check for sleepers in notify_all must not pass the store.
  word.fetch_add(1);
  word.notify_all();
}

void publish(std::atomic<std::uint32_t>& word, std::uint32_t value) {
  word.store(value);
  word.notify_all();
}

}  // namespace rbee::cpu
