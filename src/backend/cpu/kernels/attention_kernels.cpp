#include "backend/cpu/kernels/attention.hpp"
#include "backend/cpu/kernels/lanes.hpp"
#include "backend/cpu/kernels/online_softmax.hpp"
#include "backend/cpu/kernels/stored_kv.hpp"

namespace rbee::cpu::RBEE_ISA {
namespace {

constexpr int kRows = 4;  // queries that share each load of keys and values

// Registers of tokens (scores) and of dimensions (values) in flight; times kRows they must fit the
// register file.
#if defined(RBEE_ISA_avx512)
constexpr int kWide = 4;
#else
constexpr int kWide = 2;
#endif

// How keys and values lie in a page and meet queries and weights. kPack: dimensions of keys, tokens
// of values, packed in 32 bits. kOperands: the Operands (of a query, or weights) multiplied with
// one such unit.
struct PlainF32 {
  using Operand = float;
  static constexpr int kPack = 1;
  static constexpr int kOperands = 1;

  struct Loaded {
    Lanes v;
  };
  static inline Loaded load_page(const std::byte* p) {
    return {load(reinterpret_cast<const float*>(p))};
  }
  static inline Lanes add(Lanes acc, const Loaded& page, const float* x) {
    return fma(page.v, splat(x[0]), acc);
  }
  static inline void convert(const float* x, int n, float* operands) { copy(x, n, operands); }
};

#if !defined(RBEE_ISA_avx512)
// bf16 in the page, computed in f32.
struct Bf16 {
  using Operand = float;
  static constexpr int kPack = 2;
  static constexpr int kOperands = 2;

  struct Loaded {
    Lanes low, high;
  };
  static inline Loaded load_page(const std::byte* p) {
    const IntLanes v = load_int(p);
    return {low_bf16(v), high_bf16(v)};
  }
  static inline Lanes add(Lanes acc, const Loaded& page, const float* x) {
    return fma(page.high, splat(x[1]), fma(page.low, splat(x[0]), acc));
  }
  static inline void convert(const float* x, int n, float* operands) { copy(x, n, operands); }
};

#else
// bf16 in the page, queries and weights rounded to bf16 too: products of pairs in one instruction.
struct Bf16 {
  using Operand = std::uint32_t;
  static constexpr int kPack = 2;
  static constexpr int kOperands = 1;

  struct Loaded {
    __m512i v;
  };
  static inline Loaded load_page(const std::byte* p) { return {load_int(p)}; }
  static inline Lanes add(Lanes acc, const Loaded& page, const std::uint32_t* x) {
    return _mm512_dpbf16_ps(acc, (__m512bh)page.v,
                            (__m512bh)_mm512_set1_epi32(static_cast<int>(*x)));
  }
  static inline void convert(const float* x, int n, std::uint32_t* operands) {
    int i = 0;
    for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
      const auto pairs = (__m512i)_mm512_cvtne2ps_pbh(load(x + i + kLanes), load(x + i));
      _mm512_storeu_si512(operands + i / 2, pairs);
    }
    for (; i < n; i += 2) operands[i / 2] = bf16_bits(x[i]) | bf16_bits(x[i + 1]) << 16;
  }
};
#endif

// Dimensions [first, first + count) of the keys, or values, of a page, in the layout of a Kv that
// has `dims` of them. ahead: what is read after them, and is to be fetched, is so many bytes on.
struct Piece {
  const std::byte* data;
  int first, count, dims;
  std::ptrdiff_t ahead;
};

// scores[r][t] = (first == 0 ? 0 : scores[r][t]) + query r · key t for the tokens of a page.
template <class Kv, int R>
void score(const AttentionRows& rows, int row, const Piece& keys, float* scores) {
  using Operand = typename Kv::Operand;
  const int steps = keys.count / Kv::kPack;
  const std::ptrdiff_t group_bytes = static_cast<std::ptrdiff_t>(keys.dims / Kv::kPack) * 64;
  const Operand* query = static_cast<const Operand*>(rows.queries) +
                         static_cast<std::ptrdiff_t>(row) * rows.head_dim +
                         keys.first / Kv::kPack * Kv::kOperands;
  for (int token = 0; token < kKeyBlock; token += kWide * kLanes) {
    const std::byte* column[kWide];
    Lanes acc[R][kWide];
#pragma GCC unroll 4
    for (int w = 0; w < kWide; ++w) {
      const int t = token + w * kLanes;
      column[w] = keys.data + t / 16 * group_bytes + t % 16 * 4;
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        acc[r][w] = keys.first == 0 ? splat(0) : load(scores + r * kKeyBlock + t);
      }
    }
    for (int step = 0; step < steps; ++step) {
      typename Kv::Loaded key[kWide];
#pragma GCC unroll 4
      for (int w = 0; w < kWide; ++w) {
        key[w] = Kv::load_page(column[w] + step * std::ptrdiff_t{64});
        __builtin_prefetch(column[w] + keys.ahead + step * std::ptrdiff_t{64}, 0, 2);
      }
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const Operand* q =
            query + static_cast<std::ptrdiff_t>(r) * rows.head_dim + step * Kv::kOperands;
#pragma GCC unroll 4
        for (int w = 0; w < kWide; ++w) acc[r][w] = Kv::add(acc[r][w], key[w], q);
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int w = 0; w < kWide; ++w) store(scores + r * kKeyBlock + token + w * kLanes, acc[r][w]);
    }
  }
}

void cap_scores(int n, float cap_scale, float* scores) {
  const Lanes by = splat(cap_scale);
  for (int t = 0; t < n; t += kLanes) store(scores + t, tanh(load(scores + t) * by));
}

// out[r] = out[r] * factor[r] + weights[r] · values, for N registers of dimensions.
template <class Kv, int R, int N>
void weigh(const std::byte* values, std::ptrdiff_t ahead, std::ptrdiff_t row_bytes,
           const typename Kv::Operand* weights, const float* factors, std::ptrdiff_t stride,
           float* out) {
  constexpr int kRowWeights = kKeyBlock / Kv::kPack * Kv::kOperands;
  Lanes acc[R][N];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      acc[r][n] = load(out + r * stride + n * kLanes) * splat(factors[r]);
    }
  }
  for (int token = 0; token < kKeyBlock / Kv::kPack; ++token) {
    typename Kv::Loaded value[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      const std::ptrdiff_t at = token * row_bytes + n * kLanes * 4;
      value[n] = Kv::load_page(values + at);
      __builtin_prefetch(values + ahead + at, 0, 2);
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) {
        acc[r][n] = Kv::add(acc[r][n], value[n], weights + r * kRowWeights + token * Kv::kOperands);
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) store(out + r * stride + n * kLanes, acc[r][n]);
  }
}

// Pages that are multiplied as they are stored.
template <class Kv>
struct Direct {
  using Computed = Kv;
  static constexpr int kTile = 1 << 30;          // dimensions at once
  static constexpr std::size_t kTileBytes = 64;  // not used

  static Piece keys(const std::byte* page, const Piece& wanted, std::byte*) {
    return {page, wanted.first, wanted.count, wanted.dims, wanted.ahead};
  }
  static Piece values(const std::byte* page, int head_dim, const Piece& wanted, std::byte*) {
    return {page + std::ptrdiff_t{kKeyBlock} / Kv::kPack * 4 * head_dim, wanted.first, wanted.count,
            wanted.dims, wanted.ahead};
  }
};

// Pages of which a tile at a time is expanded.
template <class Stored>
struct Expanded {
  using Computed = typename Stored::Computed;
  static constexpr int kTile = kTileDims;
  static constexpr std::size_t kTileBytes =
      std::size_t{kKeyBlock} * kTileDims / Computed::kPack * 4;

  static Piece keys(const std::byte* page, const Piece& wanted, std::byte* tile) {
    Stored::expand_keys(page, wanted.dims, wanted.first, wanted.count, wanted.ahead, tile);
    return {tile, wanted.first, wanted.count, kTile, 0};
  }
  static Piece values(const std::byte* page, int head_dim, const Piece& wanted, std::byte* tile) {
    Stored::expand_values(page, head_dim, wanted.first, wanted.count, wanted.ahead, tile);
    return {tile, wanted.first, wanted.count, kTile, 0};
  }
};

template <class Pages, int R>
void attend_rows(const AttentionRows& rows, int row, const std::byte* page, int first_key,
                 std::ptrdiff_t ahead, const AttentionState& state) {
  using Kv = typename Pages::Computed;
  alignas(64) float scores[R * kKeyBlock];
  alignas(64) float factors[kSumLanes];
  alignas(64) typename Kv::Operand weights[R * kKeyBlock];
  alignas(64) std::byte tile[Pages::kTileBytes];
  const auto tile_at = [](int first, int dims) {
    return dims - first < Pages::kTile ? dims - first : Pages::kTile;
  };
  const int head_dim = rows.head_dim;
  for (int d = 0; d < head_dim; d += tile_at(d, head_dim)) {
    const Piece wanted{nullptr, d, tile_at(d, head_dim), head_dim, ahead};
    score<Kv, R>(rows, row, Pages::keys(page, wanted, tile), scores);
  }
  if (rows.cap_scale != 0) cap_scores(R * kKeyBlock, rows.cap_scale, scores);
  soften<R>(rows, row, first_key, state, scores, factors);
  Kv::convert(scores, R * kKeyBlock, weights);

  const int dims = padded_dim(head_dim);
  for (int first = 0; first < dims; first += tile_at(first, dims)) {
    const Piece wanted{nullptr, first, tile_at(first, dims), dims, ahead};
    const Piece values = Pages::values(page, head_dim, wanted, tile);
    const std::ptrdiff_t row_bytes = std::ptrdiff_t{4} * values.dims;
    float* out = state.out + static_cast<std::ptrdiff_t>(row) * dims + first;
    for (int d = 0; d < values.count;) {
      const std::byte* from = values.data + std::ptrdiff_t{4} * d;
      const int left = (values.count - d) / kLanes;
      if (left >= kWide) {
        weigh<Kv, R, kWide>(from, values.ahead, row_bytes, weights, factors, dims, out + d);
        d += kWide * kLanes;
      } else {
        weigh<Kv, R, 1>(from, values.ahead, row_bytes, weights, factors, dims, out + d);
        d += kLanes;
      }
    }
  }
}

template <class Pages>
void attend_page(const AttentionRows& rows, const std::byte* page, int first_key,
                 const std::byte* next, const AttentionState& state) {
  std::ptrdiff_t ahead = next ? next - page : 0;  // of what is prefetched while this page is read
  for (int row = 0; row < rows.rows; row += kRows) {
    const int count = rows.rows - row < kRows ? rows.rows - row : kRows;
    bool any = false;
    for (int r = 0; r < count; ++r) {
      const Visible seen = visible(rows, row + r, first_key);
      any = any || (seen.first < kKeyBlock && seen.last >= 0);
    }
    if (!any) continue;  // would change nothing
    switch (count) {
      case 1:
        attend_rows<Pages, 1>(rows, row, page, first_key, ahead, state);
        break;
      case 2:
        attend_rows<Pages, 2>(rows, row, page, first_key, ahead, state);
        break;
      case 3:
        attend_rows<Pages, 3>(rows, row, page, first_key, ahead, state);
        break;
      default:
        attend_rows<Pages, 4>(rows, row, page, first_key, ahead, state);
        break;
    }
    ahead = 0;  // fetched once; after that the page itself, which costs less than a branch
  }
}

void attend(KvStore kv, const AttentionRows& rows, const std::byte* page, int first_key,
            const std::byte* next, const AttentionState& state) {
  switch (kv) {
    case KvStore::f32:
      return attend_page<Direct<PlainF32>>(rows, page, first_key, next, state);
    case KvStore::bf16:
      return attend_page<Direct<Bf16>>(rows, page, first_key, next, state);
    case KvStore::f16:
      return attend_page<Expanded<HalfPages>>(rows, page, first_key, next, state);
    case KvStore::q8_0:
      return attend_page<Expanded<BytePages>>(rows, page, first_key, next, state);
    case KvStore::q4_0:
      return attend_page<Expanded<NibblePages>>(rows, page, first_key, next, state);
  }
}

void store_f32(const float* key, const float* value, int head_dim, int slot, std::byte* page) {
  auto* keys = reinterpret_cast<float*>(page) + slot / 16 * 16 * head_dim + slot % 16;
  for (int d = 0; d < head_dim; ++d) keys[d * 16] = key[d];
  auto* values =
      reinterpret_cast<float*>(page) + kKeyBlock * head_dim + slot * padded_dim(head_dim);
  for (int d = 0; d < head_dim; ++d) values[d] = value[d];
}

void store_bf16(const float* key, const float* value, int head_dim, int slot, std::byte* page) {
  constexpr int kChunk = 64;
  std::uint32_t bits[kChunk];
  auto* keys = reinterpret_cast<std::uint32_t*>(page) + slot / 16 * 8 * head_dim + slot % 16;
  auto* values = reinterpret_cast<std::uint16_t*>(page) + kKeyBlock * head_dim +
                 slot / 2 * 2 * padded_dim(head_dim) + slot % 2;
  for (int d = 0; d < head_dim; d += kChunk) {
    const int n = head_dim - d < kChunk ? head_dim - d : kChunk;
    for (int i = 0; i < n; ++i) bits[i] = bf16_bits(key[d + i]);
    for (int i = 0; i < n / 2; ++i) {
      keys[(d / 2 + i) * 16] = bits[2 * i] | bits[2 * i + 1] << 16;
    }
    for (int i = 0; i < n; ++i) bits[i] = bf16_bits(value[d + i]);
    for (int i = 0; i < n; ++i) values[(d + i) * 2] = static_cast<std::uint16_t>(bits[i]);
  }
}

void store_token(KvStore kv, const float* key, const float* value, int head_dim, int slot,
                 std::byte* page) {
  switch (kv) {
    case KvStore::f32:
      return store_f32(key, value, head_dim, slot, page);
    case KvStore::bf16:
      return store_bf16(key, value, head_dim, slot, page);
    case KvStore::f16:
      return HalfPages::store(key, value, head_dim, slot, page);
    case KvStore::q8_0:
      return BytePages::store(key, value, head_dim, slot, page);
    case KvStore::q4_0:
      return NibblePages::store(key, value, head_dim, slot, page);
  }
}

void prepare(KvStore kv, const float* query, int head_dim, void* prepared) {
  if (kv == KvStore::f32 || kv == KvStore::f16) {
    PlainF32::convert(query, head_dim, static_cast<PlainF32::Operand*>(prepared));
    return;
  }
  auto* operands = static_cast<Bf16::Operand*>(prepared);
  if (kv == KvStore::bf16) return Bf16::convert(query, head_dim, operands);
  alignas(64) float values[kKvBlock];
  for (int d = 0; d < head_dim; d += kKvBlock) {
    const int n = head_dim - d < kKvBlock ? head_dim - d : kKvBlock;
    copy(query + d, n, values);
    spread(spread_width(head_dim), values, n);
    Bf16::convert(values, n, operands + d / Bf16::kPack * Bf16::kOperands);
  }
}

void clear(const AttentionState& state, int rows, int head_dim) {
  const std::ptrdiff_t values = static_cast<std::ptrdiff_t>(rows) * padded_dim(head_dim);
  for (int r = 0; r < rows; ++r) state.max[r] = kNoScore;
  for (int i = 0; i < rows * kSumLanes; ++i) state.sum[i] = 0;
  for (std::ptrdiff_t i = 0; i < values; ++i) state.out[i] = 0;
}

void merge(const AttentionState& into, const AttentionState& part, int rows, int head_dim) {
  const int dims = padded_dim(head_dim);
  for (int r = 0; r < rows; ++r) {
    const float largest = into.max[r] > part.max[r] ? into.max[r] : part.max[r];
    const Lanes reference = splat(largest > kLeastMax ? largest : kLeastMax);
    const Lanes old_factor = exp2(splat(into.max[r]) - reference);
    const Lanes new_factor = exp2(splat(part.max[r]) - reference);
    into.max[r] = largest;
    float* sum = into.sum + static_cast<std::ptrdiff_t>(r) * kSumLanes;
    const float* part_sum = part.sum + static_cast<std::ptrdiff_t>(r) * kSumLanes;
    store(sum, fma(load(part_sum), new_factor, load(sum) * old_factor));
    float* out = into.out + static_cast<std::ptrdiff_t>(r) * dims;
    const float* part_out = part.out + static_cast<std::ptrdiff_t>(r) * dims;
    for (int d = 0; d < dims; d += kLanes) {
      store(out + d, fma(load(part_out + d), new_factor, load(out + d) * old_factor));
    }
  }
}

// What the weighted values of a row are multiplied with.
float normalisation(const AttentionState& state, int row, const float* sink) {
  const float total = sum(load(state.sum + static_cast<std::ptrdiff_t>(row) * kSumLanes));
  if (sink == nullptr) return 1.0f / total;
  const float above = *sink - state.max[row];
  float power[kLanes];
  store(power, exp2(splat(above > 0 ? -above : above)));
  return above > 0 ? power[0] / __builtin_fmaf(total, power[0], 1.0f) : 1.0f / (total + power[0]);
}

void finish(KvStore kv, const AttentionState& state, int row, int head_dim, const float* sink,
            float* out) {
  const int dims = padded_dim(head_dim);
  const float* values = state.out + static_cast<std::ptrdiff_t>(row) * dims;
  const Lanes inverse = splat(normalisation(state, row, sink));
  for (int d = 0; d < head_dim; d += kLanes) {
    const Lanes value = load(values + d) * inverse;
    if (d + kLanes <= head_dim) {
      store(out + d, value);
    } else {
      store_first(out + d, head_dim - d, value);
    }
  }
  if (has_scales(kv)) spread(spread_width(head_dim), out, head_dim);
}

}  // namespace

extern const AttentionKernels kAttention {
#if defined(RBEE_ISA_avx512)
  Isa::avx512,
#elif defined(RBEE_ISA_avx2)
  Isa::avx2,
#else
  Isa::base,
#endif
      store_token, prepare, clear, attend, merge, finish
};

}  // namespace rbee::cpu::RBEE_ISA
