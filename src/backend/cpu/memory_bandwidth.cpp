#include "backend/cpu/memory_bandwidth.hpp"

#include <emmintrin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "backend/cpu/cpu_count.hpp"

namespace rbee {
namespace {

constexpr std::size_t kLeastBytes = std::size_t{1} << 20;
constexpr std::size_t kMostBytes = std::size_t{1} << 30;
constexpr std::size_t kChunk = std::size_t{256} << 10;  // what a thread takes at a time
constexpr int kLeastPasses = 4;
constexpr double kSeconds = 0.1;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Some function of all the bytes, so that they must be read.
std::int64_t read_all(std::span<const std::byte> bytes) {
  __m128i sums[4] = {};
  const std::byte* p = bytes.data();
  for (std::size_t i = 0; i + 64 <= bytes.size(); i += 64) {
    for (int k = 0; k < 4; ++k) {
      sums[k] = _mm_xor_si128(sums[k], _mm_load_si128(reinterpret_cast<const __m128i*>(p + i) + k));
    }
  }
  const __m128i both =
      _mm_xor_si128(_mm_xor_si128(sums[0], sums[1]), _mm_xor_si128(sums[2], sums[3]));
  return _mm_cvtsi128_si64(both);
}

}  // namespace

ReadBandwidth::ReadBandwidth(int threads, std::size_t bytes)
    : pool_(std::min(threads > 0 ? threads : cpu::usable_cores(), cpu::ThreadPool::kMostThreads)),
      memory_(std::clamp(bytes, kLeastBytes, kMostBytes) / 64 * 64, "measuring bandwidth") {
  std::memset(memory_.bytes().data(), 1, memory_.bytes().size());
}

// A thread whose core is busy takes fewer chunks, as in the kernels.
double ReadBandwidth::pass() {
  const auto bytes = memory_.bytes();
  std::atomic<std::size_t> next{0};
  std::atomic<std::int64_t> sink{0};
  const auto start = Clock::now();
  pool_.run([&](int) {
    std::int64_t sum = 0;
    for (;;) {
      const std::size_t begin = next.fetch_add(kChunk, std::memory_order_relaxed);
      if (begin >= bytes.size()) break;
      sum ^= read_all(bytes.subspan(begin, std::min(kChunk, bytes.size() - begin)));
    }
    sink.fetch_xor(sum, std::memory_order_relaxed);
  });
  sink_ ^= sink;
  return static_cast<double>(bytes.size()) / seconds_since(start) / 1e9;
}

double ReadBandwidth::measure() {
  const auto start = Clock::now();
  double best = 0;
  for (int passes = 0; passes < kLeastPasses || seconds_since(start) < kSeconds; ++passes) {
    best = std::max(best, pass());
  }
  return best;
}

}  // namespace rbee
