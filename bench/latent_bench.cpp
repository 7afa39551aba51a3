// Attention over latents (512 + 64 elements a token, as DeepSeek and Kimi have them) by one thread,
// on each instruction set of the host: the heads of one token over so many keys. GB/s of latents,
// the share of a loop that only reads the same memory, and 10^9 operations a second (2 for each
// multiply-add).
// Usage: latent_bench [isa ...]. The figure is that of the best time, which a busy machine disturbs
// least.
#include <emmintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string_view>
#include <vector>

#include "backend/cpu/huge_memory.hpp"
#include "backend/cpu/kernels/latent.hpp"

namespace rbee::cpu {
namespace {

constexpr int kPartKeys = 256;
constexpr int kLatent = 512;
constexpr int kWidth = 576;

template <class F>
double best_seconds(const F& f) {
  using Clock = std::chrono::steady_clock;
  double best = 1e9;
  const auto start = Clock::now();
  for (int i = 0; i < 5 || Clock::now() - start < std::chrono::milliseconds(300); ++i) {
    const auto begin = Clock::now();
    f();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return best;
}

struct State {
  explicit State(int rows) : memory(static_cast<std::size_t>(rows * (32 + kLatent))) {
    view = {memory.data(), memory.data() + 16 * rows, memory.data() + 32 * rows};
  }
  std::vector<float> memory;
  AttentionState view;
};

class Bench {
 public:
  Bench(Isa isa, KvStore store, int heads, int depth)
      : attention_(attention_kernels(isa)),
        latent_(latent_kernels(isa)),
        store_(store),
        heads_(heads),
        depth_(depth),
        page_bytes_(latent_page_bytes(store, kWidth)),
        memory_(page_bytes_ * static_cast<std::size_t>(depth / kKeyBlock), "latents") {
    const std::vector<float> token(kWidth, 0.125F);
    for (int t = 0; t < depth; ++t) {
      latent_.store(store, token.data(), kWidth, t % kKeyBlock, page(t / kKeyBlock));
    }
  }

  double attend_seconds() {
    const std::vector<std::byte> queries(static_cast<std::size_t>(heads_ * kWidth) * 4);
    const std::vector<std::int32_t> positions(static_cast<std::size_t>(heads_), depth_ - 1);
    const LatentRows rows{{queries.data(), positions.data(), heads_, kWidth, 0.1F, 0}, kLatent};
    State total(heads_);
    State part(heads_);
    return best_seconds([&] {
      attention_.clear(total.view, heads_, kLatent);
      for (int begin = 0; begin < depth_; begin += kPartKeys) {
        attention_.clear(part.view, heads_, kLatent);
        for (int key = begin; key < std::min(depth_, begin + kPartKeys); key += kKeyBlock) {
          const int i = key / kKeyBlock;
          const std::byte* next = key + kKeyBlock < depth_ ? page(i + 1) : nullptr;
          latent_.attend(store_, rows, page(i), key, next, part.view);
        }
        attention_.merge(total.view, part.view, heads_, kLatent);
      }
    });
  }

  double read_seconds() {
    volatile std::int64_t sink = 0;
    const auto bytes = memory_.bytes();
    return best_seconds([&] {
      __m128i sums[8] = {};
      for (std::size_t i = 0; i < bytes.size(); i += sizeof sums) {
        const auto* from = reinterpret_cast<const __m128i*>(bytes.data() + i);
#pragma GCC unroll 8
        for (int k = 0; k < 8; ++k) sums[k] = _mm_xor_si128(sums[k], _mm_load_si128(from + k));
      }
      for (const __m128i& v : sums) sink = sink ^ _mm_cvtsi128_si64(v);
    });
  }

  double bytes() const { return static_cast<double>(memory_.bytes().size()); }
  double operations() const { return 2.0 * heads_ * depth_ * (kWidth + kLatent); }

 private:
  std::byte* page(int index) {
    return memory_.bytes().data() + page_bytes_ * static_cast<std::size_t>(index);
  }

  const AttentionKernels& attention_;
  const LatentKernels& latent_;
  KvStore store_;
  int heads_;
  int depth_;
  std::size_t page_bytes_;
  HugeMemory memory_;
};

void run(Isa isa) {
  std::printf("%s\n", isa_name(isa));
  for (const KvStore store : {KvStore::bf16, KvStore::f32}) {
    for (const int heads : {16, 64, 128}) {
      for (const int depth : {512, 4096}) {
        Bench bench(isa, store, heads, depth);
        const double attend = bench.attend_seconds();
        const double read = bench.read_seconds();
        std::printf(
            "  %-4s %3d heads, depth %5d  %9.1f us %6.1f GB/s (%3.0f %% of reading) %7.1f "
            "GFLOP/s\n",
            store == KvStore::bf16 ? "bf16" : "f32", heads, depth, attend * 1e6,
            bench.bytes() / attend / 1e9, 100 * read / attend, bench.operations() / attend / 1e9);
      }
    }
  }
}

}  // namespace
}  // namespace rbee::cpu

int main(int argc, char** argv) {
  for (const rbee::cpu::Isa isa : rbee::cpu::kAllIsas) {
    bool wanted = argc == 1;
    for (int i = 1; i < argc; ++i) wanted = wanted || argv[i] == std::string_view(isa_name(isa));
    if (wanted && isa_supported(isa)) rbee::cpu::run(isa);
  }
}
