#include "quantize/requantize.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/load_error.hpp"

namespace rbee {
namespace {

using ::testing::HasSubstr;

TEST(Requantize, GivesTheSameBytesOnAnyNumberOfThreads) {
  std::vector<float> values(200 * 256);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i * 7919 % 1009) - 500;
  }
  const HostMatrix matrix{std::as_bytes(std::span(values)), DType::f32, 200, 256, "w"};
  const auto bytes = requantize(matrix, DType::q4_k, {}, 1);
  EXPECT_EQ(bytes.size(), 200 * row_bytes(DType::q4_k, 256));
  EXPECT_EQ(requantize(matrix, DType::q4_k, {}, 3), bytes);
}

TEST(Requantize, RefusesNumbersThatAreNone) {
  std::vector<float> values(64, 1.0F);
  values[40] = NAN;
  const HostMatrix matrix{std::as_bytes(std::span(values)), DType::f32, 2, 32, "weights"};
  try {
    requantize(matrix, DType::q8_0, {}, 1);
    FAIL();
  } catch (const LoadError& error) {
    EXPECT_THAT(error.what(), HasSubstr("'weights'"));
    EXPECT_THAT(error.what(), HasSubstr("infinity or NaN"));
  }
}

}  // namespace
}  // namespace rbee
