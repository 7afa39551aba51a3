// Products of converted activations with weight matrices, divided among the workers.
#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "backend/cpu/kernels/matmul.hpp"
#include "backend/cpu/kernels/vector.hpp"
#include "backend/cpu/worker.hpp"
#include "core/tensor.hpp"

namespace rbee::cpu {

// Activations in the form the weights want them (kernels/matmul.hpp).
struct Activations {
  ActType type = ActType::f32;
  int tokens = 0;
  int cols = 0;
  const std::byte* data = nullptr;
  Range range{};
};

struct Product {
  PanelMatrix weight;
  const float* bias;  // null: none
  Activations x;
  float* out;  // [tokens] rows, stride apart; null: see GatedProduct
  std::ptrdiff_t stride;
};

// Panels [begin, end) of a product for all tokens.
void multiply_panels(const MatmulKernels& kernels, const Product& product, int begin, int end,
                     bool accumulate);

// Divides the panels of all products among the workers in proportion to their bytes. The caller has
// called Worker::before.
void multiply(Worker& worker, const MatmulKernels& kernels, std::span<const Product> products,
              bool accumulate);

// out = f(gate) * up for the panels of two matrices of the same shape.
struct GatedProduct {
  Product gate;
  Product up;
  ElementFunction function;
  Tensor out;
};
void multiply_gated(Worker& worker, const MatmulKernels& matmul, const VectorKernels& vector,
                    const GatedProduct& product);

}  // namespace rbee::cpu
