// Loading of the small parts that blocks are made of.
#pragma once
#include "backend/ops.hpp"
#include "model/loader.hpp"
#include "nn/names.hpp"

namespace rbee::nn {

enum class Bias : std::uint8_t { if_present, required };

// Weight [rows, cols] and its bias. Throws LoadError as Loader does.
inline Linear load_linear(Loader& load, const LinearName& name, int rows, int cols, int layer,
                          Bias bias) {
  return {load.matrix(name.weight, rows, cols, layer),
          bias == Bias::required ? load.vector(name.bias, rows, layer)
                                 : load.maybe_vector(name.bias, rows, layer)};
}

// Root mean square normalisation of each row, times a learned weight.
struct RmsNorm {
  Weight weight;
  float eps = 0;

  Tensor operator()(Ops& ops, const Tensor& x) const { return ops.rms_norm(x, weight, eps); }
};

}  // namespace rbee::nn
