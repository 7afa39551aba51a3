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
  // threads >= 1, the calling thread included.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const noexcept { return static_cast<int>(threads_.size()) + 1; }

  // Calls job(0) on this thread and job(1) .. job(size() - 1) on the others; returns when all have
  // returned. The job must not throw. One run at a time.
  using Job = FunctionRef<void(int worker)>;
  void run(Job job);

 private:
  void work(int worker);

  alignas(kNoSharing) std::atomic<std::uint32_t> epoch_{0};  // one more for each job
  alignas(kNoSharing) std::atomic<std::uint32_t> done_{0};   // one more for each finished job
  alignas(kNoSharing) std::atomic<std::uint32_t> busy_{0};   // workers still in this job
  const Job* job_ = nullptr;                                 // null: stop
  std::vector<std::thread> threads_;
};

}  // namespace rbee::cpu
