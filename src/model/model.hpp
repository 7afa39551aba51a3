// Model: weights plus forward. Const after loading; holds no sequence, so that one instance serves
// all.
#pragma once
#include <memory>
#include <vector>

#include "backend/ops.hpp"
#include "core/batch.hpp"
#include "core/layer_state.hpp"

namespace rbee {

struct ModelInfo {
  int n_layers = 0;
  int hidden_size = 0;
  int vocab_size = 0;
  int max_context = 0;            // positions the checkpoint was made for
  int context_limit = 0;          // positions that forward can do at all; 0: any number
  std::vector<LayerState> state;  // one for each layer that keeps any
};

// Throws BackendError when a sequence of the batch goes beyond the context limit.
void check_context(const ModelInfo& info, const Batch& batch);

// Whether a sequence can be set back to an earlier position, which recurrent layers cannot.
bool can_go_back(const ModelInfo& info);

class Model {
 public:
  virtual ~Model() = default;
  virtual const ModelInfo& info() const = 0;
  // Logits [batch.logit_rows.size(), vocab_size]. See Ops for what forward may do.
  virtual Tensor forward(Ops& ops, const Batch& batch) const = 0;
};

}  // namespace rbee
