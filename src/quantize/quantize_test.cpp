#include "quantize/quantize.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/dequantize.hpp"

namespace rbee {
namespace {

// Numbers that every machine makes alike (Steele et al., 2014, SplitMix64).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  double uniform() {
    state_ += 0x9E3779B97F4A7C15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return static_cast<double>((z ^ (z >> 31)) >> 40) / 0x1p24;
  }

 private:
  std::uint64_t state_;
};

std::string type_name(DType type) { return std::string(info(type).name); }

constexpr std::size_t kRows = 16, kCols = 1024;

// Nearly normal; `peaked` ones have many small values and few large ones.
std::vector<float> weights(bool peaked) {
  Random random(peaked ? 11 : 10);
  std::vector<float> values(kRows * kCols);
  for (float& value : values) {
    double sum = 0;
    for (int i = 0; i < 12; ++i) sum += random.uniform();
    sum = (sum - 6) * 0.02;
    value = static_cast<float>(peaked ? sum * std::abs(sum) * 50 : sum);
  }
  return values;
}

constexpr std::size_t kFewRows = 2;
std::vector<float> few_weights() {
  std::vector<float> values = weights(false);
  values.resize(kFewRows * kCols);
  return values;
}

std::vector<float> column_importance() {
  Random random(12);
  std::vector<float> values(kCols);
  for (float& value : values) value = static_cast<float>(std::pow(random.uniform(), 4) + 0.001);
  return values;
}

std::vector<std::byte> encoded(DType type, std::span<const float> x, std::size_t cols,
                               std::span<const float> importance) {
  std::vector<std::byte> bytes(x.size() / cols * row_bytes(type, cols));
  quantize_rows(type, x, cols, importance, bytes);
  return bytes;
}

std::vector<float> decoded(DType type, std::span<const std::byte> bytes, std::size_t elements) {
  std::vector<float> values(elements);
  dequantize_row(type, bytes, values);
  return values;
}

// Root of Σ w (x - y)² / Σ w x², where importance repeats over the rows.
double relative_error(std::span<const float> x, std::span<const float> y,
                      std::span<const float> importance) {
  double error = 0, square = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double w = importance.empty() ? 1 : importance[i % importance.size()];
    error += w * std::pow(static_cast<double>(x[i]) - y[i], 2);
    square += w * std::pow(static_cast<double>(x[i]), 2);
  }
  return std::sqrt(error / square);
}

// Relative errors of ggml_quantize_chunk (ggml 0.25.3, in llama-cpp-python 0.3.36) on the same
// numbers: normal, normal with importance, peaked, peaked with importance. Where ggml wants an
// importance, it had ones for the first and the third.
struct Figures {
  DType type;
  double errors[4];
};

class QuantizeError : public testing::TestWithParam<Figures> {};

TEST_P(QuantizeError, IsNoLargerThanThatOfGgml) {
  const auto& [type, errors] = GetParam();
  ASSERT_TRUE(can_quantize(type));
  const std::vector<float> importance = column_importance();
  for (int i = 0; i < 4; ++i) {
    const std::vector<float> x = weights(i >= 2);
    const auto used = std::span(importance).first(i % 2 == 0 ? 0 : importance.size());
    const auto y = decoded(type, encoded(type, x, kCols, used), x.size());
    EXPECT_LE(relative_error(x, y, used), errors[i] + 5e-7) << "case " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Types, QuantizeError,
    testing::Values(Figures{DType::q4_0, {0.084138, 0.073474, 0.109493, 0.099991}},
                    Figures{DType::q4_1, {0.076906, 0.059476, 0.101529, 0.077149}},
                    Figures{DType::q5_0, {0.041200, 0.035908, 0.056577, 0.051983}},
                    Figures{DType::q5_1, {0.037219, 0.028995, 0.049439, 0.038834}},
                    Figures{DType::q8_0, {0.005242, 0.005224, 0.007481, 0.007378}},
                    Figures{DType::q2_k, {0.292656, 0.216526, 0.385879, 0.242127}},
                    Figures{DType::q3_k, {0.148479, 0.126695, 0.170935, 0.146998}},
                    Figures{DType::q4_k, {0.070590, 0.060505, 0.091272, 0.079430}},
                    Figures{DType::q5_k, {0.035607, 0.031307, 0.046985, 0.042759}},
                    Figures{DType::q6_k, {0.017341, 0.015076, 0.023068, 0.020743}},
                    Figures{DType::iq1_s, {0.480284, 0.407262, 0.557125, 0.460037}},
                    Figures{DType::iq1_m, {0.447566, 0.349361, 0.471544, 0.361750}},
                    Figures{DType::iq2_xxs, {0.344868, 0.264149, 0.463359, 0.369016}},
                    Figures{DType::iq2_xs, {0.298761, 0.224739, 0.391803, 0.322240}},
                    Figures{DType::iq2_s, {0.259551, 0.206885, 0.417042, 0.308214}},
                    Figures{DType::iq3_xxs, {0.210676, 0.125379, 0.309134, 0.168258}},
                    Figures{DType::iq3_s, {0.163076, 0.104560, 0.250661, 0.151700}},
                    Figures{DType::iq4_nl, {0.075085, 0.066942, 0.089898, 0.080562}},
                    Figures{DType::iq4_xs, {0.075741, 0.067772, 0.090610, 0.081749}},
                    Figures{DType::tq1_0, {0.793184, 0.794672, 0.800302, 0.795759}},
                    Figures{DType::tq2_0, {0.793184, 0.794672, 0.800302, 0.795759}},
                    Figures{DType::mxfp4, {0.112408, 0.113060, 0.132575, 0.130959}},
                    Figures{DType::nvfp4, {0.103850, 0.104636, 0.092454, 0.092793}}),
    [](const auto& tested) { return type_name(tested.param.type); });

class Quantize : public testing::TestWithParam<DType> {};

TEST_P(Quantize, KeepsZerosAndWhatIsTooSmallOrTooLarge) {
  const auto block = static_cast<std::size_t>(info(GetParam()).block);
  for (const float value : {0.0F, 1e-30F, -1e-9F, 3e6F, -3e38F}) {
    std::vector<float> x(2 * block, value);
    x[1] = x[block] = 0;
    for (const float y : decoded(GetParam(), encoded(GetParam(), x, block, {}), x.size())) {
      EXPECT_TRUE(std::isfinite(y) || GetParam() == DType::f16) << value << " became " << y;
      if (value == 0) {
        EXPECT_EQ(y, 0);
      }
    }
  }
}

TEST_P(Quantize, OneRowAtATimeGivesTheSameBytes) {
  const std::vector<float> x = few_weights(), importance = column_importance();
  const auto whole = encoded(GetParam(), x, kCols, importance);
  const std::size_t width = row_bytes(GetParam(), kCols);
  for (std::size_t r = 0; r < kFewRows; ++r) {
    const auto row = encoded(GetParam(), std::span(x).subspan(r * kCols, kCols), kCols, importance);
    ASSERT_TRUE(
        std::equal(row.begin(), row.end(), whole.begin() + static_cast<std::ptrdiff_t>(r * width)));
  }
}

// A column that never met an input may have weight 0, and so may all of them.
TEST_P(Quantize, WeightsOfZeroStillRound) {
  const std::vector<float> x = few_weights();
  std::vector<float> importance(kCols, 0.0F);
  const auto plain = encoded(GetParam(), x, kCols, {});
  EXPECT_EQ(encoded(GetParam(), x, kCols, importance), plain);
  std::fill(importance.begin() + kCols / 2, importance.end(), 1.0F);
  const auto y = decoded(GetParam(), encoded(GetParam(), x, kCols, importance), x.size());
  const auto expected = decoded(GetParam(), plain, x.size());
  EXPECT_LT(relative_error(x, y, {}), 1.1 * relative_error(x, expected, {}) + 1e-9);
}

std::vector<DType> writable() {
  std::vector<DType> types;
  for (const DType type : all_dtypes()) {
    if (can_quantize(type)) types.push_back(type);
  }
  return types;
}

INSTANTIATE_TEST_SUITE_P(Types, Quantize, testing::ValuesIn(writable()),
                         [](const auto& tested) { return type_name(tested.param); });

}  // namespace
}  // namespace rbee
