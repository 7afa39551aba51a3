#include "backend/cpu/kv_attend.hpp"

#include <string>
#include <variant>

#include "backend/cpu/tensor_rows.hpp"

namespace rbee::cpu {
namespace {

constexpr float kLog2e = 1.44269504F;

AttendShape shape_of(const KvAttend::Args& args) {
  const AttentionParams& p = args.params;
  const auto* cache = std::get_if<PagedKv>(&args.cache.shape);
  if (cache == nullptr || p.n_kv_heads != cache->n_kv_heads || p.head_dim != cache->head_dim) {
    throw BackendError("attention of " + std::to_string(p.n_kv_heads) + " heads of " +
                       std::to_string(p.head_dim) + " on a cache of " +
                       std::to_string(cache ? cache->n_kv_heads : 0) + " of " +
                       std::to_string(cache ? cache->head_dim : 0));
  }
  const int columns = (p.n_heads + 2 * p.n_kv_heads) * p.head_dim;
  if (p.n_heads % p.n_kv_heads != 0 || args.qkv.cols != columns) {
    throw BackendError("attention of " + std::to_string(p.n_heads) + " heads on " +
                       std::to_string(p.n_kv_heads) + " needs " + std::to_string(columns) +
                       " columns, found " + std::to_string(args.qkv.cols));
  }
  return {.heads = p.n_heads,
          .group = p.n_heads / p.n_kv_heads,
          .stored_heads = p.n_kv_heads,
          .window = p.window,
          .query_dim = p.head_dim,
          .sum_dim = p.head_dim};
}

}  // namespace

KvAttend::KvAttend(const AttentionKernels& attention, const VectorKernels& vector, const Args& args)
    : AttendCall({.batch = args.batch,
                  .cache = args.cache,
                  .shape = shape_of(args),
                  .reads = {Range::of(args.qkv), args.rope.range, {}},
                  .writes = Range::of(args.out)}),
      attention_(attention),
      vector_(vector),
      args_(args) {}

void KvAttend::store(int token, int stored_head, int slot, std::byte* page, float* scratch) const {
  const AttentionParams& p = args_.params;
  const float* key =
      row_of(args_.qkv, token) + static_cast<std::ptrdiff_t>(p.n_heads + stored_head) * p.head_dim;
  const float* value = key + static_cast<std::ptrdiff_t>(p.n_kv_heads) * p.head_dim;
  rotate(vector_, p.rope, args_.rope, {token, p.head_dim}, key, scratch);
  attention_.store(cache.store, scratch, value, p.head_dim, slot, page);
}

void KvAttend::prepare(int token, int head, float* scratch, std::byte* prepared) const {
  const AttentionParams& p = args_.params;
  const float* query = row_of(args_.qkv, token) + static_cast<std::ptrdiff_t>(head) * p.head_dim;
  rotate(vector_, p.rope, args_.rope, {token, p.head_dim}, query, scratch);
  attention_.prepare(cache.store, scratch, p.head_dim, prepared);
}

AttentionRows KvAttend::rows() const {
  const AttentionParams& p = args_.params;
  AttentionRows rows{nullptr, nullptr, 0, p.head_dim, p.scale * kLog2e, p.window};
  if (p.softcap != 0) {
    rows.cap_scale = p.scale / p.softcap;
    rows.scale = p.softcap * kLog2e;
  }
  return rows;
}

void KvAttend::attend(const AttentionRows& rows, const std::byte* page, int first_key,
                      const std::byte* next, const AttentionState& state) const {
  attention_.attend(cache.store, rows, page, first_key, next, state);
}

void KvAttend::finish(const AttentionState& state, int row, int token, int head, float*) const {
  const AttentionParams& p = args_.params;
  const float* sinks = vector_values(p.sinks);
  const float sink = sinks ? sinks[head] * kLog2e : 0;
  attention_.finish(cache.store, state, row, p.head_dim, sinks ? &sink : nullptr,
                    row_of(args_.out, token) + static_cast<std::ptrdiff_t>(head) * p.head_dim);
}

}  // namespace rbee::cpu
