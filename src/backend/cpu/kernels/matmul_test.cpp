#include "backend/cpu/kernels/matmul.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <tuple>

#include "backend/cpu/kernels/matmul_testing.hpp"

namespace rbee::cpu {
namespace {

using testing::Buffer;
using testing::RandomMatrix;

std::size_t index(int i) { return static_cast<std::size_t>(i); }

std::vector<Isa> host_isas() {
  std::vector<Isa> isas;
  for (const Isa isa : kAllIsas) {
    if (isa_supported(isa)) isas.push_back(isa);
  }
  return isas;
}

std::vector<float> product(const MatmulKernels& kernels, const PanelMatrix& w,
                           std::span<const float> x, int tokens) {
  const Buffer act = testing::convert_all(kernels, kernels.act_type(w.type), x, tokens, w.cols);
  std::vector<float> out(static_cast<std::size_t>(tokens) * static_cast<std::size_t>(w.rows));
  kernels.matmul(w, 0, panel_count(w.rows), act.data(), tokens, out.data(), w.rows, nullptr, false);
  return out;
}

// The activations the product is really made of, written down independently.
std::vector<float> rounded_activations(ActType type, std::span<const float> x) {
  std::vector<float> r(x.begin(), x.end());
  if (type == ActType::bf16) {
    for (float& v : r) {
      const auto bits = std::bit_cast<std::uint32_t>(v);
      v = std::bit_cast<float>((bits + 0x7FFFU + ((bits >> 16U) & 1U)) & 0xFFFF0000U);
    }
  }
  if (type == ActType::q8) {
    for (std::size_t begin = 0; begin < r.size(); begin += 32) {
      float max = 0;
      for (std::size_t i = 0; i < 32; ++i) max = std::max(max, std::abs(r[begin + i]));
      if (max < 1e-30F) max = 0;
      const float inverse = max > 0 ? 127.0F / max : 0;
      for (std::size_t i = 0; i < 32; ++i) {
        r[begin + i] = std::nearbyint(r[begin + i] * inverse) * (max / 127.0F);
      }
    }
  }
  return r;
}

struct Reference {
  double value = 0;
  double magnitude = 0;  // sum of |w x|
};

Reference reference(std::span<const float> w, const float* x) {
  Reference r;
  for (std::size_t k = 0; k < w.size(); ++k) {
    const double term = static_cast<double>(w[k]) * static_cast<double>(x[k]);
    r.value += term;
    r.magnitude += std::abs(term);
  }
  return r;
}

class Matmul : public ::testing::TestWithParam<std::tuple<Isa, PanelType>> {
 protected:
  const MatmulKernels& kernels() const { return matmul_kernels(std::get<0>(GetParam())); }
  PanelType type() const { return std::get<1>(GetParam()); }
  ActType kind() const { return kernels().act_type(type()); }

  std::vector<int> columns() const {
    if (testing::is_plain(type())) return {1, 2, 3, 15, 31, 32, 33, 48, 64, 96, 97, 256, 576};
    if (testing::block_values(type()) == 256) return {256, 512, 1536};
    if (testing::block_values(type()) == 128) return {128, 256, 640};
    if (testing::block_values(type()) == 64) return {64, 192, 256, 576};
    return {32, 64, 96, 256, 576};
  }
};

// Minima are added apart from the products, so that rounding is relative to both of them.
double offset_magnitude(PanelType type, std::span<const float> w) {
  double max = 0;
  for (const float v : w) max = std::max(max, std::abs(static_cast<double>(v)));
  return testing::is_plain(type) ? 0 : 16 * max;
}

TEST_P(Matmul, EqualsTheProductInDouble) {
  std::mt19937 rng(3);
  for (const int cols : columns()) {
    for (const int rows : {1, 15, 16, 17, 33, 80}) {
      const RandomMatrix m = testing::random_matrix(type(), rows, cols, rng);
      std::vector<float> row(static_cast<std::size_t>(cols));
      for (const int tokens : {1, 2, 3, 4, 5, 6, 7, 8, 9, 17, 33}) {
        if (tokens > 9 && rows > 33) continue;
        const std::vector<float> x = testing::random_activations(tokens, cols, rng);
        const std::vector<float> rounded = rounded_activations(kind(), x);
        const std::vector<float> out = product(kernels(), m.panels, x, tokens);
        for (int r = 0; r < rows; ++r) {
          unpack_row(m.panels, r, row.data());
          const double rounding = offset_magnitude(type(), row) * 1e-6;
          for (int t = 0; t < tokens; ++t) {
            const auto token = static_cast<std::size_t>(t);
            const std::size_t begin = token * static_cast<std::size_t>(cols);
            const double found =
                out[token * static_cast<std::size_t>(rows) + static_cast<std::size_t>(r)];
            const Reference tight = reference(row, rounded.data() + begin);
            ASSERT_NEAR(found, tight.value, 2e-6 * tight.magnitude + rounding + 1e-30)
                << rows << " x " << cols << ", token " << t << " of " << tokens << ", row " << r;
            const Reference loose = reference(row, x.data() + begin);
            ASSERT_NEAR(found, loose.value, 0.03 * loose.magnitude + rounding + 1e-30);
          }
        }
      }
    }
  }
}

TEST_P(Matmul, DoesNotDependOnTheOtherTokensOrThePanelRange) {
  std::mt19937 rng(4);
  const int rows = 87;
  const int cols = testing::block_values(type()) == 256 ? 1024 : 384;
  const RandomMatrix m = testing::random_matrix(type(), rows, cols, rng);
  const int most = 33;
  const std::vector<float> x = testing::random_activations(most, cols, rng);
  const std::vector<float> all = product(kernels(), m.panels, x, most);
  for (int t = 0; t < most; ++t) {  // each token alone
    const std::span token(x.data() + static_cast<std::ptrdiff_t>(t) * cols,
                          static_cast<std::size_t>(cols));
    const std::vector<float> one = product(kernels(), m.panels, token, 1);
    ASSERT_EQ(std::memcmp(one.data(), all.data() + static_cast<std::ptrdiff_t>(t) * rows,
                          one.size() * sizeof(float)),
              0)
        << "token " << t;
  }
  for (int tokens = 2; tokens <= 16; ++tokens) {  // every tile size, at another index in the tile
    const std::span some(x.data() + cols,
                         static_cast<std::size_t>(tokens) * static_cast<std::size_t>(cols));
    const std::vector<float> part = product(kernels(), m.panels, some, tokens);
    ASSERT_EQ(std::memcmp(part.data(), all.data() + rows, part.size() * sizeof(float)), 0)
        << tokens;
  }
  const Buffer act = testing::convert_all(kernels(), kind(), x, most, cols);
  std::vector<float> split(all.size());
  for (const auto& [begin, end] : {std::pair{0, 1}, {1, 4}, {4, 6}}) {
    kernels().matmul(m.panels, begin, end, act.data(), most, split.data(), rows, nullptr, false);
  }
  EXPECT_EQ(std::memcmp(split.data(), all.data(), all.size() * sizeof(float)), 0);
}

TEST_P(Matmul, ConvertsRangesOfTokensLikeAllOfThem) {
  std::mt19937 rng(5);
  const int tokens = 21;
  const int cols = testing::is_plain(type()) ? 37 : 96;
  const std::vector<float> x = testing::random_activations(tokens, cols, rng);
  const std::size_t bytes = kernels().act_bytes(kind(), tokens, cols);
  const Buffer whole = testing::convert_all(kernels(), kind(), x, tokens, cols);
  Buffer parts(bytes);
  // Rows of a wider matrix, ranges out of order.
  std::vector<float> wide(static_cast<std::size_t>(tokens) * 100);
  for (int t = 0; t < tokens; ++t) {
    std::copy_n(x.data() + static_cast<std::ptrdiff_t>(t) * cols, cols,
                wide.data() + static_cast<std::ptrdiff_t>(t) * 100);
  }
  for (const auto& [begin, end] : {std::pair{16, 21}, {0, 8}, {8, 16}}) {
    kernels().convert(kind(), wide.data(), 100, tokens, begin, end, cols, parts.data());
  }
  EXPECT_EQ(std::memcmp(whole.data(), parts.data(), bytes), 0);
  EXPECT_EQ(parts.data()[bytes], std::byte{0x7F});  // nothing written behind
  EXPECT_EQ(kernels().act_bytes(kind(), 0, cols), 0U);
}

TEST_P(Matmul, ScalesAddsTheBiasAccumulatesAndWritesValidRowsOnly) {
  std::mt19937 rng(6);
  for (const int rows : {1, 3, 15, 16, 17, 30, 69}) {
    const int cols = 256;
    const int tokens = 11;
    const int stride = rows + 5;
    RandomMatrix m = testing::random_matrix(type(), rows, cols, rng);
    const std::vector<float> x = testing::random_activations(tokens, cols, rng);
    const std::vector<float> bias = testing::random_activations(1, rows, rng);
    const std::vector<float> plain = product(kernels(), m.panels, x, tokens);
    m.panels.scale = 0.7F;
    const Buffer act = testing::convert_all(kernels(), kind(), x, tokens, cols);
    for (const bool accumulate : {false, true}) {
      for (const bool with_bias : {false, true}) {
        std::vector<float> out(index(tokens * stride), 0.5F);
        kernels().matmul(m.panels, 0, panel_count(rows), act.data(), tokens, out.data(), stride,
                         with_bias ? bias.data() : nullptr, accumulate);
        for (int t = 0; t < tokens; ++t) {
          for (int r = 0; r < stride; ++r) {
            float expected = 0.5F;
            if (r < rows) {
              expected = plain[index(t * rows + r)] * 0.7F;
              if (with_bias) expected += bias[static_cast<std::size_t>(r)];
              if (accumulate) expected = 0.5F + expected;
            }
            ASSERT_EQ(out[index(t * stride + r)], expected)
                << rows << " rows, row " << r << ", token " << t;
          }
        }
      }
    }
  }
}

TEST_P(Matmul, ZeroAndTinyActivationsGiveZeroAndBrokenOnesAreSeen) {
  std::mt19937 rng(7);
  const int rows = 16;
  const int cols = 256;
  const RandomMatrix m = testing::random_matrix(type(), rows, cols, rng);
  std::vector<float> x(index(4 * cols), 0.0F);
  for (int k = 0; k < cols; ++k) x[index(cols + k)] = 1e-38F;
  for (int k = 0; k < cols; ++k) x[index(2 * cols + k)] = 1;
  for (int k = 0; k < cols; ++k) x[index(3 * cols + k)] = 1;
  x[index(2 * cols + 40)] = std::numeric_limits<float>::quiet_NaN();
  x[index(3 * cols + 70)] = std::numeric_limits<float>::infinity();
  const std::vector<float> out = product(kernels(), m.panels, x, 4);
  for (int r = 0; r < rows; ++r) {
    EXPECT_EQ(out[static_cast<std::size_t>(r)], 0);
    EXPECT_LT(std::abs(out[index(rows + r)]), 1e-28F);
    EXPECT_TRUE(std::isnan(out[index(2 * rows + r)]));
    EXPECT_FALSE(std::isfinite(out[index(3 * rows + r)]));
  }
}

INSTANTIATE_TEST_SUITE_P(All, Matmul,
                         ::testing::Combine(::testing::ValuesIn(host_isas()),
                                            ::testing::ValuesIn(testing::kAllPanelTypes)),
                         [](const auto& param) {
                           return std::string(isa_name(std::get<0>(param.param))) + "_" +
                                  testing::kTypeNames[static_cast<int>(std::get<1>(param.param))];
                         });

// Scales of MXFP4 reach from 2^-128 to 2^126, far beyond those of f16; activations bring them back.
TEST(MatmulMxfp4, ScalesKeepTheirRange) {
  std::mt19937 rng(10);
  const int rows = 16;
  const int cols = 32;
  for (const int exponent : {0, 1, 2, 3, 60, 128, 200, 251, 252}) {
    RandomMatrix m = testing::random_matrix(PanelType::mxfp4, rows, cols, rng);
    for (int row = 0; row < rows; ++row) m.file[index(17 * row)] = static_cast<std::byte>(exponent);
    pack_panels(PanelType::mxfp4, m.file.data(), rows, cols, 0, 1, m.packed.data());
    std::vector<float> x = testing::random_activations(1, cols, rng);
    const int up = exponent < 64 ? 96 : exponent > 192 ? -90 : 0;  // not below 1e-30: see ActType
    for (float& v : x) v = std::ldexp(v, up);
    const std::vector<float> rounded = rounded_activations(ActType::q8, x);
    std::vector<float> row(static_cast<std::size_t>(cols));
    for (const Isa isa : host_isas()) {
      const std::vector<float> out = product(matmul_kernels(isa), m.panels, x, 1);
      for (int r = 0; r < rows; ++r) {
        unpack_row(m.panels, r, row.data());
        const Reference expected = reference(row, rounded.data());
        EXPECT_NEAR(out[index(r)], expected.value, 2e-6 * expected.magnitude)
            << isa_name(isa) << ", exponent " << exponent;
      }
    }
  }
}

// The extremes of codes and activations: where int16 sums of AVX2 come closest to overflowing.
class MatmulAcrossIsas : public ::testing::TestWithParam<PanelType> {};

TEST_P(MatmulAcrossIsas, QuantisedProductsHaveTheSameBits) {
  const PanelType type = GetParam();
  std::mt19937 rng(8);
  const int rows = 48;
  const int cols = testing::block_values(type) >= 128 ? 1024 : 576;
  for (const int fill : {-1, 0, 0xFF}) {  // random bytes; the least and the greatest codes
    RandomMatrix m = testing::random_matrix(type, rows, cols, rng);
    std::vector<float> x = testing::random_activations(5, cols, rng);
    if (fill >= 0) {
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = i % 64 < 32 ? 3.0F : -3.0F;
      // Codes live behind the scales of every block, and bytes of 0xFF in scales would be NaN.
      const std::size_t bytes = m.panels.panel_bytes;
      for (int row = 0; row < rows; ++row) {
        std::vector<std::byte>& file = m.file;
        const std::size_t row_size = file_row_bytes(type, cols);
        const std::size_t block =
            row_size / static_cast<std::size_t>(cols / testing::block_values(type));
        for (std::size_t b = 0; b < row_size; b += block) {
          const bool two_floats = type == PanelType::int4 || type == PanelType::int8;
          for (std::size_t i = two_floats ? 8 : 4; i < block - 4; ++i) {
            file[static_cast<std::size_t>(row) * row_size + b + i] = static_cast<std::byte>(fill);
          }
        }
      }
      pack_panels(type, m.file.data(), rows, cols, 0, panel_count(rows), m.packed.data());
      ASSERT_EQ(bytes, panel_bytes(type, cols));
    }
    const std::vector<float> base = product(matmul_kernels(Isa::base), m.panels, x, 5);
    for (const Isa isa : host_isas()) {
      const std::vector<float> out = product(matmul_kernels(isa), m.panels, x, 5);
      EXPECT_EQ(std::memcmp(out.data(), base.data(), out.size() * sizeof(float)), 0)
          << isa_name(isa) << ", fill " << fill;
    }
  }
}

TEST_P(MatmulAcrossIsas, QuantisedActivationsHaveTheSameBytes) {
  std::mt19937 rng(9);
  std::vector<float> x = testing::random_activations(13, 96, rng);
  for (std::size_t i = 0; i < 96; ++i)
    x[i] *= std::ldexp(1.0F, static_cast<int>(rng() % 200) - 100);
  const MatmulKernels& base = matmul_kernels(Isa::base);
  const Buffer expected = testing::convert_all(base, ActType::q8, x, 13, 96);
  for (const Isa isa : host_isas()) {
    const MatmulKernels& kernels = matmul_kernels(isa);
    const std::size_t bytes = kernels.act_bytes(ActType::q8, 13, 96);
    ASSERT_EQ(bytes, 13U * 3U * 52U);
    const Buffer found = testing::convert_all(kernels, ActType::q8, x, 13, 96);
    EXPECT_EQ(std::memcmp(found.data(), expected.data(), bytes), 0) << isa_name(isa);
  }
}

// The types whose products have integer sums.
std::vector<PanelType> quantised_types() {
  std::vector<PanelType> types;
  for (const PanelType type : testing::kAllPanelTypes) {
    if (matmul_kernels(Isa::base).act_type(type) == ActType::q8) types.push_back(type);
  }
  return types;
}

INSTANTIATE_TEST_SUITE_P(Quantised, MatmulAcrossIsas, ::testing::ValuesIn(quantised_types()),
                         [](const auto& param) {
                           return testing::kTypeNames[static_cast<int>(param.param)];
                         });

}  // namespace
}  // namespace rbee::cpu
