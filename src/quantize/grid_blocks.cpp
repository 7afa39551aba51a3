#include "quantize/grid_blocks.hpp"

#include <cstring>
#include <utility>

#include "checkpoint/quant_grids.hpp"
#include "quantize/grid_search.hpp"

namespace rbee {
namespace {

// Levels in units of d (2 s + 1): those of codebook_blocks.cpp.
using Grid2 = Grid<8, 2, 3>;
using Grid3 = Grid<4, 3, 8>;
constexpr std::array<float, 3> kLevels2{1, 25.0F / 8, 43.0F / 8};
constexpr std::array<float, 8> kLevels3Xxs{1, 3, 5, 7, 9, 11, 13, 15.5F};
constexpr std::array<float, 8> kLevels3S{1, 3, 5, 7, 9, 11, 13, 15};
constexpr std::array<float, 3> kLevels1Up{-7.0F / 8, 1.0F / 8, 9.0F / 8};
constexpr std::array<float, 3> kLevels1Down{-9.0F / 8, -1.0F / 8, 7.0F / 8};

std::uint8_t byte(unsigned value) { return static_cast<std::uint8_t>(value); }
unsigned low_eight(unsigned value) { return value & 0xFF; }

template <int n, class G>
auto best_block(const G& grid, GridSigns signs, const float* x, const float* w) {
  constexpr std::size_t kRuns = 256 / n;
  const auto searches = [&]<std::size_t... b>(std::index_sequence<b...>) {
    return std::array{GridRunSearch<n, G>(grid, signs, x + b * n, w + b * n)...};
  }
  (std::make_index_sequence<kRuns>());
  return best_grid_block<15>(searches);
}

// Sign indices of seven bits for four eights of elements, and a scale, in one word.
template <class Run>
std::uint32_t sign_word(const Run& run, int scale) {
  auto word = static_cast<std::uint32_t>(scale) << 28;
  for (std::size_t i = 0; i < 4; ++i) word |= (run.minus[i] & 127U) << 7 * i;
  return word;
}

template <std::size_t count>
void put_nibbles(const std::array<int, count>& scales, std::uint8_t* out) {
  for (std::size_t b = 0; b < count; b += 2) {
    out[b / 2] = byte(static_cast<unsigned>(scales[b] | scales[b + 1] << 4));
  }
}

// A run in parts of `part` elements that each have delta up or down, whichever fits better.
template <int n, int part>
class DeltaRunSearch {
 public:
  static constexpr int kParts = n / part;
  using Part = GridRunSearch<part, Grid2>;
  struct Run {
    std::array<typename Part::Run, kParts> parts{};
    std::array<bool, kParts> down{};
    Projection projection;
    float error = 0;
  };

  DeltaRunSearch(const Grid2& up, const Grid2& down, const float* x, const float* w)
      : up_(make(up, x, w, std::make_index_sequence<kParts>())),
        down_(make(down, x, w, std::make_index_sequence<kParts>())) {}

  Run at(float scale) const {
    Run run;
    for (std::size_t i = 0; i < kParts; ++i) {
      const auto up = up_[i].at(scale), down = down_[i].at(scale);
      run.down[i] = down.error < up.error;
      run.parts[i] = run.down[i] ? down : up;
      run.projection.xl += run.parts[i].projection.xl;
      run.projection.ll += run.parts[i].projection.ll;
      run.error += run.parts[i].error;
    }
    return run;
  }
  float widest_scale() const {
    float widest = 0;
    for (const Part& one : up_) widest = std::max(widest, one.widest_scale());
    return widest;
  }

 private:
  template <std::size_t... i>
  static std::array<Part, kParts> make(const Grid2& grid, const float* x, const float* w,
                                       std::index_sequence<i...>) {
    return {Part(grid, GridSigns::none, x + i * part, w + i * part)...};
  }
  std::array<Part, kParts> up_, down_;
};

template <int n, int part>
auto best_delta_block(const float* x, const float* w) {
  const Grid2 up{kIq1Grid, kLevels1Up}, down{kIq1Grid, kLevels1Down};
  const auto searches = [&]<std::size_t... b>(std::index_sequence<b...>) {
    return std::array{DeltaRunSearch<n, part>(up, down, x + b * n, w + b * n)...};
  }
  (std::make_index_sequence<256 / n>());
  return best_grid_block<7>(searches);
}

}  // namespace

void encode(const float* x, const float* w, BlockIq2Xxs& block) {
  const auto best = best_block<32>(Grid2{kIq2XxsGrid, kLevels2}, GridSigns::even, x, w);
  block.d = best.d;
  for (std::size_t b = 0; b < 8; ++b) {
    for (std::size_t g = 0; g < 4; ++g) block.qs[8 * b + g] = byte(best.runs[b].points[g]);
    const std::uint32_t word = sign_word(best.runs[b], best.scales[b]);
    std::memcpy(block.qs + 8 * b + 4, &word, sizeof word);
  }
}

void encode(const float* x, const float* w, BlockIq2Xs& block) {
  const auto best = best_block<16>(Grid2{kIq2XsGrid, kLevels2}, GridSigns::even, x, w);
  block.d = best.d;
  put_nibbles(best.scales, block.scales);
  for (std::size_t g = 0; g < 32; ++g) {
    const auto& run = best.runs[g / 2];
    block.qs[g] = static_cast<std::uint16_t>(run.points[g % 2] | (run.minus[g % 2] & 127U) << 9);
  }
}

void encode(const float* x, const float* w, BlockIq2S& block) {
  const auto best = best_block<16>(Grid2{kIq2SGrid, kLevels2}, GridSigns::free, x, w);
  block.d = best.d;
  put_nibbles(best.scales, block.scales);
  std::fill_n(block.qh, 8, std::uint8_t{0});
  for (std::size_t g = 0; g < 32; ++g) {
    const unsigned point = best.runs[g / 2].points[g % 2];
    block.qs[g] = byte(low_eight(point));
    block.qh[g / 4] |= byte((point >> 8) << 2 * (g % 4));
    block.signs[g] = best.runs[g / 2].minus[g % 2];
  }
}

void encode(const float* x, const float* w, BlockIq3Xxs& block) {
  const auto best = best_block<32>(Grid3{kIq3XxsGrid, kLevels3Xxs}, GridSigns::even, x, w);
  block.d = best.d;
  for (std::size_t b = 0; b < 8; ++b) {
    for (std::size_t g = 0; g < 8; ++g) block.qs[8 * b + g] = byte(best.runs[b].points[g]);
    const std::uint32_t word = sign_word(best.runs[b], best.scales[b]);
    std::memcpy(block.signs + 4 * b, &word, sizeof word);
  }
}

void encode(const float* x, const float* w, BlockIq3S& block) {
  const auto best = best_block<32>(Grid3{kIq3SGrid, kLevels3S}, GridSigns::free, x, w);
  block.d = best.d;
  put_nibbles(best.scales, block.scales);
  for (std::size_t b = 0; b < 8; ++b) {
    block.qh[b] = 0;
    for (std::size_t g = 0; g < 8; ++g) {
      const unsigned point = best.runs[b].points[g];
      block.qs[8 * b + g] = byte(low_eight(point));
      block.qh[b] |= byte((point >> 8) << g);
    }
    for (std::size_t i = 0; i < 4; ++i) block.signs[4 * b + i] = best.runs[b].minus[i];
  }
}

void encode(const float* x, const float* w, BlockIq1S& block) {
  const auto best = best_delta_block<32, 32>(x, w);
  block.d = best.d;
  for (std::size_t b = 0; b < 8; ++b) {
    const auto& run = best.runs[b];
    unsigned high = static_cast<unsigned>(best.scales[b]) << 12 | (run.down[0] ? 0x8000U : 0);
    for (std::size_t g = 0; g < 4; ++g) {
      const unsigned point = run.parts[0].points[g];
      block.qs[4 * b + g] = byte(low_eight(point));
      high |= (point >> 8) << 3 * g;
    }
    block.qh[b] = static_cast<std::uint16_t>(high);
  }
}

void encode(const float* x, const float* w, BlockIq1M& block) {
  const auto best = best_delta_block<16, 8>(x, w);
  std::fill_n(block.qh, 16, std::uint8_t{0});
  for (std::size_t i = 0; i < 4; ++i) {
    unsigned word = ((best.d >> 4 * i) & 15U) << 12;
    for (std::size_t j = 0; j < 4; ++j) {
      word |= static_cast<unsigned>(best.scales[4 * i + j]) << 3 * j;
    }
    block.scales[i] = static_cast<std::uint16_t>(word);
  }
  for (std::size_t g = 0; g < 32; ++g) {
    const auto& run = best.runs[g / 2];
    const unsigned point = run.parts[g % 2].points[0];
    const unsigned high = point >> 8 | (run.down[g % 2] ? 8U : 0);
    block.qs[g] = byte(low_eight(point));
    block.qh[g / 2] |= byte(high << 4 * (g % 2));
  }
}

}  // namespace rbee
