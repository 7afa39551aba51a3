#include "backend/ref/ref_ops.hpp"

#include <algorithm>
#include <cmath>

#include "backend/ref/ref_math.hpp"

namespace rbee {

using namespace ref;

namespace {

// The pages of one sequence in one layer of the cache.
struct KvView {
  RefBackend::StateLayer& layer;
  const PagedKv& shape;
  std::span<const std::int32_t> pages;
  int slot;  // of the sequence, for rings

  float* key(int position, int kv_head) const {
    const int index = position / kPageTokens;
    const int ring = shape.ring_pages;
    const int page = ring > 0 ? slot * ring + index % ring : pages[static_cast<std::size_t>(index)];
    if (page < 0 || page >= layer.n_pages) throw BackendError("ref: no such page");
    const std::ptrdiff_t token =
        static_cast<std::ptrdiff_t>(page) * kPageTokens + position % kPageTokens;
    const std::ptrdiff_t head = token * 2 * shape.n_kv_heads + kv_head;
    return layer.data.get() + head * shape.head_dim;
  }
  float* value(int position, int kv_head) const {
    return key(position, kv_head) + static_cast<std::ptrdiff_t>(shape.n_kv_heads) * shape.head_dim;
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
void attend_head(const float* query, const AttentionParams& p, int position, int head,
                 const KvView& kv, float* out) {
  const int kv_head = head / (p.n_heads / p.n_kv_heads);
  const int begin = p.window == 0 ? 0 : std::max(0, position - p.window + 1);
  std::vector<float> scores;
  for (int k = begin; k <= position; ++k) {
    const float score = dot(query, kv.key(k, kv_head), p.head_dim) * p.scale;
    scores.push_back(p.softcap == 0 ? score : p.softcap * std::tanh(score / p.softcap));
  }
  const float highest = *std::max_element(scores.begin(), scores.end());
  double total = 0;
  if (p.sinks) total = std::exp(vector_values(p.sinks)[static_cast<std::size_t>(head)] - highest);
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

void RefOps::product(const Tensor& out, const Tensor& x, const Linear& part, bool add) {
  if (observer_ != nullptr) observer_->inputs(part.weight, x);
  matrix_product(out, x, part, add);
}

Tensor RefOps::linear(const Tensor& x, std::span<const Linear> parts) {
  int cols = 0;
  for (const Linear& part : parts) cols += part.weight.rows;
  const Tensor out = make(x.rows, cols);
  int begin = 0;
  for (const Linear& part : parts) {
    product(out.columns(begin, part.weight.rows), x, part, /*add=*/false);
    begin += part.weight.rows;
  }
  return out;
}

void RefOps::linear_add(const Tensor& acc, const Tensor& x, const Linear& part) {
  product(acc, x, part, /*add=*/true);
}

Tensor RefOps::gated(const Tensor& x, const Linear& gate, const Linear& up, Activation act) {
  const Tensor out = make(x.rows, gate.weight.rows);
  const Scope scratch(*this);
  product(out, x, gate, /*add=*/false);
  const Tensor factor = linear(x, {&up, 1});
  for (int t = 0; t < out.rows; ++t) {
    float* row = row_of(out, t);
    for (int c = 0; c < out.cols; ++c) row[c] = ref::activate(row[c], act) * row_of(factor, t)[c];
  }
  return out;
}

Tensor RefOps::attend(const Tensor& qkv, const AttentionParams& params, const Batch& batch,
                      int state_layer) {
  RefBackend::StateLayer& layer = layer_of<PagedKv>(state_layer);
  const int q_cols = params.n_heads * params.head_dim;
  const int kv_cols = params.n_kv_heads * params.head_dim;
  const Tensor out = make(qkv.rows, q_cols);
  for (int s = 0; s < batch.n_seqs(); ++s) {
    const auto index = static_cast<std::size_t>(s);
    const KvView kv{layer, std::get<PagedKv>(layer.shape),
                    batch.pages.subspan(static_cast<std::size_t>(batch.page_begin[index])),
                    batch.slots.empty() ? -1 : batch.slots[index]};
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
        attend_head(query.data(), params, position, h, kv, row_of(out, t) + h * params.head_dim);
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
