#include "state/page_pool.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <utility>
#include <vector>

namespace rbee {
namespace {

int breaks_in(std::span<const std::int32_t> ids) {
  int breaks = 0;
  for (std::size_t i = 1; i < ids.size(); ++i) breaks += ids[i] != ids[i - 1] + 1;
  return breaks;
}

TEST(PagePool, GivesEachPageOnceAndTakesAllBack) {
  for (const int n : {0, 1, 15, 16, 17, 100}) {
    PagePool pool(n);
    PageTable table(pool);
    EXPECT_FALSE(table.grow(n + 1));
    EXPECT_EQ(table.size(), 0);
    ASSERT_TRUE(table.grow(n));
    EXPECT_EQ(pool.n_free(), 0);
    std::set<std::int32_t> ids(table.ids().begin(), table.ids().end());
    EXPECT_EQ(ids.size(), static_cast<std::size_t>(n));
    if (n > 0) {
      EXPECT_EQ(*ids.begin(), 0);
      EXPECT_EQ(*ids.rbegin(), n - 1);
    }
    EXPECT_EQ(breaks_in(table.ids()), 0);
    table.clear();
    EXPECT_EQ(pool.n_free(), n);
  }
}

TEST(PagePool, GrowingToLessChangesNothing) {
  PagePool pool(4);
  PageTable table(pool);
  ASSERT_TRUE(table.grow(3));
  EXPECT_TRUE(table.grow(2));
  EXPECT_TRUE(table.grow(-1));
  EXPECT_EQ(table.size(), 3);
}

TEST(PagePool, NegativeSizeIsEmpty) {
  PagePool pool(-5);
  EXPECT_EQ(pool.n_pages(), 0);
  EXPECT_FALSE(PageTable(pool).grow(1));
}

TEST(PageTable, MovesTakeThePagesAlong) {
  PagePool pool(8);
  PageTable a(pool);
  ASSERT_TRUE(a.grow(3));
  PageTable b(std::move(a));
  EXPECT_EQ(a.size(), 0);  // NOLINT(bugprone-use-after-move): a moved-from table is empty
  EXPECT_EQ(b.size(), 3);
  EXPECT_TRUE(a.grow(2));  // and still usable
  a = std::move(b);
  EXPECT_EQ(a.size(), 3);
  EXPECT_EQ(pool.n_free(), 5);
  a = PageTable();
  EXPECT_EQ(pool.n_free(), 8);
  EXPECT_FALSE(a.grow(1));
}

TEST(PagePool, TablesGrowingSideBySideStayApart) {
  PagePool pool(4 * PagePool::kExtentPages);
  PageTable tables[3] = {PageTable(pool), PageTable(pool), PageTable(pool)};
  for (int n = 1; n <= PagePool::kExtentPages; ++n) {
    for (PageTable& table : tables) ASSERT_TRUE(table.grow(n));
  }
  for (const PageTable& table : tables) EXPECT_EQ(breaks_in(table.ids()), 0);
}

TEST(PagePool, ReusesWhatWasUsedBefore) {
  PagePool pool(100 * PagePool::kExtentPages);
  for (int round = 0; round < 50; ++round) {
    PageTable table(pool);
    ASSERT_TRUE(table.grow(20));
    EXPECT_LT(*std::max_element(table.ids().begin(), table.ids().end()), 32);
  }
}

// Compares with the plainest bookkeeping there is over a long random history.
TEST(PagePool, RandomHistoryAgreesWithASet) {
  std::mt19937 random(7);
  PagePool pool(133);
  std::vector<PageTable> tables;
  for (int i = 0; i < 9; ++i) tables.emplace_back(pool);
  for (int turn = 0; turn < 20000; ++turn) {
    PageTable& table = tables[random() % tables.size()];
    const std::vector<std::int32_t> before(table.ids().begin(), table.ids().end());
    if (random() % 8 == 0) {
      table.clear();
    } else {
      const int wanted = table.size() + static_cast<int>(random() % 6);
      const bool fits = wanted - table.size() <= pool.n_free();
      ASSERT_EQ(table.grow(wanted), fits);
      ASSERT_EQ(table.size(), fits ? wanted : static_cast<int>(before.size()));
      ASSERT_TRUE(std::equal(before.begin(), before.end(), table.ids().begin()));
    }
    std::set<std::int32_t> used;
    std::size_t n_used = 0;
    for (const PageTable& t : tables) {
      used.insert(t.ids().begin(), t.ids().end());
      n_used += t.ids().size();
    }
    ASSERT_EQ(used.size(), n_used) << "a page belongs to two tables";
    ASSERT_EQ(pool.n_free(), 133 - static_cast<int>(n_used));
    ASSERT_TRUE(used.empty() || (*used.begin() >= 0 && *used.rbegin() < 133));
  }
}

}  // namespace
}  // namespace rbee
