// The 8-bit number formats of weights and scales, to float; all conversions are exact.
// Micikevicius et al., 2022, arXiv:2209.05433; OCP Microscaling Formats v1.0.
#pragma once
#include <bit>
#include <cstdint>
#include <limits>

namespace rbee {

// E4M3 without infinities: bias 7, largest 448, subnormals in steps of 2^-9, NaN at 0x7F and 0xFF.
inline float e4m3_to_float(std::uint8_t bits) noexcept {
  const std::uint32_t sign = (bits & 0x80u) << 24;
  const std::uint32_t rest = bits & 0x7fu;
  if (rest == 0x7fu) return std::numeric_limits<float>::quiet_NaN();
  const float magnitude = rest < 8 ? static_cast<float>(rest) * 0x1p-9f
                                   : std::bit_cast<float>((rest + ((127u - 7u) << 3)) << 20);
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

// A power of two, 2^(bits - 127); NaN at 0xFF.
inline float e8m0_to_float(std::uint8_t bits) noexcept {
  if (bits == 0xffu) return std::numeric_limits<float>::quiet_NaN();
  return bits == 0 ? 0x1p-127f : std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 23);
}

}  // namespace rbee
