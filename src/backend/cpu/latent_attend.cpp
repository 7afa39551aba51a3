#include "backend/cpu/latent_attend.hpp"

#include <algorithm>
#include <string>
#include <variant>

#include "backend/cpu/tensor_rows.hpp"

namespace rbee::cpu {
namespace {

constexpr float kLog2e = 1.44269504F;
// Heads of a task: all of them, up to where more would not save reads that matter. A multiple of
// kLatentRows.
constexpr int kGroup = 64;

AttendShape shape_of(const LatentAttend::Args& args) {
  const LatentAttention& p = args.params;
  const auto* cache = std::get_if<PagedLatent>(&args.cache.shape);
  if (cache == nullptr || p.latent_dim != cache->latent_dim || p.rope_dim != cache->rope_dim) {
    throw BackendError("attention over latents of " + std::to_string(p.latent_dim) + " + " +
                       std::to_string(p.rope_dim) + " on a cache of " +
                       std::to_string(cache ? cache->latent_dim : 0) + " + " +
                       std::to_string(cache ? cache->rope_dim : 0));
  }
  const int width = p.latent_dim + p.rope_dim;
  if (args.q.cols != p.n_heads * width || args.kv.cols != width) {
    throw BackendError("attention over latents of " + std::to_string(width) + " with " +
                       std::to_string(p.n_heads) + " heads on " + std::to_string(args.q.cols) +
                       " and " + std::to_string(args.kv.cols) + " columns");
  }
  return {.heads = p.n_heads,
          .group = std::min(p.n_heads, kGroup),
          .stored_heads = 1,
          .query_dim = latent_padded(width),
          .sum_dim = latent_padded(p.latent_dim),
          .row_unit = kLatentRows};
}

}  // namespace

LatentAttend::LatentAttend(const LatentKernels& latent, const AttentionKernels& attention,
                           const VectorKernels& vector, const Args& args)
    : AttendCall({.batch = args.batch,
                  .cache = args.cache,
                  .shape = shape_of(args),
                  .reads = {Range::of(args.q), Range::of(args.kv), args.rope.range},
                  .writes = Range::of(args.out)}),
      latent_(latent),
      attention_(attention),
      vector_(vector),
      args_(args) {}

void LatentAttend::spread(int token, const float* row, float* out) const {
  const LatentAttention& p = args_.params;
  std::copy_n(row, p.latent_dim, out);
  rotate(vector_, p.rope, args_.rope, {token, p.rope_dim}, row + p.latent_dim, out + p.latent_dim);
  std::fill(out + p.latent_dim + p.rope_dim, out + shape.query_dim, 0.0F);
}

void LatentAttend::store(int token, int, int slot, std::byte* page, float* scratch) const {
  spread(token, row_of(args_.kv, token), scratch);
  latent_.store(cache.store, scratch, shape.query_dim, slot, page);
}

void LatentAttend::prepare(int token, int head, float* scratch, std::byte* prepared) const {
  const LatentAttention& p = args_.params;
  const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(head) * (p.latent_dim + p.rope_dim);
  spread(token, row_of(args_.q, token) + at, scratch);
  latent_.prepare(cache.store, scratch, shape.query_dim, prepared);
}

AttentionRows LatentAttend::rows() const {
  return {nullptr, nullptr, 0, shape.query_dim, args_.params.scale * kLog2e, 0};
}

void LatentAttend::attend(const AttentionRows& rows, const std::byte* page, int first_key,
                          const std::byte* next, const AttentionState& state) const {
  latent_.attend(cache.store, {rows, shape.sum_dim}, page, first_key, next, state);
}

void LatentAttend::finish(const AttentionState& state, int row, int token, int head,
                          float* scratch) const {
  const int dim = args_.params.latent_dim;
  attention_.finish(cache.store, state, row, shape.sum_dim, nullptr, scratch);
  std::copy_n(scratch, dim, row_of(args_.out, token) + static_cast<std::ptrdiff_t>(head) * dim);
}

}  // namespace rbee::cpu
