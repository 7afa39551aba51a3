// Attention, and the products that turn its heads into latents and back.
#include <algorithm>

#include "backend/cpu/cpu_ops.hpp"
#include "backend/cpu/kernels/pack.hpp"
#include "backend/cpu/kv_attend.hpp"
#include "backend/cpu/latent_attend.hpp"
#include "backend/cpu/tensor_rows.hpp"
#include "backend/cpu/weight_store.hpp"

namespace rbee::cpu {

Tensor CpuOps::attend(const Tensor& qkv, const AttentionParams& params, const Batch& batch,
                      int state_layer) {
  const KvLayer& cache = cache_.layer(state_layer);
  const Tensor out = shared_tensor(qkv.rows, params.n_heads * params.head_dim);
  const RopeTable rope = ropes_.get(worker_, params.rope, batch);
  const KvAttend call(attention_kernels_, vector_, {params, batch, cache, qkv, out, rope});
  attention_.run(worker_, call);
  return out;
}

Tensor CpuOps::attend_latent(const Tensor& q, const Tensor& kv, const LatentAttention& params,
                             const Batch& batch, int state_layer) {
  const KvLayer& cache = cache_.layer(state_layer);
  const Tensor out = shared_tensor(q.rows, params.n_heads * params.latent_dim);
  const RopeTable rope = ropes_.get(worker_, params.rope, batch);
  const LatentAttend call(latent_kernels_, attention_kernels_, vector_,
                          {params, batch, cache, q, kv, out, rope});
  attention_.run(worker_, call);
  return out;
}

// A worker converts a head's columns for itself: nobody else wants them.
Tensor CpuOps::linear_heads(const Tensor& x, std::span<const Weight> heads, int keep) {
  const int n = static_cast<int>(heads.size());
  const int rows = heads.front().rows;
  const int cols = heads.front().cols;
  const Tensor out = shared_tensor(x.rows, n * (rows + keep));
  if (x.rows == 0) return out;
  for (int h = 0; h < n; ++h) {
    show(x.columns(h * (cols + keep), cols), heads[static_cast<std::size_t>(h)]);
  }
  const std::size_t mark = worker_.mark();
  const ActType type = matmul_.act_type(panel_matrix(heads.front()).type);
  const std::size_t bytes = matmul_.act_bytes(type, x.rows, cols);
  std::byte* converted = worker_.own().take(bytes);
  const Activations activations{type, x.rows, cols, converted, Range::of(converted, bytes)};
  worker_.before({Range::of(x)}, {Range::of(out)});
  worker_.split(n, n, [&](int begin, int end) {
    for (int h = begin; h < end; ++h) {
      const Tensor from = x.columns(h * (cols + keep), cols + keep);
      const Tensor to = out.columns(h * (rows + keep), rows + keep);
      matmul_.convert(type, from.data, from.stride, x.rows, 0, x.rows, cols, converted);
      const Weight& weight = heads[static_cast<std::size_t>(h)];
      const Product product{panel_matrix(weight), nullptr, activations, to.data, to.stride};
      multiply_panels(worker_, matmul_, product, 0, panel_count(rows), /*accumulate=*/false);
      for (int t = 0; t < x.rows; ++t) {
        std::copy_n(row_of(from, t) + cols, keep, row_of(to, t) + rows);
      }
    }
  });
  worker_.release(mark);
  return out;
}

}  // namespace rbee::cpu
