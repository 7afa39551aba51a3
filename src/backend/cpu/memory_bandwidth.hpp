// What the machine can read from memory: the limit that decoding is measured against.
#pragma once

namespace rbee {

// GB/s (1e9 bytes) that so many threads together read from a buffer larger than the caches, each
// its own part: the best of a few passes, about a tenth of a second in all. threads 0: one for each
// core this process may use.
double read_bandwidth_gb_s(int threads = 0);

}  // namespace rbee
