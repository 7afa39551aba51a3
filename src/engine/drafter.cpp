#include "engine/drafter.hpp"

#include <algorithm>
#include <chrono>

namespace rbee {
namespace {

constexpr int kNear = GuessPolicy::kMostGuesses;  // tokens that need no catching up

int pending(const Sequence& sequence) { return sequence.n_tokens() - sequence.n_drafted; }

std::int32_t likeliest(std::span<const float> logits) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < logits.size(); ++i) {
    if (logits[i] > logits[best]) best = i;
  }
  return static_cast<std::int32_t>(best);
}

}  // namespace

Drafter::Drafter(const Draft& draft, int n_vocab, bool with_slots, int step_tokens)
    : draft_(draft),
      n_vocab_(std::min(n_vocab, draft.model->info().vocab_size)),
      with_slots_(with_slots),
      step_tokens_(step_tokens) {}

int Drafter::room(const Sequence& sequence) const {
  const ModelInfo& info = draft_.model->info();
  const auto known = std::min(sequence.n_drafted, sequence.n_computed);
  const auto unknown = [&](std::int32_t id) { return id >= info.vocab_size; };
  if (std::any_of(sequence.tokens.begin() + known, sequence.tokens.end(), unknown)) return 0;
  if (info.context_limit == 0) return GuessPolicy::kMostGuesses;
  return std::max(info.context_limit - sequence.n_tokens(), 0);
}

int Drafter::behind(const Sequence& sequence) {
  return std::max(sequence.n_computed - sequence.n_drafted - 1, 0);
}

void Drafter::draft(std::span<const Wish> wishes, GuessPolicy& policy) {
  if (wishes.empty()) return;
  begin_round();
  int budget = step_tokens_;  // of catching up
  for (const Wish& wish : wishes) {
    Sequence& sequence = *wish.sequence;
    sequence.guess.clear();
    sequence.n_drafted = std::min(sequence.n_drafted, sequence.n_computed);
    int n = pending(sequence);
    if (n > kNear) {
      n = std::min(n, budget);
      budget -= n;
    }
    add(sequence, n);
  }
  while (batches_.n_tokens() > 0) {
    run(policy);
    begin_round();
    for (const Wish& wish : wishes) {
      const int n = static_cast<int>(wish.sequence->guess.size());
      if (n > 0 && n < wish.count) add(*wish.sequence, 1);
    }
  }
}

void Drafter::begin_round() {
  batches_.clear();
  guessing_.clear();
}

void Drafter::add(Sequence& sequence, int n_tokens) {
  if (n_tokens == 0) return;
  const int end = sequence.n_drafted + n_tokens;
  const bool to_the_end = end == sequence.n_tokens() + static_cast<int>(sequence.guess.size());
  batches_.add(sequence, sequence.n_drafted, end, to_the_end ? 1 : 0);
  sequence.n_drafted = end;
  if (to_the_end) guessing_.push_back(&sequence);
}

void Drafter::run(GuessPolicy& policy) {
  const auto start = Sequence::Clock::now();
  const Batch batch = batches_.batch(with_slots_);
  const std::span<const float> logits = draft_.backend->run(
      batch, [this](Ops& ops, const Batch& now) { return draft_.model->forward(ops, now); });
  const auto n_vocab = static_cast<std::size_t>(draft_.model->info().vocab_size);
  if (logits.size() != guessing_.size() * n_vocab) {
    throw BackendError("the draft model's backend gave logits of a wrong size");
  }
  for (std::size_t i = 0; i < guessing_.size(); ++i) {
    const auto row = logits.subspan(i * n_vocab, n_vocab);
    guessing_[i]->guess.push_back(likeliest(row.first(static_cast<std::size_t>(n_vocab_))));
  }
  const std::chrono::duration<double> took = Sequence::Clock::now() - start;
  const int n = static_cast<int>(guessing_.size());
  // Where all guesses came true their last is yet to be computed, beside the token after it: still
  // a round. Catching up is none.
  if (batch.n_tokens() <= 2 * n) policy.note_round(n, took.count());
}

}  // namespace rbee
