#include "backend/cpu/kernels/pack.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "backend/cpu/kernels/matmul_testing.hpp"
#include "checkpoint/dequantize.hpp"

namespace rbee::cpu {
namespace {

using testing::kAllPanelTypes;

TEST(PanelLayout, SizesFollowTheFileTypes) {
  for (const PanelType type : kAllPanelTypes) {
    const auto dtype = static_cast<DType>(type);
    SCOPED_TRACE(info(dtype).name);
    EXPECT_EQ(file_row_bytes(type, 512), row_bytes(dtype, 512));
    EXPECT_EQ(panel_bytes(type, 512) % 64, 0U);
    EXPECT_GE(panel_bytes(type, 512),
              type == PanelType::q8_k ? 0 : kPanelRows * row_bytes(dtype, 512));
  }
  EXPECT_EQ(panel_bytes(PanelType::q4_1, 576), 18U * 320U);
  EXPECT_EQ(panel_bytes(PanelType::bf16, 7), 4U * 64U);
  EXPECT_EQ(panel_bytes(PanelType::f16, 7), 4U * 64U);
  EXPECT_EQ(panel_count(1), 1);
  EXPECT_EQ(panel_count(16), 1);
  EXPECT_EQ(panel_count(17), 2);
}

class PackRoundTrip : public ::testing::TestWithParam<PanelType> {};

PanelMatrix in_file(const testing::RandomMatrix& m) {
  PanelMatrix matrix = m.panels;
  matrix.data = m.file.data();
  matrix.in_file = true;
  return matrix;
}

TEST_P(PackRoundTrip, RowsReadBackAsDequantized) {
  const PanelType type = GetParam();
  const auto dtype = static_cast<DType>(type);
  std::mt19937 rng(1);
  for (const int rows : {1, 15, 16, 17, 33}) {
    for (int cols : {1, 2, 7, 48, 96, 256, 576}) {
      if (!testing::is_plain(type)) cols = cols * testing::block_values(type);
      if (cols > 8192) continue;
      const testing::RandomMatrix m = testing::random_matrix(type, rows, cols, rng);
      std::vector<float> expected(static_cast<std::size_t>(cols));
      std::vector<float> found(expected.size());
      for (int row = 0; row < rows; ++row) {
        const std::size_t bytes = file_row_bytes(type, cols);
        const std::span file(m.file);
        dequantize_row(dtype, file.subspan(static_cast<std::size_t>(row) * bytes, bytes), expected);
        unpack_row(m.panels, row, found.data());
        ASSERT_EQ(found, expected)
            << info(dtype).name << " row " << row << " of " << rows << " x " << cols;
        unpack_row(in_file(m), row, found.data());
        ASSERT_EQ(found, expected) << info(dtype).name << " in the file, row " << row;
      }
    }
  }
}

TEST_P(PackRoundTrip, RangesOfPanelsGiveTheSameBytesAndStayInBounds) {
  const PanelType type = GetParam();
  std::mt19937 rng(2);
  const int rows = 50;
  const int cols = 256;
  const testing::RandomMatrix m = testing::random_matrix(type, rows, cols, rng);
  const std::size_t bytes = m.panels.panel_bytes;
  std::vector<std::byte> parts(4 * bytes, std::byte{0xAA});
  pack_panels(type, m.file.data(), rows, cols, 3, 4, parts.data());
  EXPECT_TRUE(std::all_of(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(3 * bytes),
                          [](std::byte b) { return b == std::byte{0xAA}; }));
  pack_panels(type, m.file.data(), rows, cols, 0, 1, parts.data());
  pack_panels(type, m.file.data(), rows, cols, 1, 3, parts.data());
  EXPECT_EQ(std::memcmp(parts.data(), m.packed.data(), parts.size()), 0);
}

TEST_P(PackRoundTrip, PartsOfAFileArePackedAsTheWholeIs) {
  const PanelType type = GetParam();
  std::mt19937 rng(3);
  const testing::RandomMatrix m = testing::random_matrix(type, 50, 256, rng);
  const std::size_t bytes = m.panels.panel_bytes;
  for (const auto& [begin, end] : {std::pair{0, 4}, {0, 1}, {1, 3}, {3, 4}}) {
    std::vector<std::byte> scratch(static_cast<std::size_t>(end - begin) * bytes);
    const PanelMatrix part = packed_part(in_file(m), begin, end, scratch.data());
    EXPECT_EQ(part.rows, std::min(16 * (end - begin), 50 - 16 * begin));
    EXPECT_FALSE(part.in_file);
    EXPECT_EQ(part.data, scratch.data());
    const std::byte* whole = m.packed.data() + static_cast<std::size_t>(begin) * bytes;
    EXPECT_EQ(std::memcmp(part.data, whole, scratch.size()), 0) << begin << " to " << end;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, PackRoundTrip, ::testing::ValuesIn(kAllPanelTypes),
                         [](const auto& param) {
                           return std::string(rbee::info(static_cast<DType>(param.param)).name);
                         });

}  // namespace
}  // namespace rbee::cpu
