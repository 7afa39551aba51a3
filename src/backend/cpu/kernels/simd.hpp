// The small vector vocabulary the matrix kernels are written in, for the instruction set of this
// build (RBEE_ISA, cmake/KernelVariants.cmake). For *_kernels.cpp files only. Everything is
// internal to the file that includes it: an inline function the linker could share would run
// code of one instruction set in place of another's.
#pragma once
#include <cstddef>
#include <cstdint>

#include "backend/cpu/kernels/panel.hpp"

#define RBEE_INLINE [[maybe_unused]] static inline __attribute__((always_inline))
#define RBEE_LAMBDA __attribute__((always_inline))
#define RBEE_MEMBER __attribute__((always_inline))

namespace rbee::cpu::RBEE_ISA {
namespace {

// A number known at compile time, passed as an argument.
template <int n>
struct Index {
  static constexpr int kValue = n;
  __attribute__((always_inline)) constexpr operator int() const { return n; }
};

// f(Index<0>{}), f(Index<1>{}), ... f(Index<n - 1>{}). Arrays of accumulators indexed by these
// stay in registers, which loops do not promise.
template <int n, int i = 0, class F>
RBEE_INLINE void unroll(const F& f) {
  if constexpr (i < n) {
    f(Index<i>{});
    unroll<n, i + 1>(f);
  }
}

constexpr int log2_of(int n) { return n <= 1 ? 0 : 1 + log2_of(n / 2); }

template <class T>
RBEE_INLINE T load_scalar(const void* p) {
  T v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

// Hides where a value comes from, at no cost: the compiler keeps to the written order of additions
// and does not keep loads from a pointer for later, for which there are not enough registers.
template <class T>
RBEE_INLINE void hide(T& v) {
  if constexpr (sizeof(T) == sizeof(void*)) {
    asm("" : "+r"(v));
  } else {
    asm("" : "+x"(v));
  }
}

}  // namespace
}  // namespace rbee::cpu::RBEE_ISA

#if defined(RBEE_ISA_avx512)
#include "backend/cpu/kernels/simd_avx512.hpp"
#elif defined(RBEE_ISA_avx2)
#include "backend/cpu/kernels/simd_avx2.hpp"
#else
#include "backend/cpu/kernels/simd_base.hpp"
#endif

namespace rbee::cpu::RBEE_ISA {
namespace {

constexpr int kParts = kPanelRows / kLanes;  // vectors of a panel

// f for each token of a tile, or each part of a panel. Unrolled where that keeps accumulators in
// registers; on base, which has too few, and where AVX2 keeps them in memory, a loop. So are parts
// of long blocks on AVX2: unrolled, they would share the activations of all 256 values, by way of
// the stack.
template <int T, class F>
RBEE_INLINE void each_token(const F& f) {
  if constexpr (kLanes >= 8) {
    unroll<T>(f);
  } else {
    for (int t = 0; t < T; ++t) f(t);
  }
}
template <int T, bool short_blocks = true, class F>
RBEE_INLINE void each_part(const F& f) {
  if constexpr (kLanes == 16 || (kLanes == 8 && T <= 2 && short_blocks)) {
    unroll<kParts>(f);
  } else {
    for (int part = 0; part < kParts; ++part) f(part);
  }
}

// Moves bits up (n > 0) or down within each lane.
template <int n>
RBEE_INLINE Ints shift(Ints v) {
  if constexpr (n > 0) return shift_left<n>(v);
  if constexpr (n < 0) return shift_right<-n>(v);
  return v;
}

}  // namespace
}  // namespace rbee::cpu::RBEE_ISA
