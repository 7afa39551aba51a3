// Attention kernels over pages of keys and values of one KV head, in the manner of FlashAttention
// (Dao et al., 2022, arXiv:2205.14135): a running maximum and sum per query, one page at a time.
//
// Promise: a query's result depends on its own position, query and keys only, bit for bit, as long
// as the caller cuts the keys into the same parts (AttentionState) and merges them in the same
// order; never on the other rows of the call.
//
// A page holds kKeyBlock tokens of one KV head, keys and then values. head_dim (d) is even, the
// values are padded with zeros to dp = padded_dim(d):
//   f32:   keys [4][d][16]: groups of 16 tokens side by side   values [64][dp]
//   bf16:  keys [4][d/2][16][2]: pairs of dimensions           values [32][dp][2]: pairs of tokens
//   f16:   as f32
//   q8_0:  keys [4][dq/4][16][4], scales bf16 [4][dq/32][16]   values [16][dq][4], scales
//   [16][dq/32][4] q4_0:  keys [4][dq/8][16][4], scales as q8_0               values [16][dq/2][4],
//   scales as q8_0
// so that lanes are tokens for the scores, and dimensions for the weighted sum. dq is d, padded to
// whole blocks of 32, each of which has a scale. A byte of q4_0 holds two dimensions of one token:
// of keys 8i + j and 8i + 4 + j, of values 32b + i and 32b + 16 + i. So no byte belongs to two
// tokens, and several threads may store into one page.
#pragma once
#include <cstddef>
#include <cstdint>

#include "backend/cpu/kernels/isa.hpp"

namespace rbee::cpu {

enum class KvStore : std::uint8_t { f32, bf16, f16, q8_0, q4_0 };

constexpr int kKeyBlock = 64;
constexpr int kSumLanes = 16;
constexpr int kKvBlock = 32;  // dimensions that share a scale

static constexpr int padded_dim(int head_dim) { return (head_dim + 15) / 16 * 16; }
static constexpr int blocked_dim(int head_dim) {
  return (head_dim + kKvBlock - 1) / kKvBlock * kKvBlock;
}
// Bytes of the keys of a page, or of the values behind them, for so many padded dimensions.
static constexpr std::size_t kv_bytes(KvStore store, int dims) {
  const std::size_t values = std::size_t{kKeyBlock} * static_cast<std::size_t>(dims);
  switch (store) {
    case KvStore::f32:
      return values * 4;
    case KvStore::bf16:
    case KvStore::f16:
      return values * 2;
    case KvStore::q8_0:
      return values + values / kKvBlock * 2;
    default:
      return values / 2 + values / kKvBlock * 2;
  }
}
static constexpr bool has_scales(KvStore store) {
  return store == KvStore::q8_0 || store == KvStore::q4_0;
}
// Bytes of the keys of a page, and of the values behind them.
static constexpr std::size_t key_bytes(KvStore store, int head_dim) {
  return kv_bytes(store, has_scales(store) ? blocked_dim(head_dim) : head_dim);
}
static constexpr std::size_t value_bytes(KvStore store, int head_dim) {
  return kv_bytes(store, has_scales(store) ? blocked_dim(head_dim) : padded_dim(head_dim));
}

// What is known of some queries after a part of the keys. The weights are powers of two of scores
// in units of log2(e).
struct AttentionState {
  float* max;  // [rows] largest score so far, kNoScore before the first key
  float* sum;  // [rows][kSumLanes] sum of the weights, spread over lanes
  float* out;  // [rows][dp] weighted sum of the values
};

struct AttentionRows {
  const void* queries;           // [rows] prepared queries, head_dim * 4 bytes apart
  const std::int32_t* position;  // [rows]
  int rows;
  int head_dim;
  float scale;  // softmax scale * log2(e); with a soft cap: the cap * log2(e)
  int window;   // keys seen, the query's own included; 0: all
  float cap_scale =
      0;  // not 0: scores are tanh(q·k * cap_scale) before the scale; softmax scale / cap
};

struct AttentionKernels {
  Isa isa;

  // Stores the key and the value [head_dim] of one token in its slot of a page.
  void (*store)(KvStore store, const float* key, const float* value, int head_dim, int slot,
                std::byte* page);

  // Puts a rotated query [head_dim] in the form attend wants it, head_dim * 4 bytes.
  void (*prepare)(KvStore store, const float* query, int head_dim, void* prepared);

  // A state that has seen no key.
  void (*clear)(const AttentionState& state, int rows, int head_dim);

  // Adds the keys first_key .. first_key + kKeyBlock - 1 that each row sees to its state. next, if
  // not null, is the page to be read next. Masked tokens of the page must hold finite values.
  void (*attend)(KvStore store, const AttentionRows& rows, const std::byte* page, int first_key,
                 const std::byte* next, const AttentionState& state);

  // into = into and then part.
  void (*merge)(const AttentionState& into, const AttentionState& part, int rows, int head_dim);

  // out[0 .. head_dim) = the attention of a row. sink: null, or a score in units of log2(e) that
  // joins the softmax without a value.
  void (*finish)(KvStore store, const AttentionState& state, int row, int head_dim,
                 const float* sink, float* out);
};

// The kernels of an instruction set, whether or not the processor has it.
const AttentionKernels& attention_kernels(Isa isa) noexcept;

namespace base {
extern const AttentionKernels kAttention;
}
namespace avx2 {
extern const AttentionKernels kAttention;
}
namespace avx512 {
extern const AttentionKernels kAttention;
}

}  // namespace rbee::cpu
