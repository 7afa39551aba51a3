// Pieces of work on several threads.
#pragma once
#include <cstddef>

#include "base/function_ref.hpp"

namespace rbee {

// Calls work(piece, thread) for each piece from 0 to pieces - 1, in ascending order as threads come
// free; `thread` counts from 0 to threads - 1, for memory of its own. The calling thread is one of
// them. Throws the first exception that a call threw, after all threads have ended; pieces not yet
// begun are left out then.
void run_parallel(std::size_t pieces, int threads,
                  FunctionRef<void(std::size_t piece, std::size_t thread)> work);

}  // namespace rbee
