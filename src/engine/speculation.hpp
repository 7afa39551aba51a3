// Speculation: one step checks several guessed tokens, for about the price of one where steps wait
// for memory (speculative decoding: Leviathan et al. 2023, arXiv:2211.17192). Answers often repeat
// what stands in their prompt or in themselves: what followed there is guessed to follow here
// (prompt lookup decoding). What is new a smaller model may guess (engine/drafter.hpp).
//
// A guess is kept only where the sampler picks the same token from the model's own logits. Answers
// are therefore what they would be without guesses, bit for bit, greedy or sampled.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace rbee {

// Guesses the next tokens, most of them: what followed where the last ones stood before, or nothing
// when the last kLookupTokens never did. Of several places the one that agrees furthest back
// counts, and of equals the latest. What reaches the end of tokens goes on in a circle.
inline constexpr int kLookupTokens = 3;
void look_up(std::span<const std::int32_t> tokens, int most, std::vector<std::int32_t>& guess);

// A sequence's share of guesses that came true, as far as it is known.
class GuessRecord {
 public:
  double expected() const noexcept { return expected_; }
  void note(int guessed, int kept) noexcept;  // guesses after the first wrong one say nothing
  void note_unused() noexcept;  // a guess was not checked: forgets slowly, so that one will be

 private:
  static constexpr double kAtFirst = 0.6;
  double expected_ = kAtFirst;
};

// What steps of different sizes were seen to take.
class StepTimes {
 public:
  static constexpr int kMostTokens = 64;

  void note(int n_tokens, double seconds) noexcept;
  void fade() noexcept;                         // all of it was perhaps bad luck, or long ago
  double seconds(int n_tokens) const noexcept;  // 0: not known

 private:
  double hoped(int n_tokens) const noexcept;

  std::array<double, kMostTokens + 1> seconds_{};  // by tokens; 0: never seen
};

// Says how many guesses pay, by what steps were seen to take.
class GuessPolicy {
 public:
  static constexpr int kMostGuesses = 8;                      // of one sequence
  static constexpr int kMostTokens = StepTimes::kMostTokens;  // of a step with guesses

  struct Choice {
    double expected = 0;  // probability that a guess is right whose predecessors were
    int available = 0;    // guesses there are
    int behind = 0;       // of a draft: tokens that it has to compute before it can guess
    int ahead = 1;        // of a draft: steps that this may serve
    int count = 0;        // result: how many to check
  };
  struct Step {
    int n_tokens = 0;     // with guesses
    double expected = 0;  // tokens that it brings
  };
  // For a step with one token of each of n_sequences, of which some have guesses. Returns what the
  // step then is.
  Step choose(std::span<Choice> choices, int n_sequences) const;
  // The same for sequences whose guesses have yet to be made, in rounds of one token of each, to be
  // added to the step.
  void choose_drafts(std::span<Choice> choices, Step step) const;

  // A step of n_tokens, each of which had its logits sampled, took so long.
  void note_step(int n_tokens, double seconds) noexcept { steps_.note(n_tokens, seconds); }
  // So did a round that made a guess for each of n_sequences.
  void note_round(int n_sequences, double seconds) noexcept { rounds_.note(n_sequences, seconds); }
  void note_no_round() noexcept { rounds_.fade(); }  // none paid: forgets slowly, so that one will

 private:
  StepTimes steps_, rounds_;
};

}  // namespace rbee
