#include "state/state_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "base/byte_units.hpp"
#include "state/state_cache.hpp"

namespace rbee {
Result<StatePlan, std::string> plan_state(const StateNeeds& needs, std::size_t budget) {
  StatePlan plan;
  plan.max_context = needs.max_context > 0 ? needs.max_context : needs.model_context;
  if (plan.max_context <= 0) return Err{std::string("the model names no context length; set one")};
  const int max_sequences = std::max(needs.max_sequences, 1);

  // Sequences without a slot wait for one. Where pages are needed too they get half of the budget.
  const std::size_t for_slots = needs.page_bytes == 0 ? budget : budget / 2;
  std::size_t slots = 0;
  if (needs.slot_bytes > 0) {
    slots = std::clamp<std::size_t>(for_slots / needs.slot_bytes, 1, max_sequences);
  }
  if (slots * needs.slot_bytes > budget) {
    return Err{fmt::format("the state of a sequence takes {:.1f} MiB, {:.1f} MiB are to be had",
                           in_mib(needs.slot_bytes), in_mib(budget))};
  }
  plan.n_slots = static_cast<int>(slots);
  plan.bytes = slots * needs.slot_bytes;

  if (needs.page_bytes == 0) return plan;

  // Page numbers are 32 bits wide everywhere.
  const std::int64_t wanted = std::min<std::int64_t>(
      (slots > 0 ? static_cast<std::int64_t>(slots) : max_sequences) * pages_for(plan.max_context),
      std::numeric_limits<int>::max());
  const std::size_t fitting = (budget - plan.bytes) / needs.page_bytes;
  const std::int64_t n_pages =
      fitting < static_cast<std::size_t>(wanted) ? static_cast<std::int64_t>(fitting) : wanted;
  if (n_pages < pages_for(plan.max_context)) {
    if (needs.max_context > 0 || n_pages == 0) {
      return Err{
          fmt::format("a context of {} tokens takes {:.1f} MiB of state, {:.1f} MiB are to "
                      "be had",
                      plan.max_context, in_mib(needs.page_bytes) * pages_for(plan.max_context),
                      in_mib(budget - plan.bytes))};
    }
    plan.max_context = static_cast<int>(n_pages) * kPageTokens;
  }
  plan.n_pages = static_cast<int>(n_pages);
  plan.bytes += plan.n_pages * needs.page_bytes;
  return plan;
}

}  // namespace rbee
