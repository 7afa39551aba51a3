#include <gtest/gtest.h>

#include "core/dtype.hpp"
#include "core/tensor.hpp"

namespace rbee {
namespace {

TEST(DType, NamesRoundTripAndRowsAreWholeBlocks) {
  for (const DType type : all_dtypes()) {
    EXPECT_EQ(dtype_from_name(info(type).name), type);
    EXPECT_EQ(row_bytes(type, 256), 256 / info(type).block * info(type).block_bytes);
  }
  EXPECT_FALSE(dtype_from_name("Q9_9").has_value());
  EXPECT_EQ(row_bytes(DType::q4_k, 2048), 8u * 144u);
}

TEST(Tensor, ColumnSliceKeepsStride) {
  float data[12] = {};
  const Tensor t{data, 3, 4, 4};
  const Tensor slice = t.columns(1, 2);
  EXPECT_EQ(slice.data, data + 1);
  EXPECT_EQ(slice.cols, 2);
  EXPECT_EQ(slice.stride, 4);
}

}  // namespace
}  // namespace rbee
