#include "convert/tensor_rows.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "model/tensor_values.hpp"

namespace rbee {
namespace {

TEST(TensorRows, ScalesOfMatricesBecomePartOfTheValues) {
  std::mt19937 rng(1);
  std::vector<std::byte> blocks(3 * 2 * 2 * 36);  // [3, 2, 128] of NVFP4
  for (std::byte& byte : blocks) byte = static_cast<std::byte>(rng() & 0x3F);
  TensorInfo tensor{"x", DType::nvfp4, {3, 2, 128}, blocks, "a file"};
  const std::vector<float> plain = decode(tensor);
  tensor.scales = {0.5F, 2, 3};
  const RowsPtr rows = file_rows(tensor);
  ASSERT_EQ(rows->type(), DType::f32);
  std::vector<float> values(4 * 128);  // rows 1 to 4: of all three matrices
  rows->read(1, 4, std::as_writable_bytes(std::span(values)));
  const std::vector<float> scaled = decode(tensor);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t at = 128 + i;
    EXPECT_EQ(values[i], plain[at] * tensor.scales[at / 256]) << at;
    EXPECT_EQ(values[i], scaled[at]) << at;
  }
}

}  // namespace
}  // namespace rbee
