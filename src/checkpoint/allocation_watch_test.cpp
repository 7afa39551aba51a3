#include "checkpoint/testing/allocation_watch.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <new>

namespace {

thread_local bool watching = false;
thread_local std::size_t largest_seen = 0;

}  // namespace

// The array and nothrow forms call this one.
void* operator new(std::size_t size) {
  if (watching && size > largest_seen) largest_seen = size;
  if (void* memory = std::malloc(size > 0 ? size : 1)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace rbee::testing {

AllocationWatch::AllocationWatch() {
  largest_seen = 0;
  watching = true;
}

AllocationWatch::~AllocationWatch() { watching = false; }

std::size_t AllocationWatch::largest() const { return largest_seen; }

namespace {

TEST(AllocationWatch, SeesTheLargest) {
  const AllocationWatch watch;
  const auto small = std::make_unique<char[]>(100);
  EXPECT_GE(watch.largest(), 100u);
  EXPECT_LT(watch.largest(), 5000u);
  const auto large = std::make_unique<char[]>(5000);
  EXPECT_GE(watch.largest(), 5000u);
}

}  // namespace
}  // namespace rbee::testing
