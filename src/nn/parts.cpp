#include "nn/parts.hpp"

namespace rbee::nn {

Linear load_linear(Loader& load, const LinearName& name, int rows, int cols, int layer, Bias bias) {
  return {load.matrix(name.weight, rows, cols, layer),
          bias == Bias::required ? load.vector(name.bias, rows, layer)
                                 : load.maybe_vector(name.bias, rows, layer)};
}

Weight load_rms_weight(Loader& load, const DecoderConfig& config, const Name& name, int size,
                       int layer) {
  const bool less_one =
      config.norm == NormKind::rms_plus_one && load.checkpoint().format() == Format::safetensors;
  return load.vector(name, size, layer, {.add = less_one ? 1.0F : 0.0F});
}

Norm load_norm(Loader& load, const DecoderConfig& config, const NormName& name, int layer) {
  Norm norm{.kind = config.norm, .eps = config.eps};
  if (config.norm == NormKind::layer) {
    norm.weight = load.vector(name.weight, config.hidden, layer);
    norm.bias = load.vector(name.bias, config.hidden, layer);
  } else if (config.norm != NormKind::layer_bare) {
    norm.weight = load_rms_weight(load, config, name.weight, config.hidden, layer);
  }
  return norm;
}

}  // namespace rbee::nn
