#include "server/jobs.hpp"

#include <utility>

namespace rbee {

// Jobs are destroyed outside the lock: that cancels a generation, which is the engine's business.

bool JobRegistry::add(Job job, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  if (jobs_.size() >= max_jobs_) return false;
  std::string id = job.id;
  jobs_.emplace(std::move(id),
                Entry{.job = std::move(job), .created = now, .taken = false, .on_cancel = nullptr});
  return true;
}

bool JobRegistry::full() const { return size() >= max_jobs_; }

JobRegistry::TakeResult JobRegistry::take(std::string_view id, std::function<void()> on_cancel,
                                          Job& job) {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return TakeResult::unknown;
  Entry& entry = found->second;
  if (entry.taken) return TakeResult::taken;
  entry.taken = true;
  entry.on_cancel = std::move(on_cancel);
  job = std::move(entry.job);
  return TakeResult::ok;
}

bool JobRegistry::known(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  return jobs_.contains(id);
}

void JobRegistry::forget(std::string_view id) {
  std::map<std::string, Entry, std::less<>>::node_type node;
  const std::lock_guard lock(mutex_);
  if (const auto found = jobs_.find(id); found != jobs_.end()) node = jobs_.extract(found);
}

bool JobRegistry::cancel(std::string_view id) {
  std::map<std::string, Entry, std::less<>>::node_type node;
  {
    const std::lock_guard lock(mutex_);
    const auto found = jobs_.find(id);
    if (found == jobs_.end()) return false;
    node = jobs_.extract(found);
  }
  if (node.mapped().on_cancel) node.mapped().on_cancel();
  return true;
}

std::size_t JobRegistry::sweep(Clock::time_point now) {
  std::map<std::string, Entry, std::less<>> dropped;
  const std::lock_guard lock(mutex_);
  for (auto it = jobs_.begin(); it != jobs_.end();) {
    const auto next = std::next(it);
    if (!it->second.taken && now - it->second.created >= ttl_) dropped.insert(jobs_.extract(it));
    it = next;
  }
  return dropped.size();
}

void JobRegistry::clear() {
  std::map<std::string, Entry, std::less<>> dropped;
  const std::lock_guard lock(mutex_);
  for (auto it = jobs_.begin(); it != jobs_.end();) {
    const auto next = std::next(it);
    if (!it->second.taken) dropped.insert(jobs_.extract(it));
    it = next;
  }
}

std::size_t JobRegistry::size() const {
  const std::lock_guard lock(mutex_);
  return jobs_.size();
}

}  // namespace rbee
