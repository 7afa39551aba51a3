// Random numbers that are a pure function of a seed and a counter: the draw for token i needs no
// state, so it is the same whatever else was drawn, on every platform.
#pragma once
#include <cstdint>

namespace rbee {

// The finaliser of SplitMix64 (Steele, Lea & Flood, 2014, "Fast splittable pseudorandom number
// generators"): a bijection of 64-bit words.
constexpr std::uint64_t mix64(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// Uniform in [0, 1): element number counter of the SplitMix64 stream that starts at mix64(seed).
// Mixing the seed first keeps the streams of neighbouring seeds from being shifts of each other.
constexpr double uniform(std::uint64_t seed, std::uint64_t counter) noexcept {
  constexpr std::uint64_t kGamma = 0x9e3779b97f4a7c15u;
  const std::uint64_t word = mix64(mix64(seed + kGamma) + (counter + 1) * kGamma);
  return static_cast<double>(word >> 11) * 0x1p-53;
}

}  // namespace rbee
