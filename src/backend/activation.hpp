// Activation functions of ops.
#pragma once
#include <cstdint>

namespace rbee {

// relu_squared: max(x, 0)² (So et al., 2021, arXiv:2109.08668).
enum class Activation : std::uint8_t {
  identity,
  silu,
  gelu_tanh,
  gelu_erf,
  relu,
  relu_squared,
  sigmoid,
  tanh,
};

}  // namespace rbee
