#include "backend/ref/ref_backend.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>

#include "base/load_error.hpp"

namespace rbee {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::Pointwise;

// A batch of whole sequences from position `first` on, each with pages of its own.
struct Steps {
  std::vector<std::int32_t> tokens, positions, seq_begin{0}, kv_len, pages, page_begin{0}, rows;

  void add(int n_tokens, std::vector<std::int32_t> own_pages, int first = 0) {
    for (int t = 0; t < n_tokens; ++t) {
      rows.push_back(static_cast<std::int32_t>(tokens.size()));
      tokens.push_back(t);
      positions.push_back(first + t);
    }
    seq_begin.push_back(static_cast<std::int32_t>(tokens.size()));
    kv_len.push_back(first + n_tokens);
    pages.insert(pages.end(), own_pages.begin(), own_pages.end());
    page_begin.push_back(static_cast<std::int32_t>(pages.size()));
  }
  Batch batch() const {
    return {tokens, positions, seq_begin, kv_len, pages, page_begin, {}, rows};
  }
};

Weight pack_f32(Backend& backend, int rows, int cols, const std::vector<float>& values) {
  return backend.pack({std::as_bytes(std::span(values)), DType::f32, rows, cols, "test"});
}

// A tensor over values that the test owns.
Tensor view(std::vector<float>& values, int rows) {
  const int cols = static_cast<int>(values.size()) / rows;
  return {values.data(), rows, cols, cols};
}

std::vector<float> run(RefBackend& backend, const Steps& steps,
                       const std::function<Tensor(Ops&, const Batch&)>& forward) {
  const auto out = backend.run(steps.batch(), forward);
  return {out.begin(), out.end()};
}

std::vector<float> random_values(std::size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(generator);
  return values;
}

TEST(RefOps, EmbedTakesScaledRows) {
  RefBackend backend;
  const Weight table = pack_f32(backend, 3, 2, {1, 2, 3, 4, 5, 6});
  Steps steps;
  steps.add(3, {0});
  const auto out =
      run(backend, steps, [&](Ops& ops, const Batch& b) { return ops.embed(table, b, 10); });
  EXPECT_THAT(out, ElementsAre(10, 20, 30, 40, 50, 60));
}

TEST(RefOps, EmbedDecodesBf16) {
  RefBackend backend;
  const std::array<std::uint16_t, 2> bits{0x3FC0, 0xC000};  // 1.5, -2
  const Weight table = backend.pack({std::as_bytes(std::span(bits)), DType::bf16, 1, 2, "test"});
  Steps steps;
  steps.add(1, {0});
  EXPECT_THAT(run(backend, steps, [&](Ops& ops, const Batch& b) { return ops.embed(table, b); }),
              ElementsAre(1.5F, -2.0F));
}

TEST(RefOps, RmsNormDividesByRootMeanSquare) {
  RefBackend backend;
  const Weight weight = backend.pack_vector(std::vector<float>{1, 2});
  std::vector<float> x{3, 4, 0, 0};
  Steps steps;
  steps.add(2, {0});
  const auto out = run(backend, steps, [&](Ops& ops, const Batch&) {
    return ops.rms_norm(view(x, 2), weight, 0.5F);
  });
  const float factor = 1 / std::sqrt(12.5F + 0.5F);
  EXPECT_THAT(out, Pointwise(FloatNear(1e-6F), std::vector<float>{3 * factor, 8 * factor, 0, 0}));
}

TEST(RefOps, LinearPutsPartsSideBySide) {
  RefBackend backend;
  const Linear first{pack_f32(backend, 1, 3, {1, 1, 1})};
  const Linear second{pack_f32(backend, 2, 3, {1, 0, 0, 0, 0, 2}),
                      backend.pack_vector(std::vector<float>{10, 20})};
  std::vector<float> x{1, 2, 3, 4, 5, 6};
  Steps steps;
  steps.add(2, {0});
  const std::array parts{first, second};
  const auto out =
      run(backend, steps, [&](Ops& ops, const Batch&) { return ops.linear(view(x, 2), parts); });
  EXPECT_THAT(out, ElementsAre(6, 11, 26, 15, 14, 32));
}

TEST(RefOps, LinearAddAddsToAColumnSlice) {
  RefBackend backend;
  const Linear part{pack_f32(backend, 1, 2, {1, 2}), backend.pack_vector(std::vector<float>{5})};
  std::vector<float> x{1, 1, 2, 2}, acc{100, 0, 200, 0};
  Steps steps;
  steps.add(2, {0});
  const auto out = run(backend, steps, [&](Ops& ops, const Batch&) {
    ops.linear_add(view(acc, 2).columns(1, 1), view(x, 2), part);
    return view(acc, 2);
  });
  EXPECT_THAT(out, ElementsAre(100, 8, 200, 11));
}

TEST(RefOps, GatedMultipliesTheActivatedGate) {
  RefBackend backend;
  const Linear gate{pack_f32(backend, 1, 1, {1})}, up{pack_f32(backend, 1, 1, {2})};
  Steps steps;
  steps.add(2, {0});
  const auto gated = [&](Activation act) {
    std::vector<float> x{1.5F, -0.5F};
    return run(backend, steps,
               [&](Ops& ops, const Batch&) { return ops.gated(view(x, 2), gate, up, act); });
  };
  // act(x) * 2x, with the activations computed by hand.
  const auto near = [](float a, float b) {
    return Pointwise(FloatNear(1e-5F), std::vector<float>{a, b});
  };
  EXPECT_THAT(gated(Activation::relu), ElementsAre(4.5F, 0));
  EXPECT_THAT(gated(Activation::silu), near(1.2263612F * 3, -0.1887703F * -1));
  EXPECT_THAT(gated(Activation::gelu_erf), near(1.3997892F * 3, -0.1542688F * -1));
  EXPECT_THAT(gated(Activation::gelu_tanh), near(1.3995722F * 3, -0.1542860F * -1));
}

// One head of four elements; queries and keys of the same vector at every position.
struct OneHead {
  RefBackend backend;
  AttentionParams params{.n_heads = 1, .n_kv_heads = 1, .head_dim = 4, .scale = 1};

  OneHead() { backend.allocate_state(std::vector<LayerState>{PagedKv{1, 4}}, 4, 0); }

  std::vector<float> attend(std::vector<float> qkv, const Steps& steps) {
    return run(backend, steps, [&](Ops& ops, const Batch& b) {
      return ops.attend(view(qkv, b.n_tokens()), params, b, 0);
    });
  }
};

TEST(RefOps, AttentionAveragesByScore) {
  OneHead head;
  Steps steps;
  steps.add(2, {3});
  // The second query scores ln 3 with its own key and 0 with the first.
  const float ln3 = std::log(3.0F);
  const auto out = head.attend({0, 0, 0, 0, 0,   0, 0, 0, 1, 2, 3, 4,  //
                                1, 0, 0, 0, ln3, 0, 0, 0, 5, 6, 7, 8},
                               steps);
  EXPECT_THAT(out, Pointwise(FloatNear(1e-5F), std::vector<float>{1, 2, 3, 4, 4, 5, 6, 7}));
}

TEST(RefOps, AttentionSeesTheWindowOnly) {
  OneHead head;
  head.params.window = 2;
  Steps steps;
  steps.add(3, {0});
  std::vector<float> qkv(36);
  qkv[8] = 1, qkv[12 + 8] = 10, qkv[24 + 8] = 100;  // values; all scores are zero
  const auto out = head.attend(qkv, steps);
  EXPECT_FLOAT_EQ(out[0], 1);
  EXPECT_FLOAT_EQ(out[4], 5.5F);
  EXPECT_FLOAT_EQ(out[8], 55);
}

// The angle between a query at position 1 and a key at position 0 shows in the score.
TEST(RefOps, RopeRotatesPairsByTheirFrequencies) {
  for (const RopePairing pairing : {RopePairing::half, RopePairing::adjacent}) {
    OneHead head;
    head.params.rope = {.dims = 4,
                        .pairing = pairing,
                        .inv_freq = head.backend.pack_vector(std::vector<float>{0.5F, 0.1F}),
                        .scale = 2};
    Steps steps;
    steps.add(2, {0});
    std::vector<float> qkv(24);
    const std::size_t partner = pairing == RopePairing::half ? 2 : 1;
    qkv[4] = 1;             // key 0 = e0
    qkv[12 + partner] = 1;  // query 1 = the element paired with e0
    qkv[8] = 1;             // value 0; key 1 and value 1 are zero
    const auto out = head.attend(qkv, steps);
    // The query becomes (-sin, cos) on that pair; both sides carry the scale.
    const float score = -std::sin(0.5F) * 4;
    EXPECT_NEAR(out[4], std::exp(score) / (std::exp(score) + 1), 1e-6F);
  }
}

TEST(RefOps, PartialRopeLeavesTheRestOfTheHead) {
  OneHead head;
  head.params.rope = {.dims = 2,
                      .pairing = RopePairing::half,
                      .inv_freq = head.backend.pack_vector(std::vector<float>{1.0F})};
  Steps steps;
  steps.add(2, {0});
  std::vector<float> qkv(24);
  qkv[4 + 2] = 1;   // key 0
  qkv[12 + 2] = 1;  // query 1: the score is 1 if neither turned
  qkv[8] = 1;       // value 0
  const auto out = head.attend(qkv, steps);
  EXPECT_NEAR(out[4], std::exp(1.0F) / (std::exp(1.0F) + 1), 1e-6F);
}

TEST(RefOps, QueryHeadsShareKeysInGroups) {
  RefBackend backend;
  backend.allocate_state(std::vector<LayerState>{PagedKv{2, 2}}, 1, 0);
  const AttentionParams params{.n_heads = 4, .n_kv_heads = 2, .head_dim = 2, .scale = 1};
  std::vector<float> qkv(16);
  std::iota(qkv.begin() + 12, qkv.end(), 1.0F);  // values 1 2 and 3 4
  Steps steps;
  steps.add(1, {0});
  const auto out = run(backend, steps, [&](Ops& ops, const Batch& b) {
    return ops.attend(view(qkv, 1), params, b, 0);
  });
  EXPECT_THAT(out, ElementsAre(1, 2, 1, 2, 3, 4, 3, 4));
}

// The same tokens alone in one step, and in two steps beside another sequence on other pages.
TEST(RefOps, AttentionDoesNotDependOnTheBatch) {
  constexpr int kTokens = 70;  // two pages
  const auto own = random_values(std::size_t{12} * kTokens, 1);
  const auto other = random_values(std::size_t{12} * 10, 2);
  OneHead alone, mixed;
  Steps whole;
  whole.add(kTokens, {1, 3});
  const auto expected = alone.attend(own, whole);

  constexpr int kFirst = 33;
  Steps first;
  first.add(kFirst, {2, 0});
  mixed.attend({own.begin(), own.begin() + 12 * kFirst}, first);
  Steps second;
  second.add(10, {3});
  second.add(kTokens - kFirst, {2, 0}, kFirst);
  std::vector<float> qkv = other;
  qkv.insert(qkv.end(), own.begin() + 12 * kFirst, own.end());
  const auto out = mixed.attend(qkv, second);
  EXPECT_EQ(std::vector<float>(out.begin() + 40, out.end()),
            std::vector<float>(expected.begin() + 4 * kFirst, expected.end()));
}

TEST(RefOps, TakeRowsCopiesOrPasses) {
  RefBackend backend;
  std::vector<float> x{1, 2, 3, 4, 5, 6};
  Steps steps;
  steps.add(3, {0});
  const std::array<std::int32_t, 2> rows{0, 2};
  EXPECT_THAT(
      run(backend, steps, [&](Ops& ops, const Batch&) { return ops.take_rows(view(x, 3), rows); }),
      ElementsAre(1, 2, 5, 6));
  EXPECT_THAT(
      run(backend, steps,
          [&](Ops& ops, const Batch& b) { return ops.take_rows(view(x, 3), b.logit_rows); }),
      ElementsAre(1, 2, 3, 4, 5, 6));
  steps.rows.clear();
  EXPECT_TRUE(run(backend, steps, [&](Ops& ops, const Batch& b) {
                return ops.take_rows(view(x, 3), b.logit_rows);
              }).empty());
}

TEST(RefOps, ScopesFreeWhatWasMadeInThem) {
  RefBackend backend;
  const Weight table = pack_f32(backend, 3, 4, std::vector<float>(12, 1));
  Steps steps;
  steps.add(1, {0});
  run(backend, steps, [&](Ops& ops, const Batch& b) {
    const Tensor kept = ops.embed(table, b);
    for (int i = 0; i < 100; ++i) {
      const auto scratch = ops.scope();
      (void)ops.embed(table, b);
    }
    return kept;
  });
  EXPECT_EQ(backend.memory().scratch, 2 * 4 * sizeof(float));
}

TEST(RefBackend, CountsItsMemory) {
  RefBackend backend;
  const std::vector<LayerState> layers{PagedKv{2, 4}, PagedKv{1, 8}};
  EXPECT_EQ(backend.page_bytes(layers), std::size_t{kPageTokens} * 2 * 16 * sizeof(float));
  backend.allocate_state(layers, 3, 0);
  (void)pack_f32(backend, 2, 2, {1, 2, 3, 4});
  EXPECT_EQ(backend.memory().weights, 4 * sizeof(float));
  EXPECT_EQ(backend.memory().state, 3 * backend.page_bytes(layers));
  EXPECT_EQ(backend.packed_bytes(DType::q4_k, 2, 256), std::size_t{2} * 144);
}

TEST(RefBackend, RefusesBrokenMatrices) {
  RefBackend backend;
  const std::vector<std::byte> bytes(64);
  EXPECT_THROW(backend.pack({bytes, DType::f32, 4, 5, "short"}), LoadError);
  EXPECT_THROW(backend.pack({bytes, DType::q4_0, 1, 40, "blocks"}), LoadError);
  EXPECT_THROW(backend.pack({bytes, DType::f32, 0, 0, "empty"}), LoadError);
}

TEST(RefBackend, ChecksTheBatch) {
  OneHead head;
  const auto attends = [&](auto change) {
    Steps steps;
    steps.add(2, {0});
    change(steps);
    return head.attend(std::vector<float>(24), steps);
  };
  EXPECT_NO_THROW(attends([](Steps&) {}));
  EXPECT_THROW(attends([](Steps& s) { s.pages[0] = 4; }), BackendError);
  EXPECT_THROW(attends([](Steps& s) { s.pages[0] = -1; }), BackendError);
  EXPECT_THROW(attends([](Steps& s) { s.page_begin[1] = 0; }), BackendError);
  EXPECT_THROW(attends([](Steps& s) { s.positions[1] = 2; }), BackendError);
  EXPECT_THROW(attends([](Steps& s) { s.seq_begin[1] = 1; }), BackendError);
  EXPECT_THROW(attends([](Steps& s) { s.rows[1] = 2; }), BackendError);
  const Weight table = pack_f32(head.backend, 1, 2, {1, 2});
  Steps steps;
  steps.add(2, {0});  // token 1 is not in the table
  EXPECT_THROW(run(head.backend, steps, [&](Ops& o, const Batch& b) { return o.embed(table, b); }),
               BackendError);
}

// Two tokens, then one more; the slot's old values do not count at position 0.
TEST(RefOps, ShortConvRemembersItsInputs) {
  RefBackend backend;
  const ShortConv conv{.width = 3,
                       .taps = backend.pack_vector(std::vector<float>{100, 1, 10, 2, 1, 3}),
                       .bias = backend.pack_vector(std::vector<float>{0, 1000})};
  const std::vector<LayerState> layers{Recurrent{5 * sizeof(float)}};
  backend.allocate_state(layers, 0, 2);
  const auto feed = [&](std::vector<float> x, int first) {
    const int rows = static_cast<int>(x.size()) / 2;
    Steps steps;
    steps.add(rows, {}, first);
    Batch batch = steps.batch();
    const std::int32_t slot = 1;
    batch.slots = {&slot, 1};
    const auto out = backend.run(batch, [&](Ops& ops, const Batch& b) {
      return ops.short_conv(view(x, rows), conv, b, {0, 1});
    });
    return std::vector<float>(out.begin(), out.end());
  };
  for (int owner = 0; owner < 2; ++owner) {
    EXPECT_THAT(feed({1, 1, 2, 2}, 0), ElementsAre(1, 1003, 12, 1008));
    EXPECT_THAT(feed({3, 3}, 2), ElementsAre(123, 1014));
    EXPECT_THAT(feed({4, 4}, 3), ElementsAre(234, 1020));
  }
}

TEST(RefBackend, RefusesWrongSlots) {
  RefBackend backend;
  const std::vector<LayerState> layers{Recurrent{16}};
  backend.allocate_state(layers, 0, 2);
  const Weight table = pack_f32(backend, 3, 2, {1, 2, 3, 4, 5, 6});
  Steps steps;
  steps.add(1, {});
  steps.add(1, {});
  const auto run_with = [&](const std::vector<std::int32_t>& slots) {
    Batch batch = steps.batch();
    batch.slots = slots;
    backend.run(batch, [&](Ops& ops, const Batch& b) { return ops.embed(table, b); });
  };
  EXPECT_NO_THROW(run_with({1, 0}));
  EXPECT_THROW(run_with({}), BackendError);
  EXPECT_THROW(run_with({1, 1}), BackendError);
  EXPECT_THROW(run_with({0, 2}), BackendError);
  EXPECT_THROW(run_with({-1, 0}), BackendError);
}

// Two experts of one inner value each: e(x) = down * silu(gate x) * (up x) (+ biases).
TEST(RefOps, MoeAddsTheChosenExperts) {
  RefBackend backend;
  const Weight table = pack_f32(backend, 1, 1, {2});
  const auto expert = [&](float gate, float up, float down) {
    return Expert{{pack_f32(backend, 1, 1, {gate})},
                  {pack_f32(backend, 1, 1, {up})},
                  {pack_f32(backend, 1, 1, {down}), backend.pack_vector(std::array{0.5F})}};
  };
  MoeParams params{.router = {pack_f32(backend, 3, 1, {0, 1, -1})},
                   .routing = {.top_k = 2, .normalise = true},
                   .experts = {expert(1, 3, 1), expert(0.5F, 1, 2), expert(9, 9, 9)}};
  Steps steps;
  steps.add(1, {0});
  const auto moe = [&](Ops& ops, const Batch& b) {
    const Tensor acc = ops.embed(table, b);
    ops.moe_add(acc, ops.embed(table, b), params);
    return acc;
  };
  const float share = 1 / (1 + std::exp(-2.0F));  // of expert 1
  const auto silu = [](float x, float alpha = 1) { return x / (1 + std::exp(-alpha * x)); };
  EXPECT_NEAR(run(backend, steps, moe).front(),
              2 + (1 - share) * (silu(2) * 6 + 0.5F) + share * (2 * silu(1) * 2 + 0.5F), 1e-5F);
  params.swiglu_limit = 1.5F;  // clamps the gate of expert 0, and both factors of up
  EXPECT_NEAR(run(backend, steps, moe).front(),
              2 + (1 - share) * (silu(1.5F, 1.702F) * 2.5F + 0.5F) +
                  share * (2 * silu(1, 1.702F) * 2.5F + 0.5F),
              1e-5F);
}

}  // namespace
}  // namespace rbee
