// Speed of the matrix products: each type on each instruction set of the host, one thread, beside
// the limits measured in the same process. Usage: matmul_bench [isa|type|K=cols|N=rows ...]
// (a small N gives the GEMM a chance to run undisturbed on a busy machine).
//   GEMV: one token, GB/s of packed weights, from the L2 cache and from memory, and the share of a
//         loop that only reads.
//   GEMM: 256 tokens, 10^9 operations a second, and the share of the multiply-add instruction
//   alone.
#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "backend/cpu/kernels/matmul_testing.hpp"

namespace rbee::cpu {
namespace {

using testing::Buffer;
using testing::RandomMatrix;

// Best seconds of a call, over at least 0.15 s and three calls.
template <class F>
double seconds(const F& f) {
  using Clock = std::chrono::steady_clock;
  double best = 1e9;
  double total = 0;
  for (int i = 0; i < 3 || total < 0.15; ++i) {
    const auto begin = Clock::now();
    f();
    const double s = std::chrono::duration<double>(Clock::now() - begin).count();
    best = std::min(best, s);
    total += s;
  }
  return best;
}

// Best seconds of all pieces of [0, count), each the best of some sweeps over them all.
template <class F>
double seconds_in_pieces(int count, int piece, const F& f) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> best(static_cast<std::size_t>((count + piece - 1) / piece), 1e9);
  const auto start = Clock::now();
  for (int sweep = 0; sweep < 5 || Clock::now() - start < std::chrono::milliseconds(100); ++sweep) {
    for (int i = 0; i < count; i += piece) {
      const auto begin = Clock::now();
      f(i, std::min(i + piece, count));
      const double s = std::chrono::duration<double>(Clock::now() - begin).count();
      double& b = best[static_cast<std::size_t>(i / piece)];
      b = std::min(b, s);
    }
  }
  return std::accumulate(best.begin(), best.end(), 0.0);
}

// --- Limits ---

__attribute__((target("avx512f"))) void read_512(const std::byte* p, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += 256) {
    asm volatile(
        "vmovdqa64 (%0), %%zmm0\n\tvmovdqa64 64(%0), %%zmm1\n\t"
        "vmovdqa64 128(%0), %%zmm2\n\tvmovdqa64 192(%0), %%zmm3"
        :
        : "r"(p + i)
        : "xmm0", "xmm1", "xmm2", "xmm3");
  }
}

__attribute__((target("avx"))) void read_256(const std::byte* p, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += 128) {
    asm volatile(
        "vmovdqa (%0), %%ymm0\n\tvmovdqa 32(%0), %%ymm1\n\t"
        "vmovdqa 64(%0), %%ymm2\n\tvmovdqa 96(%0), %%ymm3"
        :
        : "r"(p + i)
        : "xmm0", "xmm1", "xmm2", "xmm3");
  }
}

void read_128(const std::byte* p, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += 64) {
    asm volatile(
        "movdqa (%0), %%xmm0\n\tmovdqa 16(%0), %%xmm1\n\t"
        "movdqa 32(%0), %%xmm2\n\tmovdqa 48(%0), %%xmm3"
        :
        : "r"(p + i)
        : "xmm0", "xmm1", "xmm2", "xmm3");
  }
}

void read_loop(Isa isa, const std::byte* p, std::size_t bytes) {
  if (isa == Isa::avx512) return read_512(p, bytes);
  if (isa == Isa::avx2) return read_256(p, bytes);
  read_128(p, bytes);
}

// Twelve independent instructions a round, 1000 rounds.
#define RBEE_TWELVE(op, a, b, r)                                                                  \
  op " " a ", " b ", " r "0\n\t" op " " a ", " b ", " r "1\n\t" op " " a ", " b ", " r "2\n\t" op \
     " " a ", " b ", " r "3\n\t" op " " a ", " b ", " r "4\n\t" op " " a ", " b ", " r "5\n\t" op \
     " " a ", " b ", " r "6\n\t" op " " a ", " b ", " r "7\n\t" op " " a ", " b ", " r "8\n\t" op \
     " " a ", " b ", " r "9\n\t" op " " a ", " b ", " r "10\n\t" op " " a ", " b ", " r "11\n\t"
#define RBEE_PEAK(name, isa, op, reg)                                                            \
  __attribute__((target(isa))) void name() {                                                     \
    for (int i = 0; i < 1000; ++i) {                                                             \
      asm volatile(RBEE_TWELVE(op, reg "14", reg "15", reg)::                                    \
                       : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
                         "xmm9", "xmm10", "xmm11");                                              \
    }                                                                                            \
  }
RBEE_PEAK(peak_dpbusd, "avx512f", "vpdpbusd", "%%zmm")
RBEE_PEAK(peak_dpbf16, "avx512f", "vdpbf16ps", "%%zmm")
RBEE_PEAK(peak_fma512, "avx512f", "vfmadd231ps", "%%zmm")
RBEE_PEAK(peak_maddubs, "avx2", "vpmaddubsw", "%%ymm")
RBEE_PEAK(peak_fma256, "avx2", "vfmadd231ps", "%%ymm")
void peak_madd128() {
  for (int i = 0; i < 1000; ++i) {
    asm volatile(
        "pmaddwd %%xmm14, %%xmm0\n\tpmaddwd %%xmm14, %%xmm1\n\tpmaddwd %%xmm14, %%xmm2\n\t"
        "pmaddwd %%xmm14, %%xmm3\n\tpmaddwd %%xmm14, %%xmm4\n\tpmaddwd %%xmm14, %%xmm5\n\t"
        "pmaddwd %%xmm14, %%xmm6\n\tpmaddwd %%xmm14, %%xmm7\n\tpmaddwd %%xmm14, %%xmm8\n\t"
        "pmaddwd %%xmm14, %%xmm9\n\tpmaddwd %%xmm14, %%xmm10\n\tpmaddwd %%xmm14, %%xmm11" ::
            : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
              "xmm10", "xmm11");
  }
}
void peak_mul128() {
  for (int i = 0; i < 1000; ++i) {
    asm volatile(
        "mulps %%xmm14, %%xmm0\n\tmulps %%xmm14, %%xmm1\n\tmulps %%xmm14, %%xmm2\n\t"
        "mulps %%xmm14, %%xmm3\n\tmulps %%xmm14, %%xmm4\n\tmulps %%xmm14, %%xmm5\n\t"
        "mulps %%xmm14, %%xmm6\n\tmulps %%xmm14, %%xmm7\n\tmulps %%xmm14, %%xmm8\n\t"
        "mulps %%xmm14, %%xmm9\n\tmulps %%xmm14, %%xmm10\n\tmulps %%xmm14, %%xmm11" ::
            : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
              "xmm10", "xmm11");
  }
}

// 10^9 operations a second (a multiplication and an addition are two) of the instruction that
// products with these activations are made of.
double peak(Isa isa, ActType act) {
  struct Limit {
    void (*f)();
    int operations;  // of one instruction
  };
  const auto limit = [&]() -> Limit {
    switch (isa) {
      case Isa::avx512:
        if (act == ActType::q8) return {peak_dpbusd, 128};
        return act == ActType::bf16 ? Limit{peak_dpbf16, 64} : Limit{peak_fma512, 32};
      case Isa::avx2:
        return act == ActType::q8 ? Limit{peak_maddubs, 64} : Limit{peak_fma256, 16};
      case Isa::base:
        break;
    }
    return act == ActType::q8 ? Limit{peak_madd128, 16} : Limit{peak_mul128, 8};
  }();
  return 12000.0 * limit.operations / seconds(limit.f) * 1e-9;
}

// --- Products ---

struct Speed {
  double rate;
  double share;
};

Speed gemv(const MatmulKernels& kernels, PanelType type, int cols, std::size_t bytes) {
  std::mt19937 rng(1);
  const std::size_t row = panel_bytes(type, cols) / kPanelRows;
  const int rows = std::max(kPanelRows, static_cast<int>(bytes / row) / kPanelRows * kPanelRows);
  // Large matrices repeat one panel: filling them anew for every type takes longer than the test.
  const RandomMatrix some = testing::random_matrix(type, kPanelRows, cols, rng);
  const std::size_t panel = some.panels.panel_bytes;
  const int panels = panel_count(rows);
  Buffer packed(panel * static_cast<std::size_t>(panels));
  for (int i = 0; i < panels; ++i) {
    std::memcpy(packed.data() + panel * static_cast<std::size_t>(i), some.packed.data(), panel);
  }
  const PanelMatrix w{packed.data(), type, rows, cols, panel};
  const std::vector<float> x = testing::random_activations(1, cols, rng);
  const Buffer act = testing::convert_all(kernels, kernels.act_type(type), x, 1, cols);
  std::vector<float> out(static_cast<std::size_t>(rows));
  const std::size_t total = panel * static_cast<std::size_t>(panels);
  // In pieces of about 2 MB, so that a piece now and then escapes the other work of the machine.
  const int piece = std::max(1, static_cast<int>((2 << 20) / panel));
  const double product = seconds_in_pieces(panels, piece, [&](int begin, int end) {
    kernels.matmul(w, begin, end, act.data(), 1, out.data(), rows, nullptr, false);
  });
  const double read = seconds_in_pieces(panels, piece, [&](int begin, int end) {
    read_loop(kernels.isa, packed.data() + panel * static_cast<std::size_t>(begin),
              panel * static_cast<std::size_t>(end - begin) / 256 * 256);
  });
  return {static_cast<double>(total) / product * 1e-9, read / product};
}

double gemm(const MatmulKernels& kernels, PanelType type, int cols, int rows, int tokens) {
  std::mt19937 rng(2);
  const RandomMatrix m = testing::random_matrix(type, rows, cols, rng);
  const std::vector<float> x = testing::random_activations(tokens, cols, rng);
  const Buffer act = testing::convert_all(kernels, kernels.act_type(type), x, tokens, cols);
  std::vector<float> out(static_cast<std::size_t>(rows) * static_cast<std::size_t>(tokens));
  const double time = seconds([&] {
    kernels.matmul(m.panels, 0, panel_count(rows), act.data(), tokens, out.data(), rows, nullptr,
                   false);
  });
  return 2.0 * rows * cols * tokens / time * 1e-9;
}

double convert_ns(const MatmulKernels& kernels, ActType type, int cols, int tokens) {
  std::mt19937 rng(3);
  const std::vector<float> x = testing::random_activations(tokens, cols, rng);
  Buffer act(kernels.act_bytes(type, tokens, cols));
  const int repeat = 1 + 100 / tokens;
  const double time = seconds([&] {
    for (int i = 0; i < repeat; ++i) {
      kernels.convert(type, x.data(), cols, tokens, 0, tokens, cols, act.data());
    }
  });
  return time * 1e9 / repeat / (static_cast<double>(cols) * tokens);
}

struct Options {
  std::vector<std::string_view> only;
  int cols = 2048;
  int rows = 64;

  // Whether a name is asked for: all are, unless some of its kind are named.
  bool wants(std::string_view name, bool of_this_kind) const {
    return !of_this_kind || std::find(only.begin(), only.end(), name) != only.end();
  }
};

void run(const Options& options) {
  const auto named = [&](std::string_view name) {
    return std::find(options.only.begin(), options.only.end(), name) != options.only.end();
  };
  const bool some_isas = std::any_of(std::begin(kAllIsas), std::end(kAllIsas),
                                     [&](Isa i) { return named(isa_name(i)); });
  const bool some_types =
      std::any_of(std::begin(testing::kTypeNames), std::end(testing::kTypeNames), named);
  std::printf("K = %d, N = %d\n%-7s %-5s  %16s  %16s  %16s  %7s %7s\n", options.cols, options.rows,
              "", "", "GEMV L2 GB/s", "GEMV memory", "GEMM GOP/s", "2 tok.", "4 tok.");
  for (const Isa isa : kAllIsas) {
    if (!isa_supported(isa) || !options.wants(isa_name(isa), some_isas)) continue;
    const MatmulKernels& kernels = matmul_kernels(isa);
    for (const PanelType type : testing::kAllPanelTypes) {
      const char* name = testing::kTypeNames[static_cast<int>(type)];
      if (!options.wants(name, some_types)) continue;
      const int cols = (options.cols + testing::block_values(type) - 1) /
                       testing::block_values(type) * testing::block_values(type);
      const Speed cached = gemv(kernels, type, cols, 600 << 10);
      const Speed memory = gemv(kernels, type, cols, 160 << 20);
      const double many = gemm(kernels, type, cols, options.rows, 256);
      std::printf("%-7s %-5s  %8.1f (%5.2f)  %8.1f (%5.2f)  %8.1f (%5.2f)  %7.1f %7.1f\n",
                  isa_name(isa), name, cached.rate, cached.share, memory.rate, memory.share, many,
                  many / peak(isa, kernels.act_type(type)), gemm(kernels, type, cols, 256, 2),
                  gemm(kernels, type, cols, 256, 4));
      std::fflush(stdout);
    }
    std::printf(
        "%-7s peaks: int8 %.0f, f32 %.0f GOP/s; quantise 1 / 256 tokens: %.2f / %.2f ns a value\n",
        isa_name(isa), peak(isa, ActType::q8), peak(isa, ActType::f32),
        convert_ns(kernels, ActType::q8, options.cols, 1),
        convert_ns(kernels, ActType::q8, options.cols, 256));
  }
}

}  // namespace
}  // namespace rbee::cpu

int main(int argc, char** argv) {
  rbee::cpu::Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg.starts_with("K=")) {
      options.cols = std::atoi(argv[i] + 2) / 32 * 32;
    } else if (arg.starts_with("N=")) {
      options.rows = std::atoi(argv[i] + 2);
    } else {
      options.only.push_back(arg);
    }
  }
  if (options.cols < 32 || options.rows < 1) return 1;
  rbee::cpu::run(options);
  return 0;
}
