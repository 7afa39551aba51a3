#include "checkpoint/dequantize.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/mapped_file.hpp"
#include "checkpoint/float16.hpp"
#include "checkpoint/float8.hpp"
#include "checkpoint/quant_blocks.hpp"

namespace rbee {
namespace {

std::vector<float> read_floats(const std::string& path) {
  const MappedFile file(path);
  std::vector<float> out(file.bytes().size() / sizeof(float));
  std::memcpy(out.data(), file.bytes().data(), file.bytes().size());
  return out;
}

// f16 by its definition, apart from the code under test.
float half_value(std::uint16_t bits) {
  const int sign = (bits & 0x8000) != 0 ? -1 : 1, exponent = bits >> 10 & 31,
            fraction = bits & 1023;
  if (exponent == 31) {
    return fraction != 0 ? std::numeric_limits<float>::quiet_NaN()
                         : static_cast<float>(sign) * std::numeric_limits<float>::infinity();
  }
  const int mantissa = exponent == 0 ? fraction : fraction + 1024;
  return static_cast<float>(sign * std::ldexp(mantissa, std::max(exponent, 1) - 25));
}

TEST(Float16, EveryValueIsExact) {
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const float expected = half_value(bits), found = f16_to_float(bits);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(found)) << i;
    } else {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(found), std::bit_cast<std::uint32_t>(expected)) << i;
    }
    ASSERT_EQ(std::bit_cast<std::uint32_t>(bf16_to_float(bits)), i << 16);
  }
}

// Every half comes back; numbers between two halves go to the nearer one, or to the even one.
TEST(Float16, RoundsToNearestEven) {
  for (std::uint32_t i = 0; i < 0x10000; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const float value = f16_to_float(bits);
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(f16_to_float(float_to_f16(value))));
      continue;
    }
    ASSERT_EQ(float_to_f16(value), bits) << i;
    const std::uint16_t next = static_cast<std::uint16_t>(bits + 1);
    if ((bits & 0x7fff) >= 0x7bff) continue;
    const float above = f16_to_float(next);
    const float middle = (value + above) / 2;
    ASSERT_EQ(float_to_f16(middle), bits % 2 == 0 ? bits : next) << i;
    ASSERT_EQ(float_to_f16(std::nextafter(middle, above)), next) << i;
    ASSERT_EQ(float_to_f16(std::nextafter(middle, value)), bits) << i;
  }
  EXPECT_EQ(float_to_f16(65519.0f), 0x7bff);
  EXPECT_EQ(float_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(float_to_f16(-1e30f), 0xfc00);
  EXPECT_EQ(float_to_f16(1e-30f), 0);
}

TEST(Float8, HasTheValuesOfItsDefinition) {
  for (unsigned i = 0; i < 256; ++i) {
    const float found = e4m3_to_float(static_cast<std::uint8_t>(i));
    const unsigned exponent = i >> 3 & 15, mantissa = i & 7;
    if (exponent == 15 && mantissa == 7) {
      EXPECT_TRUE(std::isnan(found));
      continue;
    }
    const double magnitude = exponent == 0
                                 ? std::ldexp(mantissa, -9)
                                 : std::ldexp(8 + mantissa, static_cast<int>(exponent) - 10);
    EXPECT_EQ(static_cast<double>(found), i < 128 ? magnitude : -magnitude) << i;
  }
  EXPECT_EQ(e4m3_to_float(0x7e), 448);
  EXPECT_EQ(e8m0_to_float(127), 1);
  EXPECT_EQ(e8m0_to_float(0), std::ldexp(1.0f, -127));
  EXPECT_TRUE(std::isnan(e8m0_to_float(255)));
}

TEST(Dequantize, EqualsTheReferenceOnRandomBlocks) {
  int types = 0;
  for (const DType type : all_dtypes()) {
    if (!info(type).quantised || !is_gguf_type(type) || type == DType::q8_k) continue;
    const std::string stem = RBEE_TEST_DATA "/checkpoint/quants/" + std::string(info(type).name);
    SCOPED_TRACE(stem);
    const MappedFile blocks(stem + ".blocks");
    const std::vector<float> expected = read_floats(stem + ".f32");
    std::vector<float> found(expected.size());
    dequantize_row(type, blocks.bytes(), found);
    EXPECT_EQ(std::memcmp(found.data(), expected.data(), sizeof(float) * found.size()), 0);
    EXPECT_EQ(found, expected);
    ++types;
  }
  EXPECT_EQ(types, 25);
}

TEST(Dequantize, ReadsQ8K) {
  BlockQ8K block{};
  block.d = -0.37f;
  for (int j = 0; j < 256; ++j) block.qs[j] = static_cast<std::int8_t>(j - 128);
  std::vector<float> found(256);
  dequantize_row(DType::q8_k, std::as_bytes(std::span(&block, 1)), found);
  for (int j = 0; j < 256; ++j) EXPECT_EQ(found[j], -0.37f * static_cast<float>(j - 128));
}

TEST(Dequantize, ReadsPlainTypesAtAnyAddress) {
  const std::vector<std::uint16_t> halves{0x3c00, 0xc000, 0x0001, 0x7bff};
  std::vector<std::byte> shifted(1 + sizeof(float) * halves.size());
  std::vector<float> found(halves.size());
  std::memcpy(shifted.data() + 1, halves.data(), 2 * halves.size());
  dequantize_row(DType::f16, std::span(shifted).subspan(1, 8), found);
  EXPECT_EQ(found, (std::vector<float>{1.0f, -2.0f, 0x1p-24f, 65504.0f}));
  dequantize_row(DType::bf16, std::span(shifted).subspan(1, 8), found);
  EXPECT_EQ(found, (std::vector<float>{0x1p-7f, -2.0f, 0x1p-133f, 0x1.FEp+120f}));
  const std::vector<float> floats{1.5f, -0.0f, 1e30f, -3.0f};
  std::memcpy(shifted.data() + 1, floats.data(), sizeof(float) * floats.size());
  dequantize_row(DType::f32, std::span(shifted).subspan(1), found);
  EXPECT_EQ(found, floats);
  dequantize_row(DType::q6_k, {}, {});
}

}  // namespace
}  // namespace rbee
