#include "backend/cpu/memory_bandwidth.hpp"

#include <emmintrin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "backend/cpu/cpu_count.hpp"
#include "backend/cpu/huge_memory.hpp"
#include "backend/cpu/thread_pool.hpp"

namespace rbee {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{256} << 20;
constexpr int kPasses = 8;

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

double read_bandwidth_gb_s(int threads) {
  using Clock = std::chrono::steady_clock;
  cpu::ThreadPool pool(threads > 0 ? threads : cpu::usable_cores());
  const cpu::HugeMemory memory(kBufferBytes, "measuring bandwidth");
  const std::size_t share = kBufferBytes / static_cast<std::size_t>(pool.size()) / 64 * 64;
  const auto part = [&](int worker) {
    return memory.bytes().subspan(static_cast<std::size_t>(worker) * share, share);
  };
  pool.run([&](int worker) { std::memset(part(worker).data(), worker + 1, share); });
  std::atomic<std::int64_t> sink{0};
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    const auto start = Clock::now();
    pool.run(
        [&](int worker) { sink.fetch_xor(read_all(part(worker)), std::memory_order_relaxed); });
    const std::chrono::duration<double> took = Clock::now() - start;
    const double bytes = static_cast<double>(share) * pool.size();
    best = std::max(best, bytes / took.count() / 1e9);
  }
  return best;
}

}  // namespace rbee
