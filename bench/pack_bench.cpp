// Speed of packing: GB/s of file bytes of a matrix [8192, 2048] that one thread makes panels of.
// Usage: pack_bench [type ...]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "backend/cpu/kernels/matmul_testing.hpp"
#include "checkpoint/dequantize.hpp"

namespace rbee::cpu {
namespace {

void measure(PanelType type) {
  constexpr int kRows = 8192, kCols = 2048;
  const std::size_t bytes = kRows * file_row_bytes(type, kCols);
  const std::vector<std::byte> file(bytes, std::byte{0x35});
  testing::Buffer packed(static_cast<std::size_t>(panel_count(kRows)) * panel_bytes(type, kCols));
  double best = 1e9;
  for (int i = 0; i < 7; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    pack_panels(type, file.data(), kRows, kCols, 0, panel_count(kRows), packed.data());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    best = std::min(best, took.count());
  }
  std::printf("%-8s %6.2f GB/s\n", std::string(info(static_cast<DType>(type)).name).c_str(),
              static_cast<double>(bytes) / best / 1e9);
}

}  // namespace
}  // namespace rbee::cpu

int main(int argc, char** argv) {
  using namespace rbee;
  for (const cpu::PanelType type : cpu::testing::kAllPanelTypes) {
    const auto named = [&](const char* arg) { return info(static_cast<DType>(type)).name == arg; };
    if (argc == 1 || std::any_of(argv + 1, argv + argc, named)) cpu::measure(type);
  }
}
