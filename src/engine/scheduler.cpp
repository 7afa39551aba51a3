#include "engine/scheduler.hpp"

#include <algorithm>
#include <utility>

namespace rbee {
namespace {

constexpr auto kByArrival = [](const std::unique_ptr<Sequence>& a,
                               const std::unique_ptr<Sequence>& b) {
  return a->arrival < b->arrival;
};

template <class Queue>
void insert_by_arrival(Queue& queue, std::unique_ptr<Sequence> sequence) {
  const auto place = std::upper_bound(queue.begin(), queue.end(), sequence, kByArrival);
  queue.insert(place, std::move(sequence));
}

// Takes the sequence out of the queue; null when it is not there.
template <class Queue>
std::unique_ptr<Sequence> extract(Queue& queue, const Sequence& sequence) {
  const auto place =
      std::find_if(queue.begin(), queue.end(), [&](const auto& s) { return s.get() == &sequence; });
  if (place == queue.end()) return nullptr;
  std::unique_ptr<Sequence> taken = std::move(*place);
  queue.erase(place);
  return taken;
}

}  // namespace

Scheduler::Scheduler(StateCache& cache, const SchedulerOptions& options)
    : cache_(cache), options_(options) {
  options_.max_sequences = std::max(options_.max_sequences, 1);
  options_.max_batch_tokens = std::max(options_.max_batch_tokens, options_.max_sequences);
  running_.reserve(options_.max_sequences);
  slices_.reserve(options_.max_sequences);
}

void Scheduler::add(std::unique_ptr<Sequence> sequence) {
  insert_by_arrival(waiting_, std::move(sequence));
}

std::unique_ptr<Sequence> Scheduler::remove(Sequence& sequence) {
  std::unique_ptr<Sequence> taken = extract(running_, sequence);
  if (!taken) taken = extract(waiting_, sequence);
  if (taken) taken->state.reset();
  return taken;
}

void Scheduler::collect(std::vector<Sequence*>& into) const {
  into.clear();
  for (const auto& s : running_) into.push_back(s.get());
  for (const auto& s : waiting_) into.push_back(s.get());
}

std::vector<Sequence*> Scheduler::all() const {
  std::vector<Sequence*> sequences;
  collect(sequences);
  return sequences;
}

std::span<const Slice> Scheduler::next() {
  slices_.clear();
  budget_ = options_.max_batch_tokens;
  schedule_decodes();
  schedule_guesses();
  schedule_prefills();
  admit();
  return slices_;
}

void Scheduler::take_slice(Sequence& sequence) {
  const int n = std::min(sequence.n_pending(), budget_);
  slices_.push_back({.sequence = &sequence, .n_tokens = n});
  budget_ -= n;
}

void Scheduler::make_room_to_decode() {
  work_.clear();  // preemption changes running_ while we go
  for (const auto& s : running_) {
    if (!s->paused && s->n_pending() == 1) work_.push_back(s.get());
  }
  for (Sequence* sequence : work_) {
    if (sequence->state) reserve(*sequence);
  }
}

// Who gives way arrived after those that have their room already.
void Scheduler::schedule_decodes() {
  make_room_to_decode();
  for (Sequence* sequence : work_) {
    if (sequence->state) take_slice(*sequence);
  }
}

// Nobody gives way for a guess.
void Scheduler::schedule_guesses() {
  for (Slice& slice : slices_) {
    Sequence& sequence = *slice.sequence;
    const int n = std::min(static_cast<int>(sequence.guess.size()), budget_);
    if (n == 0 || !sequence.state->reserve(sequence.n_tokens() + n)) continue;
    slice.n_guesses = n;
    budget_ -= n;
  }
}

// Makes room for all tokens of a running sequence at the cost of others, or else preempts it.
void Scheduler::reserve(Sequence& sequence) {
  while (!sequence.state->reserve(sequence.n_tokens())) {
    Sequence* victim = last_paused();
    if (victim == nullptr) victim = running_.back().get();
    preempt(*victim);
    if (victim == &sequence) return;
  }
}

Sequence* Scheduler::last_paused() const {
  const auto last =
      std::find_if(running_.rbegin(), running_.rend(), [](const auto& s) { return s->paused; });
  return last == running_.rend() ? nullptr : last->get();
}

void Scheduler::preempt(Sequence& sequence) {
  std::unique_ptr<Sequence> taken = extract(running_, sequence);
  taken->state.reset();
  taken->n_computed = 0;
  taken->n_drafted = 0;
  ++preemptions_;
  insert_by_arrival(waiting_, std::move(taken));
}

// Room for the tokens of these was made when they were admitted.
void Scheduler::schedule_prefills() {
  for (const auto& s : running_) {
    if (budget_ == 0) return;
    if (!s->paused && s->n_pending() > 1) take_slice(*s);
  }
}

void Scheduler::admit() {
  while (budget_ > 0) {
    const auto first =
        std::find_if(waiting_.begin(), waiting_.end(), [](const auto& s) { return !s->paused; });
    if (first == waiting_.end()) return;
    Sequence& sequence = **first;
    if (!make_room(sequence)) return;
    sequence.state = cache_.make(sequence.n_tokens());
    if (!sequence.state) return;
    insert_by_arrival(running_, extract(waiting_, sequence));
    take_slice(sequence);
  }
}

// Makes room for a waiting sequence at the cost of paused ones only. Asks for one more page for
// each sequence that is under way, so that admitting does not lead to preempting at once.
bool Scheduler::make_room(const Sequence& sequence) {
  int active = 0;
  int pages = cache_.pages_free();
  for (const auto& s : running_) {
    if (s->paused) {
      pages += static_cast<int>(s->state->pages().size());
    } else {
      ++active;
    }
  }
  const int needed =
      cache_.paged() ? pages_for(std::min(sequence.n_tokens() + 1, sequence.limit)) + active : 0;
  const bool any_paused = active < n_running();
  if (active >= options_.max_sequences || pages < needed) return false;
  if (!cache_.slot_free() && !any_paused) return false;
  while (n_running() >= options_.max_sequences || cache_.pages_free() < needed ||
         !cache_.slot_free()) {
    preempt(*last_paused());
  }
  return true;
}

}  // namespace rbee
