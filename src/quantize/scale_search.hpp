// Least-squares search for the scale of a run of elements that share one.
//
// With level L(i) for element i, the scale d = Σ w x L / Σ w L² has the smallest error
// Σ w (x - d L)², and lessens it by the gain (Σ w x L)² / Σ w L². Which levels are nearest depends
// on d in turn: a row of trial scales is rounded to levels, the one with the greatest gain is kept
// and improved by turns (Lloyd, 1982, https://doi.org/10.1109/TIT.1982.1056489). Sums are kept in
// eight lanes in a fixed order: compilers turn them into vectors, and every machine computes the
// same bits.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "checkpoint/codebook_blocks.hpp"
#include "checkpoint/float16.hpp"

namespace rbee {

inline constexpr int kLanes = 8;
using LaneSums = std::array<float, kLanes>;

inline float total(const LaneSums& v) {
  return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}

// To the nearest integer, half to even. |v| < 2^22.
inline float round_to_integer(float v) { return (v + 0x1.8p23F) - 0x1.8p23F; }

// The f16 nearest to a scale; too large ones become the largest.
inline std::uint16_t scale_to_f16(float d) {
  return float_to_f16(std::clamp(d, -65504.0F, 65504.0F));
}

inline float inverse_or_zero(float d) {
  const float inverse = 1 / d;
  return std::isfinite(inverse) ? inverse : 0;
}

// Levels lowest, lowest + 1, ... highest, whose codes count from 0.
template <int lowest, int highest>
struct UniformLevels {
  static constexpr float low() { return lowest; }
  static constexpr float high() { return highest; }
  static constexpr float step() { return 0.1F; }  // of the outermost level, between trials
  // The lowest for a NaN, which what is near the largest float can lead to.
  static float nearest(float v) { return round_to_integer(std::min(std::max(low(), v), high())); }
  static int code(float v) { return static_cast<int>(nearest(v)) - lowest; }
};

// The levels of a table of 16 numbers from -128 to 127.
class TableLevels {
 public:
  explicit TableLevels(const Codebook& codebook) {
    std::copy(codebook.values.begin(), codebook.values.end(), values_.begin());
    low_ = *std::min_element(values_.begin(), values_.end());
    high_ = *std::max_element(values_.begin(), values_.end());
    for (std::size_t i = 0; i < codes_.size(); ++i) {
      const float centre = (static_cast<float>(i) + 0.5F) / 2 - 128;
      const auto nearer = [centre](float a, float b) {
        return std::abs(a - centre) < std::abs(b - centre);
      };
      const auto nearest = std::min_element(values_.begin(), values_.end(), nearer);
      codes_[i] = static_cast<std::uint8_t>(nearest - values_.begin());
    }
  }
  float low() const { return low_; }
  float high() const { return high_; }
  static constexpr float step() { return 2; }
  float nearest(float v) const { return values_[codes_[bin(v)]]; }
  int code(float v) const { return codes_[bin(v)]; }

 private:
  // Limits between two levels are multiples of 1/2, so a bin of that width has one nearest level.
  static std::size_t bin(float v) {
    return static_cast<std::size_t>(2 * std::min(std::max(-128.0F, v), 127.5F) + 256);
  }

  std::array<float, 16> values_{};
  std::array<std::uint8_t, 512> codes_{};
  float low_ = 0, high_ = 0;
};

// How well levels fit a run: what the best scale follows from.
struct Projection {
  float xl = 0, ll = 0;  // Σ w x L and Σ w L²
  float scale() const { return ll > 0 ? xl / ll : 0; }
  float gain() const { return ll > 0 ? xl * xl / ll : 0; }
};

template <int n, class Levels>
Projection project(const float* x, const float* w, float inverse, const Levels& levels) {
  LaneSums xl{}, ll{};
  for (std::size_t i = 0; i < n; i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      const float level = levels.nearest(x[i + j] * inverse), weighted = w[i + j] * level;
      xl[j] += weighted * x[i + j];
      ll[j] += weighted * level;
    }
  }
  return {total(xl), total(ll)};
}

// Σ w (x - d L)² with the levels that are nearest at scale d.
template <int n, class Levels>
float error_at(const float* x, const float* w, float d, const Levels& levels) {
  const float inverse = inverse_or_zero(d);
  LaneSums sum{};
  for (std::size_t i = 0; i < n; i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      const float miss = x[i + j] - d * levels.nearest(x[i + j] * inverse);
      sum[j] += w[i + j] * miss * miss;
    }
  }
  return total(sum);
}

// The scale, of either sign, with the smallest error that was found; 0 for a run of zeros.
template <int n, class Levels>
float best_scale(const float* x, const float* w, const Levels& levels) {
  constexpr int kTrials = 9, kTurns = 4;
  float top = 0;  // of the largest magnitude
  for (int i = 0; i < n; ++i) top = std::abs(x[i]) > std::abs(top) ? x[i] : top;
  const float unit = inverse_or_zero(top);
  Projection best;
  const auto attempt = [&](float inverse) {
    const Projection found = project<n>(x, w, inverse, levels);
    const bool better = found.gain() > best.gain();
    if (better) best = found;
    return better;
  };
  for (const float outermost : {levels.low(), levels.high()}) {
    if (outermost == 0) continue;
    for (int k = -kTrials; k <= kTrials; ++k) {
      attempt(unit * (outermost + static_cast<float>(k) * levels.step()));
    }
  }
  for (int turn = 0; turn < kTurns; ++turn) {
    if (!attempt(inverse_or_zero(best.scale()))) break;
  }
  return best.scale();
}

// The best scale in f16; codes: n of them, those at the scale that it stands for.
template <int n, class Levels>
std::uint16_t put_codes(const float* x, const float* w, const Levels& levels, int* codes) {
  const std::uint16_t d = scale_to_f16(best_scale<n>(x, w, levels));
  const float inverse = inverse_or_zero(f16_to_float(d));
  for (std::size_t i = 0; i < n; ++i) codes[i] = levels.code(x[i] * inverse);
  return d;
}

}  // namespace rbee
