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

// Adds guesses one by one, the likeliest first, while the tokens that a second brings grow.
void GuessPolicy::choose(std::span<Choice> choices, int n_sequences) const {
  std::array<double, kMostTokens + 1> chances{};  // of the next guess of each, to be right
  const std::size_t n = std::min(choices.size(), chances.size());
  for (std::size_t i = 0; i < n; ++i) chances[i] = choices[i].expected;
  double tokens = n_sequences;
  double seconds = cost(n_sequences);
  for (int size = n_sequences + 1; size <= kMostTokens && seconds > 0; ++size) {
    std::size_t best = n;
    for (std::size_t i = 0; i < n; ++i) {
      const bool more = choices[i].count < std::min(choices[i].available, kMostGuesses);
      if (more && (best == n || chances[i] > chances[best])) best = i;
    }
    if (best == n) return;
    const double with_it = cost(size);
    if ((tokens + chances[best]) * seconds <= tokens * with_it) return;
    tokens += chances[best];
    seconds = with_it;
    chances[best] *= choices[best].expected;
    ++choices[best].count;
  }
}

void GuessPolicy::note_step(int n_tokens, double seconds) noexcept {
  if (n_tokens < 1 || n_tokens > kMostTokens || seconds <= 0) return;
  constexpr double kWeight = 0.1, kForget = 0.01, kHiccup = 1.5;
  double& known = seconds_[static_cast<std::size_t>(n_tokens)];
  known = known > 0 ? known + kWeight * (std::min(seconds, kHiccup * known) - known) : seconds;
  // What larger steps took was perhaps bad luck, or long ago.
  for (int n = n_tokens + 1; n <= kMostTokens; ++n) {
    double& other = seconds_[static_cast<std::size_t>(n)];
    if (other > 0) other += kForget * (hoped(n) - other);
  }
}

double GuessPolicy::cost(int n_tokens) const noexcept {
  if (n_tokens < 1 || n_tokens > kMostTokens) return 0;
  const double known = seconds_[static_cast<std::size_t>(n_tokens)];
  return known > 0 ? known : hoped(n_tokens);
}

// Some more than the next smaller step that was seen.
double GuessPolicy::hoped(int n_tokens) const noexcept {
  constexpr double kMorePerToken = 0.05;
  for (int n = n_tokens - 1; n > 0; --n) {
    const double known = seconds_[static_cast<std::size_t>(n)];
    if (known > 0) return known * (1 + kMorePerToken * (n_tokens - n));
  }
  return 0;
}

}  // namespace rbee
