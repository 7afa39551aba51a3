// What one sequence gets must not depend on the others in the batch, on how its prompt was cut, or
// on who had its pages before: bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "fixture.hpp"

namespace rbee::conformance {
namespace {

using testing::Logits;
using testing::Stepper;
using Tokens = std::vector<std::int32_t>;

class BatchingTest : public ::testing::TestWithParam<std::tuple<Fixture, Device>> {
 protected:
  const Fixture fixture_ = std::get<0>(GetParam());
  const Golden golden_ = Golden::read(fixture_.golden);
  Running run_{fixture_.model, std::get<1>(GetParam())};

  Logits alone(const Tokens& tokens) {
    Stepper::Sequence sequence;
    Logits logits = run_.stepper->feed(sequence, tokens);
    run_.stepper->reset(sequence);
    return logits;
  }

  // Five sequences of different lengths: the golden prompt, parts of it, and one of over a page
  // where the model has so many positions.
  std::vector<Tokens> prompts() const {
    const Tokens& prompt = golden_.prompt;
    Tokens tail(prompt.begin() + 3, prompt.end());
    Tokens reversed(prompt.rbegin(), prompt.rend());
    Tokens longer;
    const auto most = static_cast<std::size_t>(run_.model->info().max_context);
    while (longer.size() < kPageTokens + 9) {
      longer.insert(longer.end(), prompt.begin(), prompt.end());
    }
    longer.resize(std::min(longer.size(), most));
    return {prompt, tail, {prompt[1]}, longer, reversed};
  }
};

TEST_P(BatchingTest, ChunksDoNotMatter) {
  const Logits expected = alone(golden_.prompt);
  for (const int chunk : {1, 2, 3, 7}) {
    Stepper::Sequence sequence;
    EXPECT_EQ(run_.stepper->feed(sequence, golden_.prompt, chunk), expected) << "chunk " << chunk;
    run_.stepper->reset(sequence);
  }
}

// Every step takes a different number of tokens from each sequence, down to single ones beside
// prompts of dozens.
TEST_P(BatchingTest, OtherSequencesDoNotMatter) {
  const std::vector<Tokens> all = prompts();
  std::vector<Stepper::Sequence> sequences(all.size());
  std::vector<std::size_t> fed(all.size());
  std::vector<Logits> got(all.size());
  constexpr std::array<std::size_t, 4> kSizes{5, 1, 40, 2};
  for (std::size_t round = 0;; ++round) {
    std::vector<Stepper::Piece> pieces;
    std::vector<std::size_t> who;
    for (std::size_t s = 0; s < all.size(); ++s) {
      const std::size_t n = std::min(kSizes[(round + s) % kSizes.size()], all[s].size() - fed[s]);
      if (n == 0) continue;
      pieces.push_back({&sequences[s], std::span(all[s]).subspan(fed[s], n)});
      who.push_back(s);
      fed[s] += n;
    }
    if (pieces.empty()) break;
    const std::vector<Logits> step = run_.stepper->step(pieces);
    for (std::size_t p = 0; p < pieces.size(); ++p) {
      got[who[p]].insert(got[who[p]].end(), step[p].begin(), step[p].end());
    }
  }
  for (Stepper::Sequence& sequence : sequences) run_.stepper->reset(sequence);
  for (std::size_t s = 0; s < all.size(); ++s) {
    EXPECT_EQ(got[s], alone(all[s])) << "sequence " << s;
  }
}

TEST_P(BatchingTest, FormerOwnersOfAPageDoNotMatter) {
  const Logits expected = alone(golden_.prompt);
  for (const Tokens& other : prompts()) alone(other);
  EXPECT_EQ(alone(golden_.prompt), expected);
}

std::string test_name(const ::testing::TestParamInfo<BatchingTest::ParamType>& info) {
  return std::get<0>(info.param).name + "_" + std::get<1>(info.param).name;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, BatchingTest,
                         ::testing::Combine(::testing::ValuesIn(fixtures()),
                                            ::testing::ValuesIn(devices())),
                         test_name);

}  // namespace
}  // namespace rbee::conformance
