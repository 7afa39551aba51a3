// Whether a model fits into memory, known before any is taken.
#pragma once
#include <algorithm>
#include <cstddef>
#include <string>

#include "backend/backend.hpp"
#include "checkpoint/checkpoint.hpp"
#include "engine/load_model.hpp"
#include "model/family.hpp"
#include "model/model.hpp"

namespace rbee {

// What a model takes on a device, counted by building it on a backend that keeps nothing.
struct ModelPlan {
  std::string device;
  std::size_t parameters = 0;
  ModelInfo info;
  std::size_t weight_bytes = 0;
  std::size_t loading_bytes = 0;  // of the largest matrix that is decoded or encoded to be packed
  std::size_t page_bytes = 0;     // of kPageTokens tokens over all layers
  std::size_t slot_bytes = 0;     // of a sequence, whatever its length

  // Of one sequence of so many tokens.
  std::size_t state_bytes(int n_tokens) const;
};

// dry: a backend made with BackendOptions::dry_run, for one plan. Of the options, those count that
// build_model and Loader heed, and step_tokens. Throws LoadError.
ModelPlan plan_model(const Checkpoint& checkpoint, const Family& family, Backend& dry,
                     const LoadOptions& options);

// The least with which a model can be used.
struct MemoryNeed {
  int context = 0;  // tokens that state is for
  std::size_t weights = 0;
  std::size_t state = 0;
  std::size_t activations = 0;  // about
  std::size_t loading = 0;      // beside the weights, before there is state

  std::size_t total() const { return weights + std::max(state + activations, loading); }
};

// A context that is not asked for may be cut to this many tokens, but to no fewer.
inline constexpr int kLeastContext = 512;

// context: tokens of the longest sequence; 0: not asked for.
MemoryNeed least_memory(const ModelPlan& plan, int context);

// Throws LoadError, with all of the numbers and what would fit, unless the need is met by so many
// bytes. file: for the error.
void require_memory(const std::string& file, const ModelPlan& plan, const MemoryNeed& need,
                    std::size_t available);

}  // namespace rbee
