// Speed of the mixture of experts: one layer of the shape of Qwen3-30B-A3B (128 experts of 2048 x
// 768, 8 chosen) in Q4_0. Usage: moe_bench [threads]
//   Few tokens: GB/s of the packed weights of the chosen experts, and the share of what all threads
//   together read from memory.
//   Many tokens: 10^9 operations a second, and the share of a dense MLP that does as many.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <set>
#include <vector>

#include "backend/cpu/cpu_backend.hpp"
#include "backend/cpu/memory_bandwidth.hpp"
#include "backend/routing.hpp"

namespace rbee {
namespace {

constexpr int kHidden = 2048, kWidth = 768, kExperts = 128, kTopK = 8;
constexpr int kTokens = 512;
constexpr DType kType = DType::q4_0;

std::vector<float> random_values(std::size_t n, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  for (float& v : values) v = normal(engine);
  return values;
}

// Random codes with a scale of 1/64.
Weight pack_quantised(Backend& backend, int rows, int cols) {
  constexpr std::uint16_t kScale = 0x2400;
  static const std::vector<std::byte> bytes = [] {
    std::mt19937 engine(1);
    const std::size_t most = std::size_t{kTopK} * kHidden * row_bytes(kType, kWidth);
    std::vector<std::byte> all(most);
    for (std::size_t i = 0; i < most; ++i) {
      const bool scale = i % 18 < 2;
      all[i] = static_cast<std::byte>(scale ? kScale >> (8 * (i % 18)) : engine());
    }
    return all;
  }();
  const std::size_t size =
      static_cast<std::size_t>(rows) * row_bytes(kType, static_cast<std::size_t>(cols));
  return backend.pack({std::span(bytes).first(size), kType, rows, cols, "random"});
}

class Bench {
 public:
  explicit Bench(int threads) : backend_({threads, "", KvType::automatic}) {
    const auto table = random_values(std::size_t{kTokens} * kHidden, 2);
    table_ =
        backend_.pack({std::as_bytes(std::span(table)), DType::f32, kTokens, kHidden, "table"});
    const auto router = random_values(std::size_t{kExperts} * kHidden, 3);
    moe_.router.weight =
        backend_.pack({std::as_bytes(std::span(router)), DType::f32, kExperts, kHidden, "router"});
    moe_.routing = {.top_k = kTopK, .normalise = true};
    for (int e = 0; e < kExperts; ++e) {
      moe_.experts.push_back({{pack_quantised(backend_, kWidth, kHidden)},
                              {pack_quantised(backend_, kWidth, kHidden)},
                              {pack_quantised(backend_, kHidden, kWidth)}});
    }
    dense_ = {{pack_quantised(backend_, kTopK * kWidth, kHidden)},
              {pack_quantised(backend_, kTopK * kWidth, kHidden)},
              {pack_quantised(backend_, kHidden, kTopK * kWidth)}};
    for (int t = 0; t < kTokens; ++t) {
      Router router_of;
      std::vector<float> logits(kExperts);
      for (int e = 0; e < kExperts; ++e) {
        for (int c = 0; c < kHidden; ++c) {
          logits[static_cast<std::size_t>(e)] += router[static_cast<std::size_t>(e * kHidden + c)] *
                                                 table[static_cast<std::size_t>(t * kHidden + c)];
        }
      }
      std::vector<ExpertChoice> choices(kTopK);
      router_of.route(moe_.routing, logits, nullptr, choices);
      choices_.push_back(std::move(choices));
    }
  }

  // How often the op is repeated in a step, each time with other tokens.
  static int repeats(int tokens) { return std::min(20, kTokens / tokens); }

  // Seconds of the op for so many tokens: the best of several steps that repeat it.
  double seconds(int tokens, bool dense) {
    const int n = repeats(tokens);
    const auto forward = [&](Ops& ops, const Batch& batch) {
      const Tensor all = ops.embed(table_, batch);
      const Tensor sum = ops.embed(table_, batch);
      for (int i = 0; i < n; ++i) {
        const auto scope = ops.scope();
        const Tensor x = rows(all, i * tokens, tokens), acc = rows(sum, i * tokens, tokens);
        if (dense) {
          ops.linear_add(acc, ops.gated(x, dense_.gate, dense_.up, Activation::silu), dense_.down);
        } else {
          ops.moe_add(acc, x, moe_);
        }
      }
      return rows(sum, 0, 1);
    };
    return best(n * tokens, forward) / n;
  }

  // Experts that each of the repeated ops reads, on average.
  double chosen(int tokens) const {
    std::size_t sum = 0;
    for (int i = 0; i < repeats(tokens); ++i) {
      std::set<int> experts;
      for (int t = i * tokens; t < (i + 1) * tokens; ++t) {
        for (const ExpertChoice& c : choices_[static_cast<std::size_t>(t)])
          experts.insert(c.expert);
      }
      sum += experts.size();
    }
    return static_cast<double>(sum) / repeats(tokens);
  }

  double expert_bytes() const {
    return static_cast<double>(2 * backend_.packed_bytes(kType, kWidth, kHidden) +
                               backend_.packed_bytes(kType, kHidden, kWidth));
  }

 private:
  static Tensor rows(const Tensor& x, int begin, int count) {
    return {x.data + static_cast<std::ptrdiff_t>(begin) * x.stride, count, x.cols, x.stride};
  }

  template <class Forward>
  double best(int tokens, const Forward& forward) {
    using Clock = std::chrono::steady_clock;
    std::vector<std::int32_t> ids(static_cast<std::size_t>(tokens));
    for (int t = 0; t < tokens; ++t) ids[static_cast<std::size_t>(t)] = t;
    const std::vector<std::int32_t> begin{0, tokens}, length{tokens}, pages{0, 0}, rows{0};
    const Batch batch{ids, ids, begin, length, {}, pages, {}, rows};
    double least = 1e9;
    for (int i = 0; i < 9; ++i) {
      const auto start = Clock::now();
      backend_.run(batch, forward);
      least = std::min(least, std::chrono::duration<double>(Clock::now() - start).count());
    }
    return least;
  }

  CpuBackend backend_;
  Weight table_{};
  MoeParams moe_{};
  Expert dense_{};
  std::vector<std::vector<ExpertChoice>> choices_;  // of each token
};

void run(int threads) {
  Bench bench(threads);
  ReadBandwidth bandwidth(threads, static_cast<std::size_t>(kExperts * bench.expert_bytes()));
  const double limit = bandwidth.measure();
  std::printf("reading memory: %.1f GB/s with %d threads\n", limit, threads);
  for (const int tokens : {1, 4, 8, 32, 128, 512}) {
    const double moe = bench.seconds(tokens, false), dense = bench.seconds(tokens, true);
    const double experts = bench.chosen(tokens);
    const double rate = experts * bench.expert_bytes() / moe * 1e-9;
    const double operations = 6.0 * kHidden * kWidth * kTopK * tokens / moe * 1e-9;
    std::printf(
        "%4d tokens, %5.1f experts: %7.3f ms, %5.1f GB/s (%4.2f), %6.1f GOP/s (%4.2f of dense)\n",
        tokens, experts, moe * 1e3, rate, rate / limit, operations, dense / moe);
  }
}

}  // namespace
}  // namespace rbee

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  if (threads < 1) return 1;
  rbee::run(threads);
  return 0;
}
