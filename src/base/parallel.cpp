#include "base/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace rbee {

void run_parallel(std::size_t pieces, int threads,
                  FunctionRef<void(std::size_t piece, std::size_t thread)> work) {
  std::atomic<std::size_t> next{0};
  std::exception_ptr error;
  std::once_flag failed;
  const auto run = [&](std::size_t thread) {
    try {
      for (std::size_t piece; (piece = next++) < pieces;) work(piece, thread);
    } catch (...) {
      std::call_once(failed, [&] { error = std::current_exception(); });
      next = pieces;
    }
  };
  {
    const auto most = std::min(static_cast<std::size_t>(std::max(threads, 1)), pieces);
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < most; ++i) others.emplace_back(run, i);
    run(0);
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace rbee
