// What the ops of the reference backend share.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <span>
#include <vector>

#include "backend/ops.hpp"
#include "checkpoint/dequantize.hpp"
#include "core/tensor.hpp"

namespace rbee::ref {

inline float* row_of(const Tensor& x, int row) {
  return x.data + static_cast<std::ptrdiff_t>(row) * x.stride;
}

inline std::span<const float> vector_values(const Weight& vector) {
  return {reinterpret_cast<const float*>(vector.data), static_cast<std::size_t>(vector.cols)};
}

inline void decode_row(const Weight& weight, int row, std::span<float> out) {
  const std::size_t bytes = row_bytes(weight.type, out.size());
  dequantize_row(weight.type, {weight.data + static_cast<std::size_t>(row) * bytes, bytes}, out);
  if (weight.scale != 1) {
    for (float& value : out) value *= weight.scale;
  }
}

// Summed in double, in an order that depends on the length only.
inline float dot(const float* a, const float* b, int n) {
  constexpr int kLanes = 8;
  std::array<double, kLanes> sums{};
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      sums[lane] += static_cast<double>(a[i + lane]) * static_cast<double>(b[i + lane]);
    }
  }
  double sum = 0;
  for (; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  for (const double lane : sums) sum += lane;
  return static_cast<float>(sum);
}

// out = x · weightᵀ (+ bias), or added to out.
inline void matrix_product(const Tensor& out, const Tensor& x, const Linear& part, bool add) {
  std::vector<float> row(static_cast<std::size_t>(part.weight.cols));
  for (int r = 0; r < part.weight.rows; ++r) {
    decode_row(part.weight, r, row);
    const float bias = part.bias ? vector_values(part.bias)[static_cast<std::size_t>(r)] : 0.0F;
    for (int t = 0; t < x.rows; ++t) {
      const float y = dot(row_of(x, t), row.data(), part.weight.cols) + bias;
      float& target = row_of(out, t)[r];
      target = add ? target + y : y;
    }
  }
}

// Rotates one head in place.
inline void rotate(float* head, const Rope& rope, int position) {
  const auto inv_freq = vector_values(rope.inv_freq);
  for (int j = 0; j < rope.dims / 2; ++j) {
    const float angle = static_cast<float>(position) * inv_freq[static_cast<std::size_t>(j)];
    const float c = std::cos(angle) * rope.scale;
    const float s = std::sin(angle) * rope.scale;
    const bool half = rope.pairing == RopePairing::half;
    float& a = head[half ? j : 2 * j];
    float& b = head[half ? j + rope.dims / 2 : 2 * j + 1];
    const float a0 = a;
    a = a0 * c - b * s;
    b = b * c + a0 * s;
  }
}

inline float activate(float x, Activation act) {
  switch (act) {
    case Activation::identity:
      return x;
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::gelu_tanh: {
      constexpr float kC = 0.7978845608F;  // sqrt(2 / pi)
      return 0.5F * x * (1 + std::tanh(kC * (x + 0.044715F * x * x * x)));
    }
    case Activation::gelu_erf:
      return 0.5F * x * (1 + std::erf(x / std::numbers::sqrt2_v<float>));
    case Activation::relu:
      return std::max(x, 0.0F);
    case Activation::relu_squared:
      return std::max(x, 0.0F) * std::max(x, 0.0F);
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-x));
    case Activation::tanh:
      return std::tanh(x);
  }
  return x;
}

}  // namespace rbee::ref
