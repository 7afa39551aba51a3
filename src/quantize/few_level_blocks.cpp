#include "quantize/few_level_blocks.hpp"

#include "quantize/scale_search.hpp"

namespace rbee {
namespace {

std::uint8_t byte(int value) { return static_cast<std::uint8_t>(value); }

// Inverse of decode_digits in dequantize.cpp: bytes of so many digits of elements `width` apart.
const int* put_digits(const int* codes, int width, int digits, std::uint8_t* bytes) {
  constexpr int kDigits = 5, kNumbers = 243;
  for (int m = 0; m < width; ++m) {
    int number = 0;
    for (int n = 0; n < kDigits; ++n) number = 3 * number + (n < digits ? codes[n * width + m] : 0);
    bytes[m] = byte((number * 256 + kNumbers - 1) / kNumbers);
  }
  return codes + width * digits;
}

}  // namespace

void encode(const float* x, const float* w, BlockTq10& block) {
  std::array<int, 256> codes;
  block.d = put_codes<256>(x, w, UniformLevels<-1, 1>(), codes.data());
  const int* rest = put_digits(codes.data(), 32, 5, block.qs);
  rest = put_digits(rest, 16, 5, block.qs + 32);
  put_digits(rest, 4, 4, block.qh);
}

void encode(const float* x, const float* w, BlockTq20& block) {
  std::array<int, 256> codes;
  block.d = put_codes<256>(x, w, UniformLevels<-1, 1>(), codes.data());
  for (std::size_t at = 0; at < 64; ++at) {
    const int* first = &codes[at / 32 * 128 + at % 32];
    block.qs[at] = byte(first[0] | first[32] << 2 | first[64] << 4 | first[96] << 6);
  }
}

// With two levels, d and -d, the best d is the weighted mean of magnitudes.
void encode(const float* x, const float* w, BlockQ10& block) {
  float sum = 0, weight = 0;
  std::fill_n(block.qs, 16, std::uint8_t{0});
  for (int i = 0; i < 128; ++i) {
    sum += w[i] * std::abs(x[i]), weight += w[i];
    block.qs[i / 8] |= byte((x[i] > 0 ? 1 : 0) << i % 8);
  }
  block.d = scale_to_f16(sum / weight);
}

void encode(const float* x, const float* w, BlockQ20& block) {
  std::array<int, 64> codes;
  block.d = put_codes<64>(x, w, UniformLevels<-1, 2>(), codes.data());
  for (std::size_t at = 0; at < 16; ++at) {
    const int* first = &codes[4 * at];
    block.qs[at] = byte(first[0] | first[1] << 2 | first[2] << 4 | first[3] << 6);
  }
}

}  // namespace rbee
