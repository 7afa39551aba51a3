// How much state to make room for: a pure function of what a model needs and what memory there is.
#pragma once
#include <cstddef>
#include <string>

#include "base/result.hpp"

namespace rbee {

struct StateNeeds {
  std::size_t page_bytes = 0;  // of one page over all layers; 0: no layer keeps keys and values
  std::size_t slot_bytes = 0;  // of one slot over all layers; 0: none is recurrent or has a ring
  int model_context = 0;       // positions the model was made for
  int max_context = 0;         // wanted; 0: the model's, as far as memory allows
  int max_sequences = 1;
};

struct StatePlan {
  int n_pages = 0;  // 0: no layer keeps keys and values
  int n_slots = 0;
  int max_context = 0;
  std::size_t bytes = 0;
};

// Share of the free memory that auto-sized state may take.
inline constexpr double kStateShareOfFreeMemory = 0.8;

// Sequences in slots are as many as fit; more wait.
//
// Room for max_sequences sequences of max_context tokens, or as much of it as budget bytes hold,
// but always at least one such sequence. When max_context was not asked for by the user it is
// reduced to what fits; otherwise the error says what is lacking.
Result<StatePlan, std::string> plan_state(const StateNeeds& needs, std::size_t budget);

}  // namespace rbee
