// Loading of the small parts that blocks are made of.
#pragma once
#include "backend/ops.hpp"
#include "model/loader.hpp"
#include "nn/decoder_config.hpp"
#include "nn/names.hpp"

namespace rbee::nn {

enum class Bias : std::uint8_t { if_present, required };

// Weight [rows, cols] and its bias. Throws LoadError as Loader does.
Linear load_linear(Loader& load, const LinearName& name, int rows, int cols, int layer, Bias bias);

// Normalisation of each row: by its root mean square, or by its mean and deviation.
struct Norm {
  NormKind kind = NormKind::rms;
  Weight weight{};
  Weight bias{};
  float eps = 0;

  Tensor operator()(Ops& ops, const Tensor& x) const {
    const bool rms = kind == NormKind::rms || kind == NormKind::rms_plus_one;
    return rms ? ops.rms_norm(x, weight, eps) : ops.layer_norm(x, weight, bias, eps);
  }
};

// A norm of the residual stream, of the configuration's kind.
Norm load_norm(Loader& load, const DecoderConfig& config, const NormName& name, int layer = -1);

// The weight of an RMS norm over size elements, of the configuration's kind.
Weight load_rms_weight(Loader& load, const DecoderConfig& config, const Name& name, int size,
                       int layer);

}  // namespace rbee::nn
