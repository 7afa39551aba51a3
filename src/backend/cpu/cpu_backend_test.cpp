// Whole steps of a small Llama: against the reference backend, and against themselves cut in other
// ways.
#include "backend/cpu/cpu_backend.hpp"

#include "backend/cpu/test_rig.hpp"

namespace rbee::cpu {
namespace {

using testing::host_isas;
using testing::make_cpu;
using testing::MiniLlama;
using testing::MiniShape;
using testing::random_tokens;
using testing::Sequences;

constexpr int kPages = 64;

// Logits of a sequence fed in chunks.
std::vector<float> feed(MiniLlama& model, const std::vector<std::int32_t>& tokens, int chunk) {
  Sequences sequences(kPages);
  std::vector<float> logits;
  const int n = static_cast<int>(tokens.size());
  for (int begin = 0; begin < n; begin += chunk) {
    const int end = std::min(begin + chunk, n);
    const Batch batch = sequences.step({{0, {tokens.begin() + begin, tokens.begin() + end}}});
    const auto part = model.run(batch);
    logits.insert(logits.end(), part.begin(), part.end());
  }
  return logits;
}

struct Case {
  const char* name;
  MiniShape shape;
  float tolerance;
};

const Case kCases[] = {
    {"f32", {}, 1e-5F},
    {"f32 adjacent", {.pairing = RopePairing::adjacent}, 1e-5F},
    {"f32 window", {.window = 20}, 1e-5F},
    {"odd sizes",
     {.hidden = 50, .heads = 6, .kv_heads = 1, .head_dim = 6, .mlp = 37, .vocab = 61},
     1e-5F},
    {"bf16", {.type = DType::bf16}, 0.02F},
    {"q8_0", {.type = DType::q8_0, .head_dim = 32}, 0.02F},
    {"q8_0 long heads", {.type = DType::q8_0, .heads = 3, .kv_heads = 3, .head_dim = 96}, 0.02F},
};

TEST(CpuBackend, AgreesWithRefOnEveryIsa) {
  const auto tokens = random_tokens(150, 60, 1);
  for (const Case& c : kCases) {
    RefBackend ref;
    MiniLlama expected_model(ref, c.shape, kPages);
    const auto expected = feed(expected_model, tokens, 150);
    for (const Isa isa : host_isas()) {
      const auto cpu = make_cpu(isa, 2);
      MiniLlama model(*cpu, c.shape, kPages);
      EXPECT_LT(testing::relative_error(feed(model, tokens, 150), expected), c.tolerance)
          << c.name << " " << cpu->name();
    }
  }
}

TEST(CpuBackend, ChunksAndThreadsChangeNoBit) {
  const auto tokens = random_tokens(150, 60, 2);
  for (const Case& c : kCases) {
    for (const Isa isa : host_isas()) {
      const auto one = make_cpu(isa, 1);
      MiniLlama whole(*one, c.shape, kPages);
      const auto expected = feed(whole, tokens, 150);
      for (const auto& [threads, chunk] : {std::pair{1, 1}, {1, 3}, {2, 7}, {2, 64}, {3, 150}}) {
        const auto cpu = make_cpu(isa, threads);
        MiniLlama model(*cpu, c.shape, kPages);
        EXPECT_TRUE(testing::same_bits(feed(model, tokens, chunk), expected))
            << c.name << " " << cpu->name() << " chunk " << chunk;
      }
    }
  }
}

}  // namespace
}  // namespace rbee::cpu
