// Each op of the CPU backend against the reference backend, in sizes around every limit.
#include "backend/cpu/cpu_ops.hpp"

#include "backend/cpu/test_rig.hpp"

namespace rbee::cpu {
namespace {

using testing::host_isas;
using testing::make_cpu;
using testing::pack_random;
using testing::pack_random_vector;
using testing::random_tokens;
using testing::Sequences;

// Runs forward on a backend for one batch and returns what it gives.
template <class F>
std::vector<float> run_on(Backend& backend, const Batch& batch, const F& forward) {
  const auto values = backend.run(batch, forward);
  return {values.begin(), values.end()};
}

// A forward of one op, from inputs that embed makes: build(backend) packs and returns the forward.
template <class Build>
void compare(const Build& build, int tokens, float tolerance, const std::string& what) {
  Sequences sequences(tokens / kPageTokens + 1);
  const Batch batch = sequences.step({{0, random_tokens(tokens, 40, 5)}});
  RefBackend ref;
  const auto expected = run_on(ref, batch, build(ref));
  for (const Isa isa : host_isas()) {
    for (const int threads : {1, 3}) {
      const auto cpu = make_cpu(isa, threads);
      const auto found = run_on(*cpu, batch, build(*cpu));
      EXPECT_LT(testing::relative_error(found, expected), tolerance)
          << what << ", " << tokens << " tokens, " << cpu->name();
    }
  }
}

constexpr int kTokenCounts[] = {1, 4, 5, 8, 9, 33};

TEST(CpuOps, Embed) {
  for (const int tokens : kTokenCounts) {
    compare(
        [](Backend& backend) {
          return [table = pack_random(backend, DType::bf16, 40, 33, 1, 1)](
                     Ops& ops, const Batch& batch) { return ops.embed(table, batch, 1.5F); };
        },
        tokens, 1e-6F, "embed");
  }
}

TEST(CpuOps, EmbedRefusesTokensBeyondTheTable) {
  const auto cpu = make_cpu(Isa::base, 2);
  const Weight table = pack_random(*cpu, DType::f32, 40, 32, 1, 1);
  for (const std::int32_t token : {40, -1}) {
    Sequences sequences(1);
    const Batch batch = sequences.step({{0, {token}}});
    const auto forward = [&](Ops& ops, const Batch& b) { return ops.embed(table, b); };
    EXPECT_THROW(cpu->run(batch, forward), BackendError);
  }
}

TEST(CpuOps, RmsNorm) {
  for (const int cols : {1, 3, 15, 16, 17, 64, 100, 576}) {
    for (const int tokens : kTokenCounts) {
      compare(
          [cols](Backend& backend) {
            return [table = pack_random(backend, DType::f32, 40, cols, 1, 3),
                    weight = pack_random_vector(backend, cols, 2)](Ops& ops, const Batch& batch) {
              return ops.rms_norm(ops.embed(table, batch), weight, 1e-5F);
            };
          },
          tokens, 1e-6F, "rms_norm of " + std::to_string(cols));
    }
  }
}

TEST(CpuOps, LayerNorm) {
  for (const int cols : {3, 16, 17, 100, 576}) {
    for (const int tokens : {1, 9, 33}) {
      for (const bool plain : {false, true}) {
        compare(
            [cols, plain](Backend& backend) {
              return [table = pack_random(backend, DType::f32, 40, cols, 1, 3),
                      weight = plain ? Weight{} : pack_random_vector(backend, cols, 2),
                      bias = plain ? Weight{} : pack_random_vector(backend, cols, 3)](
                         Ops& ops, const Batch& batch) {
                return ops.layer_norm(ops.embed(table, batch), weight, bias, 1e-5F);
              };
            },
            tokens, 1e-5F, "layer_norm of " + std::to_string(cols));
      }
    }
  }
}

// Heads of a part of the columns, with one weight for all heads and with one for each.
TEST(CpuOps, NormHeads) {
  using Kind = HeadNorm::Kind;
  constexpr int kHeads = 3;
  for (const Kind kind : {Kind::rms, Kind::layer, Kind::l2}) {
    for (const int dim : {4, 16, 50, 128}) {
      for (const int shared : {0, 1, 2}) {
        for (const int tokens : {1, 33}) {
          compare(
              [=](Backend& backend) {
                HeadNorm norm{.kind = kind, .eps = 1e-5F};
                const int n = shared == 0 ? dim : kHeads * dim;
                if (kind != Kind::l2 && shared < 2) norm.weight = pack_random_vector(backend, n, 2);
                if (kind == Kind::layer && shared < 2)
                  norm.bias = pack_random_vector(backend, n, 3);
                return [=, table = pack_random(backend, DType::f32, 40, 8 + kHeads * dim, 1, 2)](
                           Ops& ops, const Batch& batch) {
                  const Tensor x = ops.embed(table, batch);
                  ops.norm_heads(x.columns(8, kHeads * dim), kHeads, norm);
                  return x;
                };
              },
              tokens, 1e-5F, "norm_heads of " + std::to_string(dim));
        }
      }
    }
  }
}

// Chains of element-wise ops on shared and on own tensors; an older converted form of a changed
// tensor must not be used.
TEST(CpuOps, ElementwiseOps) {
  for (const int cols : {1, 17, 256, 300}) {
    for (const int tokens : kTokenCounts) {
      compare(
          [cols](Backend& backend) {
            return [table = pack_random(backend, DType::f32, 40, cols, 1, 1),
                    weight = pack_random_vector(backend, cols, 2),
                    gate = Linear{pack_random(backend, DType::f32, 1, cols, 4, 0.1F)},
                    square = Linear{pack_random(backend, DType::f32, cols, cols, 3, 0.1F)},
                    positions = pack_random(backend, DType::bf16, 64, cols, 5, 1)](
                       Ops& ops, const Batch& batch) {
              const Tensor x = ops.embed(table, batch);
              ops.add_positions(x, positions, batch);
              const Tensor own = ops.rms_norm(x, weight, 1e-5F);
              const Tensor y = ops.linear(own, {&square, 1});
              ops.activate(own, Activation::gelu_tanh);
              ops.add(x, own);
              ops.multiply(own, y, Activation::tanh);
              ops.multiply(y, ops.linear(own, {&gate, 1}), Activation::sigmoid);
              ops.scale(own, 0.5F);
              ops.clamp(y, 0.4F);
              ops.add(y, ops.linear(own, {&square, 1}));
              ops.softcap(x, 1.5F);
              ops.add(x, y);
              ops.multiply(x, own, Activation::identity);
              return x;
            };
          },
          tokens, 2e-5F, "element-wise ops on " + std::to_string(cols));
    }
  }
}

TEST(CpuOps, PositionsBeyondTheTableAreRefused) {
  const auto cpu = make_cpu(Isa::base, 2);
  const Weight table = pack_random(*cpu, DType::f32, 40, 32, 1, 1);
  const Weight positions = pack_random(*cpu, DType::f32, 4, 32, 2, 1);
  Sequences sequences(1);
  const Batch batch = sequences.step({{0, random_tokens(5, 40, 1)}});
  const auto forward = [&](Ops& ops, const Batch& b) {
    const Tensor x = ops.embed(table, b);
    ops.add_positions(x, positions, b);
    return x;
  };
  EXPECT_THROW(cpu->run(batch, forward), BackendError);
}

TEST(CpuOps, LinearOfPartsOfSeveralTypesWithBias) {
  for (const int tokens : kTokenCounts) {
    compare(
        [](Backend& backend) {
          const Linear parts[] = {{pack_random(backend, DType::f32, 37, 64, 2, 0.1F),
                                   pack_random_vector(backend, 37, 3)},
                                  {pack_random(backend, DType::bf16, 16, 64, 4, 0.1F)},
                                  {pack_random(backend, DType::q8_0, 100, 64, 5, 0.1F),
                                   pack_random_vector(backend, 100, 6)}};
          return [table = pack_random(backend, DType::f32, 40, 64, 1, 1),
                  list = std::vector<Linear>(std::begin(parts), std::end(parts))](
                     Ops& ops, const Batch& batch) {
            return ops.linear(ops.embed(table, batch), list);
          };
        },
        tokens, 1e-2F, "linear");
  }
}

// The product is added to a tensor that all share, and to one that each worker may have for itself.
TEST(CpuOps, LinearAdd) {
  for (const int tokens : kTokenCounts) {
    for (const bool normed : {false, true}) {
      compare(
          [normed](Backend& backend) {
            return [table = pack_random(backend, DType::f32, 40, 48, 1, 1),
                    weight = pack_random_vector(backend, 48, 2), normed,
                    part = Linear{pack_random(backend, DType::f32, 48, 48, 3, 0.1F),
                                  pack_random_vector(backend, 48, 4)}](Ops& ops,
                                                                       const Batch& batch) {
              const Tensor x = ops.embed(table, batch);
              const Tensor acc = normed ? ops.rms_norm(x, weight, 1e-5F) : ops.embed(table, batch);
              ops.linear_add(acc, x, part);
              ops.linear_add(x, acc, part);  // acc holds new values: an older form of it is stale
              ops.linear_add(acc, x, part);
              ops.linear_add(acc, x, part);
              return ops.linear(acc, {&part, 1});
            };
          },
          tokens, 1e-5F, normed ? "linear_add to own memory" : "linear_add");
    }
  }
}

TEST(CpuOps, Gated) {
  for (const Activation act :
       {Activation::silu, Activation::gelu_tanh, Activation::gelu_erf, Activation::relu}) {
    for (const int tokens : {1, 4, 5, 33, 200}) {
      compare(
          [act](Backend& backend) {
            return [table = pack_random(backend, DType::f32, 40, 64, 1, 1), act,
                    gate = Linear{pack_random(backend, DType::f32, 53, 64, 2, 0.3F),
                                  pack_random_vector(backend, 53, 3)},
                    up = Linear{pack_random(backend, DType::f32, 53, 64, 4, 0.3F)}](
                       Ops& ops, const Batch& batch) {
              return ops.gated(ops.embed(table, batch), gate, up, act);
            };
          },
          tokens, 2e-6F, "gated " + std::to_string(static_cast<int>(act)));
    }
  }
}

struct MoeCase {
  DType gate, up, down;
  int experts, hidden, width;
  Routing routing;
  float swiglu_limit = 0;
  bool biases = false;
};

MoeParams pack_moe(Backend& backend, const MoeCase& c) {
  unsigned seed = 100;
  const auto part = [&](DType type, int rows, int cols) {
    const Weight weight = pack_random(backend, type, rows, cols, ++seed, 0.3F);
    const Weight bias = pack_random_vector(backend, rows, ++seed);
    return Linear{weight, c.biases ? bias : Weight{}};
  };
  MoeParams params{.router = part(DType::f32, c.experts, c.hidden), .routing = c.routing};
  if (c.routing.gating == Gating::sigmoid) {
    params.selection_bias = pack_random_vector(backend, c.experts, 3);
  }
  for (int e = 0; e < c.experts; ++e) {
    Expert expert{part(c.gate, c.width, c.hidden), part(c.up, c.width, c.hidden), {}};
    expert.down = part(c.down, c.hidden, c.width);
    params.experts.push_back(expert);
  }
  params.swiglu_limit = c.swiglu_limit;
  return params;
}

bool rounds(const MoeCase& c) { return c.gate != DType::f32; }

const MoeCase kMoeCases[] = {
    {DType::f32, DType::f32, DType::f32, 5, 48, 36, {.top_k = 2, .normalise = true}},
    {DType::f32, DType::f32, DType::f32, 1, 17, 1, {.top_k = 1}},
    {DType::f32,
     DType::f32,
     DType::f32,
     4,
     40,
     24,
     {.gating = Gating::softmax_selected, .top_k = 4},
     1.5F,
     true},
    {DType::q8_0,
     DType::q8_0,
     DType::q8_0,
     8,
     64,
     96,
     {.gating = Gating::sigmoid, .top_k = 3, .n_groups = 4, .top_groups = 2, .scale = 2.5F}},
    {DType::q8_0, DType::f32, DType::bf16, 6, 64, 32, {.top_k = 3}},
};

// Adds to a tensor that all share, and to one that workers may have for themselves.
template <class Params>
auto moe_forward(Backend& backend, const MoeCase& c, const Params& params) {
  return [table = pack_random(backend, DType::f32, 40, c.hidden, 1, 1), params, c,
          weight = pack_random_vector(backend, c.hidden, 2)](Ops& ops, const Batch& batch) {
    const Tensor acc = ops.embed(table, batch);
    const Tensor own = ops.rms_norm(acc, weight, 1e-5F);
    ops.moe_add(acc, own, params);
    if (!rounds(c)) ops.moe_add(own, acc, params);  // else it may choose others than ref
    ops.add(acc, own);
    return acc;
  };
}

TEST(CpuOps, MixtureOfExperts) {
  for (const MoeCase& c : kMoeCases) {
    for (const int tokens : {1, 2, 4, 7, 33, 300}) {
      compare([&](Backend& backend) { return moe_forward(backend, c, pack_moe(backend, c)); },
              tokens, rounds(c) ? 0.02F : 3e-6F, "moe of " + std::to_string(c.experts));
    }
  }
}

// A token's result has the same bits alone and beside others, on one thread and on several.
TEST(CpuOps, MixtureOfExpertsDoesNotSeeTheBatch) {
  for (const MoeCase& c : kMoeCases) {
    for (const Isa isa : host_isas()) {
      const auto tokens = random_tokens(150, 40, 5);
      std::vector<float> all;
      {
        const auto cpu = make_cpu(isa, 3);
        Sequences sequences(20);
        all = run_on(*cpu, sequences.step({{0, tokens}}), moe_forward(*cpu, c, pack_moe(*cpu, c)));
      }
      for (const int step : {1, 2, 5, 40}) {
        const auto cpu = make_cpu(isa, step % 2 + 1);
        const auto forward = moe_forward(*cpu, c, pack_moe(*cpu, c));
        Sequences sequences(20);
        std::vector<float> parts;
        for (std::size_t at = 0; at < tokens.size(); at += static_cast<std::size_t>(step)) {
          const auto end = std::min(at + static_cast<std::size_t>(step), tokens.size());
          const std::vector<std::int32_t> some(tokens.begin() + static_cast<std::ptrdiff_t>(at),
                                               tokens.begin() + static_cast<std::ptrdiff_t>(end));
          const auto out = run_on(*cpu, sequences.step({{0, some}}), forward);
          parts.insert(parts.end(), out.begin(), out.end());
        }
        EXPECT_TRUE(testing::same_bits(parts, all)) << cpu->name() << ", steps of " << step;
      }
    }
  }
}

TEST(CpuOps, TakeRowsAndScopes) {
  for (const int tokens : {2, 7, 30}) {
    compare(
        [](Backend& backend) {
          return [table = pack_random(backend, DType::f32, 40, 24, 1, 1),
                  part = Linear{pack_random(backend, DType::f32, 24, 24, 2, 0.2F)}](
                     Ops& ops, const Batch& batch) {
            const Tensor x = ops.embed(table, batch);
            for (int i = 0; i < 3; ++i) {  // the same memory, each time for other values
              const auto scope = ops.scope();
              const Tensor y = ops.linear(x, {&part, 1});
              ops.linear_add(x, ops.linear(y, {&part, 1}), part);
            }
            const std::int32_t rows[] = {0, batch.n_tokens() - 1};
            return ops.take_rows(x,
                                 {rows, batch.n_tokens() == 2 ? std::size_t{1} : std::size_t{2}});
          };
        },
        tokens, 1e-5F, "take_rows");
  }
}

TEST(CpuOps, NoTokenWantsLogits) {
  const auto cpu = make_cpu(best_isa(), 2);
  const Weight table = pack_random(*cpu, DType::f32, 40, 32, 1, 1);
  const Linear head{table};
  Sequences sequences(1);
  Batch batch = sequences.step({{0, {1, 2, 3}}});
  batch.logit_rows = {};
  const auto logits = cpu->run(batch, [&](Ops& ops, const Batch& b) {
    return ops.linear(ops.take_rows(ops.embed(table, b), b.logit_rows), {&head, 1});
  });
  EXPECT_TRUE(logits.empty());
}

}  // namespace
}  // namespace rbee::cpu
