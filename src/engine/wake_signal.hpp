// WakeSignal: lets one thread sleep until another has news for it. News that come while it is awake
// are kept.
#pragma once
#include <condition_variable>
#include <mutex>

namespace rbee {

class WakeSignal {
 public:
  void raise() {
    {
      const std::lock_guard lock(mutex_);
      raised_ = true;
    }
    changed_.notify_one();
  }

  // Returns once raise was called since the last wait.
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return raised_; });
    raised_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool raised_ = false;
};

}  // namespace rbee
