// Ops with recurrent state: against the reference backend, and against themselves with the tokens
// cut into other steps, beside other sequences, by other numbers of threads.
#include <cmath>
#include <functional>

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

// -exp of random numbers.
Weight pack_rates(Backend& backend, int n, unsigned seed) {
  auto values = testing::random_values(static_cast<std::size_t>(n), seed, 0.7F);
  for (float& v : values) v = -std::exp(v);
  return backend.pack_vector(values);
}

TEST(Recurrent, SelectiveScan) {
  for (const int channels : {1, 15, 17, 64, 100, 200}) {
    for (const int states : {1, 3, 16}) {
      const auto build = [=](Backend& backend) {
        const int cols = 3 * channels + 2 * states;
        const Weight table = pack_random(backend, DType::f32, kVocab, cols, 1, 1.5F);
        const SelectiveScan scan{.state = states,
                                 .a = pack_rates(backend, states * channels, 2),
                                 .d = pack_random_vector(backend, channels, 3)};
        return [=](Ops& ops, const Batch& batch) {
          const Tensor x = ops.embed(table, batch);
          const ScanInputs in{.x = x.columns(0, channels),
                              .dt = x.columns(channels, channels),
                              .b = x.columns(3 * channels, states),
                              .c = x.columns(3 * channels + states, states),
                              .gate = x.columns(2 * channels, channels)};
          return ops.selective_scan(in, scan, batch, {1, 3});
        };
      };
      check({"selective_scan of " + std::to_string(channels) + " by " + std::to_string(states),
             SelectiveScan::state_floats(states, channels), build},
            3e-6F);
    }
  }
}

TEST(Recurrent, SsdScan) {
  struct Shape {
    int heads, groups, size, states;
  };
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{6, 2, 16, 16}, Shape{4, 4, 15, 7},
                             Shape{3, 1, 64, 128}, Shape{2, 1, 100, 5}, Shape{6, 3, 33, 2}}) {
    const auto build = [=](Backend& backend) {
      const int channels = shape.heads * shape.size;
      const int shared = shape.groups * shape.states;
      const int cols = 2 * channels + 2 * shared + shape.heads;
      const Weight table = pack_random(backend, DType::f32, kVocab, cols, 1, 1.5F);
      const SsdScan scan{.heads = shape.heads,
                         .groups = shape.groups,
                         .state = shape.states,
                         .a = pack_rates(backend, shape.heads, 2),
                         .d = pack_random_vector(backend, shape.heads, 3),
                         .dt_bias = pack_random_vector(backend, shape.heads, 4),
                         .dt_min = 0.3F,
                         .dt_max = 2};
      return [=](Ops& ops, const Batch& batch) {
        const Tensor x = ops.embed(table, batch);
        const ScanInputs in{.x = x.columns(0, channels),
                            .dt = x.columns(cols - shape.heads, shape.heads),
                            .b = x.columns(2 * channels, shared),
                            .c = x.columns(2 * channels + shared, shared),
                            .gate = x.columns(channels, channels)};
        return ops.ssd_scan(in, scan, batch, {1, 3});
      };
    };
    check({"ssd_scan of " + std::to_string(shape.heads) + " by " + std::to_string(shape.size),
           SsdScan::state_floats(shape.states, shape.heads * shape.size), build},
          5e-6F);
  }
}

TEST(Recurrent, TokenShiftAndLerp) {
  for (const int cols : {1, 16, 37, 600}) {
    for (const int repeats : {1, 3}) {
      const auto build = [=](Backend& backend) {
        const Weight table = pack_random(backend, DType::f32, kVocab, cols + 5, 1, 1);
        const Weight other = pack_random(backend, DType::f32, kVocab, repeats * cols, 2, 1);
        const Weight factors = pack_random_vector(backend, repeats * cols, 3);
        const Weight weight = pack_random_vector(backend, cols, 4);
        return [=](Ops& ops, const Batch& batch) {
          const Tensor x = ops.rms_norm(ops.embed(table, batch).columns(5, cols), weight, 1e-5F);
          const Tensor delta = ops.token_shift(x, batch, {1, 3});
          const Tensor plain = ops.lerp(x, delta, factors, {});
          ops.add(plain, ops.lerp(x, delta, factors, ops.embed(other, batch)));
          return plain;
        };
      };
      check({"token_shift of " + std::to_string(cols), static_cast<std::size_t>(cols), build},
            2e-6F);
    }
  }
}

TEST(Recurrent, Wkv6) {
  for (const int size : {1, 7, 16, 50, 64, 128}) {
    for (const bool fixed : {false, true}) {
      const int cols = 3 * size;
      const auto build = [=](Backend& backend) {
        const Weight table = pack_random(backend, DType::f32, kVocab, 4 * cols, 1, 1);
        Wkv6 wkv{.heads = 3, .bonus = pack_random_vector(backend, cols, 2)};
        auto decay = testing::random_values(static_cast<std::size_t>(cols), 3);
        for (float& v : decay) v = std::exp(-std::exp(v));
        if (fixed) wkv.decay = backend.pack_vector(decay);
        return [=](Ops& ops, const Batch& batch) {
          const Tensor x = ops.embed(table, batch);
          Wkv6Inputs in{x.columns(0, cols), x.columns(cols, cols), x.columns(2 * cols, cols)};
          if (!fixed) in.decay = x.columns(3 * cols, cols);
          return ops.wkv6(in, wkv, batch, {1, 3});
        };
      };
      check({"wkv6 of " + std::to_string(size), wkv_state_floats(3, cols), build}, 5e-6F);
    }
  }
}

TEST(Recurrent, Wkv7) {
  for (const int size : {1, 7, 16, 50, 64, 128}) {
    for (const bool mixes : {false, true}) {
      const int cols = 3 * size;
      const auto build = [=](Backend& backend) {
        const Weight table = pack_random(backend, DType::f32, kVocab, 7 * cols, 1, 1);
        const Wkv7 wkv{.heads = 3,
                       .key_scale = pack_random_vector(backend, cols, 2),
                       .key_rate = pack_random_vector(backend, cols, 3),
                       .bonus_scale = pack_random_vector(backend, cols, 4)};
        return [=](Ops& ops, const Batch& batch) {
          const Tensor x = ops.embed(table, batch);
          const auto part = [&](int i) { return x.columns(i * cols, cols); };
          Wkv7Inputs in{part(0), part(1), part(2), part(3), part(4)};
          if (mixes) in.first = part(5), in.first_gate = part(6);
          return ops.wkv7(in, wkv, batch, {1, 3});
        };
      };
      check({"wkv7 of " + std::to_string(size), wkv_state_floats(3, cols), build}, 1e-5F);
    }
  }
}

TEST(Recurrent, Kda) {
  for (const int size : {1, 7, 16, 50, 64, 128}) {
    const int cols = 3 * size;
    const auto build = [=](Backend& backend) {
      const Weight table = pack_random(backend, DType::f32, kVocab, 4 * cols + 3, 1, 1);
      const std::vector<float> rates{-0.05F, -0.4F, -3};
      const Kda kda{.heads = 3,
                    .rate = backend.pack_vector(rates),
                    .decay_bias = pack_random_vector(backend, cols, 2),
                    .scale = 0.3F};
      return [=](Ops& ops, const Batch& batch) {
        const Tensor x = ops.embed(table, batch);
        const auto part = [&](int i) { return x.columns(i * cols, cols); };
        const KdaInputs in{part(0), part(1), part(2), part(3), x.columns(4 * cols, 3)};
        return ops.kda(in, kda, batch, {1, 3});
      };
    };
    check({"kda of " + std::to_string(size), wkv_state_floats(3, cols), build}, 1e-5F);
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
