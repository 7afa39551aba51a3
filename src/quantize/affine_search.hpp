// Least-squares search for the scale and the offset of a run of elements: y = d q + m.
#pragma once
#include "quantize/scale_search.hpp"

namespace rbee {

struct ScaleAndOffset {
  float d = 0, m = 0;
};

// Sums over a run whose element i has code q(i).
struct AffineSums {
  float w = 0, x = 0, q = 0, xq = 0, qq = 0;  // Σ w, Σ w x, Σ w q, Σ w x q, Σ w q²
};

template <int n, int max_code>
AffineSums affine_sums(const float* x, const float* w, float inverse, float m) {
  LaneSums sw{}, sx{}, sq{}, sxq{}, sqq{};
  for (std::size_t i = 0; i < n; i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      const float q = UniformLevels<0, max_code>::nearest((x[i + j] - m) * inverse);
      const float wq = w[i + j] * q;
      sw[j] += w[i + j];
      sx[j] += w[i + j] * x[i + j];
      sq[j] += wq;
      sxq[j] += wq * x[i + j];
      sqq[j] += wq * q;
    }
  }
  return {total(sw), total(sx), total(sq), total(sxq), total(sqq)};
}

struct AffineFit {
  ScaleAndOffset at;
  float gain = 0;  // Σ w x² less the error
};

// The best d and m for given codes; with `below`, of those with m <= 0.
inline AffineFit solve(const AffineSums& s, bool below) {
  const float determinant = s.w * s.qq - s.q * s.q;
  ScaleAndOffset at{0, s.w > 0 ? s.x / s.w : 0};
  if (determinant > 0) {
    at = {(s.w * s.xq - s.x * s.q) / determinant, (s.qq * s.x - s.q * s.xq) / determinant};
  }
  if (below && at.m > 0) at = {s.qq > 0 ? s.xq / s.qq : 0, 0};
  return {at, at.d * s.xq + at.m * s.x};
}

// Σ w (x - d q - m)² with the nearest codes.
template <int n, int max_code>
float affine_error(const float* x, const float* w, ScaleAndOffset at) {
  const float inverse = inverse_or_zero(at.d);
  LaneSums sum{};
  for (std::size_t i = 0; i < n; i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      const float q = UniformLevels<0, max_code>::nearest((x[i + j] - at.m) * inverse);
      const float miss = x[i + j] - at.d * q - at.m;
      sum[j] += w[i + j] * miss * miss;
    }
  }
  return total(sum);
}

// d >= 0 and m with the smallest error that was found; with `below`, m <= 0.
template <int n, int max_code>
ScaleAndOffset best_affine(const float* x, const float* w, bool below) {
  constexpr int kTrials = 9, kTurns = 8;
  auto [low, high] = std::minmax_element(x, x + n);
  const float least = below ? std::min(*low, 0.0F) : *low;
  const float unit = inverse_or_zero(*high - least);
  AffineFit best{{0, least}, -1};
  const auto attempt = [&](float inverse, float m) {
    const AffineFit found = solve(affine_sums<n, max_code>(x, w, inverse, m), below);
    const bool better = found.gain > best.gain && found.at.d >= 0;
    if (better) best = found;
    return better;
  };
  for (int k = -kTrials; k <= kTrials; ++k) {
    attempt(unit * (max_code + 0.1F * static_cast<float>(k)), least);
  }
  for (int turn = 0; turn < kTurns; ++turn) {
    if (!attempt(inverse_or_zero(best.at.d), best.at.m)) break;
  }
  return best.at;
}

}  // namespace rbee
