// Random matrices and activations for the tests and benchmarks of the kernels.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <random>
#include <span>
#include <vector>

#include "backend/cpu/kernels/matmul.hpp"
#include "backend/cpu/kernels/pack.hpp"
#include "backend/cpu/kernels/panel_layout.hpp"

namespace rbee::cpu::testing {

// Memory aligned to 64 bytes with a poisoned margin behind, to notice reads that count.
class Buffer {
 public:
  explicit Buffer(std::size_t bytes) : storage_(bytes + 128, std::byte{0x7F}) {
    const auto address = reinterpret_cast<std::uintptr_t>(storage_.data());
    data_ = storage_.data() + (64 - address % 64) % 64;
  }
  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }

 private:
  std::vector<std::byte> storage_;
  std::byte* data_;
};

inline constexpr PanelType kAllPanelTypes[] = {
    PanelType::f32,    PanelType::f16,     PanelType::bf16,  PanelType::q4_0,    PanelType::q4_1,
    PanelType::q5_0,   PanelType::q5_1,    PanelType::q8_0,  PanelType::q2_k,    PanelType::q3_k,
    PanelType::q4_k,   PanelType::q5_k,    PanelType::q6_k,  PanelType::q8_k,    PanelType::mxfp4,
    PanelType::iq4_nl, PanelType::iq4_xs,  PanelType::nvfp4, PanelType::iq2_xxs, PanelType::iq2_xs,
    PanelType::iq2_s,  PanelType::iq3_xxs, PanelType::iq3_s, PanelType::iq1_s,   PanelType::iq1_m,
    PanelType::tq1_0,  PanelType::tq2_0,   PanelType::q1_0,  PanelType::q2_0,    PanelType::f8_e4m3,
    PanelType::int4,   PanelType::int8,    PanelType::nf4,   PanelType::fp4};

// By PanelType.
inline constexpr const char* kTypeNames[] = {
    "f32",     "f16",    "bf16",    "q4_0",    "q4_1",  "q5_0",  "q5_1",   "q8_0",   "q2_k",
    "q3_k",    "q4_k",   "q5_k",    "q6_k",    "q8_k",  "mxfp4", "iq4_nl", "iq4_xs", "nvfp4",
    "iq2_xxs", "iq2_xs", "iq2_s",   "iq3_xxs", "iq3_s", "iq1_s", "iq1_m",  "tq1_0",  "tq2_0",
    "q1_0",    "q2_0",   "f8_e4m3", "int4",    "int8",  "nf4",   "fp4"};
static_assert(std::size(kTypeNames) == kPanelTypes && std::size(kAllPanelTypes) == kPanelTypes);

inline int block_values(PanelType type) { return block_layout(type).values; }
inline bool is_plain(PanelType type) { return type <= PanelType::bf16; }

// A half of either sign, between 2^-24 (denormal) and about 2^(exponent_end - 15).
inline std::uint16_t random_half(std::mt19937& rng, int exponent_end) {
  const auto exponent = static_cast<std::uint16_t>(rng() % static_cast<unsigned>(exponent_end));
  return static_cast<std::uint16_t>((rng() & 0x83FFU) | exponent << 10U);
}

// A matrix in file layout. Codes and small scales are random bytes; the f16 (or f32) scales are
// finite numbers of both signs, some denormal.
inline std::vector<std::byte> random_file_rows(PanelType type, int rows, int cols,
                                               std::mt19937& rng) {
  const std::size_t bytes = file_row_bytes(type, cols) * static_cast<std::size_t>(rows);
  std::vector<std::byte> data(bytes);
  for (std::byte& b : data) b = static_cast<std::byte>(rng());
  const auto put_halves = [&](std::size_t block, std::initializer_list<std::size_t> offsets) {
    for (std::size_t begin = 0; begin < bytes; begin += block) {
      for (const std::size_t offset : offsets) {
        const std::uint16_t half = random_half(rng, 13);
        std::memcpy(data.data() + begin + offset, &half, 2);
      }
    }
  };
  const auto put_floats = [&](std::size_t block, std::initializer_list<std::size_t> offsets = {0}) {
    std::normal_distribution<float> normal;
    for (std::size_t begin = 0; begin < bytes; begin += block) {
      for (const std::size_t offset : offsets) {
        const float value = normal(rng);
        std::memcpy(data.data() + begin + offset, &value, 4);
      }
    }
  };
  switch (type) {
    case PanelType::f32:
      put_floats(4);
      break;
    case PanelType::f16:
      put_halves(2, {0});
      break;
    case PanelType::bf16:
      for (std::size_t i = 0; i < bytes; i += 2) {
        const auto value = static_cast<std::uint16_t>((rng() & 0x8FFFU) | 0x3000U);
        std::memcpy(data.data() + i, &value, 2);
      }
      break;
    case PanelType::q4_0:
      put_halves(18, {0});
      break;
    case PanelType::q4_1:
      put_halves(20, {0, 2});
      break;
    case PanelType::q5_0:
      put_halves(22, {0});
      break;
    case PanelType::q5_1:
      put_halves(24, {0, 2});
      break;
    case PanelType::q8_0:
      put_halves(34, {0});
      break;
    case PanelType::q2_k:
      put_halves(84, {80, 82});
      break;
    case PanelType::q3_k:
      put_halves(110, {108});
      break;
    case PanelType::q4_k:
      put_halves(144, {0, 2});
      break;
    case PanelType::q5_k:
      put_halves(176, {0, 2});
      break;
    case PanelType::q6_k:
      put_halves(210, {208});
      break;
    case PanelType::q8_k:
      put_floats(292);
      break;
    case PanelType::mxfp4:
      for (std::size_t begin = 0; begin < bytes; begin += 17) {
        data[begin] = static_cast<std::byte>(110 + rng() % 20);
      }
      break;
    case PanelType::iq4_nl:
      put_halves(18, {0});
      break;
    case PanelType::iq4_xs:
    case PanelType::iq3_xxs:
    case PanelType::iq3_s:
    case PanelType::iq2_xxs:
    case PanelType::iq2_xs:
    case PanelType::iq2_s:
    case PanelType::iq1_s:
    case PanelType::q1_0:
    case PanelType::q2_0:
      put_halves(block_layout(type).file_bytes, {0});
      break;
    case PanelType::tq1_0:
      put_halves(54, {52});
      break;
    case PanelType::tq2_0:
      put_halves(66, {64});
      break;
    case PanelType::iq1_m:  // f16 in the high nibbles of four words, the highest one finite
      for (std::size_t begin = 0; begin < bytes; begin += 56) data[begin + 55] &= std::byte{0xBF};
      break;
    case PanelType::nvfp4:
      break;
    case PanelType::f8_e4m3:
      for (std::byte& b : data) {  // no NaN
        if ((b & std::byte{0x7F}) == std::byte{0x7F}) b = std::byte{5};
      }
      put_floats(36);
      break;
    case PanelType::int4:
      put_floats(24, {0, 4});
      break;
    case PanelType::int8:
      put_floats(40, {0, 4});
      break;
    case PanelType::nf4:
    case PanelType::fp4:
      put_floats(20);
      break;
  }
  return data;
}

// A packed random matrix beside its file layout.
struct RandomMatrix {
  std::vector<std::byte> file;
  Buffer packed;
  PanelMatrix panels;
};

inline RandomMatrix random_matrix(PanelType type, int rows, int cols, std::mt19937& rng) {
  const std::size_t bytes = panel_bytes(type, cols);
  const int count = panel_count(rows);
  RandomMatrix m{
      random_file_rows(type, rows, cols, rng), Buffer(bytes * static_cast<std::size_t>(count)), {}};
  pack_panels(type, m.file.data(), rows, cols, 0, count, m.packed.data());
  m.panels = {m.packed.data(), type, rows, cols, bytes};
  return m;
}

inline std::vector<float> random_activations(int tokens, int cols, std::mt19937& rng) {
  std::vector<float> x(static_cast<std::size_t>(tokens) * static_cast<std::size_t>(cols));
  std::normal_distribution<float> normal;
  for (float& v : x) v = normal(rng);
  return x;
}

// Converts all tokens in one call.
inline Buffer convert_all(const MatmulKernels& kernels, ActType type, std::span<const float> x,
                          int tokens, int cols) {
  Buffer act(kernels.act_bytes(type, tokens, cols));
  kernels.convert(type, x.data(), cols, tokens, 0, tokens, cols, act.data());
  return act;
}

}  // namespace rbee::cpu::testing
