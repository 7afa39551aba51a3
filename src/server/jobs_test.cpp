#include "server/jobs.hpp"

#include <gtest/gtest.h>

namespace rbee {
namespace {

using namespace std::chrono_literals;
using Clock = JobRegistry::Clock;

Job job(std::string id) { return {.id = std::move(id), .text = nullptr}; }

TEST(JobRegistry, GivesEachJobOnce) {
  JobRegistry jobs(4, 1s);
  ASSERT_TRUE(jobs.add(job("a"), Clock::now()));
  Job taken;
  EXPECT_EQ(jobs.take("b", nullptr, taken), JobRegistry::TakeResult::unknown);
  EXPECT_EQ(jobs.take("a", nullptr, taken), JobRegistry::TakeResult::ok);
  EXPECT_EQ(taken.id, "a");
  EXPECT_EQ(jobs.take("a", nullptr, taken), JobRegistry::TakeResult::taken);
  jobs.forget("a");
  EXPECT_EQ(jobs.take("a", nullptr, taken), JobRegistry::TakeResult::unknown);
  EXPECT_EQ(jobs.size(), 0U);
}

TEST(JobRegistry, IsBounded) {
  JobRegistry jobs(2, 1s);
  EXPECT_TRUE(jobs.add(job("a"), Clock::now()));
  EXPECT_TRUE(jobs.add(job("b"), Clock::now()));
  EXPECT_TRUE(jobs.full());
  EXPECT_FALSE(jobs.add(job("c"), Clock::now()));
  EXPECT_FALSE(jobs.known("c"));
}

TEST(JobRegistry, CancelsAndTellsTheReader) {
  JobRegistry jobs(4, 1s);
  jobs.add(job("a"), Clock::now());
  jobs.add(job("b"), Clock::now());
  int told = 0;
  Job taken;
  jobs.take(
      "a", [&] { ++told; }, taken);
  EXPECT_TRUE(jobs.cancel("a"));
  EXPECT_EQ(told, 1);
  EXPECT_FALSE(jobs.cancel("a"));
  EXPECT_TRUE(jobs.cancel("b"));
  EXPECT_EQ(jobs.size(), 0U);
}

TEST(JobRegistry, SweepsWhatNobodyReads) {
  JobRegistry jobs(4, 10s);
  const auto start = Clock::now();
  jobs.add(job("old"), start);
  jobs.add(job("read"), start);
  jobs.add(job("new"), start + 5s);
  Job taken;
  jobs.take("read", nullptr, taken);
  EXPECT_EQ(jobs.sweep(start + 9s), 0U);
  EXPECT_EQ(jobs.sweep(start + 10s), 1U);
  EXPECT_FALSE(jobs.known("old"));
  EXPECT_TRUE(jobs.known("read"));
  EXPECT_TRUE(jobs.known("new"));
  jobs.clear();
  EXPECT_TRUE(jobs.known("read"));
  EXPECT_FALSE(jobs.known("new"));
}

}  // namespace
}  // namespace rbee
