// Least-squares search for the grid types: groups of eight or four elements take the levels that a
// point of a grid says, times the scale of their run, which is an odd multiple of the block's.
//
// With a scale given, an element costs w (x - scale level)² at each of its levels. The costs of the
// halves of a group, of all combinations of their levels, are added up once; a point of the grid
// then costs two look-ups.
#pragma once
#include <limits>
#include <span>

#include "quantize/super_blocks.hpp"

namespace rbee {

// How the elements of a type are signed.
enum class GridSigns : std::uint8_t {
  none,  // levels have signs of their own
  free,  // a bit for each element
  even,  // so, but an even number of minus signs in each eight elements
};

// A type: points of `group` elements, each `bits` bits that index `levels`.
template <int group_size, int level_bits, int level_count>
struct Grid {
  static constexpr int kGroup = group_size, kBits = level_bits, kLevels = level_count;
  std::span<const std::uint16_t> points;
  std::array<float, kLevels> levels;
};

// What is chosen for n elements.
template <int n, int group>
struct GridRun {
  std::array<std::uint16_t, n / group> points{};
  std::array<std::uint8_t, n / 8> minus{};  // bit j: element j of eight is negative
  Projection projection;                    // on the levels, with their signs
  float error = 0;                          // Σ w (x - scale level)²
};

template <int n, class G>
class GridRunSearch {
 public:
  using Run = GridRun<n, G::kGroup>;

  GridRunSearch(const G& grid, GridSigns signs, const float* x, const float* w)
      : grid_(grid), w_(w) {
    for (std::size_t i = 0; i < n; i += 8) sign_eight(signs, x + i, i);
  }

  // Scale > 0.
  Run at(float scale) const {
    Run run;
    run.minus = minus_;
    for (std::size_t g = 0; g < n / G::kGroup; ++g) choose_point(g, scale, run);
    return run;
  }

  // Of scales around this one, that of the best fit is sought.
  float widest_scale() const {
    float top = 0, highest = 0;
    for (const float v : magnitude_) top = std::max(top, std::abs(v));
    for (const float level : grid_.levels) highest = std::max(highest, std::abs(level));
    return top / highest;
  }

 private:
  static constexpr int kHalf = G::kGroup / 2;
  static constexpr std::size_t kCombinations = std::size_t{1} << (kHalf * G::kBits);
  static constexpr unsigned kLevelMask = (1U << G::kBits) - 1;

  // Magnitudes, and which elements are negative. Where their number must be even and is not, the
  // element that costs least gets the wrong sign: its magnitude is then below zero.
  void sign_eight(GridSigns signs, const float* x, std::size_t first) {
    std::size_t cheapest = 0;
    unsigned minus = 0, count = 0;
    for (std::size_t j = 0; j < 8; ++j) {
      const std::size_t i = first + j;
      const bool negative = signs != GridSigns::none && x[j] < 0;
      magnitude_[i] = negative ? -x[j] : x[j];
      minus |= static_cast<unsigned>(negative) << j, count += negative ? 1 : 0;
      const auto cost = [&](std::size_t at) { return w_[first + at] * x[at] * x[at]; };
      if (cost(j) < cost(cheapest)) cheapest = j;
    }
    if (signs == GridSigns::even && count % 2 != 0) {
      minus ^= 1U << cheapest;
      magnitude_[first + cheapest] = -magnitude_[first + cheapest];
    }
    minus_[first / 8] = static_cast<std::uint8_t>(minus);
  }

  // Costs of all combinations of levels of half a group.
  void add_up(std::size_t first, float scale, std::array<float, kCombinations>& costs) const {
    costs[0] = 0;
    std::size_t known = 1;
    for (int e = 0; e < kHalf; ++e) {
      std::array<float, G::kLevels> own;
      const std::size_t i = first + static_cast<std::size_t>(e);
      for (std::size_t l = 0; l < G::kLevels; ++l) {
        const float miss = magnitude_[i] - scale * grid_.levels[l];
        own[l] = w_[i] * miss * miss;
      }
      for (std::size_t l = G::kLevels; l-- > 0;) {
        for (std::size_t c = 0; c < known; ++c) costs[l * known + c] = costs[c] + own[l];
      }
      known <<= G::kBits;
    }
  }

  void choose_point(std::size_t g, float scale, Run& run) const {
    std::array<float, kCombinations> low{}, high{};
    const std::size_t first = g * G::kGroup;
    add_up(first, scale, low);
    add_up(first + kHalf, scale, high);
    float least = std::numeric_limits<float>::infinity();
    std::size_t best = 0;
    for (std::size_t p = 0; p < grid_.points.size(); ++p) {
      const std::uint16_t point = grid_.points[p];
      const float cost = low[point % kCombinations] + high[point / kCombinations];
      if (cost < least) least = cost, best = p;
    }
    run.points[g] = static_cast<std::uint16_t>(best);
    run.error += least;
    for (std::size_t j = 0; j < G::kGroup; ++j) {
      const float level = grid_.levels[(grid_.points[best] >> (j * G::kBits)) & kLevelMask];
      run.projection.xl += w_[first + j] * magnitude_[first + j] * level;
      run.projection.ll += w_[first + j] * level * level;
    }
  }

  const G& grid_;
  const float* w_;
  std::array<float, n> magnitude_{};
  std::array<std::uint8_t, n / 8> minus_{};
};

// The scale above 0 with the smallest error that was found; 0 for a run of zeros. Search has Run,
// at and widest_scale.
template <class Search>
float best_grid_scale(const Search& search) {
  constexpr int kTrials = 12, kTurns = 2;
  const float widest = search.widest_scale();
  Projection best;
  const auto attempt = [&](float scale) {
    if (!(scale > 0)) return false;
    const Projection found = search.at(scale).projection;
    const bool better = found.xl > 0 && found.gain() > best.gain();
    if (better) best = found;
    return better;
  };
  for (int k = 0; k <= kTrials; ++k) {
    attempt(widest * (0.4F + 0.075F * static_cast<float>(k)));
  }
  for (int turn = 0; turn < kTurns; ++turn) {
    if (!attempt(best.scale())) break;
  }
  return best.scale();
}

template <class Run, int count>
struct GridBlock {  // y = d (2 scales[b] + 1) level
  std::uint16_t d = 0;
  std::array<int, count> scales{};
  std::array<Run, count> runs{};
};

// Odd multiples of a number that are nearest to others, each of which has a weight: the number.
template <int count, int most>
float best_odd_unit(const std::array<float, count>& values, const std::array<float, count>& w) {
  constexpr int kTrials = 24;
  const float top = *std::max_element(values.begin(), values.end());
  Projection best;
  for (int k = 0; k < kTrials && top > 0; ++k) {
    const float inverse = (2 * most + 1) * (0.6F + 0.025F * static_cast<float>(k)) / top;
    Projection found;
    for (std::size_t b = 0; b < count; ++b) {
      const float half = std::clamp(round_to_integer((values[b] * inverse - 1) / 2), 0.0F,
                                    static_cast<float>(most));
      const float odd = 2 * half + 1;
      found.xl += w[b] * values[b] * odd, found.ll += w[b] * odd * odd;
    }
    if (found.gain() > best.gain()) best = found;
  }
  return best.scale();
}

// searches: one for each run. Scales from 0 to `most`.
template <int most, class Search, std::size_t count>
GridBlock<typename Search::Run, count> best_grid_block(const std::array<Search, count>& searches) {
  constexpr int kTurns = 2;
  GridBlock<typename Search::Run, count> block;
  std::array<float, count> own{}, curvature{};
  for (std::size_t b = 0; b < count; ++b) {
    own[b] = best_grid_scale(searches[b]);
    if (own[b] > 0) curvature[b] = searches[b].at(own[b]).projection.ll;
  }
  block.d = scale_to_f16(best_odd_unit<count, most>(own, curvature));
  for (int turn = 0; turn < kTurns; ++turn) {
    const float d = f16_to_float(block.d);
    Projection all;
    for (std::size_t b = 0; b < count; ++b) {
      const float nearest = round_to_integer((own[b] * inverse_or_zero(d) - 1) / 2);
      const int start = static_cast<int>(std::clamp(nearest, 0.0F, static_cast<float>(most)));
      const auto scale = [d](int s) { return d * static_cast<float>(2 * s + 1); };
      block.scales[b] =
          best_neighbour<0, most>(start, [&](int s) { return searches[b].at(scale(s)).error; });
      block.runs[b] = searches[b].at(scale(block.scales[b]));
      const auto odd = static_cast<float>(2 * block.scales[b] + 1);
      all.xl += odd * block.runs[b].projection.xl;
      all.ll += odd * odd * block.runs[b].projection.ll;
    }
    if (turn + 1 < kTurns && all.scale() > 0) block.d = scale_to_f16(all.scale());
  }
  return block;
}

}  // namespace rbee
