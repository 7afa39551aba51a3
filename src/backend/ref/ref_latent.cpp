// Multi-head latent attention of the reference backend.
#include <algorithm>
#include <cmath>
#include <vector>

#include "backend/ref/ref_math.hpp"
#include "backend/ref/ref_ops.hpp"

namespace rbee {

using namespace ref;

namespace {

// The rows of one sequence in one layer of the cache.
struct LatentRows {
  RefBackend::StateLayer& layer;
  const PagedLatent& shape;
  std::span<const std::int32_t> pages;

  float* row(int position) const {
    const int page = pages[static_cast<std::size_t>(position / kPageTokens)];
    if (page < 0 || page >= layer.n_pages) throw BackendError("ref: no such page");
    const std::ptrdiff_t token =
        static_cast<std::ptrdiff_t>(page) * kPageTokens + position % kPageTokens;
    return layer.data.get() + token * (shape.latent_dim + shape.rope_dim);
  }
};

// One head of one query: softmax(scale · q·rows) rows, without the rotated parts of the latter.
void attend_head(const float* query, const LatentAttention& p, int position, const LatentRows& keys,
                 float* out) {
  std::vector<float> scores;
  for (int k = 0; k <= position; ++k) {
    scores.push_back(dot(query, keys.row(k), p.latent_dim + p.rope_dim) * p.scale);
  }
  const float highest = *std::max_element(scores.begin(), scores.end());
  double total = 0;
  std::vector<double> sum(static_cast<std::size_t>(p.latent_dim));
  for (int k = 0; k <= position; ++k) {
    const double weight = std::exp(scores[static_cast<std::size_t>(k)] - highest);
    const float* latent = keys.row(k);
    total += weight;
    for (std::size_t d = 0; d < sum.size(); ++d) sum[d] += weight * static_cast<double>(latent[d]);
  }
  for (std::size_t d = 0; d < sum.size(); ++d) out[d] = static_cast<float>(sum[d] / total);
}

}  // namespace

Tensor RefOps::linear_heads(const Tensor& x, std::span<const Weight> heads, int keep) {
  const int rows = heads.front().rows, cols = heads.front().cols;
  const Tensor out = make(x.rows, static_cast<int>(heads.size()) * (rows + keep));
  for (std::size_t h = 0; h < heads.size(); ++h) {
    const Tensor from = x.columns(static_cast<int>(h) * (cols + keep), cols + keep);
    const Tensor to = out.columns(static_cast<int>(h) * (rows + keep), rows + keep);
    product(to.columns(0, rows), from.columns(0, cols), {heads[h]}, /*add=*/false);
    for (int t = 0; t < x.rows; ++t)
      std::copy_n(row_of(from, t) + cols, keep, row_of(to, t) + rows);
  }
  return out;
}

Tensor RefOps::attend_latent(const Tensor& q, const Tensor& kv, const LatentAttention& params,
                             const Batch& batch, int state_layer) {
  RefBackend::StateLayer& layer = layer_of<PagedLatent>(state_layer);
  const int width = params.latent_dim + params.rope_dim;
  const Tensor out = make(q.rows, params.n_heads * params.latent_dim);
  for (int s = 0; s < batch.n_seqs(); ++s) {
    const auto index = static_cast<std::size_t>(s);
    const LatentRows keys{layer, std::get<PagedLatent>(layer.shape),
                          batch.pages.subspan(static_cast<std::size_t>(batch.page_begin[index]))};
    for (int t = batch.seq_begin[index]; t < batch.seq_begin[index + 1]; ++t) {
      const int position = batch.positions[static_cast<std::size_t>(t)];
      std::copy_n(row_of(kv, t), width, keys.row(position));
      rotate(keys.row(position) + params.latent_dim, params.rope, position);
      for (int h = 0; h < params.n_heads; ++h) {
        std::vector<float> query(row_of(q, t) + h * width, row_of(q, t) + (h + 1) * width);
        rotate(query.data() + params.latent_dim, params.rope, position);
        attend_head(query.data(), params, position, keys, row_of(out, t) + h * params.latent_dim);
      }
    }
  }
  return out;
}

}  // namespace rbee
