// Keys and values that a page holds in fewer bits than they are computed in (attention.hpp has the
// layouts): storing a token, and expanding a tile of a page into a layout that the attention
// kernels multiply. Only attention_kernels.cpp may include this; all functions have internal
// linkage.
#pragma once
#include "backend/cpu/kernels/attention.hpp"
#include "backend/cpu/kernels/lanes.hpp"
#include "backend/cpu/kernels/online_softmax.hpp"

namespace rbee::cpu::RBEE_ISA {
namespace {

constexpr int kTileDims = 64;  // dimensions that are expanded at once

using Ints = std::int32_t __attribute__((vector_size(sizeof(Lanes))));

inline Ints load_ints(const std::byte* p) {
  Ints v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

inline void store_lanes(float* p, Lanes v) { store(p, v); }  // a name that store hides

inline Lanes to_floats(Ints v) { return __builtin_convertvector(v, Lanes); }

// bf16 forms, rounded to nearest even, in the low and high halves of 32-bit lanes. Finite values.
inline void store_pairs(std::byte* to, Lanes low, Lanes high) {
  const auto round = [](Lanes v) {
    const auto bits = __builtin_bit_cast(Ints, v);
    return bits + 0x7FFF + ((bits >> 16) & 1);
  };
  const Ints pairs = ((round(low) >> 16) & 0xFFFF) | (round(high) & -65536);
  __builtin_memcpy(to, &pairs, sizeof pairs);
}

// kLanes bf16 numbers as floats.
inline Lanes load_scales(const std::uint16_t* p) {
  using Halves = std::uint16_t __attribute__((vector_size(sizeof(Lanes) / 2)));
  Halves v;
  __builtin_memcpy(&v, p, sizeof v);
  return __builtin_bit_cast(Lanes, __builtin_convertvector(v, Ints) << 16);
}

inline float scale_value(std::uint16_t bits) {
  return __builtin_bit_cast(float, std::uint32_t{bits} << 16);
}

// --- float16 ---

inline std::uint16_t half_bits(float x) {
#if defined(RBEE_ISA_base)
  const auto bits = __builtin_bit_cast(std::uint32_t, x);
  const std::uint32_t sign = (bits >> 16) & 0x8000;
  const std::uint32_t size = bits & 0x7FFFFFFF;
  if (size >= 0x477FF000) return static_cast<std::uint16_t>(sign | 0x7BFF);  // the largest
  if (size < 0x38800000) {  // denormal: adding 0.5 leaves the rounded multiple of 2^-24
    const float shifted = __builtin_bit_cast(float, size) + 0.5F;
    return static_cast<std::uint16_t>(sign |
                                      (__builtin_bit_cast(std::uint32_t, shifted) - 0x3F000000));
  }
  const std::uint32_t rounded = size + 0xFFF + ((size >> 13) & 1);
  return static_cast<std::uint16_t>(sign | ((rounded - 0x38000000) >> 13));
#else
  const float bounded = x > 65504.0F ? 65504.0F : x < -65504.0F ? -65504.0F : x;
  return static_cast<std::uint16_t>(
      _mm_extract_epi16(_mm_cvtps_ph(_mm_set_ss(bounded), _MM_FROUND_TO_NEAREST_INT), 0));
#endif
}

inline Lanes load_halves(const std::byte* p) {
#if defined(RBEE_ISA_avx512)
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
#elif defined(RBEE_ISA_avx2)
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#else
  // Shifted into place the exponent lacks 112, which a product adds, also for denormals.
  using Halves = std::uint16_t __attribute__((vector_size(sizeof(Lanes) / 2)));
  Halves v;
  __builtin_memcpy(&v, p, sizeof v);
  const Ints bits = __builtin_convertvector(v, Ints);
  const Lanes size = __builtin_bit_cast(Lanes, (bits & 0x7FFF) << 13) * splat(0x1p112F);
  return __builtin_bit_cast(Lanes, __builtin_bit_cast(Ints, size) | ((bits & 0x8000) << 16));
#endif
}

// --- blocks of 32 with a scale ---

// Rounds a block, of which n values are there, to codes of up to +-limit, and returns its scale.
// What comes out is finite, whatever goes in: masked tokens must not hold anything else.
inline std::uint16_t quantise(const float* x, int n, float limit, std::int8_t (&codes)[kKvBlock]) {
  float largest = 0;
  for (int i = 0; i < n; ++i) {
    const float size = x[i] < 0 ? -x[i] : x[i];
    largest = size > largest ? size : largest;
  }
  constexpr float kLeast = 1e-30F, kMost = 1e30F;
  largest = largest < kLeast ? 0 : largest > kMost ? kMost : largest;
  const auto scale = static_cast<std::uint16_t>(bf16_bits(largest / limit));
  const float inverse = largest > 0 ? 1 / scale_value(scale) : 0;
  for (int i = 0; i < kKvBlock; ++i) {
    const float code = i < n ? __builtin_nearbyintf(x[i] * inverse) : 0;
    const float bounded = code > limit ? limit : code > -limit ? code : -limit;
    codes[i] = static_cast<std::int8_t>(bounded);
  }
  return scale;
}

// Heads with scales are stored transformed by Walsh-Hadamard matrices, which are their own
// inverses: products of two vectors stay as they are when both are transformed, and sums can be
// transformed back. Some dimensions are far larger than others (Liu et al. 2024, KIVI,
// arXiv:2402.02750) and would take the codes of their blocks; this spreads them (Ashkboos et al.
// 2024, QuaRot, arXiv:2404.00456). The matrices are as wide as a block, where that divides a head:
// wider ones carry what is large into blocks that had nothing of the kind, which measured worse.
inline int spread_width(int head_dim) {
  const int power = head_dim & -head_dim;
  return power < kKvBlock ? power : kKvBlock;
}

inline void spread(int width, float* x, int n) {
  float size = 1;
  for (int half = 1; half < width; half *= 2) {
    for (int i = 0; i < n; i += 2 * half) {
      for (int j = i; j < i + half; ++j) {
        const float a = x[j], b = x[j + half];
        x[j] = a + b;
        x[j + half] = a - b;
      }
    }
    size *= 0.707106781F;
  }
  for (int i = 0; i < n; ++i) x[i] *= size;
}

// Calls put(block, codes, scale) for the blocks of a transformed head.
template <class Put>
void quantise_head(const float* x, int head_dim, float limit, const Put& put) {
  const int width = spread_width(head_dim);
  float values[kKvBlock];
  std::int8_t codes[kKvBlock];
  for (int b = 0; b * kKvBlock < head_dim; ++b) {
    const int n = head_dim - b * kKvBlock < kKvBlock ? head_dim - b * kKvBlock : kKvBlock;
    copy(x + b * kKvBlock, n, values);
    spread(width, values, n);
    const std::uint16_t scale = quantise(values, n, limit, codes);
    put(b, codes, scale);
  }
}

// Where the parts of a page with scales are. kBytes: of a token and block.
template <int kBytes>
struct Blocks {
  int blocks;  // of a token
  std::byte* keys;
  std::uint16_t* key_scales;
  std::byte* values;
  std::uint16_t* value_scales;

  Blocks(std::byte* page, int head_dim) : blocks(blocked_dim(head_dim) / kKvBlock) {
    const std::ptrdiff_t codes = std::ptrdiff_t{kKeyBlock} * blocks * kBytes;
    const std::ptrdiff_t scales = std::ptrdiff_t{kKeyBlock} * blocks;
    keys = page;
    key_scales = reinterpret_cast<std::uint16_t*>(keys + codes);
    values = reinterpret_cast<std::byte*>(key_scales + scales);
    value_scales = reinterpret_cast<std::uint16_t*>(values + codes);
  }
  Blocks(const std::byte* page, int head_dim) : Blocks(const_cast<std::byte*>(page), head_dim) {}

  // Units of four bytes: kBytes / 4 of a block of keys, one for each lane of a block of values.
  std::byte* key_units(int slot, int block) const {
    const int unit = (slot / 16 * blocks + block) * (kBytes / 4) * 16 + slot % 16;
    return keys + std::ptrdiff_t{unit} * 4;
  }
  std::byte* value_bytes(int slot, int block) const {
    const int unit = (slot / 4 * blocks + block) * kBytes;
    return values + std::ptrdiff_t{unit} * 4 + slot % 4;
  }
  std::uint16_t& key_scale(int slot, int block) const {
    return key_scales[(slot / 16 * blocks + block) * 16 + slot % 16];
  }
  std::uint16_t& value_scale(int slot, int block) const {
    return value_scales[(slot / 4 * blocks + block) * 4 + slot % 4];
  }
};

// The layouts. expand_keys and expand_values write dimensions [first, first + n) of a page into a
// tile of kTileDims as Computed has them, and prefetch what lies ahead bytes further on.

struct HalfPages {
  using Computed = struct PlainF32;
  static constexpr KvStore kStore = KvStore::f16;

  static void store(const float* key, const float* value, int head_dim, int slot, std::byte* page) {
    auto* keys = reinterpret_cast<std::uint16_t*>(page) + slot / 16 * 16 * head_dim + slot % 16;
    for (int d = 0; d < head_dim; ++d) keys[d * 16] = half_bits(key[d]);
    auto* values =
        reinterpret_cast<std::uint16_t*>(page) + kKeyBlock * head_dim + slot * padded_dim(head_dim);
    for (int d = 0; d < head_dim; ++d) values[d] = half_bits(value[d]);
  }
  static void expand_keys(const std::byte* page, int head_dim, int first, int n,
                          std::ptrdiff_t ahead, std::byte* tile) {
    for (int group = 0; group < 4; ++group) {
      const std::byte* from = page + (std::ptrdiff_t{group} * head_dim + first) * 32;
      float* to = reinterpret_cast<float*>(tile) + group * 16 * kTileDims;
      for (int i = 0; i < n * 16; i += kLanes) store_lanes(to + i, load_halves(from + i * 2));
      for (int i = 0; i < n * 32; i += 64) __builtin_prefetch(from + i + ahead, 0, 2);
    }
  }
  static void expand_values(const std::byte* page, int head_dim, int first, int n,
                            std::ptrdiff_t ahead, std::byte* tile) {
    const int dims = padded_dim(head_dim);
    const std::byte* values = page + key_bytes(kStore, head_dim) + std::ptrdiff_t{first} * 2;
    for (int token = 0; token < kKeyBlock; ++token) {
      const std::byte* from = values + std::ptrdiff_t{token} * dims * 2;
      float* to = reinterpret_cast<float*>(tile) + token * kTileDims;
      for (int i = 0; i < n; i += kLanes) store_lanes(to + i, load_halves(from + i * 2));
      for (int i = 0; i < n * 2; i += 64) __builtin_prefetch(from + i + ahead, 0, 2);
    }
  }
};

// The codes of Q8_0: a byte each.
struct ByteCodes {
  static constexpr float kLimit = 127;
  static constexpr int kBytes = 32;   // of a block
  static constexpr int kKeyDims = 4;  // of a unit of keys

  static void put_key(const std::int8_t* codes, std::byte* units) {
    for (int i = 0; i < 8; ++i) __builtin_memcpy(units + i * 64, codes + i * 4, 4);
  }
  static void put_value(const std::int8_t* codes, std::byte* bytes) {
    for (int i = 0; i < kKvBlock; ++i) bytes[i * 4] = static_cast<std::byte>(codes[i]);
  }
  // Dimension i of units of keys.
  static Lanes key(Ints v, int i) { return to_floats(v << (24 - 8 * i) >> 24); }
  // Of units of values that begin at dimension d of a block: those of token t.
  static Lanes value(Ints v, int /*d*/, int t) { return key(v, t); }
};

// The codes of Q4_0: two in a byte, where 0..15 stand for -8..7; -8 is not used.
struct NibbleCodes {
  static constexpr float kLimit = 7;
  static constexpr int kBytes = 16;
  static constexpr int kKeyDims = 8;

  static std::byte pack(std::int8_t low, std::int8_t high) {
    return static_cast<std::byte>((low + 8) | (high + 8) << 4);
  }
  static void put_key(const std::int8_t* codes, std::byte* units) {
    for (int i = 0; i < 16; ++i) {
      const int d = i / 4 * 8 + i % 4;
      units[i / 4 * 64 + i % 4] = pack(codes[d], codes[d + 4]);
    }
  }
  static void put_value(const std::int8_t* codes, std::byte* bytes) {
    for (int i = 0; i < 16; ++i) bytes[i * 4] = pack(codes[i], codes[i + 16]);
  }
  static Lanes nibble(Ints v, int shift) { return to_floats(((v >> shift) & 15) - 8); }
  static Lanes key(Ints v, int i) { return nibble(v, i % 4 * 8 + i / 4 * 4); }
  static Lanes value(Ints v, int d, int t) { return nibble(v, t * 8 + d / 16 * 4); }
};

// Pages of codes and scales.
template <class Codes>
struct ScaledPages {
  using Computed = struct Bf16;
  using Page = Blocks<Codes::kBytes>;

  static void store(const float* key, const float* value, int head_dim, int slot, std::byte* page) {
    const Page at(page, head_dim);
    quantise_head(key, head_dim, Codes::kLimit,
                  [&](int b, const std::int8_t* codes, std::uint16_t scale) {
                    at.key_scale(slot, b) = scale;
                    Codes::put_key(codes, at.key_units(slot, b));
                  });
    quantise_head(value, head_dim, Codes::kLimit,
                  [&](int b, const std::int8_t* codes, std::uint16_t scale) {
                    at.value_scale(slot, b) = scale;
                    Codes::put_value(codes, at.value_bytes(slot, b));
                  });
  }
  static void expand_keys(const std::byte* page, int head_dim, int first, int n,
                          std::ptrdiff_t ahead, std::byte* tile) {
    constexpr int kDims = Codes::kKeyDims;
    const Page at(page, head_dim);
    for (int slot = 0; slot < kKeyBlock; slot += kLanes) {
      std::byte* group = tile + slot / 16 * 32 * kTileDims + slot % 16 * 4;
      for (int d = 0; d < n; d += kDims) {
        const int block = (first + d) / kKvBlock;
        const std::byte* from = at.key_units(slot, block) + (first + d) % kKvBlock / kDims * 64;
        const Lanes scale = load_scales(&at.key_scale(slot, block));
        const Ints v = load_ints(from);
        __builtin_prefetch(from + ahead, 0, 2);
#pragma GCC unroll 4
        for (int i = 0; i < kDims; i += 2) {
          store_pairs(group + (d + i) / 2 * 64, Codes::key(v, i) * scale,
                      Codes::key(v, i + 1) * scale);
        }
      }
    }
  }
  static void expand_values(const std::byte* page, int head_dim, int first, int n,
                            std::ptrdiff_t ahead, std::byte* tile) {
    const Page at(page, head_dim);
    for (int slot = 0; slot < kKeyBlock; slot += 4) {
      std::byte* pairs = tile + slot / 2 * 4 * kTileDims;
      for (int d = 0; d < n; d += kLanes) {
        const int block = (first + d) / kKvBlock, in_block = (first + d) % kKvBlock;
        const std::byte* from = at.value_bytes(slot, block) + in_block % Codes::kBytes * 4;
        const std::uint16_t* scale = &at.value_scale(slot, block);
        const Ints v = load_ints(from);
        __builtin_prefetch(from + ahead, 0, 2);
#pragma GCC unroll 2
        for (int t = 0; t < 4; t += 2) {
          store_pairs(pairs + (t / 2 * kTileDims + d) * 4,
                      Codes::value(v, in_block, t) * splat(scale_value(scale[t])),
                      Codes::value(v, in_block, t + 1) * splat(scale_value(scale[t + 1])));
        }
      }
    }
  }
};

using BytePages = ScaledPages<ByteCodes>;
using NibblePages = ScaledPages<NibbleCodes>;

}  // namespace
}  // namespace rbee::cpu::RBEE_ISA
