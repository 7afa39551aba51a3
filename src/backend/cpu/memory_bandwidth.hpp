// What the machine can read from memory: the limit that decoding is measured against.
#pragma once
#include <cstddef>
#include <cstdint>

#include "backend/cpu/huge_memory.hpp"
#include "backend/cpu/thread_pool.hpp"

namespace rbee {

// Threads that do nothing but read a buffer over and over, as decoding does with the weights. Made
// as large as the weights, the buffer profits from the caches as much as they do.
class ReadBandwidth {
 public:
  // threads 0: one for each core this process may use. Throws BackendError when memory lacks.
  ReadBandwidth(int threads, std::size_t bytes);

  // GB/s (1e9 bytes) of all threads together: the best of the passes that fit into a tenth of a
  // second, and of a few at least.
  double measure();

 private:
  double pass();

  cpu::ThreadPool pool_;
  cpu::HugeMemory memory_;
  std::int64_t sink_ = 0;
};

}  // namespace rbee
