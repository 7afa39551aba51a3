#include "engine/memory_fit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/byte_units.hpp"
#include "base/load_error.hpp"
#include "model/loader.hpp"
#include "state/state_cache.hpp"
#include "state/state_plan.hpp"
#include "state/window_rings.hpp"

namespace rbee {
namespace {

// What auto-sized state leaves free, as a share of it (kStateShareOfFreeMemory).
constexpr double kBesideState = 1 / kStateShareOfFreeMemory - 1;

// Activations of a step of a few hundred tokens, and its logits. Rough: what is held at once
// depends on the family, and is small beside weights.
std::size_t activation_bytes(const ModelInfo& info) {
  constexpr std::size_t kTokens = 512, kRowsOfLogits = 32, kTensors = 16;
  const auto hidden = static_cast<std::size_t>(info.hidden_size);
  const auto vocab = static_cast<std::size_t>(info.vocab_size);
  return sizeof(float) * (kTokens * kTensors * hidden + kRowsOfLogits * vocab);
}

// The longest context that would fit beside the weights; 0: none.
int fitting_context(const ModelPlan& plan, const MemoryNeed& need, std::size_t available) {
  const auto fits = [&](int context) { return least_memory(plan, context).total() <= available; };
  int context = need.context / kPageTokens * kPageTokens;
  while (context > 0 && !fits(context)) context = context / 2 / kPageTokens * kPageTokens;
  return context;
}

std::string beside_weights(const MemoryNeed& need) {
  if (need.loading > need.state + need.activations) {
    return fmt::format("{:.2f} for a matrix that is being loaded", in_gib(need.loading));
  }
  return fmt::format("{:.2f} for the state of {} tokens, {:.2f} for activations",
                     in_gib(need.state), need.context, in_gib(need.activations));
}

std::string advice(const ModelPlan& plan, const MemoryNeed& need, std::size_t available) {
  if (const int context = fitting_context(plan, need, available); context > 0) {
    return fmt::format("; --ctx {} would fit", context);
  }
  const std::size_t rest = need.total() - need.weights;
  const double bits =
      available <= rest || plan.parameters == 0
          ? 0
          : 8.0 * static_cast<double>(available - rest) / static_cast<double>(plan.parameters);
  constexpr double kFewestBits = 1.5;
  if (bits < kFewestBits) return "; no type of its weights would fit";
  return fmt::format(
      "; at most {:.1f} bits a weight would fit (another file, or --quantize), it takes {:.1f}",
      bits, 8.0 * static_cast<double>(need.weights) / static_cast<double>(plan.parameters));
}

}  // namespace

std::size_t ModelPlan::state_bytes(int n_tokens) const {
  return static_cast<std::size_t>(pages_for(n_tokens)) * page_bytes + slot_bytes;
}

ModelPlan plan_model(const Checkpoint& checkpoint, const Family& family, Backend& dry,
                     const LoadOptions& options) {
  Loader loader(checkpoint, &dry, options.context);
  const auto model = build_model(family, loader, options);
  const ModelInfo& info = model->info();
  std::vector<LayerState> layers = info.state;
  if (options.step_tokens > 0) {
    layers = with_rings(layers, options.context > 0 ? options.context : info.max_context,
                        options.step_tokens);
  }
  return {.device = dry.name(),
          .parameters = loader.parameters(),
          .info = info,
          .weight_bytes = dry.memory().weights,
          .loading_bytes = loader.largest_copy(),
          .page_bytes = dry.page_bytes(layers),
          .slot_bytes = dry.slot_bytes(layers)};
}

MemoryNeed least_memory(const ModelPlan& plan, int context) {
  MemoryNeed need;
  need.context = context > 0 ? context : std::min(plan.info.max_context, kLeastContext);
  need.weights = plan.weight_bytes;
  need.state = plan.state_bytes(need.context);
  need.activations =
      std::max(activation_bytes(plan.info),
               static_cast<std::size_t>(static_cast<double>(need.state) * kBesideState));
  need.loading = plan.loading_bytes;
  return need;
}

void require_memory(const std::string& file, const ModelPlan& plan, const MemoryNeed& need,
                    std::size_t available) {
  if (need.total() <= available) return;
  throw LoadError(
      file, "memory",
      fmt::format("{:.2f} GiB ({:.2f} for weights, {})", in_gib(need.total()), in_gib(need.weights),
                  beside_weights(need)),
      fmt::format("{:.2f} GiB available{}", in_gib(available), advice(plan, need, available)));
}

}  // namespace rbee
