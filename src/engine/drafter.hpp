// Drafter: a second, smaller model that guesses what the first will say (speculative decoding).
//
// Both keep what they compute of a sequence in the same pages and slot, each in its own backend's
// memory, so that admission, preemption and freeing are the same for both. The draft computes what
// it has not seen of a sequence when it is asked for a guess, and is set back to what came true.
#pragma once
#include <span>
#include <vector>

#include "backend/backend.hpp"
#include "engine/batch_builder.hpp"
#include "engine/sequence.hpp"
#include "engine/speculation.hpp"
#include "model/model.hpp"

namespace rbee {

// The draft model of an engine, which both must outlive. None: null.
struct Draft {
  Backend* backend = nullptr;
  const Model* model = nullptr;
};

class Drafter {
 public:
  // The most tokens that a sequence has in a step of the draft: what rings must have room for.
  static int step_tokens(int of_engine) { return of_engine + GuessPolicy::kMostGuesses; }

  // State is allocated. n_vocab: ids from here on are not guessed. step_tokens: of the engine.
  Drafter(const Draft& draft, int n_vocab, bool with_slots, int step_tokens);

  // How far the draft's positions reach beyond the end of a sequence; 0 also where the sequence has
  // a token that the draft does not know.
  int room(const Sequence& sequence) const;
  // Tokens that it has to compute beyond those of the last step.
  static int behind(const Sequence& sequence);

  struct Wish {
    Sequence* sequence = nullptr;
    int count = 0;  // at least one
  };
  // Guesses count tokens of each, whose n_computed tokens are all but the last and whose state has
  // room for them, and tells the policy what rounds took. A sequence that the draft is far behind
  // with is caught up by so many tokens as a step has, and gets no guess until that is done.
  // Throws BackendError; then no guess holds.
  void draft(std::span<const Wish> wishes, GuessPolicy& policy);

 private:
  void begin_round();
  void add(Sequence& sequence, int n_tokens);
  void run(GuessPolicy& policy);

  const Draft draft_;
  const int n_vocab_;
  const bool with_slots_;
  const int step_tokens_;

  BatchBuilder batches_;
  std::vector<Sequence*> guessing_;  // get a token each of the run under way
};

}  // namespace rbee
