#include "backend/ref/ref_ops.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "checkpoint/dequantize.hpp"

namespace rbee {
namespace {

float* row_of(const Tensor& x, int row) {
  return x.data + static_cast<std::ptrdiff_t>(row) * x.stride;
}

std::span<const float> vector_values(const Weight& vector) {
  return {reinterpret_cast<const float*>(vector.data), static_cast<std::size_t>(vector.cols)};
}

void decode_row(const Weight& weight, int row, std::span<float> out) {
  const std::size_t bytes = row_bytes(weight.type, out.size());
  dequantize_row(weight.type, {weight.data + static_cast<std::size_t>(row) * bytes, bytes}, out);
}

// Summed in double, in an order that depends on the length only.
float dot(const float* a, const float* b, int n) {
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
void multiply(const Tensor& out, const Tensor& x, const Linear& part, bool add) {
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

float activate(float x, Activation act) {
  switch (act) {
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
  }
  return x;
}

// Rotates one head in place.
void rotate(float* head, const Rope& rope, int position) {
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

// The pages of one sequence in one layer of the cache.
struct KvView {
  RefBackend::KvLayer& layer;
  std::span<const std::int32_t> pages;

  float* key(int position, int kv_head) const {
    const int page = pages[static_cast<std::size_t>(position / kPageTokens)];
    if (page < 0 || page >= layer.n_pages) throw BackendError("ref: no such page");
    const std::ptrdiff_t token =
        static_cast<std::ptrdiff_t>(page) * kPageTokens + position % kPageTokens;
    const std::ptrdiff_t head = token * 2 * layer.shape.n_kv_heads + kv_head;
    return layer.data.get() + head * layer.shape.head_dim;
  }
  float* value(int position, int kv_head) const {
    return key(position, kv_head) +
           static_cast<std::ptrdiff_t>(layer.shape.n_kv_heads) * layer.shape.head_dim;
  }
};

void store(const float* k, const float* v, const AttentionParams& p, int position,
           const KvView& kv) {
  for (int h = 0; h < p.n_kv_heads; ++h) {
    float* key = kv.key(position, h);
    std::copy_n(k + h * p.head_dim, p.head_dim, key);
    rotate(key, p.rope, position);
    std::copy_n(v + h * p.head_dim, p.head_dim, kv.value(position, h));
  }
}

// One head of one query: softmax(scale · q·K) V over the keys it sees.
void attend_head(const float* query, const AttentionParams& p, int position, int kv_head,
                 const KvView& kv, float* out) {
  const int begin = p.window == 0 ? 0 : std::max(0, position - p.window + 1);
  std::vector<float> scores;
  for (int k = begin; k <= position; ++k) {
    scores.push_back(dot(query, kv.key(k, kv_head), p.head_dim) * p.scale);
  }
  const float highest = *std::max_element(scores.begin(), scores.end());
  double total = 0;
  std::vector<double> sum(static_cast<std::size_t>(p.head_dim));
  for (int k = begin; k <= position; ++k) {
    const double weight = std::exp(scores[static_cast<std::size_t>(k - begin)] - highest);
    const float* value = kv.value(k, kv_head);
    total += weight;
    for (int d = 0; d < p.head_dim; ++d) {
      sum[static_cast<std::size_t>(d)] += weight * static_cast<double>(value[d]);
    }
  }
  for (int d = 0; d < p.head_dim; ++d) {
    out[d] = static_cast<float>(sum[static_cast<std::size_t>(d)] / total);
  }
}

}  // namespace

Tensor RefOps::make(int rows, int cols) {
  auto& block =
      arena_.emplace_back(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols));
  used_ += block.size() * sizeof(float);
  peak_ = std::max(peak_, used_);
  return {block.data(), rows, cols, cols};
}

void RefOps::release(std::size_t mark) {
  for (; arena_.size() > mark; arena_.pop_back()) used_ -= arena_.back().size() * sizeof(float);
}

Tensor RefOps::embed(const Weight& table, const Batch& batch, float scale) {
  const Tensor out = make(batch.n_tokens(), table.cols);
  for (int t = 0; t < out.rows; ++t) {
    const std::int32_t token = batch.tokens[static_cast<std::size_t>(t)];
    if (token < 0 || token >= table.rows) throw BackendError("ref: token id out of range");
    const std::span<float> row{row_of(out, t), static_cast<std::size_t>(out.cols)};
    decode_row(table, token, row);
    for (float& value : row) value *= scale;
  }
  return out;
}

Tensor RefOps::rms_norm(const Tensor& x, const Weight& weight, float eps) {
  const Tensor out = make(x.rows, x.cols);
  const auto w = vector_values(weight);
  for (int t = 0; t < x.rows; ++t) {
    const float* from = row_of(x, t);
    const float mean_square = dot(from, from, x.cols) / static_cast<float>(x.cols);
    const float factor = 1 / std::sqrt(mean_square + eps);
    float* to = row_of(out, t);
    for (int c = 0; c < x.cols; ++c) to[c] = from[c] * factor * w[static_cast<std::size_t>(c)];
  }
  return out;
}

Tensor RefOps::linear(const Tensor& x, std::span<const Linear> parts) {
  int cols = 0;
  for (const Linear& part : parts) cols += part.weight.rows;
  const Tensor out = make(x.rows, cols);
  int begin = 0;
  for (const Linear& part : parts) {
    multiply(out.columns(begin, part.weight.rows), x, part, /*add=*/false);
    begin += part.weight.rows;
  }
  return out;
}

void RefOps::linear_add(const Tensor& acc, const Tensor& x, const Linear& part) {
  multiply(acc, x, part, /*add=*/true);
}

Tensor RefOps::gated(const Tensor& x, const Linear& gate, const Linear& up, Activation act) {
  const Tensor out = make(x.rows, gate.weight.rows);
  const Scope scratch(*this);
  multiply(out, x, gate, /*add=*/false);
  const Tensor factor = linear(x, {&up, 1});
  for (int t = 0; t < out.rows; ++t) {
    float* row = row_of(out, t);
    for (int c = 0; c < out.cols; ++c) row[c] = activate(row[c], act) * row_of(factor, t)[c];
  }
  return out;
}

Tensor RefOps::attend(const Tensor& qkv, const AttentionParams& params, const Batch& batch,
                      int state_layer) {
  if (state_layer < 0 || static_cast<std::size_t>(state_layer) >= kv_.size()) {
    throw BackendError("ref: no such state layer");
  }
  const int q_cols = params.n_heads * params.head_dim;
  const int kv_cols = params.n_kv_heads * params.head_dim;
  const Tensor out = make(qkv.rows, q_cols);
  for (int s = 0; s < batch.n_seqs(); ++s) {
    const auto index = static_cast<std::size_t>(s);
    const KvView kv{kv_[static_cast<std::size_t>(state_layer)],
                    batch.pages.subspan(static_cast<std::size_t>(batch.page_begin[index]))};
    const int begin = batch.seq_begin[index], end = batch.seq_begin[index + 1];
    for (int t = begin; t < end; ++t) {
      const float* keys = row_of(qkv, t) + q_cols;
      store(keys, keys + kv_cols, params, batch.positions[static_cast<std::size_t>(t)], kv);
    }
    for (int t = begin; t < end; ++t) {
      const int position = batch.positions[static_cast<std::size_t>(t)];
      for (int h = 0; h < params.n_heads; ++h) {
        std::vector<float> query(row_of(qkv, t) + h * params.head_dim,
                                 row_of(qkv, t) + (h + 1) * params.head_dim);
        rotate(query.data(), params.rope, position);
        attend_head(query.data(), params, position, h / (params.n_heads / params.n_kv_heads), kv,
                    row_of(out, t) + h * params.head_dim);
      }
    }
  }
  return out;
}

Tensor RefOps::take_rows(const Tensor& x, std::span<const std::int32_t> rows) {
  const bool all = rows.size() == static_cast<std::size_t>(x.rows);  // ascending: then all in order
  if (all) return x;
  const Tensor out = make(static_cast<int>(rows.size()), x.cols);
  for (int r = 0; r < out.rows; ++r) {
    std::copy_n(row_of(x, rows[static_cast<std::size_t>(r)]), x.cols, row_of(out, r));
  }
  return out;
}

}  // namespace rbee
