#include "engine/scheduler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "engine/batch_builder.hpp"

namespace rbee {
namespace {

constexpr int kPage = kPageTokens;

// Plays the engine: makes sequences, runs steps, and counts.
class SchedulerTest : public testing::Test {
 protected:
  void set_up(int n_pages, const SchedulerOptions& options, int n_slots = 0) {
    cache_ = std::make_unique<StateCache>(n_pages, n_slots);
    scheduler_ = std::make_unique<Scheduler>(*cache_, options);
  }

  Sequence& add(int n_prompt, int n_answer = 1000) {
    auto sequence = std::make_unique<Sequence>();
    sequence->arrival = arrivals_++;
    sequence->tokens.assign(n_prompt, 7);
    sequence->n_prompt = n_prompt;
    sequence->limit = n_prompt + n_answer;
    Sequence& reference = *sequence;
    scheduler_->add(std::move(sequence));
    return reference;
  }

  // One step; how many tokens each sequence had in it, by arrival.
  std::map<std::uint64_t, int> step() {
    std::map<std::uint64_t, int> taken;
    const auto slices = scheduler_->next();
    const std::vector<Slice> copy(slices.begin(), slices.end());
    for (const Slice& slice : copy) {
      Sequence& s = *slice.sequence;
      EXPECT_TRUE(taken.emplace(s.arrival, slice.n_tokens).second) << "twice in a step";
      EXPECT_GT(slice.n_tokens, 0);
      if (cache_->paged()) {
        EXPECT_GE(static_cast<int>(s.state->pages().size()),
                  pages_for(s.n_computed + slice.n_tokens));
      }
      const bool wants_token = slice.reaches_end();
      s.n_computed += slice.n_tokens;
      if (!wants_token) continue;
      s.tokens.push_back(8);
      if (s.n_tokens() >= s.limit) scheduler_->remove(s);
    }
    return taken;
  }

  using Step = std::map<std::uint64_t, int>;
  std::unique_ptr<StateCache> cache_;
  std::unique_ptr<Scheduler> scheduler_;
  std::uint64_t arrivals_ = 0;
};

TEST_F(SchedulerTest, NothingToDoIsAnEmptyStep) {
  set_up(10, {});
  EXPECT_TRUE(scheduler_->next().empty());
}

TEST_F(SchedulerTest, DecodesComeFirstAndPrefillFillsTheRest) {
  set_up(100, {.max_sequences = 4, .max_batch_tokens = 10});
  add(3);
  EXPECT_EQ(step(), (Step{{0, 3}}));
  add(25);
  EXPECT_EQ(step(), (Step{{0, 1}, {1, 9}}));
  EXPECT_EQ(step(), (Step{{0, 1}, {1, 9}}));
  add(2);
  EXPECT_EQ(step(), (Step{{0, 1}, {1, 7}, {2, 2}}));  // what is left of the budget goes on
  EXPECT_EQ(step(), (Step{{0, 1}, {1, 1}, {2, 1}}));
}

TEST_F(SchedulerTest, PromptsAreTakenInOrderOfArrival) {
  set_up(100, {.max_sequences = 4, .max_batch_tokens = 8});
  add(10);
  add(10);
  EXPECT_EQ(step(), (Step{{0, 8}}));
  EXPECT_EQ(step(), (Step{{0, 2}, {1, 6}}));
  EXPECT_EQ(step(), (Step{{0, 1}, {1, 4}}));
}

TEST_F(SchedulerTest, SmallBudgetsStillServeEverySequence) {
  set_up(100, {.max_sequences = 4, .max_batch_tokens = 1});
  for (int i = 0; i < 4; ++i) add(1);
  step();
  EXPECT_EQ(step().size(), 4u);
}

TEST_F(SchedulerTest, RoomMadeBeforeAStepIsWhatTheStepMakes) {
  set_up(5, {.max_sequences = 4, .max_batch_tokens = 1000});
  Sequence& a = add(2 * kPage, kPage);
  Sequence& b = add(2 * kPage - 1, kPage);
  step();
  step();  // a took the last page, now b wants one
  a.n_drafted = 7;
  b.n_drafted = 5;
  scheduler_->make_room_to_decode();
  EXPECT_EQ(a.state->pages().size(), 3u);
  EXPECT_FALSE(b.state);
  EXPECT_EQ(a.n_drafted, 7);
  EXPECT_EQ(b.n_drafted, 0);  // with its pages goes what was drafted
  EXPECT_EQ(scheduler_->preemptions(), 1u);
  EXPECT_EQ(step(), (Step{{0, 1}}));
  EXPECT_EQ(scheduler_->preemptions(), 1u);
}

TEST_F(SchedulerTest, NeverMoreThanMaxSequences) {
  set_up(100, {.max_sequences = 2, .max_batch_tokens = 100});
  for (int i = 0; i < 5; ++i) add(1, 2);
  EXPECT_EQ(step(), (Step{{0, 1}, {1, 1}}));
  EXPECT_EQ(scheduler_->n_running(), 2);
  EXPECT_EQ(scheduler_->n_waiting(), 3);
  EXPECT_EQ(step(), (Step{{0, 1}, {1, 1}}));
  EXPECT_EQ(step(), (Step{{2, 1}, {3, 1}}));
}

TEST_F(SchedulerTest, NobodyOvertakesASequenceThatWaitsForPages) {
  set_up(6, {.max_sequences = 4, .max_batch_tokens = 1000});
  add(4 * kPage, kPage);
  step();
  add(3 * kPage);
  add(1);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(step(), (Step{{0, 1}}));
  EXPECT_EQ(scheduler_->n_waiting(), 2);
}

TEST_F(SchedulerTest, TheLastToArriveGivesItsPagesBackAndResumes) {
  set_up(4, {.max_sequences = 4, .max_batch_tokens = 1000});
  Sequence& a = add(kPage, 2 * kPage);
  Sequence& b = add(kPage - 10, 2 * kPage);
  step();
  while (b.state) step();
  // a wanted its third page.
  EXPECT_EQ(scheduler_->preemptions(), 1u);
  EXPECT_EQ(b.n_computed, 0);
  EXPECT_EQ(a.state->pages().size(), 3u);
  const int b_tokens = b.n_tokens();
  EXPECT_GT(b_tokens, kPage);
  while (scheduler_->n_waiting() > 0) {
    const Step taken = step();
    if (b.state) break;
    ASSERT_EQ(taken, (Step{{0, 1}})) << "b came back while a needs the room";
  }
  EXPECT_EQ(b.n_computed, b_tokens);  // at once, from prompt and answer
  while (scheduler_->n_running() > 0) step();
  EXPECT_TRUE(cache_->usage().nothing_used());
}

TEST_F(SchedulerTest, PausedSequencesKeepTheirPlaceWhileThereIsRoom) {
  set_up(100, {.max_sequences = 3, .max_batch_tokens = 4});
  Sequence& a = add(2);
  Sequence& b = add(8);
  EXPECT_EQ(step(), (Step{{0, 2}, {1, 2}}));
  a.paused = true;
  b.paused = true;
  EXPECT_TRUE(step().empty());
  EXPECT_TRUE(a.state && b.state);
  EXPECT_EQ(b.n_computed, 2);
  b.paused = false;
  EXPECT_EQ(step(), (Step{{1, 4}}));
  a.paused = false;
  EXPECT_EQ(step(), (Step{{0, 1}, {1, 2}}));
  EXPECT_EQ(scheduler_->preemptions(), 0u);
}

TEST_F(SchedulerTest, PausedSequencesGiveWayToWaitingOnes) {
  set_up(100, {.max_sequences = 2, .max_batch_tokens = 100});
  Sequence& a = add(2);
  Sequence& b = add(2);
  step();
  a.paused = true;
  b.paused = true;
  add(2);
  EXPECT_EQ(step(), (Step{{2, 2}}));
  EXPECT_TRUE(a.state);  // the one that arrived last went
  EXPECT_FALSE(b.state);
  b.paused = false;  // and comes back as soon as it can, at the cost of the other
  EXPECT_EQ(step(), (Step{{1, 3}, {2, 1}}));
  EXPECT_FALSE(a.state);
}

TEST_F(SchedulerTest, PausedSequencesGivePagesToDecodes) {
  set_up(3, {.max_sequences = 3, .max_batch_tokens = 1000});
  Sequence& a = add(kPage - 1);
  Sequence& b = add(1);
  Sequence& c = add(1);
  step();
  a.paused = true;
  EXPECT_EQ(step(), (Step{{1, 1}, {2, 1}}));
  while (b.n_tokens() < kPage + 2) step();
  EXPECT_FALSE(a.state);  // the oldest, but it is the one that is not read
  EXPECT_EQ(scheduler_->preemptions(), 1u);
  while (c.state) step();
  EXPECT_TRUE(b.state);
  EXPECT_EQ(scheduler_->preemptions(), 2u);  // one page for two: c had to go as well
}

TEST_F(SchedulerTest, AUselessEvictionIsNotMade) {
  set_up(10, {.max_sequences = 3, .max_batch_tokens = 1000});
  Sequence& a = add(6 * kPage);
  Sequence& b = add(2 * kPage);
  step();
  b.paused = true;
  add(5 * kPage);
  EXPECT_EQ(step(), (Step{{0, 1}}));
  EXPECT_TRUE(a.state && b.state);
}

TEST_F(SchedulerTest, PausedWaitingSequencesAreSkipped) {
  set_up(100, {.max_sequences = 1, .max_batch_tokens = 100});
  add(1, 3);
  Sequence& b = add(1);
  b.paused = true;
  add(1);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(step(), (Step{{0, 1}}));
  EXPECT_EQ(step(), (Step{{2, 1}}));
}

// One slot for two sequences, and no pages at all: the second waits, or takes the place of the
// first when that is paused.
TEST_F(SchedulerTest, WithoutPagesSlotsDecide) {
  set_up(0, {.max_sequences = 2, .max_batch_tokens = 100}, 1);
  Sequence& a = add(3);
  add(5);
  EXPECT_EQ(step(), (Step{{0, 3}}));
  EXPECT_EQ(step(), (Step{{0, 1}}));
  a.paused = true;
  EXPECT_EQ(step(), (Step{{1, 5}}));
  EXPECT_EQ(a.n_computed, 0);
  EXPECT_FALSE(a.state);
  a.paused = false;
  EXPECT_EQ(step(), (Step{{1, 1}}));
  EXPECT_EQ(scheduler_->preemptions(), 1u);
}

TEST_F(SchedulerTest, RemovalGivesBackWhateverIsHeld) {
  set_up(20, {.max_sequences = 2, .max_batch_tokens = 100}, 2);
  Sequence& decoding = add(3);
  step();
  Sequence& prefilling = add(5 * kPage);
  step();
  Sequence& waiting = add(3);
  EXPECT_GT(prefilling.n_pending(), 1);
  EXPECT_EQ(scheduler_->all().size(), 3u);
  EXPECT_EQ(scheduler_->remove(prefilling).get(), &prefilling);
  EXPECT_EQ(cache_->usage().pages_free, 19);
  EXPECT_EQ(cache_->usage().slots_free, 1);
  const auto removed = scheduler_->remove(waiting);
  EXPECT_EQ(removed.get(), &waiting);
  EXPECT_NE(scheduler_->remove(decoding), nullptr);
  EXPECT_EQ(scheduler_->remove(*removed), nullptr);
  EXPECT_TRUE(cache_->usage().nothing_used());
  EXPECT_TRUE(scheduler_->all().empty());
}

TEST_F(SchedulerTest, ASequenceThatNeedsTheWholePoolGetsIt) {
  set_up(4, {.max_sequences = 4, .max_batch_tokens = 50});
  for (int i = 0; i < 4; ++i) add(4 * kPage - 3, 3);
  int steps = 0;
  while (scheduler_->n_running() + scheduler_->n_waiting() > 0) {
    ASSERT_FALSE(step().empty());
    ASSERT_LT(++steps, 1000);
  }
}

// Scripted chaos: arrivals, pauses and cancellations at random with few pages. Every step keeps the
// rules, and once all are read everything ends.
TEST_F(SchedulerTest, RandomHistoriesKeepTheRulesAndEnd) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    const auto up_to = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    const int n_pages = 4 + up_to(12);
    const SchedulerOptions options{.max_sequences = 1 + up_to(8),
                                   .max_batch_tokens = 1 + up_to(200)};
    const int budget = std::max(options.max_batch_tokens, options.max_sequences);
    set_up(n_pages, options, options.max_sequences);
    int steps = 0;
    int to_come = 40;
    while (to_come > 0 || !scheduler_->all().empty()) {
      ASSERT_LT(++steps, 60000) << "seed " << seed << " does not end";
      if (to_come > 0 && up_to(3) == 0) {
        const int n_prompt = 1 + up_to(4 * kPage - 1);
        add(n_prompt, 1 + up_to(4 * kPage - n_prompt));
        --to_come;
      }
      for (Sequence* s : scheduler_->all()) {
        if (up_to(10) == 0) s->paused = to_come > 0 && !s->paused;
        if (to_come == 0) s->paused = false;
        if (up_to(300) == 0) scheduler_->remove(*s);
      }
      const Step taken = step();
      int n_tokens = 0;
      for (const auto& [arrival, n] : taken) n_tokens += n;
      ASSERT_LE(n_tokens, budget);
      ASSERT_LE(scheduler_->n_running(), options.max_sequences);
      std::set<std::int32_t> pages;
      std::size_t n_held = 0;
      bool can_go_on = false;
      for (const Sequence* s : scheduler_->all()) {
        can_go_on |= !s->paused;
        if (!s->state) continue;
        pages.insert(s->state->pages().begin(), s->state->pages().end());
        n_held += s->state->pages().size();
      }
      ASSERT_EQ(pages.size(), n_held);
      ASSERT_EQ(cache_->usage().pages_free, n_pages - static_cast<int>(n_held));
      ASSERT_TRUE(!taken.empty() || !can_go_on || n_held == 0) << "stuck";
    }
    ASSERT_TRUE(cache_->usage().nothing_used());
  }
}

TEST_F(SchedulerTest, BatchesDescribeTheSlices) {
  set_up(20, {.max_sequences = 4, .max_batch_tokens = kPage + 10}, 4);
  Sequence& a = add(3);
  step();
  add(2 * kPage);
  a.tokens.back() = 42;
  BatchBuilder builder;
  const auto slices = scheduler_->next();
  const Batch batch = builder.build(slices, true);
  ASSERT_EQ(batch.n_seqs(), 2);
  EXPECT_EQ(batch.n_tokens(), kPage + 10);
  EXPECT_EQ(batch.tokens[0], 42);
  EXPECT_EQ(batch.positions[0], 3);
  EXPECT_EQ(batch.positions[1], 0);
  EXPECT_EQ(batch.positions[kPage + 9], kPage + 8);
  EXPECT_EQ(std::vector(batch.seq_begin.begin(), batch.seq_begin.end()),
            (std::vector<std::int32_t>{0, 1, kPage + 10}));
  EXPECT_EQ(std::vector(batch.kv_len.begin(), batch.kv_len.end()),
            (std::vector<std::int32_t>{4, kPage + 9}));
  EXPECT_EQ(std::vector(batch.page_begin.begin(), batch.page_begin.end()),
            (std::vector<std::int32_t>{0, 1, 3}));
  EXPECT_EQ(batch.pages[0], slices[0].sequence->state->pages()[0]);
  EXPECT_EQ(batch.pages[2], slices[1].sequence->state->pages()[1]);
  EXPECT_EQ(std::vector(batch.logit_rows.begin(), batch.logit_rows.end()),
            std::vector<std::int32_t>{0});  // the prompt does not reach its end
  EXPECT_EQ(batch.slots[1], slices[1].sequence->state->slot());
  EXPECT_TRUE(builder.build(slices, false).slots.empty());
}

}  // namespace
}  // namespace rbee
