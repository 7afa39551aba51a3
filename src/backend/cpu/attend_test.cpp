// Attention over ragged batches against the reference backend, and bit for bit against other cuts.
#include "backend/cpu/attend.hpp"

#include "backend/cpu/test_rig.hpp"

namespace rbee::cpu {
namespace {

using testing::host_isas;
using testing::make_cpu;
using testing::pack_random;
using testing::pack_random_vector;
using testing::random_tokens;
using testing::Sequences;

struct Shape {
  int heads;
  int kv_heads;
  int head_dim;
  int window = 0;
  int rope_dims = -1;  // -1: the whole head
  RopePairing pairing = RopePairing::half;
  float softcap = 0;
  bool sinks = false;
};

// One attention layer; queries, keys and values come straight from an embedding table.
class OneLayer {
 public:
  OneLayer(Backend& backend, const Shape& shape, int n_pages) : backend_(backend) {
    table_ = pack_random(backend, DType::f32, 50,
                         (shape.heads + 2 * shape.kv_heads) * shape.head_dim, 1, 1);
    const int dims = shape.rope_dims < 0 ? shape.head_dim : shape.rope_dims;
    std::vector<float> freq(static_cast<std::size_t>(dims / 2));
    for (std::size_t j = 0; j < freq.size(); ++j) freq[j] = 1 / (1 + static_cast<float>(j));
    params_ = {
        shape.heads,    shape.kv_heads,
        shape.head_dim, 1 / std::sqrt(static_cast<float>(shape.head_dim)),
        shape.window,   {dims, shape.pairing, backend.pack_vector(freq), 0.9F},
        shape.softcap,  shape.sinks ? pack_random_vector(backend, shape.heads, 9) : Weight{}};
    const LayerState state[] = {PagedKv{shape.kv_heads, shape.head_dim, shape.window}};
    backend.allocate_state(state, n_pages, 0);
  }

  std::vector<float> run(const Batch& batch) {
    const auto out = backend_.run(batch, [this](Ops& ops, const Batch& b) {
      return ops.attend(ops.embed(table_, b), params_, b, 0);
    });
    return {out.begin(), out.end()};
  }

 private:
  Backend& backend_;
  Weight table_{};
  AttentionParams params_{};
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

struct Store {
  KvType type;
  const char* name;
  float error;  // relative to the largest value
};

const Store kStores[] = {{KvType::f32, "f32", 1e-6F},
                         {KvType::bf16, "bf16", 1e-2F},
                         {KvType::f16, "f16", 1e-3F},
                         {KvType::q8_0, "q8_0", 2e-2F},
                         {KvType::q4_0, "q4_0", 0.2F}};

const Shape kShapes[] = {
    {4, 2, 16},
    {4, 2, 16, 0, 8, RopePairing::adjacent},
    {3, 1, 64, 33},
    {2, 2, 80, 1},
    {9, 3, 64, 0, -1, RopePairing::adjacent},
    {8, 1, 128, 64},
    {6, 1, 96, 0, 0},
    {4, 1, 256, 20},
    {2, 1, 6, 70, 4},
    {71, 1, 16},
    {4, 2, 16, 0, -1, RopePairing::half, 2.0F},
    {4, 2, 32, 20, -1, RopePairing::half, 0, true},
    {6, 3, 64, 40, -1, RopePairing::half, 0.7F, true},
};

TEST(Attend, AgreesWithRef) {
  for (const Shape& shape : kShapes) {
    RefBackend ref;
    OneLayer expected_layer(ref, shape, kPages);
    const auto expected = ragged_steps(expected_layer);
    for (const Isa isa : host_isas()) {
      for (const Store& store : kStores) {
        const auto cpu = make_cpu(isa, 2, store.type);
        OneLayer layer(*cpu, shape, kPages);
        EXPECT_LT(testing::relative_error(ragged_steps(layer), expected), store.error)
            << cpu->name() << " heads " << shape.heads << "/" << shape.kv_heads << " of "
            << shape.head_dim << " window " << shape.window << " " << store.name;
      }
    }
  }
}

// Long enough for several parts: alone and token by token, in chunks beside other sequences, and
// divided among more workers.
TEST(Attend, NoCutChangesABit) {
  constexpr int kTokens = 3 * kPartKeys + 37;
  const auto tokens = random_tokens(kTokens, 50, 1);
  for (const Shape& shape : {Shape{3, 1, 32}, Shape{4, 2, 16, 300}, Shape{70, 1, 16, 200}}) {
    for (const Isa isa : host_isas()) {
      for (const Store& store : kStores) {
        const auto run = [&](int threads, int chunk, bool company) {
          const auto cpu = make_cpu(isa, threads, store.type);
          OneLayer layer(*cpu, shape, kPages);
          Sequences sequences(kPages);
          std::vector<float> all;
          for (int begin = 0; begin < kTokens; begin += chunk) {
            const int end = std::min(begin + chunk, kTokens);
            std::vector<Sequences::Piece> pieces;
            if (company) pieces.push_back({1, random_tokens(begin % 3, 50, 9)});
            if (company) pieces.push_back({2, {1}});
            pieces.push_back({0, {tokens.begin() + begin, tokens.begin() + end}});
            const Batch batch = sequences.step(pieces);
            const auto out = layer.run(batch);
            const auto width = std::ptrdiff_t{shape.heads} * shape.head_dim;
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
TEST(Attend, StalePagesDoNotLeak) {
  const Shape shape{2, 1, 16};
  for (const Isa isa : host_isas()) {
    for (const Store& store : kStores) {
      const auto cpu = make_cpu(isa, 2, store.type);
      OneLayer clean(*cpu, shape, 1);
      Sequences first(1);
      const auto expected = clean.run(first.step({{0, {1, 2, 3}}}));

      const std::vector<float> poison(64, std::nanf(""));
      const Weight table = cpu->pack({std::as_bytes(std::span(poison)), DType::f32, 1, 64, "nan"});
      Sequences second(1);
      const Batch batch = second.step({{0, std::vector<std::int32_t>(kPageTokens, 0)}});
      const AttentionParams params{2, 1, 16, 1, 0, {}};
      (void)cpu->run(batch, [&](Ops& ops, const Batch& b) {
        return ops.attend(ops.embed(table, b), params, b, 0);
      });

      Sequences third(1);
      EXPECT_TRUE(testing::same_bits(clean.run(third.step({{0, {1, 2, 3}}})), expected));
    }
  }
}

TEST(Attend, RefusesBatchesThatDoNotFitTheCache) {
  const auto cpu = make_cpu(Isa::base, 2);
  OneLayer layer(*cpu, {2, 1, 16}, 1);
  Sequences sequences(2);
  EXPECT_THROW(layer.run(sequences.step({{0, random_tokens(65, 50, 1)}})), BackendError);
}

}  // namespace
}  // namespace rbee::cpu
