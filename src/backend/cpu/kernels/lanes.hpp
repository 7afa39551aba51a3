// Lanes: one vector register of floats under the same names on every instruction set, for the
// element-wise kernels. Every function works lane by lane, so a value has the same bits in
// whichever lane it is computed. Only *_kernels.cpp files may include this; all functions have
// internal linkage.
#pragma once
#include <immintrin.h>

#include <cstdint>

namespace rbee::cpu::RBEE_ISA {
namespace {

#define RBEE_LANES [[gnu::always_inline, maybe_unused]] inline

#if defined(RBEE_ISA_avx512)

using Lanes = __m512;
using IntLanes = __m512i;
constexpr int kLanes = 16;

RBEE_LANES Lanes load(const float* p) { return _mm512_loadu_ps(p); }
RBEE_LANES IntLanes load_int(const void* p) { return _mm512_loadu_si512(p); }
RBEE_LANES void store(float* p, Lanes v) { _mm512_storeu_ps(p, v); }
RBEE_LANES Lanes splat(float x) { return _mm512_set1_ps(x); }
RBEE_LANES Lanes fma(Lanes a, Lanes b, Lanes c) { return _mm512_fmadd_ps(a, b, c); }
RBEE_LANES Lanes max(Lanes a, Lanes b) { return _mm512_max_ps(a, b); }
RBEE_LANES Lanes min(Lanes a, Lanes b) { return _mm512_min_ps(a, b); }
RBEE_LANES Lanes divide(Lanes a, Lanes b) { return _mm512_div_ps(a, b); }
// Lanes 2i and 2i + 1 change places.
RBEE_LANES Lanes swap_neighbours(Lanes v) { return _mm512_permute_ps(v, 0xB1); }
RBEE_LANES Lanes select_less(Lanes a, Lanes b, Lanes yes, Lanes no) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
}
// The floats whose bf16 forms are the low and the high halves of 32-bit lanes.
RBEE_LANES Lanes low_bf16(IntLanes v) { return _mm512_castsi512_ps(_mm512_slli_epi32(v, 16)); }
RBEE_LANES Lanes high_bf16(IntLanes v) {
  return _mm512_castsi512_ps(_mm512_and_si512(v, _mm512_set1_epi32(-65536)));
}
RBEE_LANES Lanes nearest(Lanes v) {
  return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// v * 2^n for whole n in [-127, 127] and v in [1/2, 2); 0 for n = -127.
RBEE_LANES Lanes scale_by_power(Lanes v, Lanes n) {
  const __m512i power = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
  return _mm512_mul_ps(v, _mm512_castsi512_ps(_mm512_slli_epi32(power, 23)));
}
// The masked form: g++ 12 warns of the undefined operand inside the plain one (GCC bug 105593).
RBEE_LANES __m256 upper(Lanes v) { return _mm512_maskz_extractf32x8_ps(0xFF, v, 1); }
RBEE_LANES float sum(Lanes v) {
  const __m256 w = _mm256_add_ps(_mm512_castps512_ps256(v), upper(v));
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(w), _mm256_extractf128_ps(w, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
// Lane i is the sum of v[i].
RBEE_LANES Lanes sums(const Lanes (&v)[kLanes]) {
  Lanes quarters[4];  // in each quarter: what that quarter of four vectors adds up to
  for (int i = 0; i < 4; ++i) {
    const Lanes* w = v + 4 * i;
    const __m512d a =
        _mm512_castps_pd(_mm512_unpacklo_ps(w[0], w[1]) + _mm512_unpackhi_ps(w[0], w[1]));
    const __m512d b =
        _mm512_castps_pd(_mm512_unpacklo_ps(w[2], w[3]) + _mm512_unpackhi_ps(w[2], w[3]));
    quarters[i] =
        _mm512_castpd_ps(_mm512_unpacklo_pd(a, b)) + _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
  }
  const auto fold = [](Lanes a, Lanes b) {
    return _mm512_shuffle_f32x4(a, b, 0x88) + _mm512_shuffle_f32x4(a, b, 0xDD);
  };
  return fold(fold(quarters[0], quarters[1]), fold(quarters[2], quarters[3]));
}
RBEE_LANES float largest(Lanes v) {
  const __m256 w = _mm256_max_ps(_mm512_castps512_ps256(v), upper(v));
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(w), _mm256_extractf128_ps(w, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

#elif defined(RBEE_ISA_avx2)

using Lanes = __m256;
using IntLanes = __m256i;
constexpr int kLanes = 8;

RBEE_LANES Lanes load(const float* p) { return _mm256_loadu_ps(p); }
RBEE_LANES IntLanes load_int(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
RBEE_LANES void store(float* p, Lanes v) { _mm256_storeu_ps(p, v); }
RBEE_LANES Lanes splat(float x) { return _mm256_set1_ps(x); }
RBEE_LANES Lanes fma(Lanes a, Lanes b, Lanes c) { return _mm256_fmadd_ps(a, b, c); }
RBEE_LANES Lanes max(Lanes a, Lanes b) { return _mm256_max_ps(a, b); }
RBEE_LANES Lanes min(Lanes a, Lanes b) { return _mm256_min_ps(a, b); }
RBEE_LANES Lanes divide(Lanes a, Lanes b) { return _mm256_div_ps(a, b); }
RBEE_LANES Lanes swap_neighbours(Lanes v) { return _mm256_permute_ps(v, 0xB1); }
RBEE_LANES Lanes select_less(Lanes a, Lanes b, Lanes yes, Lanes no) {
  return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
RBEE_LANES Lanes low_bf16(IntLanes v) { return _mm256_castsi256_ps(_mm256_slli_epi32(v, 16)); }
RBEE_LANES Lanes high_bf16(IntLanes v) {
  return _mm256_castsi256_ps(_mm256_and_si256(v, _mm256_set1_epi32(-65536)));
}
RBEE_LANES Lanes nearest(Lanes v) {
  return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
RBEE_LANES Lanes scale_by_power(Lanes v, Lanes n) {
  const __m256i power = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_mul_ps(v, _mm256_castsi256_ps(_mm256_slli_epi32(power, 23)));
}
RBEE_LANES float sum(Lanes v) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
// Lane i is the sum of v[i].
RBEE_LANES Lanes sums(const Lanes (&v)[kLanes]) {
  const Lanes a = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
  const Lanes b = _mm256_hadd_ps(_mm256_hadd_ps(v[4], v[5]), _mm256_hadd_ps(v[6], v[7]));
  return _mm256_permute2f128_ps(a, b, 0x20) + _mm256_permute2f128_ps(a, b, 0x31);
}
RBEE_LANES float largest(Lanes v) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

#else

using Lanes = __m128;
using IntLanes = __m128i;
constexpr int kLanes = 4;

RBEE_LANES Lanes load(const float* p) { return _mm_loadu_ps(p); }
RBEE_LANES IntLanes load_int(const void* p) {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}
RBEE_LANES void store(float* p, Lanes v) { _mm_storeu_ps(p, v); }
RBEE_LANES Lanes splat(float x) { return _mm_set1_ps(x); }
// Two roundings: there is no fused form here.
RBEE_LANES Lanes fma(Lanes a, Lanes b, Lanes c) { return _mm_add_ps(_mm_mul_ps(a, b), c); }
RBEE_LANES Lanes max(Lanes a, Lanes b) { return _mm_max_ps(a, b); }
RBEE_LANES Lanes min(Lanes a, Lanes b) { return _mm_min_ps(a, b); }
RBEE_LANES Lanes divide(Lanes a, Lanes b) { return _mm_div_ps(a, b); }
RBEE_LANES Lanes swap_neighbours(Lanes v) { return _mm_shuffle_ps(v, v, 0xB1); }
RBEE_LANES Lanes select_less(Lanes a, Lanes b, Lanes yes, Lanes no) {
  const __m128 mask = _mm_cmplt_ps(a, b);
  return _mm_or_ps(_mm_and_ps(mask, yes), _mm_andnot_ps(mask, no));
}
RBEE_LANES Lanes low_bf16(IntLanes v) { return _mm_castsi128_ps(_mm_slli_epi32(v, 16)); }
RBEE_LANES Lanes high_bf16(IntLanes v) {
  return _mm_castsi128_ps(_mm_and_si128(v, _mm_set1_epi32(-65536)));
}
// For |v| < 2^31: conversion rounds to nearest even.
RBEE_LANES Lanes nearest(Lanes v) { return _mm_cvtepi32_ps(_mm_cvtps_epi32(v)); }
RBEE_LANES Lanes scale_by_power(Lanes v, Lanes n) {
  const __m128i power = _mm_add_epi32(_mm_cvtps_epi32(n), _mm_set1_epi32(127));
  return _mm_mul_ps(v, _mm_castsi128_ps(_mm_slli_epi32(power, 23)));
}
RBEE_LANES float sum(Lanes v) {
  const __m128 s = _mm_add_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}
// Lane i is the sum of v[i].
RBEE_LANES Lanes sums(const Lanes (&v)[kLanes]) {
  const Lanes a = _mm_unpacklo_ps(v[0], v[1]) + _mm_unpackhi_ps(v[0], v[1]);
  const Lanes b = _mm_unpacklo_ps(v[2], v[3]) + _mm_unpackhi_ps(v[2], v[3]);
  return _mm_movelh_ps(a, b) + _mm_movehl_ps(b, a);
}
RBEE_LANES float largest(Lanes v) {
  const __m128 s = _mm_max_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_shuffle_ps(s, s, 1)));
}

#endif

// The first n < kLanes values of p, zeros behind them.
RBEE_LANES Lanes load_first(const float* p, int n) {
  alignas(64) float values[kLanes] = {};
  for (int i = 0; i < n; ++i) values[i] = p[i];
  return load(values);
}

RBEE_LANES void store_first(float* p, int n, Lanes v) {
  alignas(64) float values[kLanes];
  store(values, v);
  for (int i = 0; i < n; ++i) p[i] = values[i];
}

// 2^r for |r| <= 1/2.
RBEE_LANES Lanes exp2_fraction(Lanes r) {
  Lanes q = splat(1.54531629e-4f);  // (2^r - 1) / r, Chebyshev fit
  q = fma(q, r, splat(1.33908634e-3f));
  q = fma(q, r, splat(9.61808256e-3f));
  q = fma(q, r, splat(5.55035711e-2f));
  q = fma(q, r, splat(0.240226508f));
  q = fma(q, r, splat(0.693147188f));
  return fma(q, r, splat(1.0f));
}

// 2^x for x < 1 with a relative error below 2e-7; exact for whole x; 0 where x <= -127.
RBEE_LANES Lanes exp2(Lanes x) {
  const Lanes bounded = max(x, splat(-127.0f));
  const Lanes whole = nearest(bounded);
  return scale_by_power(exp2_fraction(bounded - whole), whole);
}

// e^x with a relative error below 3e-7; 0 below -87.3, clamped above 88.
RBEE_LANES Lanes exp(Lanes x) {
  const Lanes bounded = min(max(x, splat(-88.0f)), splat(88.0f));
  const Lanes whole = nearest(bounded * splat(1.44269504f));
  // ln 2 in two parts, so that the remainder keeps its digits (Cody and Waite).
  const Lanes r = fma(whole, splat(2.12194440e-4f), fma(whole, splat(-0.693359375f), bounded)) *
                  splat(1.44269504f);
  const Lanes value = scale_by_power(exp2_fraction(r), max(whole, splat(-126.0f)));
  return select_less(x, splat(-87.3f), splat(0.0f), value);
}

// tanh with an error below 3e-7. Near zero a polynomial: 1 - 2 / (1 + e^2x) has no digits there.
RBEE_LANES Lanes tanh(Lanes x) {
  const Lanes size = max(x, splat(0.0f) - x);
  const Lanes square = x * x;
  Lanes p = splat(-5.70498873e-3f);  // fit of (tanh(x) / x - 1) / x² for |x| < 0.625
  p = fma(p, square, splat(2.06390888e-2f));
  p = fma(p, square, splat(-5.37397156e-2f));
  p = fma(p, square, splat(0.133314422f));
  p = fma(p, square, splat(-0.333332819f));
  const Lanes small = fma(p * square, x, x);
  const Lanes large = splat(1.0f) - divide(splat(2.0f), splat(1.0f) + exp(size + size));
  const Lanes odd = select_less(x, splat(0.0f), splat(0.0f) - large, large);
  return select_less(size, splat(0.625f), small, odd);
}

// ln(1 + e^x) with a relative error below 1e-6. ln(1 + z) = 2 artanh(z / (2 + z)).
RBEE_LANES Lanes softplus(Lanes x) {
  const Lanes positive = max(x, splat(0.0f));
  const Lanes z = exp(x - positive - positive);
  const Lanes s = divide(z, splat(2.0f) + z);  // at most 1/3: the series ends soon
  const Lanes square = s * s;
  Lanes p = splat(1.0f / 15);
  p = fma(p, square, splat(1.0f / 13));
  p = fma(p, square, splat(1.0f / 11));
  p = fma(p, square, splat(1.0f / 9));
  p = fma(p, square, splat(1.0f / 7));
  p = fma(p, square, splat(1.0f / 5));
  p = fma(p, square, splat(1.0f / 3));
  p = fma(p, square, splat(1.0f));
  return fma(p + p, s, positive);
}

RBEE_LANES Lanes sigmoid(Lanes x) {
  return divide(splat(1.0f), splat(1.0f) + exp(splat(0.0f) - x));
}

#undef RBEE_LANES

}  // namespace
}  // namespace rbee::cpu::RBEE_ISA
