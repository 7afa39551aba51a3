// Speed of the recurrent kernels, one thread, on each instruction set of the host, in shapes of
// released models: microseconds a token of one layer, and GB/s of state read and written.
//   decode:  one token of all heads in turn.
//   prefill: 64 tokens of each head at once.
// Usage: recurrent_bench [isa ...]. Best of many runs, which a busy machine disturbs least.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string_view>
#include <vector>

#include "backend/cpu/kernels/recurrent.hpp"

namespace rbee::cpu {
namespace {

constexpr int kTokens = 64;
constexpr int kUnit = 64;  // channels of a call, as in cpu_recurrent.cpp

// The best time of f in seconds.
template <class F>
double seconds_of(const F& f) {
  using Clock = std::chrono::steady_clock;
  double best = 1e9;
  const auto start = Clock::now();
  for (int i = 0; i < 3 || Clock::now() - start < std::chrono::milliseconds(200); ++i) {
    const auto begin = Clock::now();
    f();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return best;
}

// Rows of numbers for any input; values do not change the time.
class Layer {
 public:
  Layer(int channels, int state_size)
      : channels_(channels),
        state_size_(state_size),
        input_(static_cast<std::size_t>(channels) * kTokens, 0.1F),
        rates_(static_cast<std::size_t>(channels) * static_cast<std::size_t>(state_size), -0.5F),
        state_(rates_.size()),
        out_(2 * input_.size()),
        scratch_(Wkv7Head::kScratchRows * static_cast<std::size_t>(channels)) {}

  Rows rows(int first) const { return {input_.data() + first, channels_}; }
  const float* vector(int first) const { return input_.data() + first; }
  float* state(int first) {
    return state_.data() + static_cast<std::ptrdiff_t>(first) * state_size_;
  }

  void selective_scan(const RecurrentKernels& k, int tokens) {
    for (int i = 0; i < channels_; i += kUnit) {
      const ScanChannels part{.x = rows(i),
                              .dt = rows(i),
                              .gate = rows(i),
                              .b = rows(0),
                              .c = rows(0),
                              .a = rates_.data() + i,
                              .a_stride = channels_,
                              .d = vector(i),
                              .state_size = state_size_,
                              .state = state(i),
                              .out = out_.data() + i,
                              .out_stride = channels_};
      k.selective_scan(part, tokens, kUnit);
    }
  }
  void ssd_scan(const RecurrentKernels& k, int tokens, int size) {
    for (int i = 0; i < channels_; i += size) {
      const SsdHead head{.x = rows(i),
                         .gate = rows(i),
                         .dt = rows(0),
                         .b = rows(0),
                         .c = rows(0),
                         .a = -0.5F,
                         .d = 1,
                         .dt_bias = 0,
                         .dt_min = 0,
                         .dt_max = 10,
                         .state_size = state_size_,
                         .state = state(i),
                         .out = out_.data() + i,
                         .out_stride = channels_};
      k.ssd_scan(head, tokens, size);
    }
  }
  void wkv6(const RecurrentKernels& k, int tokens) {
    for (int i = 0; i < channels_; i += state_size_) {
      const Wkv6Head head{.r = rows(i),
                          .k = rows(i),
                          .v = rows(i),
                          .decay = rows(i),
                          .w = nullptr,
                          .u = vector(i),
                          .state = state(i),
                          .out = out_.data() + i,
                          .out_stride = channels_,
                          .scratch = scratch_.data()};
      k.wkv6(head, tokens, state_size_);
    }
  }
  void wkv7(const RecurrentKernels& k, int tokens) {
    for (int i = 0; i < channels_; i += state_size_) {
      const Wkv7Head head{.r = rows(i),
                          .decay = rows(i),
                          .k = rows(i),
                          .v = rows(i),
                          .rate = rows(i),
                          .first = rows(i),
                          .first_gate = rows(i),
                          .key_scale = vector(i),
                          .key_rate = vector(i),
                          .bonus_scale = vector(i),
                          .state = state(i),
                          .out = out_.data() + i,
                          .bonus = out_.data() + input_.size() + i,
                          .out_stride = channels_,
                          .scratch = scratch_.data()};
      k.wkv7(head, tokens, state_size_);
    }
  }

  double state_bytes() const { return static_cast<double>(state_.size() * sizeof(float)); }

 private:
  int channels_, state_size_;
  std::vector<float> input_, rates_, state_, out_, scratch_;
};

template <class F>
void report(const char* what, Layer& layer, const F& run) {
  const double decode = seconds_of([&] { run(1); });
  const double prefill = seconds_of([&] { run(kTokens); }) / kTokens;
  std::printf("  %-34s %9.1f %9.1f us/token %7.1f GB/s\n", what, decode * 1e6, prefill * 1e6,
              2 * layer.state_bytes() / decode * 1e-9);
}

void bench(Isa isa) {
  const RecurrentKernels& k = recurrent_kernels(isa);
  std::printf("%s %38s %9s\n", isa_name(isa), "decode", "prefill");
  Layer mamba(5120, 16);
  report("selective_scan (mamba 2.8b)", mamba, [&](int n) { mamba.selective_scan(k, n); });
  Layer mamba2(8192, 128);
  report("ssd_scan (mamba-codestral 7b)", mamba2, [&](int n) { mamba2.ssd_scan(k, n, 64); });
  Layer rwkv(4096, 64);
  report("wkv6 (rwkv6 7b)", rwkv, [&](int n) { rwkv.wkv6(k, n); });
  Layer rwkv7(2560, 64);
  report("wkv7 (rwkv7 2.9b)", rwkv7, [&](int n) { rwkv7.wkv7(k, n); });
}

}  // namespace
}  // namespace rbee::cpu

int main(int argc, char** argv) {
  using namespace rbee::cpu;
  for (const Isa isa : kAllIsas) {
    if (!isa_supported(isa)) continue;
    const auto wanted = [&](const char* name) { return std::string_view(name) == isa_name(isa); };
    if (argc == 1 || std::any_of(argv + 1, argv + argc, wanted)) bench(isa);
  }
}
