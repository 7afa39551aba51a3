#include "quantize/small_blocks.hpp"

#include <cstring>

#include "quantize/affine_search.hpp"

namespace rbee {
namespace {

constexpr int kBlock = 32;

// Low four bits of two codes in each byte, as in every block of 32 here.
void put_nibbles(const int (&codes)[kBlock], std::uint8_t (&qs)[16]) {
  for (int j = 0; j < 16; ++j) {
    qs[j] = static_cast<std::uint8_t>((codes[j] & 15) | (codes[j + 16] & 15) << 4);
  }
}

void put_fifth_bits(const int (&codes)[kBlock], std::uint8_t (&qh)[4]) {
  std::uint32_t bits = 0;
  for (int j = 0; j < kBlock; ++j) bits |= static_cast<std::uint32_t>(codes[j] >> 4) << j;
  for (int i = 0; i < 4; ++i) qh[i] = static_cast<std::uint8_t>(bits >> 8 * i);
}

struct HalfAffine {
  std::uint16_t d, m;
};

// The best scale and offset in f16, and the codes at them.
template <int max_code>
HalfAffine put_affine_codes(const float* x, const float* w, int (&codes)[kBlock]) {
  const auto [d, m] = best_affine<kBlock, max_code>(x, w, /*below=*/false);
  const HalfAffine half{scale_to_f16(d), scale_to_f16(m)};
  const float inverse = inverse_or_zero(f16_to_float(half.d)), offset = f16_to_float(half.m);
  for (int j = 0; j < kBlock; ++j) {
    codes[j] = UniformLevels<0, max_code>::code((x[j] - offset) * inverse);
  }
  return half;
}

}  // namespace

void encode(const float* x, const float* w, BlockQ40& block) {
  int codes[kBlock];
  block.d = put_codes<kBlock>(x, w, UniformLevels<-8, 7>(), codes);
  put_nibbles(codes, block.qs);
}

void encode(const float* x, const float* w, BlockQ50& block) {
  int codes[kBlock];
  block.d = put_codes<kBlock>(x, w, UniformLevels<-16, 15>(), codes);
  put_nibbles(codes, block.qs);
  put_fifth_bits(codes, block.qh);
}

void encode(const float* x, const float* w, BlockQ41& block) {
  int codes[kBlock];
  const HalfAffine half = put_affine_codes<15>(x, w, codes);
  block.d = half.d, block.m = half.m;
  put_nibbles(codes, block.qs);
}

void encode(const float* x, const float* w, BlockQ51& block) {
  int codes[kBlock];
  const HalfAffine half = put_affine_codes<31>(x, w, codes);
  block.d = half.d, block.m = half.m;
  put_nibbles(codes, block.qs);
  put_fifth_bits(codes, block.qh);
}

void encode(const float* x, const float* w, BlockQ80& block) {
  constexpr UniformLevels<-127, 127> levels;
  block.d = scale_to_f16(best_scale<kBlock>(x, w, levels));
  const float inverse = inverse_or_zero(f16_to_float(block.d));
  for (int j = 0; j < kBlock; ++j) {
    block.qs[j] = static_cast<std::int8_t>(levels.nearest(x[j] * inverse));
  }
}

}  // namespace rbee
