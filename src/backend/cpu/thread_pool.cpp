#include "backend/cpu/thread_pool.hpp"

namespace rbee::cpu {

ThreadPool::ThreadPool(int threads) {
  threads_.reserve(static_cast<std::size_t>(threads - 1));
  for (int worker = 1; worker < threads; ++worker) {
    threads_.emplace_back([this, worker] { work(worker); });
  }
}

ThreadPool::~ThreadPool() {
  job_ = nullptr;
  advance(epoch_);
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::run(Job job) {
  if (threads_.empty()) return job(0);
  const std::uint32_t done = done_.load(std::memory_order_relaxed);
  job_ = &job;
  busy_.store(static_cast<std::uint32_t>(threads_.size()), std::memory_order_relaxed);
  advance(epoch_);
  job(0);
  wait_while(done_, done, kSpinInStep);
}

void ThreadPool::work(int worker) {
  for (std::uint32_t seen = 0;; ++seen) {
    wait_while(epoch_, seen, kSpinBetweenSteps);
    if (!job_) return;
    (*job_)(worker);
    if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) advance(done_);
  }
}

}  // namespace rbee::cpu
