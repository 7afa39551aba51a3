// Products for the types of groups of a grid, whose values panels hold as indices into a table.
#include "backend/cpu/kernels/matmul_signed_scale.hpp"

namespace rbee::cpu::RBEE_ISA {
namespace {

// The numbers of checkpoint/codebook_blocks.cpp, which kernels may not include.
constexpr CodeTable kIq3Xxs =
    code_table({4, 12, 20, 28, 36, 44, 52, 62, -4, -12, -20, -28, -36, -44, -52, -62}, 64);
constexpr CodeTable kIq3S =
    code_table({1, 3, 5, 7, 9, 11, 13, 15, -1, -3, -5, -7, -9, -11, -13, -15}, 16);
constexpr CodeTable kIq2 = code_table({8, 25, 43, 0, -8, -25, -43, 0}, 64);
constexpr CodeTable kIq1 = code_table({-7, 1, 9, 0, -9, -1, 7, 0}, 16);

using Iq3Xxs = SignedScale32<Indices<Nibbles, kIq3Xxs>, 7, 64, -2>;
using Iq3S = SignedScale32<Indices<Nibbles, kIq3S>, 5, 16>;
using Iq2Xxs = SignedScale32<Indices<CrumbsPlane, kIq2>, 7, 64, -3>;
using Iq2S = SignedScale16<Indices<CrumbsPlane, kIq2>, 7, 64, -3>;
using Iq1S = SignedScale32<Indices<CrumbsPlane, kIq1>, 5, 16, -3>;
using Iq1M = SignedScale16<Indices<CrumbsPlane, kIq1>, 5, 16, -3>;

}  // namespace

const TileKernels kTilesIq3Xxs = kQuantisedTiles<Iq3Xxs>;
const TileKernels kTilesIq3S = kQuantisedTiles<Iq3S>;
const TileKernels kTilesIq2Xxs = kQuantisedTiles<Iq2Xxs>;
const TileKernels kTilesIq2S = kQuantisedTiles<Iq2S>;
const TileKernels kTilesIq1S = kQuantisedTiles<Iq1S>;
const TileKernels kTilesIq1M = kQuantisedTiles<Iq1M>;

}  // namespace rbee::cpu::RBEE_ISA
