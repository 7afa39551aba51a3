// ThreadPool: workers that run one job together. They spin a few microseconds for the next one and
// sleep then.
#pragma once
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "backend/cpu/wait.hpp"
#include "base/function_ref.hpp"

namespace rbee::cpu {

class ThreadPool {
 public:
  // 1 <= threads <= kMostThreads, the calling thread included.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const noexcept { return static_cast<int>(threads_.size()) + 1; }

  // Calls job(0) on this thread and job(1) .. job(workers - 1) on the others; returns when all have
  // returned. 1 <= workers <= size(). The job must not throw. One run at a time.
  using Job = FunctionRef<void(int worker)>;
  void run(int workers, Job job);
  void run(Job job) { run(size(), job); }

  static constexpr int kMostThreads = 1023;

 private:
  void work(int worker);

  // The number of the job, and in the low bits how many workers take part in it; 0 of them: stop.
  // One word, so that a worker that was asleep over some jobs reads both of the same one.
  static constexpr std::uint32_t kWorkersMask = kMostThreads;
  alignas(kNoSharing) std::atomic<std::uint32_t> call_{0};
  alignas(kNoSharing) std::atomic<std::uint32_t> done_{0};  // one more for each finished job
  alignas(kNoSharing) std::atomic<std::uint32_t> busy_{0};  // workers still in this job
  const Job* job_ = nullptr;
  std::vector<std::thread> threads_;
};

}  // namespace rbee::cpu
