// Ops: the fused verbs a model may use. Eager: one call is one kernel launch or one parallel loop.
//
// The contract, the same for every backend, is the one a GPU with captured graphs needs:
//  - a model branches on sizes only and never reads what a Tensor points to;
//  - results live in the step arena until the enclosing scope ends or the step does;
//  - a call may be made by several workers at once, each walking the same forward with its own Ops:
//  a model keeps
//    no state in forward and makes the same calls in the same order everywhere.
// Shapes: T tokens of the batch, rows of activations. All activations are f32. backend/ref is the
// definition of each op's result; the others agree within the rounding of the types they compute
// in.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "backend/activation.hpp"
#include "backend/moe.hpp"
#include "core/batch.hpp"
#include "core/tensor.hpp"

namespace rbee {

// Which elements of a head rotate together: j with j + dims/2 (half), or 2j with 2j + 1 (adjacent).
enum class RopePairing : std::uint8_t { half, adjacent };

// Rotary position embedding (Su et al., 2021, arXiv:2104.09864) of the first dims elements of each
// head. angle(position, j) = float(position) * inv_freq[j], computed in f32 as transformers does.
struct Rope {
  int dims = 0;  // 0: no rotation
  RopePairing pairing = RopePairing::half;
  Weight inv_freq{};  // f32 vector [dims / 2], scaling already applied
  float scale = 1;    // multiplies cos and sin
};

// Causal attention over the paged cache: key position p is seen by query position q iff p <= q and
// (window == 0 or q - p < window).
struct AttentionParams {
  int n_heads = 0;
  int n_kv_heads = 0;
  int head_dim = 0;  // even
  float scale = 0;   // multiplies q·k
  int window = 0;    // 0: all keys
  Rope rope{};
  float softcap = 0;  // 0: none; else scores become softcap * tanh(score / softcap), before masking
  Weight sinks{};     // f32 vector [n_heads] or absent: a score of each head that joins the softmax
                      // and has no value (Xiao et al., 2023, arXiv:2309.17453)
};

// Causal attention over one row a token, a latent and a rotated part, that is the key of every head
// and, without the rotated part, its value: the absorbed form of multi-head latent attention
// (DeepSeek-V2, 2024, arXiv:2405.04434), whose heads differ in their queries only.
struct LatentAttention {
  int n_heads = 0;
  int latent_dim = 0;
  int rope_dim = 0;
  float scale = 0;  // multiplies q·k
  Rope rope{};      // of the rotated part: dims is rope_dim, or 0
};

// Normalisation of each head of a row for itself.
struct HeadNorm {
  enum class Kind : std::uint8_t {
    rms,    // x / sqrt(mean(x²) + eps)
    layer,  // (x - mean(x)) / sqrt(variance(x) + eps)
    l2,     // x / sqrt(sum(x²) + eps)
  };
  Kind kind = Kind::rms;
  Weight
      weight{};   // f32 vector: of one head for all, or of all heads one after the other; or absent
  Weight bias{};  // the same
  float eps = 0;
};

// Where an op keeps what it remembers of a sequence: floats from offset on in the sequence's slot
// of layer state_layer (a LayerState Recurrent). An op starts afresh at position 0, whatever the
// slot held before. In one step each part of a slot belongs to one call.
struct SlotPart {
  int state_layer = 0;
  std::size_t offset = 0;
};

// Causal convolution of each channel for itself over its last width inputs.
struct ShortConv {
  int width = 0;  // >= 1
  Weight taps{};  // f32 vector [width * channels]: taps[w * channels + c] multiplies the input of
                  // channel c from width - 1 - w tokens ago
  Weight bias{};  // f32 vector [channels] or absent
  Activation act = Activation::identity;

  // Floats of state: the inputs of the last width - 1 tokens.
  static std::size_t state_floats(int width, int channels) noexcept {
    return static_cast<std::size_t>(width - 1) * static_cast<std::size_t>(channels);
  }
};

// Selective scan of Mamba (Gu & Dao, 2023, arXiv:2312.00752), each channel for itself:
//   Δ = softplus(dt), h[n] = exp(Δ a[n]) h[n] + Δ b[n] x, y = sum of c[n] h[n] + d x.
struct SelectiveScan {
  int state = 0;  // N: values of h of a channel
  Weight a{};     // f32 vector [N * channels]: of channel c at n * channels + c; negative
  Weight d{};     // f32 vector [channels]

  static std::size_t state_floats(int state, int channels) noexcept {
    return static_cast<std::size_t>(state) * static_cast<std::size_t>(channels);
  }
};

// The scan of Mamba-2 (Dao & Gu, 2024, arXiv:2405.21060), each head for itself, with one decay for
// all of it: Δ = clamp(softplus(dt + dt_bias)), S[p][n] = exp(Δ a) S[p][n] + Δ x[p] b[n],
// y[p] = sum of S[p][n] c[n] + d x[p]. Heads in equal groups share b and c.
struct SsdScan {
  int heads = 0;
  int groups = 1;  // a divisor of heads
  int state = 0;   // N
  Weight a{};      // f32 vectors [heads]; a is negative
  Weight d{};
  Weight dt_bias{};
  float dt_min = 0;  // limits of Δ
  float dt_max = 0;

  static std::size_t state_floats(int state, int channels) noexcept {
    return SelectiveScan::state_floats(state, channels);
  }
};

// Rows [T, ...] that both scans take.
struct ScanInputs {
  Tensor x;     // [T, channels]
  Tensor dt;    // [T, channels], or [T, heads]
  Tensor b;     // [T, N], or [T, groups * N]
  Tensor c;     // the same
  Tensor gate;  // [T, channels]: y is multiplied with silu(gate)
};

// Linear attention of RWKV 5 and 6 (Peng et al., 2024, arXiv:2404.05892), each head of s values for
// itself: y[v] = sum over k of r[k] (u[k] k[k] v[v] + S[k][v]), then S[k][v] = w[k] S[k][v] + k[k]
// v[v].
struct Wkv6 {
  int heads = 0;
  Weight bonus{};  // u: f32 vector [heads * s]
  Weight decay{};  // w: the same, or absent where Wkv6Inputs has it
};
struct Wkv6Inputs {
  Tensor receptance, key, value;  // [T, heads * s]
  Tensor decay{};                 // the same: w = exp(-exp(decay)); empty where Wkv6 has it
};

// Linear attention of RWKV 7 (Peng et al., 2025, arXiv:2503.14456), each head of s values for
// itself. With σ the sigmoid:
//   w = exp(-exp(-0.5) σ(decay)), a = σ(rate), v = value + (first - value) σ(first_gate),
//   κ = key ⊙ key_scale, divided by max(|κ|, 1e-12), k = key ⊙ (1 + (a - 1) ⊙ key_rate),
//   S[v][k] = S[v][k] w[k] - (sum over j of S[v][j] κ[j]) κ[k] a[k] + v[v] k[k],
//   y[v] = sum over k of S[v][k] r[k], bonus[v] = (sum over k of r[k] k[k] bonus_scale[k]) v[v].
struct Wkv7 {
  int heads = 0;
  Weight key_scale{}, key_rate{}, bonus_scale{};  // f32 vectors [heads * s]
};
struct Wkv7Inputs {
  Tensor receptance, decay, key, value, rate;  // [T, heads * s]
  Tensor first{}, first_gate{};                // the same; empty: v = value
};

// Kimi delta attention (Kimi Linear, 2025, arXiv:2510.26692), each head of s values for itself.
// With σ the sigmoid:
//   q = scale query / sqrt(Σ query² + 1e-6), k = key / sqrt(Σ key² + 1e-6),
//   w = exp(rate softplus(decay + decay_bias)), b = σ(beta),
//   S[k][v] = w[k] S[k][v], then S[k][v] = S[k][v] + k[k] b (value[v] - sum over j of k[j]
//   S[j][v]), y[v] = sum over k of q[k] S[k][v].
struct Kda {
  int heads = 0;
  Weight rate{};        // f32 vector [heads], below zero
  Weight decay_bias{};  // f32 vector [heads * s]
  float scale = 1;
};
struct KdaInputs {
  Tensor query, key, value, decay;  // [T, heads * s]
  Tensor beta;                      // [T, heads]
};

// Floats of state of Wkv6, Wkv7 and Kda over channels = heads * s.
inline std::size_t wkv_state_floats(int heads, int channels) noexcept {
  return static_cast<std::size_t>(channels) * static_cast<std::size_t>(channels / heads);
}

class Ops {
 public:
  virtual ~Ops() = default;

  // [T, table.cols]: rows of the table, one for each token, times scale.
  virtual Tensor embed(const Weight& table, const Batch& batch, float scale = 1) = 0;

  // acc += table[position], [T, table.cols]: learned positions. Throws BackendError for a position
  // beyond the table.
  virtual void add_positions(const Tensor& acc, const Weight& table, const Batch& batch) = 0;

  // x / sqrt(mean(x²) + eps) * weight, row by row (Zhang & Sennrich, 2019, arXiv:1910.07467).
  // Without a weight where it is absent.
  virtual Tensor rms_norm(const Tensor& x, const Weight& weight, float eps) = 0;

  // (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias, row by row (Ba et al., 2016,
  // arXiv:1607.06450). Without weight and bias where they are absent.
  virtual Tensor layer_norm(const Tensor& x, const Weight& weight, const Weight& bias,
                            float eps) = 0;

  // Normalises x in place: its columns are heads of x.cols / heads values each.
  virtual void norm_heads(const Tensor& x, int heads, const HeadNorm& norm) = 0;

  // [T, sum of rows]: the products of x with all parts side by side. One read of x serves all.
  virtual Tensor linear(const Tensor& x, std::span<const Linear> parts) = 0;

  // acc += x · weightᵀ (+ bias). acc must not overlap x.
  virtual void linear_add(const Tensor& acc, const Tensor& x, const Linear& part) = 0;

  // Each head's columns of x times its own weight; heads[h] is [rows, cols], the same shape for
  // all. A head has cols + keep columns in x and rows + keep in the result, the last keep of them
  // copied.
  virtual Tensor linear_heads(const Tensor& x, std::span<const Weight> heads, int keep) = 0;

  // act(x · gateᵀ) ⊙ (x · upᵀ): the first half of a gated MLP (Shazeer, 2020, arXiv:2002.05202).
  virtual Tensor gated(const Tensor& x, const Linear& gate, const Linear& up, Activation act) = 0;

  // acc += moe(x) (moe.hpp; Shazeer et al., 2017, arXiv:1701.06538). Routing is part of it, so that
  // nothing leaves the device. acc must not overlap x.
  virtual void moe_add(const Tensor& acc, const Tensor& x, const MoeParams& params) = 0;

  // In place, element by element. x must not overlap acc.
  virtual void activate(const Tensor& x, Activation act) = 0;  // x = act(x)
  virtual void add(const Tensor& acc, const Tensor& x) = 0;    // acc += x
  // acc = acc ⊙ act(x); x has the columns of acc, or one column for all of them.
  virtual void multiply(const Tensor& acc, const Tensor& x, Activation act) = 0;
  virtual void scale(const Tensor& x, float factor) = 0;  // x = factor x
  virtual void clamp(const Tensor& x, float limit) = 0;   // x into [-limit, limit]
  virtual void softcap(const Tensor& x, float cap) = 0;   // x = cap tanh(x / cap)

  // qkv is [T, (n_heads + 2 n_kv_heads) * head_dim]: queries, keys, values. Rotates queries and
  // keys, stores keys and values of this step in layer state_layer of the cache, and returns [T,
  // n_heads * head_dim].
  virtual Tensor attend(const Tensor& qkv, const AttentionParams& params, const Batch& batch,
                        int state_layer) = 0;

  // [T, x.cols]: act(bias + sum over w of taps[w] ⊙ x of width - 1 - w tokens ago), where inputs
  // from before position 0 are zeros.
  virtual Tensor short_conv(const Tensor& x, const ShortConv& conv, const Batch& batch,
                            const SlotPart& state) = 0;

  // q is [T, n_heads * (latent_dim + rope_dim)], kv [T, latent_dim + rope_dim]: each head's query
  // in latent space and the token's latent, with their parts to rotate behind them. Rotates, stores
  // kv, and returns [T, n_heads * latent_dim]: for each head the weighted sum of the latents.
  virtual Tensor attend_latent(const Tensor& q, const Tensor& kv, const LatentAttention& params,
                               const Batch& batch, int state_layer) = 0;

  // [T, channels]: y of the scans.
  virtual Tensor selective_scan(const ScanInputs& in, const SelectiveScan& scan, const Batch& batch,
                                const SlotPart& state) = 0;
  virtual Tensor ssd_scan(const ScanInputs& in, const SsdScan& scan, const Batch& batch,
                          const SlotPart& state) = 0;

  // [T, x.cols]: the previous row of the same sequence (zeros before position 0) minus this one.
  // Keeps x.cols floats.
  virtual Tensor token_shift(const Tensor& x, const Batch& batch, const SlotPart& state) = 0;

  // [T, factors.cols]: x + delta ⊙ (factors + more), where columns of x and delta repeat as often
  // as factors holds them. more: as many columns as factors, or empty.
  virtual Tensor lerp(const Tensor& x, const Tensor& delta, const Weight& factors,
                      const Tensor& more) = 0;

  // [T, heads * s]: y.
  virtual Tensor wkv6(const Wkv6Inputs& in, const Wkv6& wkv, const Batch& batch,
                      const SlotPart& state) = 0;
  // [T, 2 * heads * s]: y, and the bonus beside it.
  virtual Tensor wkv7(const Wkv7Inputs& in, const Wkv7& wkv, const Batch& batch,
                      const SlotPart& state) = 0;

  // [T, heads * s]: y.
  virtual Tensor kda(const KdaInputs& in, const Kda& kda, const Batch& batch,
                     const SlotPart& state) = 0;

  // [rows.size(), x.cols]: a copy of these rows of x. All rows in order give x itself.
  virtual Tensor take_rows(const Tensor& x, std::span<const std::int32_t> rows) = 0;

  // Frees, when it dies, what was made in the arena since it was made. Tensors from before stay
  // valid.
  class Scope {
   public:
    explicit Scope(Ops& ops) : ops_(ops), mark_(ops.mark()) {}
    ~Scope() { ops_.release(mark_); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Ops& ops_;
    std::size_t mark_;
  };
  [[nodiscard]] Scope scope() { return Scope(*this); }

 private:
  virtual std::size_t mark() = 0;
  virtual void release(std::size_t mark) = 0;
};

}  // namespace rbee
