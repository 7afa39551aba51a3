// JobRegistry: jobs between the POST that makes them and the end of their stream.
#pragma once
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "engine/text_stream.hpp"

namespace rbee {

// The generation of a job. text is null for a job that asked for no tokens at all.
struct Job {
  std::string id;  // "job-<uuid>"
  std::unique_ptr<TextStream> text;
};

class JobRegistry {
 public:
  using Clock = std::chrono::steady_clock;

  JobRegistry(std::size_t max_jobs, Clock::duration ttl) : max_jobs_(max_jobs), ttl_(ttl) {}

  // Any thread. False when there are too many; the job is then gone, and its generation cancelled.
  bool add(Job job, Clock::time_point now);
  bool full() const;

  // The members below are for the I/O thread, which owns jobs from here on.
  enum class TakeResult { ok, unknown, taken };
  // Gives out the job's generation, once. on_cancel is called by cancel() while the job is read.
  TakeResult take(std::string_view id, std::function<void()> on_cancel, Job& job);
  bool known(std::string_view id) const;
  // The reader of the job is done or gone.
  void forget(std::string_view id);
  // False when there is no such job.
  bool cancel(std::string_view id);
  // Drops the jobs that nobody opened in time; returns how many.
  std::size_t sweep(Clock::time_point now);
  // Cancels all that wait for their reader.
  void clear();

  std::size_t size() const;

 private:
  struct Entry {
    Job job;
    Clock::time_point created;
    bool taken = false;
    std::function<void()> on_cancel;
  };

  const std::size_t max_jobs_;
  const Clock::duration ttl_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> jobs_;
};

}  // namespace rbee
