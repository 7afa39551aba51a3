// Sequence: one generation under way. Owned by the scheduler, touched by the engine thread only.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/request.hpp"
#include "engine/speculation.hpp"
#include "engine/token_stream.hpp"
#include "sampling/sampler.hpp"
#include "state/state_cache.hpp"

namespace rbee {

struct Sequence {
  using Clock = std::chrono::steady_clock;

  std::uint64_t arrival = 0;         // order of arrival, unique
  std::vector<std::int32_t> tokens;  // the prompt, then the answer so far
  int n_prompt = 0;
  int limit = 0;  // ends when there are this many tokens
  std::vector<std::int32_t> end_ids;
  int top_logprobs = -1;
  Sampler sampler;
  std::shared_ptr<TokenStream> stream;

  // --- what the scheduler decides on ---
  std::optional<SeqState> state;  // none: waiting
  int n_computed = 0;             // tokens whose keys and values are in the state
  bool paused = false;            // its consumer does not keep up; keeps its place, is not stepped

  // --- speculation ---
  std::vector<std::int32_t> guess;  // what the next tokens may be; checked with the next step
  bool drafted = false;             // it is of the draft model
  // Tokens whose keys and values of the draft model are in the state. While a guess is not checked,
  // those of the guess count too: the first n_computed hold in any case.
  int n_drafted = 0;
  GuessRecord guesses, drafts;  // looked up, and of the draft model

  // --- times for Finish ---
  std::optional<Clock::time_point> admitted, first_token, last_token;

  int n_tokens() const noexcept { return static_cast<int>(tokens.size()); }
  int n_pending() const noexcept { return n_tokens() - n_computed; }
  int n_answer() const noexcept { return n_tokens() - n_prompt; }
};

}  // namespace rbee
