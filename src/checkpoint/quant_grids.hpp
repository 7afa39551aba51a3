// The constant grids of the IQ1, IQ2 and IQ3 types: the groups of values that a code may stand for.
#pragma once
#include <cstdint>

namespace rbee {

// Groups of 8: element j is bits 2j and 2j + 1, an index into 8, 25, 43 (IQ2) or -1, 0, 1 (IQ1).
extern const std::uint16_t kIq2XxsGrid[256], kIq2XsGrid[512], kIq2SGrid[1024], kIq1Grid[2048];

// Groups of 4: element j is bits 3j to 3j + 2, an index into 4, 12, 20, 28, 36, 44, 52, 62
// (IQ3_XXS) or 1, 3, 5, 7, 9, 11, 13, 15 (IQ3_S).
extern const std::uint16_t kIq3XxsGrid[256], kIq3SGrid[512];

}  // namespace rbee
