// The instruction sets the CPU kernels are built for. Each is a whole build of the same sources in
// its own namespace (cmake/KernelVariants.cmake); one of them is chosen when the backend starts.
#pragma once
#include <cstdint>

namespace rbee::cpu {

// base: plain x86-64 (SSE2). avx2: with FMA and F16C. avx512: F, BW, DQ, VL, VNNI and BF16.
enum class Isa : std::uint8_t { base, avx2, avx512 };
constexpr Isa kAllIsas[] = {Isa::base, Isa::avx2, Isa::avx512};

const char* isa_name(Isa isa) noexcept;  // "base", "avx2", "avx512"
bool isa_supported(Isa isa) noexcept;    // by this processor and operating system
Isa best_isa() noexcept;                 // the widest one that is supported

}  // namespace rbee::cpu
