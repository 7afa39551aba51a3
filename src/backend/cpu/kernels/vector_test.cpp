// The row kernels against double precision, on every instruction set, in all lengths around a
// vector's, and lane by lane.
#include "backend/cpu/kernels/vector.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace rbee::cpu {
namespace {

std::vector<const VectorKernels*> host_kernels() {
  std::vector<const VectorKernels*> kernels;
  for (const Isa isa : kAllIsas) {
    if (isa_supported(isa)) kernels.push_back(&vector_kernels(isa));
  }
  return kernels;
}

constexpr ElementFunction kAllFunctions[] = {
    ElementFunction::identity, ElementFunction::silu, ElementFunction::gelu_tanh,
    ElementFunction::gelu_erf, ElementFunction::relu, ElementFunction::relu_squared,
    ElementFunction::sigmoid,  ElementFunction::tanh};

double expected_gate(ElementFunction function, double x) {
  switch (function) {
    case ElementFunction::identity:
      return x;
    case ElementFunction::sigmoid:
      return 1 / (1 + std::exp(-x));
    case ElementFunction::tanh:
      return std::tanh(x);
    case ElementFunction::relu_squared:
      return x > 0 ? x * x : 0;
    case ElementFunction::silu:
      return x / (1 + std::exp(-x));
    case ElementFunction::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    case ElementFunction::gelu_erf:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case ElementFunction::relu:
      break;
  }
  return std::max(x, 0.0);
}

TEST(VectorKernels, ElementFunctionsAreAccurateOverTheirRange) {
  std::vector<float> x;
  for (int i = -4000; i <= 4000; ++i) x.push_back(static_cast<float>(i) / 200);
  const int n = static_cast<int>(x.size());
  const std::vector<float> ones(x.size(), 1);
  for (const VectorKernels* kernels : host_kernels()) {
    for (const ElementFunction function : kAllFunctions) {
      std::vector<float> out(x.size());
      kernels->gate(function, x.data(), ones.data(), n, 1, n, out.data(), n);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double expected = expected_gate(function, static_cast<double>(x[i]));
        // tanh near -1 leaves few digits in the reference formula itself.
        const double tolerance = 3e-7 + 1e-6 * std::abs(expected);
        ASSERT_NEAR(static_cast<double>(out[i]), expected, tolerance)
            << isa_name(kernels->isa) << " function " << static_cast<int>(function) << " x "
            << static_cast<double>(x[i]);
      }
    }
  }
}

TEST(VectorKernels, TanhKeepsItsDigitsNearZero) {
  for (const VectorKernels* kernels : host_kernels()) {
    for (float x = 1e-6F; x < 20; x *= 1.01F) {
      for (const float signed_x : {x, -x}) {
        float y = signed_x;
        kernels->activate(ElementFunction::tanh, 1, &y);
        const double expected = std::tanh(static_cast<double>(signed_x));
        ASSERT_NEAR(static_cast<double>(y), expected, 5e-7 * std::abs(expected)) << signed_x;
      }
    }
  }
}

TEST(VectorKernels, ClampKeepsNan) {
  for (const VectorKernels* kernels : host_kernels()) {
    std::vector<float> x(19, std::nanf(""));
    x[3] = 5;
    x[4] = -5;
    x[5] = 1;
    kernels->clamp(2, 19, x.data());
    EXPECT_EQ(x[3], 2);
    EXPECT_EQ(x[4], -2);
    EXPECT_EQ(x[5], 1);
    EXPECT_TRUE(std::isnan(x[0]));
    EXPECT_TRUE(std::isnan(x[18]));
  }
}

TEST(VectorKernels, ExtremeValuesStayFinite) {
  const std::vector<float> x{-1e30F, -1000, -88, 88, 1000, 1e30F, 0};
  const std::vector<float> ones(x.size(), 1);
  const int n = static_cast<int>(x.size());
  for (const VectorKernels* kernels : host_kernels()) {
    std::vector<float> out(x.size());
    kernels->gate(ElementFunction::silu, x.data(), ones.data(), n, 1, n, out.data(), n);
    EXPECT_NEAR(static_cast<double>(out[1]), 0, 1e-30);
    EXPECT_EQ(out[4], 1000);
    EXPECT_EQ(out[5], 1e30F);
    EXPECT_EQ(out[6], 0);
  }
}

// A value has the same bits in any lane and in any tail, and nothing beyond the end is written.
TEST(VectorKernels, PlaceAndLengthChangeNoBit) {
  std::mt19937 engine(1);
  std::normal_distribution<float> normal;
  std::vector<float> gate(100);
  std::vector<float> up(100);
  for (float& v : gate) v = normal(engine);
  for (float& v : up) v = normal(engine);
  for (const VectorKernels* kernels : host_kernels()) {
    std::vector<float> whole(100);
    kernels->gate(ElementFunction::silu, gate.data(), up.data(), 100, 1, 100, whole.data(), 100);
    for (int n = 0; n <= 40; ++n) {
      for (int begin = 0; begin <= 17; ++begin) {
        std::vector<float> part(static_cast<std::size_t>(n) + 1, 7);
        kernels->gate(ElementFunction::silu, gate.data() + begin, up.data() + begin, 100, 1, n,
                      part.data(), 100);
        for (int i = 0; i < n; ++i) {
          ASSERT_EQ(part[static_cast<std::size_t>(i)], whole[static_cast<std::size_t>(begin + i)]);
        }
        ASSERT_EQ(part.back(), 7);
      }
    }
  }
}

TEST(VectorKernels, RotationsOfBothPairings) {
  std::mt19937 engine(2);
  std::normal_distribution<float> normal;
  for (const VectorKernels* kernels : host_kernels()) {
    for (const bool adjacent : {false, true}) {
      for (const int dims : {0, 2, 6, 16, 34, 64}) {
        const int n = dims + 3;
        std::vector<float> x(static_cast<std::size_t>(n));
        std::vector<float> cos(static_cast<std::size_t>(dims) + 1);
        std::vector<float> sin(static_cast<std::size_t>(dims) + 1);
        for (float& v : x) v = normal(engine);
        for (float& v : cos) v = normal(engine);
        for (float& v : sin) v = normal(engine);
        std::vector<float> out(x.size() + 1, 7);
        kernels->rotate(x.data(), cos.data(), sin.data(), dims, adjacent, n, out.data());
        for (int j = 0; j < dims; ++j) {
          const int partner = adjacent ? j ^ 1 : (j + dims / 2) % dims;
          const auto at = [](const std::vector<float>& v, int i) {
            return static_cast<double>(v[static_cast<std::size_t>(i)]);
          };
          EXPECT_NEAR(at(out, j), at(x, j) * at(cos, j) + at(x, partner) * at(sin, j), 1e-6);
        }
        for (int j = dims; j < n; ++j) {
          EXPECT_EQ(out[static_cast<std::size_t>(j)], x[static_cast<std::size_t>(j)]);
        }
        EXPECT_EQ(out.back(), 7);
      }
    }
  }
}

}  // namespace
}  // namespace rbee::cpu
