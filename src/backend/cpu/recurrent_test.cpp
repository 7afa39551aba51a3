// Ops with recurrent state: against the reference backend, and against themselves with the tokens
// cut into other steps, beside other sequences, by other numbers of threads.
#include <functional>
#include <map>

#include "backend/cpu/test_rig.hpp"

namespace rbee::cpu {
namespace {

using testing::host_isas;
using testing::make_cpu;
using testing::pack_random;
using testing::pack_random_vector;
using testing::random_tokens;
using testing::Sequences;

constexpr int kVocab = 40;
constexpr int kSeqs = 4;

struct Case {
  std::string name;
  std::size_t floats;  // of state
  // Packs weights and gives the forward of one op, from inputs that embed makes.
  std::function<std::function<Tensor(Ops&, const Batch&)>(Backend&)> build;
};

// How many tokens each sequence takes in each step.
using Schedule = std::vector<std::vector<int>>;

// The outputs of each sequence, for the same tokens in every schedule of equal sums.
std::vector<std::vector<float>> run(Backend& backend, const Case& c, const Schedule& schedule) {
  const auto forward = c.build(backend);
  const std::vector<LayerState> layers{Recurrent{64}, Recurrent{(c.floats + 3) * sizeof(float)}};
  backend.allocate_state(layers, 0, kSeqs);
  std::vector<std::vector<float>> outputs(kSeqs);
  for (const unsigned owner : {1U, 2U}) {  // the first leaves its state in the slots
    Sequences sequences(64);
    std::vector<std::size_t> fed(kSeqs);
    for (auto& output : outputs) output.clear();
    for (const auto& counts : schedule) {
      std::vector<Sequences::Piece> pieces;
      for (int s = 0; s < kSeqs; ++s) {
        const auto index = static_cast<std::size_t>(s);
        if (counts[index] == 0) continue;
        const auto all = random_tokens(100, kVocab, owner * 10 + static_cast<unsigned>(s));
        const auto begin = all.begin() + static_cast<std::ptrdiff_t>(fed[index]);
        pieces.push_back({s, {begin, begin + counts[index]}});
        fed[index] += static_cast<std::size_t>(counts[index]);
      }
      auto values = backend.run(sequences.step(pieces), forward);
      std::size_t rows = 0;
      for (const auto& piece : pieces) rows += piece.tokens.size();
      for (const auto& piece : pieces) {
        const auto part = values.first(values.size() / rows * piece.tokens.size());
        auto& output = outputs[static_cast<std::size_t>(piece.seq)];
        output.insert(output.end(), part.begin(), part.end());
        values = values.subspan(part.size());
        rows -= piece.tokens.size();
      }
    }
  }
  return outputs;
}

const Schedule kRagged{{5, 1, 0, 2}, {1, 1, 9, 0}, {0, 3, 1, 1}, {20, 1, 1, 1}, {1, 1, 0, 30}};
const Schedule kWhole{{27, 0, 0, 0}, {0, 7, 0, 0}, {0, 0, 11, 34}};

void check(const Case& c, float tolerance) {
  RefBackend ref;
  const auto expected = run(ref, c, kRagged);
  EXPECT_EQ(run(ref, c, kWhole), expected) << c.name;
  for (const Isa isa : host_isas()) {
    const auto one = make_cpu(isa, 1);
    const auto found = run(*one, c, kRagged);
    for (std::size_t s = 0; s < kSeqs; ++s) {
      EXPECT_LT(testing::relative_error(found[s], expected[s]), tolerance)
          << c.name << ", " << one->name() << ", sequence " << s;
    }
    for (const int threads : {1, 3}) {
      const auto cpu = make_cpu(isa, threads);
      EXPECT_EQ(run(*cpu, c, kWhole), found) << c.name << ", " << cpu->name();
    }
  }
}

TEST(Recurrent, ShortConv) {
  for (const int channels : {1, 15, 16, 17, 64, 100, 200}) {
    for (const int width : {1, 2, 4, 5}) {
      for (const bool plain : {false, true}) {
        const auto build = [=](Backend& backend) {
          const Weight table = pack_random(backend, DType::f32, kVocab, channels + 3, 1, 1);
          ShortConv conv{.width = width, .taps = pack_random_vector(backend, width * channels, 2)};
          if (!plain) conv.bias = pack_random_vector(backend, channels, 3);
          if (!plain) conv.act = Activation::silu;
          return [=](Ops& ops, const Batch& batch) {
            const Tensor x = ops.embed(table, batch);
            return ops.short_conv(x.columns(3, channels), conv, batch, {1, 2});
          };
        };
        check({"short_conv of " + std::to_string(channels) + " by " + std::to_string(width),
               ShortConv::state_floats(width, channels), build},
              2e-6F);
      }
    }
  }
}

TEST(Recurrent, RefusesSlotsThatAreTooSmall) {
  const auto cpu = make_cpu(Isa::base, 2);
  const Weight table = pack_random(*cpu, DType::f32, kVocab, 32, 1, 1);
  const ShortConv conv{.width = 4, .taps = pack_random_vector(*cpu, 128, 2)};
  const std::vector<LayerState> layers{PagedKv{1, 2, 0}, Recurrent{64}};
  cpu->allocate_state(layers, 2, 2);
  Sequences sequences(2);
  const Batch batch = sequences.step({{0, {1}}});
  for (const int layer : {-1, 0, 1, 2}) {
    const auto forward = [&](Ops& ops, const Batch& b) {
      return ops.short_conv(ops.embed(table, b), conv, b, {layer, 0});
    };
    EXPECT_THROW(cpu->run(batch, forward), BackendError) << layer;
  }
}

}  // namespace
}  // namespace rbee::cpu
