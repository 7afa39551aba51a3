// Attention over latents and the products around it: against the reference backend, and bit for bit
// against other cuts.
#include "backend/cpu/attend.hpp"
#include "backend/cpu/kernels/latent.hpp"
#include "backend/cpu/test_rig.hpp"

namespace rbee::cpu {
namespace {

using testing::host_isas;
using testing::make_cpu;
using testing::pack_random;
using testing::random_tokens;
using testing::Sequences;

struct Shape {
  int heads;
  int latent_dim;
  int rope_dim;
  bool rotates = true;
};

// One attention layer; queries and latents come straight from an embedding table.
class OneLayer {
 public:
  OneLayer(Backend& backend, const Shape& shape, int n_pages) : backend_(backend) {
    const int width = shape.latent_dim + shape.rope_dim;
    table_ = pack_random(backend, DType::f32, 50, (shape.heads + 1) * width, 1, 0.5F);
    std::vector<float> freq(static_cast<std::size_t>(shape.rope_dim / 2));
    for (std::size_t j = 0; j < freq.size(); ++j) freq[j] = 1 / (1 + static_cast<float>(j));
    params_ = {shape.heads, shape.latent_dim, shape.rope_dim,
               1 / std::sqrt(static_cast<float>(width)), Rope{}};
    if (shape.rotates) {
      params_.rope = {shape.rope_dim, RopePairing::adjacent, backend.pack_vector(freq), 0.9F};
    }
    const LayerState state[] = {PagedLatent{shape.latent_dim, shape.rope_dim}};
    backend.allocate_state(state, n_pages, 0);
  }

  std::vector<float> run(const Batch& batch) { return run(batch, table_); }
  std::vector<float> run(const Batch& batch, const Weight& table) {
    const auto out = backend_.run(batch, [&](Ops& ops, const Batch& b) {
      const int width = params_.latent_dim + params_.rope_dim;
      const Tensor x = ops.embed(table, b);
      return ops.attend_latent(x.columns(0, params_.n_heads * width),
                               x.columns(params_.n_heads * width, width), params_, b, 0);
    });
    return {out.begin(), out.end()};
  }

 private:
  Backend& backend_;
  Weight table_{};
  LatentAttention params_{};
};

constexpr int kPages = 40;

// Three steps: two prompts, one of them cut; then a chunk beside two single tokens; then only
// single tokens.
std::vector<float> ragged_steps(OneLayer& layer) {
  Sequences sequences(kPages);
  std::vector<float> all;
  const auto step = [&](const std::vector<Sequences::Piece>& pieces) {
    const auto out = layer.run(sequences.step(pieces));
    all.insert(all.end(), out.begin(), out.end());
  };
  step({{0, random_tokens(70, 50, 1)}, {1, random_tokens(3, 50, 2)}});
  step({{1, {4}}, {0, random_tokens(25, 50, 3)}, {2, {7}}});
  step({{0, {1}}, {1, {2}}, {2, {3}}});
  return all;
}

const Shape kShapes[] = {{4, 32, 16},  {2, 24, 8},   {16, 512, 64},      {1, 33, 2},
                         {71, 40, 24}, {130, 32, 0}, {5, 96, 32, false}, {9, 30, 6}};

TEST(AttendLatent, AgreesWithRef) {
  for (const Shape& shape : kShapes) {
    RefBackend ref;
    OneLayer expected_layer(ref, shape, kPages);
    const auto expected = ragged_steps(expected_layer);
    for (const Isa isa : host_isas()) {
      for (const KvType kv : {KvType::f32, KvType::bf16}) {
        const auto cpu = make_cpu(isa, 2, kv);
        OneLayer layer(*cpu, shape, kPages);
        EXPECT_LT(testing::relative_error(ragged_steps(layer), expected),
                  kv == KvType::f32 ? 2e-6F : 1e-2F)
            << cpu->name() << " heads " << shape.heads << " of " << shape.latent_dim << " + "
            << shape.rope_dim << (kv == KvType::f32 ? " f32" : " bf16");
      }
    }
  }
}

// Long enough for several parts: alone and token by token, in chunks beside other sequences, and
// divided among more workers; with heads in one group and in several.
TEST(AttendLatent, NoCutChangesABit) {
  constexpr int kTokens = 2 * kPartKeys + 37;
  const auto tokens = random_tokens(kTokens, 50, 1);
  for (const Shape& shape : {Shape{3, 32, 16}, Shape{70, 24, 8}}) {
    for (const Isa isa : host_isas()) {
      for (const KvType kv : {KvType::f32, KvType::bf16}) {
        const auto run = [&](int threads, int chunk, bool company) {
          const auto cpu = make_cpu(isa, threads, kv);
          OneLayer layer(*cpu, shape, kPages);
          Sequences sequences(kPages);
          std::vector<float> all;
          for (int begin = 0; begin < kTokens; begin += chunk) {
            const int end = std::min(begin + chunk, kTokens);
            std::vector<Sequences::Piece> pieces;
            if (company) pieces.push_back({1, random_tokens(begin % 3, 50, 9)});
            if (company) pieces.push_back({2, {1}});
            pieces.push_back({0, {tokens.begin() + begin, tokens.begin() + end}});
            const auto out = layer.run(sequences.step(pieces));
            const auto width = std::ptrdiff_t{shape.heads} * shape.latent_dim;
            all.insert(all.end(), out.end() - (end - begin) * width, out.end());
          }
          return all;
        };
        const auto expected = run(1, kTokens, false);
        EXPECT_TRUE(testing::same_bits(run(1, 50, true), expected)) << isa_name(isa);
        EXPECT_TRUE(testing::same_bits(run(2, 3, false), expected)) << isa_name(isa);
        EXPECT_TRUE(testing::same_bits(run(3, 64, true), expected)) << isa_name(isa);
        EXPECT_TRUE(testing::same_bits(run(4, kTokens, false), expected)) << isa_name(isa);
      }
    }
  }
}

// A page's last owner left NaN in it; the next must not see them.
TEST(AttendLatent, StalePagesDoNotLeak) {
  const Shape shape{2, 32, 16};
  for (const Isa isa : host_isas()) {
    for (const KvType kv : {KvType::f32, KvType::bf16}) {
      const auto cpu = make_cpu(isa, 2, kv);
      OneLayer layer(*cpu, shape, 1);
      Sequences first(1);
      const auto expected = layer.run(first.step({{0, {1, 2, 3}}}));

      const std::vector<float> poison(3 * 48, std::nanf(""));
      const Weight table =
          cpu->pack({std::as_bytes(std::span(poison)), DType::f32, 1, 3 * 48, "nan"});
      Sequences second(1);
      const Batch batch = second.step({{0, std::vector<std::int32_t>(kPageTokens, 0)}});
      EXPECT_TRUE(std::isnan(layer.run(batch, table).front()));

      Sequences third(1);
      EXPECT_TRUE(testing::same_bits(layer.run(third.step({{0, {1, 2, 3}}})), expected));
    }
  }
}

// One row of latent_dim + rope_dim elements a token, stored once.
TEST(AttendLatent, TakesOneRowForEachToken) {
  const LayerState state[] = {PagedLatent{512, 64}, PagedLatent{512, 64}};
  const std::size_t elements = std::size_t{2} * 576 * kPageTokens;
  EXPECT_EQ(make_cpu(Isa::base, 1, KvType::bf16)->page_bytes(state), elements * 2);
  EXPECT_EQ(make_cpu(Isa::base, 1, KvType::f32)->page_bytes(state), elements * 4);
  EXPECT_EQ(RefBackend().page_bytes(state), elements * 4);
}

TEST(AttendLatent, RefusesWhatDoesNotFitTheCache) {
  const auto cpu = make_cpu(Isa::base, 2);
  OneLayer layer(*cpu, {2, 32, 16}, 1);
  Sequences sequences(2);
  EXPECT_THROW(layer.run(sequences.step({{0, random_tokens(65, 50, 1)}})), BackendError);

  const LayerState keys_and_values[] = {PagedKv{1, 48, 0}};
  OneLayer other(*cpu, {2, 32, 16}, 1);
  cpu->allocate_state(keys_and_values, 1, 0);
  Sequences short_one(1);
  EXPECT_THROW(other.run(short_one.step({{0, {1}}})), BackendError);
}

struct HeadsShape {
  DType type;
  int heads, rows, cols, keep;
};

std::vector<float> run_linear_heads(Backend& backend, const HeadsShape& shape, int tokens) {
  const Weight table =
      pack_random(backend, DType::f32, 50, shape.heads * (shape.cols + shape.keep), 1, 1);
  std::vector<Weight> heads;
  heads.reserve(static_cast<std::size_t>(shape.heads));
  for (int h = 0; h < shape.heads; ++h) {
    heads.push_back(pack_random(backend, shape.type, shape.rows, shape.cols,
                                static_cast<unsigned>(h) + 2, 0.2F));
  }
  Sequences sequences(8);
  const auto out = backend.run(sequences.step({{0, random_tokens(tokens, 50, 1)}}),
                               [&](Ops& ops, const Batch& b) {
                                 return ops.linear_heads(ops.embed(table, b), heads, shape.keep);
                               });
  return {out.begin(), out.end()};
}

TEST(LinearHeads, AgreesWithRefAndDoesNotDependOnTheBatch) {
  for (const HeadsShape& shape :
       {HeadsShape{DType::f32, 4, 24, 16, 8}, HeadsShape{DType::bf16, 3, 40, 33, 0},
        HeadsShape{DType::q8_0, 2, 20, 64, 5}, HeadsShape{DType::bf16, 16, 512, 128, 64},
        HeadsShape{DType::f32, 1, 1, 2, 1}}) {
    RefBackend ref;
    const auto expected = run_linear_heads(ref, shape, 21);
    for (const Isa isa : host_isas()) {
      const auto got = run_linear_heads(*make_cpu(isa, 3), shape, 21);
      EXPECT_LT(testing::relative_error(got, expected), shape.type == DType::f32 ? 1e-6F : 1e-2F)
          << isa_name(isa) << " " << shape.heads << " heads";
      const auto one = run_linear_heads(*make_cpu(isa, 2), shape, 1);
      EXPECT_TRUE(std::equal(one.begin(), one.end(), got.begin())) << isa_name(isa);
    }
  }
}

}  // namespace
}  // namespace rbee::cpu
