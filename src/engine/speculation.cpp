#include "engine/speculation.hpp"

#include <algorithm>

namespace rbee {

void look_up(std::span<const std::int32_t> tokens, int most, std::vector<std::int32_t>& guess) {
  constexpr std::size_t kEnough = 32;  // tokens that agree
  const std::size_t n = tokens.size();
  std::size_t best = kLookupTokens - 1, at = 0;
  for (std::size_t end = n; end-- > kLookupTokens && best < kEnough;) {
    if (tokens[end - 1] != tokens[n - 1]) continue;
    std::size_t same = 1;
    while (same < end && same < kEnough && tokens[end - 1 - same] == tokens[n - 1 - same]) ++same;
    if (same > best) best = same, at = end;
  }
  guess.clear();
  if (at == 0) return;
  for (; static_cast<int>(guess.size()) < most; ++at) {
    guess.push_back(at < n ? tokens[at] : guess[at - n]);
  }
}

void GuessRecord::note(int guessed, int kept) noexcept {
  constexpr double kWeight = 0.1;
  for (int i = 0; i < kept; ++i) expected_ += kWeight * (1 - expected_);
  if (kept < guessed) expected_ -= kWeight * expected_;
}

void GuessRecord::note_unused() noexcept {
  constexpr double kWeight = 0.01;
  expected_ += kWeight * (kAtFirst - expected_);
}

void StepTimes::note(int n_tokens, double seconds) noexcept {
  if (n_tokens < 1 || n_tokens > kMostTokens || seconds <= 0) return;
  // What is faster counts more: the first of its size is often slow, and so is a busy neighbour's.
  constexpr double kSlower = 0.1, kFaster = 0.3, kForget = 0.01, kHiccup = 1.5;
  double& known = seconds_[static_cast<std::size_t>(n_tokens)];
  const double weight = seconds < known ? kFaster : kSlower;
  known = known > 0 ? known + weight * (std::min(seconds, kHiccup * known) - known) : seconds;
  // What larger steps took was perhaps bad luck, or long ago.
  for (int n = n_tokens + 1; n <= kMostTokens; ++n) {
    double& other = seconds_[static_cast<std::size_t>(n)];
    if (other > 0) other += kForget * (hoped(n) - other);
  }
}

void StepTimes::fade() noexcept {
  constexpr double kForget = 0.004;
  for (double& known : seconds_) known -= kForget * known;
}

double StepTimes::seconds(int n_tokens) const noexcept {
  if (n_tokens < 1 || n_tokens > kMostTokens) return 0;
  const double known = seconds_[static_cast<std::size_t>(n_tokens)];
  return known > 0 ? known : hoped(n_tokens);
}

// Some more than the next smaller step that was seen.
double StepTimes::hoped(int n_tokens) const noexcept {
  constexpr double kMorePerToken = 0.05;
  for (int n = n_tokens - 1; n > 0; --n) {
    const double known = seconds_[static_cast<std::size_t>(n)];
    if (known > 0) return known * (1 + kMorePerToken * (n_tokens - n));
  }
  return 0;
}

namespace {

// The next guess of each sequence, likeliest first.
class Candidates {
 public:
  explicit Candidates(std::span<GuessPolicy::Choice> choices)
      : choices_(choices.first(std::min(choices.size(), chances_.size()))) {
    for (std::size_t i = 0; i < choices_.size(); ++i) chances_[i] = choices_[i].expected;
  }

  // Null when all are taken.
  GuessPolicy::Choice* best() const {
    std::size_t best = choices_.size();
    for (std::size_t i = 0; i < choices_.size(); ++i) {
      const bool more =
          choices_[i].count < std::min(choices_[i].available, GuessPolicy::kMostGuesses);
      if (more && (best == choices_.size() || chances_[i] > chances_[best])) best = i;
    }
    return best == choices_.size() ? nullptr : &choices_[best];
  }
  double chance(const GuessPolicy::Choice& choice) const { return chances_[index(choice)]; }
  void take(GuessPolicy::Choice& choice) {
    chances_[index(choice)] *= choice.expected;
    ++choice.count;
  }

 private:
  std::size_t index(const GuessPolicy::Choice& choice) const {
    return static_cast<std::size_t>(&choice - choices_.data());
  }

  std::array<double, GuessPolicy::kMostTokens> chances_{};  // to be right
  std::span<GuessPolicy::Choice> choices_;
};

}  // namespace

// Adds guesses while the tokens that a second brings grow.
GuessPolicy::Step GuessPolicy::choose(std::span<Choice> choices, int n_sequences) const {
  Candidates candidates(choices);
  Step step{.n_tokens = n_sequences, .expected = static_cast<double>(n_sequences)};
  for (;;) {
    const double seconds = steps_.seconds(step.n_tokens);
    Choice* best = candidates.best();
    if (seconds <= 0 || best == nullptr || step.n_tokens == kMostTokens) break;
    const double with_it = step.expected + candidates.chance(*best);
    if (with_it * seconds <= step.expected * steps_.seconds(step.n_tokens + 1)) break;
    candidates.take(*best);
    step = {step.n_tokens + 1, with_it};
  }
  return step;
}

// The first guess of a round costs more than those of other sequences, so that what does not pay at
// first may do so in the end: adds all, and takes back what follows the best.
void GuessPolicy::choose_drafts(std::span<Choice> choices, Step step) const {
  constexpr double kCaughtUpInARound = 8;  // tokens that take as long together as one alone
  if (steps_.seconds(step.n_tokens) <= 0) return;
  Candidates candidates(choices);
  std::array<int, kMostGuesses> sequences{};  // of each round
  std::array<Choice*, kMostTokens> taken{};
  std::size_t n_taken = 0, n_best = 0;
  double rounds = 0, best_rate = step.expected / steps_.seconds(step.n_tokens);
  while (step.n_tokens < kMostTokens) {
    Choice* next = candidates.best();
    if (next == nullptr) break;
    const int n = ++sequences[static_cast<std::size_t>(next->count)];
    rounds += rounds_.seconds(n) - rounds_.seconds(n - 1);
    if (next->count == 0) {
      rounds += rounds_.seconds(1) * next->behind / kCaughtUpInARound / std::max(next->ahead, 1);
    }
    step = {step.n_tokens + 1, step.expected + candidates.chance(*next)};
    candidates.take(*next);
    taken[n_taken++] = next;
    const double rate = step.expected / (steps_.seconds(step.n_tokens) + rounds);
    if (rate > best_rate) best_rate = rate, n_best = n_taken;
  }
  while (n_taken > n_best) --taken[--n_taken]->count;
}

}  // namespace rbee
