#include "quantize/k_blocks.hpp"

#include "quantize/super_blocks.hpp"

namespace rbee {
namespace {

constexpr int kBlock = 256;
using Codes = std::array<int, kBlock>;

std::uint8_t byte(int value) { return static_cast<std::uint8_t>(value); }

template <int n, int max_code, int count>
Codes affine_codes(const float* x, const AffineRuns<count>& runs) {
  Codes codes;
  for (std::size_t i = 0; i < kBlock; ++i) {
    const auto [d, m] = runs.at(i / n);
    codes[i] = UniformLevels<0, max_code>::code((x[i] - m) * inverse_or_zero(d));
  }
  return codes;
}

template <int n, class Levels, int count>
Codes scaled_codes(const float* x, const ScaledRuns<count>& runs, const Levels& levels) {
  Codes codes;
  for (std::size_t i = 0; i < kBlock; ++i) {
    const float d = f16_to_float(runs.d) * static_cast<float>(runs.scales[i / n]);
    codes[i] = levels.code(x[i] * inverse_or_zero(d));
  }
  return codes;
}

// The low two bits of each code: element 128 h + 32 s + l in bits 2s and 2s + 1 of byte 32 h + l.
void put_pairs(const Codes& codes, std::uint8_t (&qs)[64]) {
  for (std::size_t at = 0; at < 64; ++at) {
    const int* first = &codes[at / 32 * 128 + at % 32];
    int pairs = 0;
    for (int s = 0; s < 4; ++s) pairs |= (first[32 * s] & 3) << 2 * s;
    qs[at] = byte(pairs);
  }
}

// The low four bits: 32 bytes for two runs of 32.
void put_nibbles(const Codes& codes, std::uint8_t (&qs)[128]) {
  for (std::size_t at = 0; at < 128; ++at) {
    const int* first = &codes[at / 32 * 64 + at % 32];
    qs[at] = byte((first[0] & 15) | (first[32] & 15) << 4);
  }
}

// Inverse of scale_and_min in dequantize.cpp.
void put_scales_and_mins(const AffineRuns<8>& runs, std::uint8_t (&out)[12]) {
  for (int b = 0; b < 4; ++b) {
    const auto low = static_cast<std::size_t>(b), high = low + 4;
    out[b] = byte(runs.scales[low] | (runs.scales[high] >> 4) << 6);
    out[b + 4] = byte(runs.mins[low] | (runs.mins[high] >> 4) << 6);
    out[b + 8] = byte((runs.scales[high] & 15) | (runs.mins[high] & 15) << 4);
  }
}

}  // namespace

void encode(const float* x, const float* w, BlockQ2K& block) {
  const AffineRuns<16> runs = AffineRunSearch<16, 16, 15, 3>(x, w).search();
  block.d = runs.d, block.dmin = runs.dmin;
  for (std::size_t b = 0; b < 16; ++b) block.scales[b] = byte(runs.scales[b] | runs.mins[b] << 4);
  put_pairs(affine_codes<16, 3>(x, runs), block.qs);
}

void encode(const float* x, const float* w, BlockQ3K& block) {
  constexpr UniformLevels<-4, 3> levels;
  const auto runs = best_scaled_runs<16, 16, UniformLevels<-32, 31>>(x, w, levels);
  const Codes codes = scaled_codes<16>(x, runs, levels);
  block.d = runs.d;
  std::fill_n(block.scales, 12, std::uint8_t{0});
  for (std::size_t k = 0; k < 16; ++k) {
    const int scale = runs.scales[k] + 32;
    block.scales[k % 8] |= byte((scale & 15) << (k < 8 ? 0 : 4));
    block.scales[8 + k % 4] |= byte((scale >> 4) << (2 * (k / 4)));
  }
  put_pairs(codes, block.qs);
  std::fill_n(block.hmask, 32, std::uint8_t{0});
  for (std::size_t i = 0; i < kBlock; ++i) block.hmask[i % 32] |= byte((codes[i] >> 2) << i / 32);
}

void encode(const float* x, const float* w, BlockQ4K& block) {
  const AffineRuns<8> runs = AffineRunSearch<32, 8, 63, 15>(x, w).search();
  block.d = runs.d, block.dmin = runs.dmin;
  put_scales_and_mins(runs, block.scales);
  put_nibbles(affine_codes<32, 15>(x, runs), block.qs);
}

void encode(const float* x, const float* w, BlockQ5K& block) {
  const AffineRuns<8> runs = AffineRunSearch<32, 8, 63, 31>(x, w).search();
  const Codes codes = affine_codes<32, 31>(x, runs);
  block.d = runs.d, block.dmin = runs.dmin;
  put_scales_and_mins(runs, block.scales);
  put_nibbles(codes, block.qs);
  std::fill_n(block.qh, 32, std::uint8_t{0});
  for (std::size_t i = 0; i < kBlock; ++i) block.qh[i % 32] |= byte((codes[i] >> 4) << i / 32);
}

// Bits of Q6_K: see its decoding in dequantize.cpp.
void encode(const float* x, const float* w, BlockQ6K& block) {
  constexpr UniformLevels<-32, 31> levels;
  const auto runs = best_scaled_runs<16, 16, UniformLevels<-128, 127>>(x, w, levels);
  const Codes codes = scaled_codes<16>(x, runs, levels);
  block.d = runs.d;
  for (std::size_t b = 0; b < 16; ++b) block.scales[b] = static_cast<std::int8_t>(runs.scales[b]);
  for (std::size_t at = 0; at < 128; ++at) {
    const int* first = &codes[at / 64 * 128 + at % 64];
    block.ql[at] = byte((first[0] & 15) | (first[64] & 15) << 4);
  }
  for (std::size_t at = 0; at < 64; ++at) {
    const int* first = &codes[at / 32 * 128 + at % 32];
    int pairs = 0;
    for (int r = 0; r < 4; ++r) pairs |= (first[32 * r] >> 4) << 2 * r;
    block.qh[at] = byte(pairs);
  }
}

}  // namespace rbee
