#include "model/model.hpp"

#include <algorithm>
#include <string>
#include <variant>

#include "backend/backend.hpp"

namespace rbee {

void check_context(const ModelInfo& info, const Batch& batch) {
  if (info.context_limit == 0 || batch.kv_len.empty()) return;
  const int longest = *std::max_element(batch.kv_len.begin(), batch.kv_len.end());
  if (longest > info.context_limit) {
    throw BackendError("a sequence of " + std::to_string(longest) +
                       " tokens, this model can do up to " + std::to_string(info.context_limit));
  }
}

bool can_go_back(const ModelInfo& info) {
  return std::none_of(info.state.begin(), info.state.end(), [](const LayerState& layer) {
    return std::holds_alternative<Recurrent>(layer);
  });
}

}  // namespace rbee
