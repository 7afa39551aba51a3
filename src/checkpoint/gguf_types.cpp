#include "checkpoint/gguf_types.hpp"

#include <array>

namespace rbee {
namespace {

constexpr GgufTensorType known(std::string_view name, std::uint32_t block, std::uint32_t bytes) {
  return {name, block, bytes, std::nullopt};
}
constexpr GgufTensorType withdrawn(std::string_view name) { return {name, 0, 0, std::nullopt}; }

constexpr std::array<GgufTensorType, 43> kTypes{{
    {"F32", 1, 4, DType::f32},
    {"F16", 1, 2, DType::f16},
    {"Q4_0", 32, 18, DType::q4_0},
    {"Q4_1", 32, 20, DType::q4_1},
    withdrawn("Q4_2"),
    withdrawn("Q4_3"),
    {"Q5_0", 32, 22, DType::q5_0},
    {"Q5_1", 32, 24, DType::q5_1},
    {"Q8_0", 32, 34, DType::q8_0},
    known("Q8_1", 32, 36),
    {"Q2_K", 256, 84, DType::q2_k},
    {"Q3_K", 256, 110, DType::q3_k},
    {"Q4_K", 256, 144, DType::q4_k},
    {"Q5_K", 256, 176, DType::q5_k},
    {"Q6_K", 256, 210, DType::q6_k},
    {"Q8_K", 256, 292, DType::q8_k},
    {"IQ2_XXS", 256, 66, DType::iq2_xxs},
    {"IQ2_XS", 256, 74, DType::iq2_xs},
    {"IQ3_XXS", 256, 98, DType::iq3_xxs},
    {"IQ1_S", 256, 50, DType::iq1_s},
    {"IQ4_NL", 32, 18, DType::iq4_nl},
    {"IQ3_S", 256, 110, DType::iq3_s},
    {"IQ2_S", 256, 82, DType::iq2_s},
    {"IQ4_XS", 256, 136, DType::iq4_xs},
    known("I8", 1, 1),
    known("I16", 1, 2),
    known("I32", 1, 4),
    known("I64", 1, 8),
    known("F64", 1, 8),
    {"IQ1_M", 256, 56, DType::iq1_m},
    {"BF16", 1, 2, DType::bf16},
    withdrawn("Q4_0_4_4"),
    withdrawn("Q4_0_4_8"),
    withdrawn("Q4_0_8_8"),
    {"TQ1_0", 256, 54, DType::tq1_0},
    {"TQ2_0", 256, 66, DType::tq2_0},
    withdrawn("IQ4_NL_4_4"),
    withdrawn("IQ4_NL_4_8"),
    withdrawn("IQ4_NL_8_8"),
    {"MXFP4", 32, 17, DType::mxfp4},
    {"NVFP4", 64, 36, DType::nvfp4},
    {"Q1_0", 128, 18, DType::q1_0},
    {"Q2_0", 64, 18, DType::q2_0},
}};

}  // namespace

const GgufTensorType* gguf_tensor_type(std::uint32_t id) noexcept {
  return id < kTypes.size() ? &kTypes[id] : nullptr;
}

std::uint32_t gguf_type_id(DType type) noexcept {
  std::uint32_t id = 0;
  while (kTypes[id].dtype != type) ++id;
  return id;
}

}  // namespace rbee
