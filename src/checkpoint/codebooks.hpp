// The 4-bit data types of bitsandbytes: what the codes 0 to 15 stand for.
#pragma once
#include <array>

namespace rbee {

// NormalFloat4: quantiles of a normal distribution (Dettmers et al., 2023, arXiv:2305.14314).
inline constexpr std::array<float, 16> kNf4{
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};

// Sign, two exponent bits, one mantissa bit, divided by the largest.
inline constexpr std::array<float, 16> kFp4{
    0.0f,  0.0052083334f,  0.6666667f,  1.0f,  0.33333334f,  0.5f,  0.16666667f,  0.25f,
    -0.0f, -0.0052083334f, -0.6666667f, -1.0f, -0.33333334f, -0.5f, -0.16666667f, -0.25f,
};

}  // namespace rbee
