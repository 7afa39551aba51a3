// Speed of attention over paged keys and values, one thread, on each instruction set of the host:
//   decode:  the queries of one token; GB/s of keys and values, and the share of a loop that only
//            reads the same memory.
//   prefill: 64 queries; 10^9 operations a second (2 for each multiply-add).
// Usage: attention_bench [isa ...]. The figure of a depth is the sum of the best times of its
// heads, which a busy machine disturbs least.
#include <emmintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string_view>
#include <vector>

#include "backend/cpu/huge_memory.hpp"
#include "backend/cpu/kernels/attention.hpp"

namespace rbee::cpu {
namespace {

constexpr int kPartKeys = 256;

struct Shape {
  const char* name;
  int kv_heads;
  int group;
  int head_dim;
};
constexpr Shape kShapes[] = {
    {"8x4 d64", 8, 4, 64}, {"3x3 d64", 3, 3, 64}, {"1x4 d256", 1, 4, 256}, {"8x4 d128", 8, 4, 128}};

// Sum over heads of the best times of f(head), the heads taken in turn so that each finds the
// caches as the others left them.
template <class F>
double seconds_of_heads(int heads, const F& f) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> best(static_cast<std::size_t>(heads), 1e9);
  const auto start = Clock::now();
  for (int i = 0; i < 5 || Clock::now() - start < std::chrono::milliseconds(200); ++i) {
    for (int h = 0; h < heads; ++h) {
      const auto begin = Clock::now();
      f(h);
      double& b = best[static_cast<std::size_t>(h)];
      b = std::min(b, std::chrono::duration<double>(Clock::now() - begin).count());
    }
  }
  double sum = 0;
  for (const double b : best) sum += b;
  return sum;
}

struct State {
  State(int rows, int dim) : memory(static_cast<std::size_t>(rows * (32 + padded_dim(dim)))) {
    view = {memory.data(), memory.data() + 16 * rows, memory.data() + 32 * rows};
  }
  std::vector<float> memory;
  AttentionState view;
};

class Bench {
 public:
  Bench(Isa isa, KvStore store, const Shape& shape, int depth)
      : kernels_(attention_kernels(isa)),
        store_(store),
        shape_(shape),
        depth_(depth),
        page_bytes_(key_bytes(store, shape.head_dim) + value_bytes(store, shape.head_dim)),
        head_bytes_(page_bytes_ * static_cast<std::size_t>(depth / kKeyBlock)),
        memory_(head_bytes_ * static_cast<std::size_t>(shape.kv_heads), "keys and values") {
    const std::vector<float> token(static_cast<std::size_t>(shape.head_dim), 0.125F);
    for (int h = 0; h < shape.kv_heads; ++h) {
      for (int t = 0; t < depth; ++t) {
        kernels_.store(store, token.data(), token.data(), shape.head_dim, t % kKeyBlock,
                       page(h, t / kKeyBlock));
      }
    }
  }

  double seconds(int rows) {
    std::vector<std::byte> queries(static_cast<std::size_t>(rows * shape_.head_dim) * 4);
    const std::vector<std::int32_t> positions(static_cast<std::size_t>(rows), depth_ - 1);
    const AttentionRows r{queries.data(), positions.data(), rows, shape_.head_dim, 0.1F, 0};
    State total(rows, shape_.head_dim);
    State part(rows, shape_.head_dim);
    return seconds_of_heads(shape_.kv_heads, [&](int head) {
      kernels_.clear(total.view, rows, shape_.head_dim);
      for (int begin = 0; begin < depth_; begin += kPartKeys) {
        kernels_.clear(part.view, rows, shape_.head_dim);
        for (int key = begin; key < std::min(depth_, begin + kPartKeys); key += kKeyBlock) {
          const int i = key / kKeyBlock;
          const std::byte* next = key + kKeyBlock < depth_ ? page(head, i + 1) : nullptr;
          kernels_.attend(store_, r, page(head, i), key, next, part.view);
        }
        kernels_.merge(total.view, part.view, rows, shape_.head_dim);
      }
    });
  }

  double read_seconds() {
    std::int64_t sink = 0;
    const double s = seconds_of_heads(shape_.kv_heads, [&](int head) {
      __m128i sums[8] = {};
      const std::byte* p = page(head, 0);
      for (std::size_t i = 0; i < head_bytes_; i += sizeof sums) {
        const auto* from = reinterpret_cast<const __m128i*>(p + i);
#pragma GCC unroll 8
        for (int k = 0; k < 8; ++k) sums[k] = _mm_xor_si128(sums[k], _mm_load_si128(from + k));
      }
      for (const __m128i& v : sums) sink ^= _mm_cvtsi128_si64(v);
    });
    return sink == 1 ? 0 : s;
  }

  double bytes() const { return static_cast<double>(head_bytes_) * shape_.kv_heads; }
  // Multiply-adds of all heads, twice.
  double operations(int rows) const {
    return 4.0 * rows * depth_ * shape_.head_dim * shape_.kv_heads;
  }

 private:
  std::byte* page(int head, int index) {
    return memory_.bytes().data() + head_bytes_ * static_cast<std::size_t>(head) +
           page_bytes_ * static_cast<std::size_t>(index);
  }

  const AttentionKernels& kernels_;
  KvStore store_;
  Shape shape_;
  int depth_;
  std::size_t page_bytes_;
  std::size_t head_bytes_;
  HugeMemory memory_;
};

void run(Isa isa) {
  std::printf("%s\n", isa_name(isa));
  for (const KvStore store : {KvStore::bf16, KvStore::f32}) {
    for (const Shape& shape : kShapes) {
      for (const int depth : {128, 4096, 16384}) {
        Bench bench(isa, store, shape, depth);
        const double decode = bench.seconds(shape.group);
        const double read = bench.read_seconds();
        const double prefill = depth <= 4096 ? bench.seconds(64) : 0;
        std::printf("  %-4s %-9s depth %5d  decode %8.1f us %6.1f GB/s (%3.0f %% of reading)",
                    store == KvStore::bf16 ? "bf16" : "f32", shape.name, depth, decode * 1e6,
                    bench.bytes() / decode / 1e9, 100 * read / decode);
        if (prefill > 0)
          std::printf("  prefill %6.1f GFLOP/s", bench.operations(64) / prefill / 1e9);
        std::printf("\n");
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
