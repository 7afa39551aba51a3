// What the tests of the CPU backend share: random weights, batches over a paged cache, and a small
// Llama that runs on any backend.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backend/cpu/cpu_backend.hpp"
#include "backend/cpu/kernels/isa.hpp"
#include "backend/ref/ref_backend.hpp"

namespace rbee::cpu::testing {

inline std::vector<Isa> host_isas() {
  std::vector<Isa> isas;
  for (const Isa isa : kAllIsas) {
    if (isa_supported(isa)) isas.push_back(isa);
  }
  return isas;
}

inline std::vector<float> random_values(std::size_t n, unsigned seed, float size = 1) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(0, size);
  std::vector<float> values(n);
  for (float& v : values) v = normal(engine);
  return values;
}

// Random rows in file layout: f32, bf16 or q8_0, of values around size.
inline std::vector<std::byte> random_rows(DType type, int rows, int cols, unsigned seed,
                                          float size) {
  const auto values =
      random_values(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols), seed, size);
  std::vector<std::byte> bytes;
  const auto append = [&bytes](const auto& item) {
    const auto* from = reinterpret_cast<const std::byte*>(&item);
    bytes.insert(bytes.end(), from, from + sizeof item);
  };
  if (type == DType::f32) {
    for (const float v : values) append(v);
  } else if (type == DType::bf16) {
    for (const float v : values)
      append(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(v) >> 16));
  } else {
    const float step = std::exp2(std::floor(std::log2(size * 4 / 127)));  // a power of two
    const auto half = static_cast<std::uint16_t>((std::ilogb(step) + 15) << 10);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i % 32 == 0) append(half);
      append(
          static_cast<std::int8_t>(std::clamp(std::nearbyint(values[i] / step), -127.0F, 127.0F)));
    }
  }
  return bytes;
}

inline Weight pack_random(Backend& backend, DType type, int rows, int cols, unsigned seed,
                          float size) {
  const auto bytes = random_rows(type, rows, cols, seed, size);
  return backend.pack({bytes, type, rows, cols, "random"});
}

inline Weight pack_random_vector(Backend& backend, int n, unsigned seed) {
  auto values = random_values(static_cast<std::size_t>(n), seed, 0.2F);
  for (float& v : values) v += 1;
  return backend.pack_vector(values);
}

inline std::unique_ptr<CpuBackend> make_cpu(Isa isa, int threads, KvType kv = KvType::automatic) {
  return std::make_unique<CpuBackend>(BackendOptions{threads, isa_name(isa), kv});
}

// Sequences that grow step by step, with pages given out in a shuffled order. Sequence s has slot
// s ^ 1.
class Sequences {
 public:
  explicit Sequences(int n_pages) {
    for (int i = 0; i < n_pages; ++i) free_.push_back((i * 7 + 3) % n_pages);
  }

  // One sequence's part in a step.
  struct Piece {
    int seq;
    std::vector<std::int32_t> tokens;
  };

  // The batch is valid until the next call. Logits are wanted of every row.
  Batch step(const std::vector<Piece>& pieces) {
    tokens_.clear(), positions_.clear(), kv_len_.clear(), pages_.clear(), rows_.clear();
    slots_.clear();
    seq_begin_ = {0};
    page_begin_ = {0};
    for (const Piece& piece : pieces) {
      if (seqs_.size() <= static_cast<std::size_t>(piece.seq)) {
        seqs_.resize(static_cast<std::size_t>(piece.seq) + 1);
      }
      Seq& seq = seqs_[static_cast<std::size_t>(piece.seq)];
      for (const std::int32_t token : piece.tokens) {
        if (seq.length % kPageTokens == 0) {
          seq.pages.push_back(free_.back());
          free_.pop_back();
        }
        rows_.push_back(static_cast<std::int32_t>(tokens_.size()));
        tokens_.push_back(token);
        positions_.push_back(seq.length++);
      }
      seq_begin_.push_back(static_cast<std::int32_t>(tokens_.size()));
      kv_len_.push_back(seq.length);
      pages_.insert(pages_.end(), seq.pages.begin(), seq.pages.end());
      page_begin_.push_back(static_cast<std::int32_t>(pages_.size()));
      slots_.push_back(piece.seq ^ 1);
    }
    return {tokens_, positions_, seq_begin_, kv_len_, pages_, page_begin_, slots_, rows_};
  }

 private:
  struct Seq {
    std::vector<std::int32_t> pages;
    int length = 0;
  };
  std::vector<Seq> seqs_;
  std::vector<std::int32_t> free_;
  std::vector<std::int32_t> tokens_, positions_, seq_begin_, kv_len_, pages_, page_begin_, slots_,
      rows_;
};

inline std::vector<std::int32_t> random_tokens(int n, int vocab, unsigned seed) {
  std::mt19937 engine(seed);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(n));
  for (auto& t : tokens) t = static_cast<std::int32_t>(engine() % static_cast<unsigned>(vocab));
  return tokens;
}

struct MiniShape {
  DType type = DType::f32;
  int layers = 2;
  int hidden = 64;
  int heads = 4;
  int kv_heads = 2;
  int head_dim = 16;
  int mlp = 96;
  int vocab = 100;
  int window = 0;
  RopePairing pairing = RopePairing::half;
};

// A Llama of random weights, the same on every backend.
class MiniLlama {
 public:
  MiniLlama(Backend& backend, const MiniShape& shape, int n_pages)
      : backend_(backend), shape_(shape) {
    const auto matrix = [&](int rows, int cols) {
      return pack_random(backend, shape.type, rows, cols, ++seed_,
                         0.7F / std::sqrt(static_cast<float>(cols)));
    };
    const int q = shape.heads * shape.head_dim;
    const int kv = shape.kv_heads * shape.head_dim;
    embed_ = pack_random(backend, shape.type, shape.vocab, shape.hidden, ++seed_, 1);
    for (int i = 0; i < shape.layers; ++i) {
      layers_.push_back(
          {pack_random_vector(backend, shape.hidden, ++seed_),
           {{matrix(q, shape.hidden)}, {matrix(kv, shape.hidden)}, {matrix(kv, shape.hidden)}},
           {matrix(shape.hidden, q)},
           pack_random_vector(backend, shape.hidden, ++seed_),
           {matrix(shape.mlp, shape.hidden)},
           {matrix(shape.mlp, shape.hidden)},
           {matrix(shape.hidden, shape.mlp)}});
      state_.emplace_back(PagedKv{shape.kv_heads, shape.head_dim, shape.window});
    }
    norm_ = pack_random_vector(backend, shape.hidden, ++seed_);
    std::vector<float> freq(static_cast<std::size_t>(shape.head_dim / 2));
    for (std::size_t j = 0; j < freq.size(); ++j) {
      freq[j] =
          std::pow(10000.0F, -2.0F * static_cast<float>(j) / static_cast<float>(shape.head_dim));
    }
    params_ = {shape.heads,    shape.kv_heads,
               shape.head_dim, 1 / std::sqrt(static_cast<float>(shape.head_dim)),
               shape.window,   {shape.head_dim, shape.pairing, backend.pack_vector(freq), 1}};
    backend.allocate_state(state_, n_pages, 0);
  }

  Tensor forward(Ops& ops, const Batch& batch) const {
    const Tensor x = ops.embed(embed_, batch);
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const Layer& layer = layers_[i];
      const auto scratch = ops.scope();
      const Tensor a = ops.rms_norm(x, layer.norm1, 1e-5F);
      const Tensor qkv = ops.linear(a, layer.qkv);
      ops.linear_add(x, ops.attend(qkv, params_, batch, static_cast<int>(i)), layer.out);
      const Tensor b = ops.rms_norm(x, layer.norm2, 1e-5F);
      ops.linear_add(x, ops.gated(b, layer.gate, layer.up, Activation::silu), layer.down);
    }
    const Tensor last = ops.take_rows(x, batch.logit_rows);
    const Linear head{embed_};
    return ops.linear(ops.rms_norm(last, norm_, 1e-5F), {&head, 1});
  }

  std::vector<float> run(const Batch& batch) {
    const auto logits =
        backend_.run(batch, [this](Ops& ops, const Batch& b) { return forward(ops, b); });
    return {logits.begin(), logits.end()};
  }

  const AttentionParams& params() const { return params_; }

 private:
  struct Layer {
    Weight norm1;
    std::vector<Linear> qkv;
    Linear out;
    Weight norm2;
    Linear gate, up, down;
  };
  Backend& backend_;
  MiniShape shape_;
  unsigned seed_ = 0;
  Weight embed_{};
  std::vector<Layer> layers_;
  std::vector<LayerState> state_;
  Weight norm_{};
  AttentionParams params_{};
};

// Root mean square of the difference, as a share of that of the expected values.
inline float relative_error(const std::vector<float>& found, const std::vector<float>& expected) {
  if (found.size() != expected.size()) return INFINITY;
  double error = 0;
  double size = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    error += std::pow(static_cast<double>(found[i]) - static_cast<double>(expected[i]), 2);
    size += std::pow(static_cast<double>(expected[i]), 2);
  }
  return static_cast<float>(std::sqrt(error / size));
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace rbee::cpu::testing
