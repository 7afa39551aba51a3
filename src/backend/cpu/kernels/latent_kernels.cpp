#include "backend/cpu/kernels/lanes.hpp"
#include "backend/cpu/kernels/latent.hpp"
#include "backend/cpu/kernels/online_softmax.hpp"

namespace rbee::cpu::RBEE_ISA {
namespace {

constexpr int kHalf = kLatentBlock / 2;
constexpr int kVectors = kHalf / kLanes;           // of each half of a block
constexpr int kScoreRows = 4;                      // queries that share each load of a token
constexpr int kScoreTokens = kLanes / kScoreRows;  // the sums of all of them fill a vector
// Queries that share each load of a value; times two vectors they must fit the register file.
#if defined(RBEE_ISA_avx512)
constexpr int kWeighRows = 8;
#else
constexpr int kWeighRows = 4;
#endif
static_assert(kLatentRows % kWeighRows == 0 && kLatentRows % kScoreRows == 0);

// How rows lie in a page and meet queries and weights. Vector v of a block: elements v * kLanes on
// of both its halves.
struct FloatOperands {
  using Operand = float;
  static constexpr int kTokens = 1;  // that a weight operand covers

  struct Loaded {
    Lanes first, second;
  };
  static inline Loaded load_query(const float* query, int block, int v) {
    const float* q = query + block * kLatentBlock + v * kLanes;
    return {load(q), load(q + kHalf)};
  }
  static inline Lanes dot(Lanes acc, const Loaded& key, const Loaded& query) {
    return fma(key.second, query.second, fma(key.first, query.first, acc));
  }
  static inline Lanes add(Lanes acc, Lanes value, const float* weight) {
    return fma(value, splat(*weight), acc);
  }
  static inline void prepare(const float* query, int width, float* prepared) {
    copy(query, width, prepared);
  }
  static inline void convert(const float* weights, int n, float* operands) {
    copy(weights, n, operands);
  }
};

struct PlainF32 : FloatOperands {
  static constexpr std::ptrdiff_t kElement = 4;
  static inline Loaded load_key(const std::byte* row, int block, int v) {
    const float* k = reinterpret_cast<const float*>(row) + block * kLatentBlock + v * kLanes;
    return {load(k), load(k + kHalf)};
  }
  static inline Loaded load_values(const std::byte* row, std::ptrdiff_t, int block, int v) {
    return load_key(row, block, v);
  }
};

#if !defined(RBEE_ISA_avx512)
// bf16 in the page, computed in f32.
struct Bf16 : FloatOperands {
  static constexpr std::ptrdiff_t kElement = 2;
  static inline Loaded load_key(const std::byte* row, int block, int v) {
    const IntLanes units = load_int(row + (block * kHalf + v * kLanes) * 4);
    return {low_bf16(units), high_bf16(units)};
  }
  static inline Loaded load_values(const std::byte* row, std::ptrdiff_t, int block, int v) {
    return load_key(row, block, v);
  }
};

#else
// bf16 in the page, queries and weights rounded to bf16 too: products of pairs in one instruction.
// A score adds pairs of elements, a weighted sum pairs of tokens.
struct Bf16 {
  using Operand = std::uint32_t;
  static constexpr int kTokens = 2;
  static constexpr std::ptrdiff_t kElement = 2;

  static inline __m512i load_key(const std::byte* row, int block, int) {
    return load_int(row + block * kHalf * 4);
  }
  static inline __m512i load_query(const std::uint32_t* query, int block, int) {
    return load_int(query + block * kHalf);
  }
  static inline Lanes dot(Lanes acc, __m512i key, __m512i query) {
    return _mm512_dpbf16_ps(acc, (__m512bh)key, (__m512bh)query);
  }

  struct Values {
    __m512i first, second;
  };
  static inline Values load_values(const std::byte* row, std::ptrdiff_t row_bytes, int block,
                                   int v) {
    const __m512i low_half = _mm512_set1_epi32(0xFFFF);
    const __m512i even = load_key(row, block, v);
    const __m512i odd = load_key(row + row_bytes, block, v);
    // (mask & a) | (~mask & b)
    constexpr int kSelect = 0xCA;
    return {_mm512_ternarylogic_epi32(low_half, even, _mm512_slli_epi32(odd, 16), kSelect),
            _mm512_ternarylogic_epi32(low_half, _mm512_srli_epi32(even, 16), odd, kSelect)};
  }
  static inline Lanes add(Lanes acc, __m512i values, const std::uint32_t* weights) {
    const __m512i both = _mm512_set1_epi32(static_cast<int>(*weights));
    return _mm512_dpbf16_ps(acc, (__m512bh)values, (__m512bh)both);
  }
  static inline void prepare(const float* query, int width, std::uint32_t* prepared) {
    for (int b = 0; b < width; b += kLatentBlock) {
      for (int i = 0; i < kHalf; ++i) {
        prepared[b / 2 + i] = bf16_bits(query[b + i]) | bf16_bits(query[b + kHalf + i]) << 16;
      }
    }
  }
  static inline void convert(const float* weights, int n, std::uint32_t* operands) {
    for (int i = 0; i < n; i += 2 * kLanes) {
      const auto pairs =
          (__m512i)_mm512_cvtne2ps_pbh(load(weights + i + kLanes), load(weights + i));
      _mm512_storeu_si512(operands + i / 2, pairs);
    }
  }
};
#endif

// scores[r][t] = query r · row t of the page, for kScoreRows queries.
template <class Kv>
void score(const typename Kv::Operand* queries, int width, const std::byte* page,
           std::ptrdiff_t ahead, float* scores) {
  const std::ptrdiff_t row_bytes = Kv::kElement * width;
  for (int token = 0; token < kKeyBlock; token += kScoreTokens) {
    const std::byte* row = page + token * row_bytes;
    Lanes acc[kLanes];
    for (Lanes& a : acc) a = splat(0);
    for (int block = 0; block < width / kLatentBlock; ++block) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        decltype(Kv::load_key(row, 0, 0)) key[kScoreTokens];
#pragma GCC unroll 4
        for (int t = 0; t < kScoreTokens; ++t) {
          key[t] = Kv::load_key(row + t * row_bytes, block, v);
          __builtin_prefetch(row + t * row_bytes + ahead + block * kLatentBlock * Kv::kElement, 0,
                             2);
        }
#pragma GCC unroll 4
        for (int r = 0; r < kScoreRows; ++r) {
          const auto query =
              Kv::load_query(queries + static_cast<std::ptrdiff_t>(r) * width, block, v);
#pragma GCC unroll 4
          for (int t = 0; t < kScoreTokens; ++t) {
            acc[r * kScoreTokens + t] = Kv::dot(acc[r * kScoreTokens + t], key[t], query);
          }
        }
      }
    }
    alignas(64) float total[kLanes];
    store(total, sums(acc));
#pragma GCC unroll 4
    for (int r = 0; r < kScoreRows; ++r) {
      copy(total + r * kScoreTokens, kScoreTokens, scores + r * kKeyBlock + token);
    }
  }
}

// out[r] = out[r] * factor[r] + weights[r] · rows of the page, for vector v of a block.
template <class Kv>
void weigh(const std::byte* page, std::ptrdiff_t row_bytes, int block, int v,
           const typename Kv::Operand* weights, const float* factors, std::ptrdiff_t stride,
           float* out) {
  constexpr int kRowWeights = kKeyBlock / Kv::kTokens;
  Lanes acc[kWeighRows][2];
#pragma GCC unroll 8
  for (int r = 0; r < kWeighRows; ++r) {
    acc[r][0] = load(out + r * stride) * splat(factors[r]);
    acc[r][1] = load(out + r * stride + kHalf) * splat(factors[r]);
  }
  for (int step = 0; step < kRowWeights; ++step) {
    const auto value = Kv::load_values(page + step * Kv::kTokens * row_bytes, row_bytes, block, v);
#pragma GCC unroll 8
    for (int r = 0; r < kWeighRows; ++r) {
      acc[r][0] = Kv::add(acc[r][0], value.first, weights + r * kRowWeights + step);
      acc[r][1] = Kv::add(acc[r][1], value.second, weights + r * kRowWeights + step);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kWeighRows; ++r) {
    store(out + r * stride, acc[r][0]);
    store(out + r * stride + kHalf, acc[r][1]);
  }
}

template <class Kv>
void attend_rows(const LatentRows& latent, int row, const std::byte* page, int first_key,
                 std::ptrdiff_t ahead, const AttentionState& state) {
  using Operand = typename Kv::Operand;
  constexpr int kRowWeights = kKeyBlock / Kv::kTokens;
  const AttentionRows& rows = latent.rows;
  alignas(64) float scores[kLatentRows * kKeyBlock];
  alignas(64) float factors[kLatentRows + kLanes];
  alignas(64) Operand weights[kLatentRows * kRowWeights];
  const auto* queries =
      static_cast<const Operand*>(rows.queries) + static_cast<std::ptrdiff_t>(row) * rows.head_dim;
  for (int r = 0; r < kLatentRows; r += kScoreRows) {
    score<Kv>(queries + static_cast<std::ptrdiff_t>(r) * rows.head_dim, rows.head_dim, page,
              r == 0 ? ahead : 0, scores + r * kKeyBlock);
    soften<kScoreRows>(rows, row + r, first_key, state, scores + r * kKeyBlock, factors + r);
  }
  Kv::convert(scores, kLatentRows * kKeyBlock, weights);
  const std::ptrdiff_t row_bytes = Kv::kElement * rows.head_dim;
  for (int block = 0; block < latent.value_dim / kLatentBlock; ++block) {
    for (int v = 0; v < kVectors; ++v) {
      for (int r = 0; r < kLatentRows; r += kWeighRows) {
        float* out = state.out + static_cast<std::ptrdiff_t>(row + r) * latent.value_dim +
                     block * kLatentBlock + v * kLanes;
        weigh<Kv>(page, row_bytes, block, v, weights + r * kRowWeights, factors + r,
                  latent.value_dim, out);
      }
    }
  }
}

template <class Kv>
void attend_page(const LatentRows& latent, const std::byte* page, int first_key,
                 const std::byte* next, const AttentionState& state) {
  std::ptrdiff_t ahead = next ? next - page : 0;  // of what is prefetched while this page is read
  for (int row = 0; row < latent.rows.rows; row += kLatentRows) {
    bool any = false;
    for (int r = 0; r < kLatentRows; ++r) any = any || latent.rows.position[row + r] >= first_key;
    if (!any) continue;  // would change nothing
    attend_rows<Kv>(latent, row, page, first_key, ahead, state);
    ahead = 0;
  }
}

void attend(KvStore kv, const LatentRows& rows, const std::byte* page, int first_key,
            const std::byte* next, const AttentionState& state) {
  if (kv == KvStore::f32) {
    attend_page<PlainF32>(rows, page, first_key, next, state);
  } else {
    attend_page<Bf16>(rows, page, first_key, next, state);
  }
}

void store_row(KvStore kv, const float* row, int width, int slot, std::byte* page) {
  if (kv == KvStore::f32) {
    copy(row, width, reinterpret_cast<float*>(page) + static_cast<std::ptrdiff_t>(slot) * width);
    return;
  }
  auto* units =
      reinterpret_cast<std::uint32_t*>(page) + static_cast<std::ptrdiff_t>(slot) * width / 2;
  for (int b = 0; b < width; b += kLatentBlock) {
    for (int i = 0; i < kHalf; ++i) {
      units[b / 2 + i] = bf16_bits(row[b + i]) | bf16_bits(row[b + kHalf + i]) << 16;
    }
  }
}

void prepare(KvStore kv, const float* query, int width, void* prepared) {
  if (kv == KvStore::f32) {
    PlainF32::prepare(query, width, static_cast<PlainF32::Operand*>(prepared));
  } else {
    Bf16::prepare(query, width, static_cast<Bf16::Operand*>(prepared));
  }
}

}  // namespace

extern const LatentKernels kLatent {
#if defined(RBEE_ISA_avx512)
  Isa::avx512,
#elif defined(RBEE_ISA_avx2)
  Isa::avx2,
#else
  Isa::base,
#endif
      store_row, prepare, attend
};

}  // namespace rbee::cpu::RBEE_ISA
