#include "backend/cpu/thread_pool.hpp"

namespace rbee::cpu {

ThreadPool::ThreadPool(int threads) {
  threads_.reserve(static_cast<std::size_t>(threads - 1));
  for (int worker = 1; worker < threads; ++worker) {
    threads_.emplace_back([this, worker] { work(worker); });
  }
}

ThreadPool::~ThreadPool() {
  publish(call_, (call_.load(std::memory_order_relaxed) | kWorkersMask) + 1);
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::run(int workers, Job job) {
  if (workers == 1) return job(0);
  const std::uint32_t done = done_.load(std::memory_order_relaxed);
  job_ = &job;
  busy_.store(static_cast<std::uint32_t>(workers - 1), std::memory_order_relaxed);
  const std::uint32_t next = (call_.load(std::memory_order_relaxed) | kWorkersMask) + 1;
  publish(call_, next | static_cast<std::uint32_t>(workers));
  job(0);
  wait_while(done_, done, kSpinInStep);
}

void ThreadPool::work(int worker) {
  for (std::uint32_t seen = 0;;) {
    wait_while(call_, seen, kSpinBetweenSteps);
    seen = call_.load(std::memory_order_acquire);
    const auto workers = static_cast<int>(seen & kWorkersMask);
    if (workers == 0) return;
    if (worker >= workers) continue;
    (*job_)(worker);
    if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) advance(done_);
  }
}

}  // namespace rbee::cpu
