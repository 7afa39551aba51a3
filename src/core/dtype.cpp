#include "core/dtype.hpp"

#include <array>

namespace rbee {
namespace {

constexpr std::array kInfo{
    DTypeInfo{"F32", 1, 4, false},       DTypeInfo{"F16", 1, 2, false},
    DTypeInfo{"BF16", 1, 2, false},      DTypeInfo{"Q4_0", 32, 18, true},
    DTypeInfo{"Q4_1", 32, 20, true},     DTypeInfo{"Q5_0", 32, 22, true},
    DTypeInfo{"Q5_1", 32, 24, true},     DTypeInfo{"Q8_0", 32, 34, true},
    DTypeInfo{"Q2_K", 256, 84, true},    DTypeInfo{"Q3_K", 256, 110, true},
    DTypeInfo{"Q4_K", 256, 144, true},   DTypeInfo{"Q5_K", 256, 176, true},
    DTypeInfo{"Q6_K", 256, 210, true},   DTypeInfo{"Q8_K", 256, 292, true},
    DTypeInfo{"MXFP4", 32, 17, true},    DTypeInfo{"IQ4_NL", 32, 18, true},
    DTypeInfo{"IQ4_XS", 256, 136, true}, DTypeInfo{"NVFP4", 64, 36, true},
    DTypeInfo{"IQ2_XXS", 256, 66, true}, DTypeInfo{"IQ2_XS", 256, 74, true},
    DTypeInfo{"IQ2_S", 256, 82, true},   DTypeInfo{"IQ3_XXS", 256, 98, true},
    DTypeInfo{"IQ3_S", 256, 110, true},  DTypeInfo{"IQ1_S", 256, 50, true},
    DTypeInfo{"IQ1_M", 256, 56, true},   DTypeInfo{"TQ1_0", 256, 54, true},
    DTypeInfo{"TQ2_0", 256, 66, true},   DTypeInfo{"Q1_0", 128, 18, true},
    DTypeInfo{"Q2_0", 64, 18, true},     DTypeInfo{"F8_E4M3", 32, 36, true},
    DTypeInfo{"INT4", 32, 24, true},     DTypeInfo{"INT8", 32, 40, true},
    DTypeInfo{"NF4", 32, 20, true},      DTypeInfo{"FP4", 32, 20, true},
};

constexpr std::array kAll{
    DType::f32,     DType::f16,    DType::bf16,  DType::q4_0,    DType::q4_1,   DType::q5_0,
    DType::q5_1,    DType::q8_0,   DType::q2_k,  DType::q3_k,    DType::q4_k,   DType::q5_k,
    DType::q6_k,    DType::q8_k,   DType::mxfp4, DType::iq4_nl,  DType::iq4_xs, DType::nvfp4,
    DType::iq2_xxs, DType::iq2_xs, DType::iq2_s, DType::iq3_xxs, DType::iq3_s,  DType::iq1_s,
    DType::iq1_m,   DType::tq1_0,  DType::tq2_0, DType::q1_0,    DType::q2_0,   DType::f8_e4m3,
    DType::int4,    DType::int8,   DType::nf4,   DType::fp4};
static_assert(kAll.size() == kInfo.size());

}  // namespace

const DTypeInfo& info(DType type) noexcept { return kInfo[static_cast<std::size_t>(type)]; }

std::span<const DType> all_dtypes() noexcept { return kAll; }

std::optional<DType> dtype_from_name(std::string_view name) noexcept {
  for (const DType type : kAll) {
    if (info(type).name == name) return type;
  }
  return std::nullopt;
}

}  // namespace rbee
