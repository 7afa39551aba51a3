#include "checkpoint/testing/allocation_watch.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

namespace {

thread_local bool watching = false;
thread_local std::size_t largest_seen = 0;

// Not inlined: g++ would take the free in an inlined delete for a mismatch with new.
[[gnu::noinline]] void release(void* memory) noexcept { std::free(memory); }

}  // namespace

// All forms but those for large alignments: the sanitizers bring their own of each, and memory of
// one kind must not meet the delete of another.
void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
  if (watching && size > largest_seen) largest_seen = size;
  return std::malloc(size > 0 ? size : 1);
}
void* operator new(std::size_t size) {
  if (void* memory = ::operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}
void* operator new[](std::size_t size) { return ::operator new(size); }
void* operator new[](std::size_t size, const std::nothrow_t& tag) noexcept {
  return ::operator new(size, tag);
}
void operator delete(void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t /*size*/) noexcept { release(memory); }
void operator delete(void* memory, const std::nothrow_t& /*tag*/) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete[](void* memory, std::size_t /*size*/) noexcept { release(memory); }
void operator delete[](void* memory, const std::nothrow_t& /*tag*/) noexcept { release(memory); }

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
