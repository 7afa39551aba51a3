// Least-squares search for blocks of several runs, whose own scales are integers times a scale of
// the block. The runs' best scales are numbers to be rounded to such integers, and the error of
// rounding them grows with the square of the miss times Σ w L² of the run: the search for the
// block's scale is the one for a run's scale over again.
#pragma once
#include "quantize/affine_search.hpp"
#include "quantize/scale_search.hpp"

namespace rbee {

template <int count>
struct ScaledRuns {  // y = d scales[b] L
  std::uint16_t d = 0;
  std::array<int, count> scales{};
};

// Of the integers near `start`, the one at which error(integer) is smallest.
template <int lowest, int highest, class Error>
int best_neighbour(int start, Error error) {
  const int first = std::clamp(start, lowest, highest);
  int best = first;
  float least = error(best);
  for (const int other : {first - 1, first + 1}) {
    if (other < lowest || other > highest) continue;
    const float found = error(other);
    if (found < least) least = found, best = other;
  }
  return best;
}

// count runs of n elements each.
template <int n, int count, class ScaleLevels, class Levels>
ScaledRuns<count> best_scaled_runs(const float* x, const float* w, const Levels& levels) {
  constexpr int kTurns = 2;
  constexpr int kLow = static_cast<int>(ScaleLevels::low());
  constexpr int kHigh = static_cast<int>(ScaleLevels::high());
  std::array<float, count> own{}, curvature{};
  for (int b = 0; b < count; ++b) {
    own[b] = best_scale<n>(x + b * n, w + b * n, levels);
    curvature[b] = project<n>(x + b * n, w + b * n, inverse_or_zero(own[b]), levels).ll;
  }
  ScaledRuns<count> runs;
  runs.d = scale_to_f16(best_scale<count>(own.data(), curvature.data(), ScaleLevels()));
  for (int turn = 0; turn < kTurns; ++turn) {
    const float d = f16_to_float(runs.d);
    Projection all;
    for (int b = 0; b < count; ++b) {
      const float *xb = x + b * n, *wb = w + b * n;
      const int start = static_cast<int>(ScaleLevels::nearest(own[b] * inverse_or_zero(d)));
      runs.scales[b] = best_neighbour<kLow, kHigh>(start, [&](int scale) {
        return error_at<n>(xb, wb, d * static_cast<float>(scale), levels);
      });
      const auto scale = static_cast<float>(runs.scales[b]);
      const Projection run = project<n>(xb, wb, inverse_or_zero(d * scale), levels);
      all.xl += scale * run.xl, all.ll += scale * scale * run.ll;
    }
    if (all.ll > 0) runs.d = scale_to_f16(all.scale());
  }
  return runs;
}

template <int count>
struct AffineRuns {  // y = d scales[b] q - dmin mins[b]
  std::uint16_t d = 0, dmin = 0;
  std::array<int, count> scales{}, mins{};

  ScaleAndOffset at(std::size_t b) const {
    return {f16_to_float(d) * static_cast<float>(scales[b]),
            -f16_to_float(dmin) * static_cast<float>(mins[b])};
  }
};

// Σ over the block of products of what d and dmin multiply: solved for the best pair.
struct PairSums {
  double aa = 0, ab = 0, bb = 0, ax = 0, bx = 0;

  void add(const AffineSums& run, double scale, double min) {
    aa += scale * scale * run.qq, ab -= scale * min * run.q, bb += min * min * run.w;
    ax += scale * run.xq, bx -= min * run.x;
  }
  ScaleAndOffset solve() const {  // d and dmin
    const double determinant = aa * bb - ab * ab;
    if (!(determinant > 1e-9 * aa * bb)) return {aa > 0 ? static_cast<float>(ax / aa) : 0, 0};
    return {static_cast<float>((bb * ax - ab * bx) / determinant),
            static_cast<float>((aa * bx - ab * ax) / determinant)};
  }
};

// Scales and minima from 0 to `highest`, codes from 0 to max_code.
template <int n, int count, int highest, int max_code>
class AffineRunSearch {
 public:
  AffineRunSearch(const float* x, const float* w) : x_(x), w_(w) {}

  AffineRuns<count> search() {
    constexpr int kTurns = 2;
    start();
    for (int turn = 0; turn < kTurns; ++turn) {
      choose_integers();
      choose_block_scales();
    }
    return runs_;
  }

 private:
  using Integers = UniformLevels<0, highest>;

  void start() {
    std::array<float, count> scales{}, mins{}, scale_weights{}, min_weights{};
    for (std::size_t b = 0; b < count; ++b) {
      own_[b] = best_affine<n, max_code>(x_ + b * n, w_ + b * n, /*below=*/true);
      const AffineSums sums = sums_at(b, own_[b]);
      scales[b] = own_[b].d, scale_weights[b] = sums.qq;
      mins[b] = -own_[b].m, min_weights[b] = sums.w;
    }
    runs_.d = scale_to_f16(best_scale<count>(scales.data(), scale_weights.data(), Integers()));
    runs_.dmin = scale_to_f16(best_scale<count>(mins.data(), min_weights.data(), Integers()));
  }

  AffineSums sums_at(std::size_t b, ScaleAndOffset at) const {
    return affine_sums<n, max_code>(x_ + b * n, w_ + b * n, inverse_or_zero(at.d), at.m);
  }

  // The scale and the minimum of each run: of the nine pairs around the nearest, the best.
  void choose_integers() {
    const float d = f16_to_float(runs_.d), dmin = f16_to_float(runs_.dmin);
    for (std::size_t b = 0; b < count; ++b) {
      const int scale = static_cast<int>(Integers::nearest(own_[b].d * inverse_or_zero(d)));
      const int min = static_cast<int>(Integers::nearest(-own_[b].m * inverse_or_zero(dmin)));
      float least = INFINITY;
      for (int i = 0; i < 9; ++i) {
        const int s = scale + i / 3 - 1, m = min + i % 3 - 1;
        if (s < 0 || s > highest || m < 0 || m > highest) continue;
        const ScaleAndOffset at{d * static_cast<float>(s), -dmin * static_cast<float>(m)};
        const float error = affine_error<n, max_code>(x_ + b * n, w_ + b * n, at);
        if (error < least) least = error, runs_.scales[b] = s, runs_.mins[b] = m;
      }
    }
  }

  void choose_block_scales() {
    PairSums sums;
    for (std::size_t b = 0; b < count; ++b) {
      sums.add(sums_at(b, runs_.at(b)), runs_.scales[b], runs_.mins[b]);
    }
    const ScaleAndOffset pair = sums.solve();
    if (pair.d > 0) runs_.d = scale_to_f16(pair.d);
    if (pair.d > 0 && pair.m >= 0) runs_.dmin = scale_to_f16(pair.m);
  }

  const float* x_;
  const float* w_;
  std::array<ScaleAndOffset, count> own_{};
  AffineRuns<count> runs_;
};

}  // namespace rbee
