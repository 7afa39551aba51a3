// Where the values of tensors and vectors lie, for the sources of this backend.
#pragma once
#include <cstddef>

#include "backend/cpu/kernels/vector.hpp"
#include "backend/ops.hpp"
#include "core/tensor.hpp"

namespace rbee::cpu {

inline float* row_of(const Tensor& x, int row) {
  return x.data + static_cast<std::ptrdiff_t>(row) * x.stride;
}

// Null for an absent vector.
inline const float* vector_values(const Weight& vector) {
  return reinterpret_cast<const float*>(vector.data);
}

inline ElementFunction element_function(Activation act) {
  switch (act) {
    case Activation::identity:
      return ElementFunction::identity;
    case Activation::silu:
      return ElementFunction::silu;
    case Activation::gelu_tanh:
      return ElementFunction::gelu_tanh;
    case Activation::gelu_erf:
      return ElementFunction::gelu_erf;
    case Activation::relu:
      return ElementFunction::relu;
    case Activation::relu_squared:
      return ElementFunction::relu_squared;
    case Activation::sigmoid:
      return ElementFunction::sigmoid;
    case Activation::tanh:
      break;
  }
  return ElementFunction::tanh;
}

}  // namespace rbee::cpu
