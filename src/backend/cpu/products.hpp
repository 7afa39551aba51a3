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
void multiply_panels(Worker& worker, const MatmulKernels& kernels, const Product& product,
                     int begin, int end, bool accumulate);

// Chunks that each worker's share of so many bytes of weights is cut into.
int chunk_count(std::size_t bytes, int workers, int tokens);

// The part of a product that panels [panel, panel + panels) and tokens [token, token + count) give,
// as a product into buffer, rows of panels * kPanelRows. token is a multiple of kTileTokens.
struct ProductPart {
  int panel, panels;
  int token, count;
};
Product part_of(const MatmulKernels& kernels, const Product& product, const ProductPart& part,
                float* buffer);

// Divides the panels of all products among the workers in proportion to their bytes. The caller has
// called Worker::before.
void multiply(Worker& worker, const MatmulKernels& kernels, std::span<const Product> products,
              bool accumulate);

// out = f(gate) * up for the panels of two matrices of the same shape, or with swiglu_limit not 0
// what VectorKernels::clamped_swiglu says.
struct GatedProduct {
  Product gate;
  Product up;
  ElementFunction function;
  Tensor out;
  float swiglu_limit = 0;
};
void multiply_gated_panels(Worker& worker, const MatmulKernels& matmul, const VectorKernels& vector,
                           const GatedProduct& product, int begin, int end);
void multiply_gated(Worker& worker, const MatmulKernels& matmul, const VectorKernels& vector,
                    const GatedProduct& product);

}  // namespace rbee::cpu
