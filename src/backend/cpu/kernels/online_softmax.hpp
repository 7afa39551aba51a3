// The softmax over keys that come a page at a time (Milakov & Gimelshein, 2018, arXiv:1805.02867),
// and rounding to bf16: what the attention kernels share. Only *_kernels.cpp files may include
// this; all functions have internal linkage.
#pragma once
#include "backend/cpu/kernels/attention.hpp"
#include "backend/cpu/kernels/lanes.hpp"

namespace rbee::cpu::RBEE_ISA {
namespace {

constexpr float kNoScore = -1e30f;
// Scores are taken relative to at least this, so that masked ones weigh nothing even when all are.
constexpr float kLeastMax = -1e20f;

inline std::uint32_t bf16_bits(float x) {
  const auto bits = __builtin_bit_cast(std::uint32_t, x);
  const std::uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
  return (bits & 0x7FFFFFFF) > 0x7F800000 ? 0x7FC0 : rounded;
}

inline void copy(const float* from, int n, float* to) {
  __builtin_memcpy(to, from, static_cast<std::size_t>(n) * sizeof(float));
}

alignas(64) constexpr float kIndex[kKeyBlock] = {
    0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
    22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
    44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};

// The keys of a page that a row sees: first .. last, as indices into the page.
struct Visible {
  int first;
  int last;
};

inline Visible visible(const AttentionRows& rows, int row, int first_key) {
  const int position = rows.position[row];
  const int oldest = rows.window == 0 ? 0 : position - rows.window + 1;
  return {oldest - first_key, position - first_key};
}

// Gives kNoScore to what a row does not see.
inline void mask_scores(const Visible& seen, float* scores) {
  if (seen.first <= 0 && seen.last >= kKeyBlock - 1) return;
  const Lanes first = splat(static_cast<float>(seen.first));
  const Lanes last = splat(static_cast<float>(seen.last));
  for (int t = 0; t < kKeyBlock; t += kLanes) {
    const Lanes index = load(kIndex + t);
    const Lanes s = select_less(index, first, splat(kNoScore), load(scores + t));
    store(scores + t, select_less(last, index, splat(kNoScore), s));
  }
}

// The largest score, scaled.
inline float largest_score(const float* scores, float scale) {
  Lanes most = load(scores);
  for (int t = kLanes; t < kKeyBlock; t += kLanes) most = max(most, load(scores + t));
  const float score = largest(most);
  return score > kNoScore ? score * scale : kNoScore;
}

// Turns scores into weights relative to the new maximum and adds them to the rows' sums;
// factors[r] is what earlier weights must be multiplied with; R <= kLanes, and there is room for
// kLanes factors.
template <int R>
void soften(const AttentionRows& rows, int row, int first_key, const AttentionState& state,
            float* scores, float* factors) {
  alignas(64) float change[kSumLanes] = {};
  float reference[R];
  for (int r = 0; r < R; ++r)
    mask_scores(visible(rows, row + r, first_key), scores + r * kKeyBlock);
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
    const float block = largest_score(scores + r * kKeyBlock, rows.scale);
    const float before = state.max[row + r];
    const float now = block > before ? block : before;
    reference[r] = now > kLeastMax ? now : kLeastMax;
    change[r] = before - reference[r];
    state.max[row + r] = now;
  }
  store(factors, exp2(load(change)));
  for (int r = 0; r < R; ++r) {
    float* weights = scores + r * kKeyBlock;
    float* sums = state.sum + static_cast<std::ptrdiff_t>(row + r) * kSumLanes;
    Lanes total = load(sums) * splat(factors[r]);
    const Lanes minus_reference = splat(-reference[r]);
#pragma GCC unroll 4
    for (int t = 0; t < kKeyBlock; t += kLanes) {
      const Lanes w = exp2(fma(load(weights + t), splat(rows.scale), minus_reference));
      store(weights + t, w);
      total = total + w;
    }
    store(sums, total);
  }
}

}  // namespace
}  // namespace rbee::cpu::RBEE_ISA
