#include "quantize/table_blocks.hpp"

#include <algorithm>
#include <cmath>

#include "checkpoint/float8.hpp"
#include "quantize/super_blocks.hpp"

namespace rbee {
namespace {

std::uint8_t nibbles(int low, int high) { return static_cast<std::uint8_t>(low | high << 4); }

// Codes of 2 * half values: element j with element j + half in a byte.
void put_nibbles(const float* x, float d, const TableLevels& levels, int half, std::uint8_t* qs) {
  const float inverse = inverse_or_zero(d);
  for (int j = 0; j < half; ++j) {
    qs[j] = nibbles(levels.code(x[j] * inverse), levels.code(x[j + half] * inverse));
  }
}

float power_of_two(int e) { return std::ldexp(1.0F, e - 128); }  // of BlockMxfp4

// Of BlockNvfp4; E4M3 without sign rises with its bits.
float half_of_e4m3(int bits) { return e4m3_to_float(static_cast<std::uint8_t>(bits)) / 2; }

}  // namespace

void encode(const float* x, const float* w, const TableLevels& levels, BlockMxfp4& block) {
  const float d = std::abs(best_scale<32>(x, w, levels));
  constexpr int kLargest = 252;  // beyond it the largest level overflows
  const int start = d > 0 ? std::min(std::ilogb(d), kLargest - 128) + 128 : 0;
  const int e = best_neighbour<0, kLargest>(
      start, [&](int bits) { return error_at<32>(x, w, power_of_two(bits), levels); });
  block.e = static_cast<std::uint8_t>(e);
  put_nibbles(x, power_of_two(e), levels, 16, block.qs);
}

void encode(const float* x, const float* w, const TableLevels& levels, BlockNvfp4& block) {
  constexpr int kLargest = 0x7E;
  for (int b = 0; b < 4; ++b) {
    const float *xb = x + 16 * b, *wb = w + 16 * b;
    const float d = std::abs(best_scale<16>(xb, wb, levels));
    int start = 0;
    for (int bit = 64; bit > 0; bit /= 2) {  // the largest that is no larger than d
      if (start + bit <= kLargest && half_of_e4m3(start + bit) <= d) start += bit;
    }
    const int bits = best_neighbour<0, kLargest>(
        start, [&](int s) { return error_at<16>(xb, wb, half_of_e4m3(s), levels); });
    block.d[b] = static_cast<std::uint8_t>(bits);
    put_nibbles(xb, half_of_e4m3(bits), levels, 8, block.qs + 8 * b);
  }
}

void encode(const float* x, const float* w, const TableLevels& levels, BlockIq4Nl& block) {
  block.d = scale_to_f16(best_scale<32>(x, w, levels));
  put_nibbles(x, f16_to_float(block.d), levels, 16, block.qs);
}

void encode(const float* x, const float* w, const TableLevels& levels, BlockIq4Xs& block) {
  const auto runs = best_scaled_runs<32, 8, UniformLevels<-32, 31>>(x, w, levels);
  block.d = runs.d;
  block.scales_h = 0;
  std::fill_n(block.scales_l, 4, std::uint8_t{0});
  for (std::size_t b = 0; b < 8; ++b) {
    const int scale = runs.scales[b] + 32;
    block.scales_h = static_cast<std::uint16_t>(block.scales_h | (scale >> 4) << 2 * b);
    block.scales_l[b / 2] |= static_cast<std::uint8_t>((scale & 15) << 4 * (b % 2));
    const float d = f16_to_float(runs.d) * static_cast<float>(runs.scales[b]);
    put_nibbles(x + 32 * b, d, levels, 16, block.qs + 16 * b);
  }
}

}  // namespace rbee
