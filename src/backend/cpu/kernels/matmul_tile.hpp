// What the driver (matmul_kernels.cpp) and the products of each type share: one panel, or a few,
// times one tile of tokens. For *_kernels.cpp files only.
#pragma once
#include <cstddef>
#include <cstdint>

#include "backend/cpu/kernels/matmul.hpp"
#include "backend/cpu/kernels/simd.hpp"

namespace rbee::cpu::RBEE_ISA {

struct TileArgs {
  const std::byte* panels;  // the first panel
  std::size_t panel_bytes;
  int n_panels;
  int cols;
  const std::byte* tile;  // T tokens (matmul.hpp, ActType)
  float* out;             // at the first row of the first panel and the first token
  std::ptrdiff_t out_stride;
  const float* bias;  // at the first row, or null
  float scale;        // of the products
  int rows;           // valid rows from the first row on
  bool accumulate;
};

using TileFunction = void (*)(const TileArgs&);

struct TileKernels {
  TileFunction by_tokens[kTileTokens];  // [T - 1]
};

// Defined in matmul_{q32,k,codebook,grid,float}_kernels.cpp.
extern const TileKernels kTilesF32, kTilesF16, kTilesBf16;
extern const TileKernels kTilesQ40, kTilesQ41, kTilesQ50, kTilesQ51, kTilesQ80;
extern const TileKernels kTilesQ2K, kTilesQ3K, kTilesQ4K, kTilesQ5K, kTilesQ6K, kTilesQ8K;
extern const TileKernels kTilesMxfp4, kTilesNvfp4, kTilesIq4Nl, kTilesIq4Xs;
extern const TileKernels kTilesIq3Xxs, kTilesIq3S, kTilesIq2Xxs, kTilesIq2S, kTilesIq1S, kTilesIq1M;
extern const TileKernels kTilesQ10, kTilesQ20;
extern const TileKernels kTilesF8, kTilesInt4, kTilesInt8, kTilesNf4, kTilesFp4;

// Defined in convert_kernels.cpp; MatmulKernels says what they do.
std::size_t act_bytes(ActType type, int n_tokens, int cols);
void convert(ActType type, const float* x, std::ptrdiff_t stride, int n_tokens, int begin, int end,
             int cols, std::byte* buffer);

namespace {

// One block of 32 values of T tokens of kind q8.
template <int T>
struct ActBlock {
  static constexpr std::size_t kBytes = 52 * T;
  const std::byte* p;

  RBEE_MEMBER const std::byte* scale(int t) const { return p + 4 * t; }
  RBEE_MEMBER const std::byte* scaled_sum(int t) const { return p + 4 * (T + t); }
  RBEE_MEMBER const std::byte* neg_sum() const { return p + 8 * T; }
  RBEE_MEMBER const std::byte* neg_sum_low() const { return p + 12 * T; }
  RBEE_MEMBER const std::byte* neg_sum_high() const { return p + 16 * T; }
  RBEE_MEMBER const std::byte* q() const { return p + 20 * T; }
  RBEE_MEMBER const std::byte* q_high() const { return p + 36 * T; }  // from k = 16
};

// Scales the sums of kLanes rows, of which `rows` (maybe <= 0) are valid, adds the bias and stores
// them.
template <int T>
RBEE_INLINE void store_rows(const Floats (&sums)[T], const TileArgs& args, int first_row) {
  const int left = args.rows - first_row;
  if (left <= 0) return;
  const int n = left < kLanes ? left : kLanes;
  const Floats bias = args.bias != nullptr ? load_some(args.bias + first_row, n) : zero_floats();
  each_token<T>([&](auto t) RBEE_LAMBDA {
    float* out = args.out + t * args.out_stride + first_row;
    Floats v = mul(sums[t], broadcast(&args.scale));
    if (args.bias != nullptr) v = add(v, bias);
    if (args.accumulate) v = add(load_some(out, n), v);
    store_some(out, n, v);
  });
}

// Asks for the codes of a block some way further on, with the first walk over the panel. AVX2 has
// so many instructions a block that the processor looks ahead too few of them; AVX-512 gains
// nothing.
template <int T, std::size_t bytes>
RBEE_INLINE void fetch_ahead(const std::byte* codes, int part) {
  constexpr std::size_t kAhead = 2048;
  if constexpr (kLanes == 8 && T <= 2) {
    if (part == 0) {
      unroll<static_cast<int>((bytes + 63) / 64)>(
          [&](auto i) RBEE_LAMBDA { __builtin_prefetch(codes + kAhead + 64 * i.kValue); });
    }
  }
}

// The products of one panel of a quantised type F, whose add_block adds those of one block of
// F::kValues values to the sums of one part. Within a block the parts are walked one after the
// other: the second walk finds the panel in the L1 cache.
template <class F, int T>
void quantised_tile(const TileArgs& args) {
  Floats sums[kParts][T];
  constexpr bool kShort = F::kValues == 32;
  each_part<T, kShort>([&](auto part) RBEE_LAMBDA {
    each_token<T>([&](auto t) RBEE_LAMBDA { sums[part][t] = zero_floats(); });
  });
  if constexpr (T > 2) {
    // What is stored at the end is fetched meanwhile: a line for each token, far apart.
    each_token<T>([&](auto t)
                      RBEE_LAMBDA { __builtin_prefetch(args.out + t * args.out_stride, 1); });
  }
  const std::byte* w = args.panels;
  ActBlock<T> x{args.tile};
  for (int k = 0; k < args.cols; k += F::kValues) {
    if constexpr (T == 1 && requires { F::add_row(w, x, sums); }) {
      F::add_row(w, x, sums);
    } else {
      each_part<T, kShort>([&](auto part)
                               RBEE_LAMBDA { F::template add_block<T>(w, x, part, sums[part]); });
    }
    w += F::kBytes;
    x.p += F::kValues / 32 * ActBlock<T>::kBytes;
  }
  each_part<T, kShort>([&](auto part) RBEE_LAMBDA { store_rows(sums[part], args, part * kLanes); });
}

template <class F>
constexpr TileKernels kQuantisedTiles{
    {quantised_tile<F, 1>, quantised_tile<F, 2>, quantised_tile<F, 3>, quantised_tile<F, 4>,
     quantised_tile<F, 5>, quantised_tile<F, 6>, quantised_tile<F, 7>, quantised_tile<F, 8>}};

}  // namespace
}  // namespace rbee::cpu::RBEE_ISA
