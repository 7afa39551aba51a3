// Scheduler: which sequences take part in the next step, and with how many tokens. Pure policy: no
// threads, no clock, no tensors.
//
// A step holds one token of every decoding sequence first, so that prompts do not hold up answers,
// then what was guessed of their next ones, and as much prefill as max_batch_tokens leaves, oldest
// sequence first. Waiting sequences are
// admitted in order of arrival once the cache has room for all their tokens. When a decoding
// sequence lacks a page, a paused sequence, or else the one that arrived last, gives all its pages
// back and waits; it is computed again later from its prompt and answer. The oldest sequence that
// can go on is therefore never held up, which is why everything ends.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "engine/sequence.hpp"
#include "state/state_cache.hpp"

namespace rbee {

struct SchedulerOptions {
  int max_sequences = 32;      // running at once
  int max_batch_tokens = 512;  // raised to max_sequences, so that each can take part in each step
};

// The next n_tokens uncomputed tokens of a sequence, and after its last n_guesses of its guess.
struct Slice {
  Sequence* sequence = nullptr;
  int n_tokens = 0;
  int n_guesses = 0;

  bool reaches_end() const noexcept { return n_tokens == sequence->n_pending(); }
};

class Scheduler {
 public:
  // Every sequence added must fit into the empty cache with all its tokens up to its limit.
  Scheduler(StateCache& cache, const SchedulerOptions& options);

  void add(std::unique_ptr<Sequence> sequence);

  // The next step; empty when there is nothing to do. Valid until the next call of anything here.
  // The caller then adds n_tokens to n_computed of each.
  std::span<const Slice> next();

  // Makes room for the tokens that decoding sequences have in the next step, as next does, so that
  // guesses made before it can take what is left.
  void make_room_to_decode();

  // Takes a sequence out, wherever it is, and gives its state back.
  std::unique_ptr<Sequence> remove(Sequence& sequence);

  // All sequences, running and waiting. The pointers stay valid until they are removed.
  std::vector<Sequence*> all() const;
  void collect(std::vector<Sequence*>& into) const;  // the same without allocating anew

  int n_running() const noexcept { return static_cast<int>(running_.size()); }
  int n_waiting() const noexcept { return static_cast<int>(waiting_.size()); }
  std::uint64_t preemptions() const noexcept { return preemptions_; }

 private:
  void schedule_decodes();
  void schedule_guesses();
  void schedule_prefills();
  void admit();
  bool make_room(const Sequence& sequence);
  void reserve(Sequence& sequence);
  Sequence* last_paused() const;
  void preempt(Sequence& sequence);
  void take_slice(Sequence& sequence);

  StateCache& cache_;
  SchedulerOptions options_;
  std::vector<std::unique_ptr<Sequence>> running_;  // by arrival
  std::deque<std::unique_ptr<Sequence>> waiting_;   // by arrival
  std::vector<Sequence*> work_;
  std::vector<Slice> slices_;
  int budget_ = 0;
  std::uint64_t preemptions_ = 0;
};

}  // namespace rbee
