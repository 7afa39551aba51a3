// Products for the types that the encodings of safetensors repositories become, with f32 scales for
// 32 values: INT4 and INT8 meet activations of 8 bits; F8_E4M3, NF4 and FP4 are decoded to f32.
#include "backend/cpu/kernels/matmul_tile.hpp"
#include "backend/cpu/kernels/quant_codes.hpp"

namespace rbee::cpu::RBEE_ISA {
namespace {

// sum = fma(float(integer dot), d * scale, sum); then sum = fma(m, scale * sum(q), sum).
template <class Codes, int bits, int offset>
struct Integers {
  static constexpr int kValues = 32;
  static constexpr std::size_t kBytes = 128 + Codes::kBytes;

  template <int T>
  RBEE_MEMBER static void add_block(const std::byte* w, ActBlock<T> x, int part,
                                    Floats (&sums)[T]) {
    fetch_ahead<T, kBytes>(w, part);
    const Codes codes(w + 128, part);
    Ints c[T];
    dot<bits, offset, 8>(codes, x.q(), x.neg_sum(), c);
    const Floats d = load_floats(w + 4 * kLanes * part);
    const Floats m = load_floats(w + 64 + 4 * kLanes * part);
    each_token<T>([&](auto t) RBEE_LAMBDA {
      sums[t] = fma(to_floats(c[t]), mul(d, broadcast(x.scale(t))), sums[t]);
      sums[t] = fma(m, broadcast(x.scaled_sum(t)), sums[t]);
    });
  }
};

// kStep values of k a step, for kLanes rows each.
struct F8 {
  static constexpr int kStep = 1;
  template <int>
  RBEE_MEMBER static Floats value(const std::byte* codes) {
    return load_e4m3(codes);
  }
};

alignas(64) constexpr float kNf4Table[16] = {
    -1.0F,
    -0.6961928009986877F,
    -0.5250730514526367F,
    -0.39491748809814453F,
    -0.28444138169288635F,
    -0.18477343022823334F,
    -0.09105003625154495F,
    0.0F,
    0.07958029955625534F,
    0.16093020141124725F,
    0.24611230194568634F,
    0.33791524171829224F,
    0.44070982933044434F,
    0.5626170039176941F,
    0.7229568362236023F,
    1.0F,
};
alignas(64) constexpr float kFp4Table[16] = {
    0.0F,  0.0052083334F,  0.6666667F,  1.0F,  0.33333334F,  0.5F,  0.16666667F,  0.25F,
    -0.0F, -0.0052083334F, -0.6666667F, -1.0F, -0.33333334F, -0.5F, -0.16666667F, -0.25F,
};

template <const float (&table)[16]>
struct Pairs {
  static constexpr int kStep = 2;
  template <int i>
  RBEE_MEMBER static Floats value(const std::byte* codes) {
    return look_up(bit_and(shift<-4 * i>(load_bytes(codes)), splat(15)), table);
  }
};

// One vector of rows, T tokens: sum = sum + (d * value) * x in ascending k.
template <class F, int T>
RBEE_INLINE void vector_of_rows(const TileArgs& args, int panel, int part) {
  constexpr int kBlockBytes = 64 + 32 / F::kStep * kPanelRows;
  const std::byte* w = args.panels + static_cast<std::size_t>(panel) * args.panel_bytes;
  const std::byte* x = args.tile;
  Floats sums[T];
  each_token<T>([&](auto t) RBEE_LAMBDA { sums[t] = zero_floats(); });
  for (int k = 0; k < args.cols; k += 32, w += kBlockBytes) {
    const Floats d = load_floats(w + 4 * kLanes * part);
    const std::byte* codes = w + 64 + kLanes * part;
    for (int step = 0; step < 32; step += F::kStep, codes += kPanelRows) {
      unroll<F::kStep>([&](auto i) RBEE_LAMBDA {
        const Floats row = mul(d, F::template value<i.kValue>(codes));
        each_token<T>([&](auto t) RBEE_LAMBDA {
          sums[t] = mul_add(row, broadcast(x + 4 * (i.kValue * T + t)), sums[t]);
        });
      });
      x += 4 * F::kStep * T;
    }
  }
  store_rows(sums, args, (panel * kParts + part) * kLanes);
}

template <class F, int T>
void decoded_tile(const TileArgs& args) {
  for (int panel = 0; panel < args.n_panels; ++panel) {
    for (int part = 0; part < kParts; ++part) vector_of_rows<F, T>(args, panel, part);
  }
}

template <class F>
constexpr TileKernels kDecodedTiles{{decoded_tile<F, 1>, decoded_tile<F, 2>, decoded_tile<F, 3>,
                                     decoded_tile<F, 4>, decoded_tile<F, 5>, decoded_tile<F, 6>,
                                     decoded_tile<F, 7>, decoded_tile<F, 8>}};

}  // namespace

const TileKernels kTilesF8 = kDecodedTiles<F8>;
const TileKernels kTilesInt4 = kQuantisedTiles<Integers<Nibbles, 4, 8>>;
const TileKernels kTilesInt8 = kQuantisedTiles<Integers<Bytes, 8, 128>>;
const TileKernels kTilesNf4 = kDecodedTiles<Pairs<kNf4Table>>;
const TileKernels kTilesFp4 = kDecodedTiles<Pairs<kFp4Table>>;

}  // namespace rbee::cpu::RBEE_ISA
