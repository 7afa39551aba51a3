#include "base/parallel.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace rbee {
namespace {

TEST(Parallel, DoesEachPieceOnce) {
  constexpr std::size_t kPieces = 1000;
  for (const int threads : {0, 1, 3}) {
    std::vector<std::atomic<int>> done(kPieces);
    std::atomic<std::size_t> highest{0};
    run_parallel(kPieces, threads, [&](std::size_t piece, std::size_t thread) {
      ++done[piece];
      if (thread > highest) highest = thread;
    });
    for (const auto& count : done) EXPECT_EQ(count, 1);
    EXPECT_LT(highest, 3U);
  }
  run_parallel(0, 2, [](std::size_t, std::size_t) { FAIL(); });
}

TEST(Parallel, ThrowsWhatAPieceThrew) {
  std::atomic<int> calls{0};
  const auto work = [&](std::size_t piece, std::size_t) {
    ++calls;
    if (piece == 1) throw std::runtime_error("piece 1");
  };
  EXPECT_THROW(run_parallel(1'000'000, 2, work), std::runtime_error);
  EXPECT_LT(calls, 1'000'000);
}

}  // namespace
}  // namespace rbee
