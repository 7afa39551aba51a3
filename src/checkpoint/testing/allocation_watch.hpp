// AllocationWatch: sees the largest allocation of this thread while it lives. For tests; the
// replaced operator new is in allocation_watch_test.cpp.
#pragma once
#include <cstddef>

namespace rbee::testing {

class AllocationWatch {
 public:
  AllocationWatch();
  ~AllocationWatch();
  AllocationWatch(const AllocationWatch&) = delete;
  AllocationWatch& operator=(const AllocationWatch&) = delete;

  std::size_t largest() const;  // bytes
};

}  // namespace rbee::testing
