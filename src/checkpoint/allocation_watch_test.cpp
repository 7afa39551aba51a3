#include "checkpoint/testing/allocation_watch.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
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

// Calls operator new itself: a compiler may drop the new of an expression.
void allocate(std::size_t size) { ::operator delete(::operator new(size)); }

TEST(AllocationWatch, SeesTheLargest) {
  const AllocationWatch watch;
  allocate(100);
  EXPECT_EQ(watch.largest(), 100u);
  allocate(5000);
  allocate(10);
  EXPECT_EQ(watch.largest(), 5000u);
}

}  // namespace
}  // namespace rbee::testing
