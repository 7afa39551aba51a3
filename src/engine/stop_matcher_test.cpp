#include "engine/stop_matcher.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace rbee {
namespace {

struct Found {
  std::size_t end = 0;
  std::size_t length = 0;
  std::size_t index = 0;
  friend bool operator==(const Found&, const Found&) = default;
};

std::optional<Found> find(const std::vector<std::string>& stop, std::string_view text) {
  StopMatcher matcher(stop);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (const auto match = matcher.feed(text[i])) return Found{i + 1, match->length, match->index};
  }
  return std::nullopt;
}

// The definition: the first end of any stop string; of those that end there the longest.
std::optional<Found> find_plainly(const std::vector<std::string>& stop, std::string_view text) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::optional<Found> best;
    for (std::size_t i = 0; i < stop.size(); ++i) {
      const std::size_t n = stop[i].size();
      if (n == 0 || !text.substr(0, end).ends_with(stop[i])) continue;
      if (!best || n > best->length) best = Found{end, n, i};
    }
    if (best) return best;
  }
  return std::nullopt;
}

TEST(StopMatcher, FindsWhatEndsFirst) {
  EXPECT_EQ(find({"abcd", "bc"}, "xabcd"), (Found{4, 2, 1}));
  EXPECT_EQ(find({"bc", "abc"}, "xabcd"), (Found{4, 3, 1}));
  EXPECT_EQ(find({"aab"}, "aaaab"), (Found{5, 3, 0}));
  EXPECT_EQ(find({"abab", "ababac"}, "abacababac"), (Found{8, 4, 0}));
  EXPECT_EQ(find({"x"}, "abc"), std::nullopt);
}

TEST(StopMatcher, EmptyStringsNeverMatch) {
  EXPECT_EQ(find({}, "abc"), std::nullopt);
  EXPECT_EQ(find({"", "c"}, "abc"), (Found{3, 1, 1}));
}

TEST(StopMatcher, HoldsTheLongestPossibleBeginning) {
  StopMatcher matcher({"abcabd", "cax"});
  const std::string text = "abcabcabxca";
  const std::vector<std::size_t> held{1, 2, 3, 4, 5, 3, 4, 5, 0, 1, 2};
  for (std::size_t i = 0; i < text.size(); ++i) {
    EXPECT_FALSE(matcher.feed(text[i]));
    EXPECT_EQ(matcher.n_held(), held[i]) << "after " << text.substr(0, i + 1);
  }
}

TEST(StopMatcher, AgreesWithTheDefinitionOnRandomTexts) {
  std::mt19937 random(1);
  const auto letters = [&](std::size_t n) {
    std::string text(n, 'a');
    for (char& c : text) c = random() % 3 == 0 ? 'b' : 'a';
    return text;
  };
  for (int turn = 0; turn < 5000; ++turn) {
    std::vector<std::string> stop(random() % 4);
    for (auto& s : stop) s = letters(random() % 7);
    const std::string text = letters(random() % 40);
    ASSERT_EQ(find(stop, text), find_plainly(stop, text));
  }
}

TEST(StopMatcher, TakesLinearTimeOnRepetition) {
  const std::vector<std::string> stop{std::string(5000, 'a') + "b", std::string(4999, 'a') + "c"};
  std::string text;
  for (int i = 0; i < 200; ++i) text += std::string(4998, 'a') + "d";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(find(stop, text), std::nullopt);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
}

}  // namespace
}  // namespace rbee
