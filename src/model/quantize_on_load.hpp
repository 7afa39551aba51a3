// QuantizeOnLoad: gives weights the types of a mixture while they are loaded.
#pragma once
#include <cstddef>
#include <memory>
#include <vector>

#include "model/loader.hpp"
#include "quantize/importance_matrix.hpp"
#include "quantize/mixture.hpp"

namespace rbee {

struct Quantization {
  Mixture mixture = Mixture::q8_0;
  std::shared_ptr<const ImportanceMatrix> importance{};  // may be none
};

class QuantizeOnLoad final : public LoadObserver {
 public:
  QuantizeOnLoad(Quantization quantization, const Checkpoint& checkpoint, int threads);

  // A matrix takes its type of the mixture unless the one it has is smaller: what a file has
  // rounded already gains nothing from more bits. Throws LoadError for values that are not finite,
  // for an importance matrix of another model, and where one is needed (require_no_importance).
  HostMatrix replacement(const HostMatrix& matrix, const TensorRequest& request, int index,
                         std::vector<std::byte>& memory) override;

 private:
  Quantization quantization_;
  MixtureModel model_;
  int threads_;
};

}  // namespace rbee
