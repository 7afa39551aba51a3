#include "state/window_rings.hpp"

#include <gtest/gtest.h>

namespace rbee {
namespace {

int ring(const LayerState& layer) { return std::get<PagedKv>(layer).ring_pages; }

TEST(WindowRings, OnlyLayersWithAWindowGetThem) {
  const std::vector<LayerState> layers{PagedKv{2, 64, 0}, PagedKv{2, 64, 100}, PagedLatent{512, 64},
                                       Recurrent{1000}};
  const auto out = with_rings(layers, 100'000, 512);
  EXPECT_EQ(ring(out[0]), 0);
  EXPECT_EQ(ring(out[1]), 11);  // 612 tokens, and a page more
  EXPECT_EQ(std::get<PagedLatent>(out[2]).latent_dim, 512);
  EXPECT_EQ(std::get<Recurrent>(out[3]).bytes, 1000U);
}

TEST(WindowRings, AreOfNoUseForShortContexts) {
  const std::vector<LayerState> layers{PagedKv{2, 64, 100}};
  EXPECT_EQ(ring(with_rings(layers, 11 * kPageTokens, 512)[0]), 0);
  EXPECT_EQ(ring(with_rings(layers, 11 * kPageTokens + 1, 512)[0]), 11);
}

// Every step, wherever it begins, reads and writes pages that differ in the ring.
TEST(WindowRings, HoldWhatAnyStepReaches) {
  for (const int window : {1, 2, 63, 64, 65, 200}) {
    for (const int step : {1, 2, 63, 64, 65, 130}) {
      const int pages =
          ring(with_rings(std::vector<LayerState>{PagedKv{1, 2, window}}, 1 << 20, step)[0]);
      for (int first = 0; first < 300; ++first) {
        const int oldest = std::max(0, first - window + 1);
        EXPECT_LT((first + step - 1) / kPageTokens - oldest / kPageTokens, pages)
            << window << " " << step << " " << first;
      }
    }
  }
}

}  // namespace
}  // namespace rbee
