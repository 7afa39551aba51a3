#include "backend/cpu/kernels/matmul.hpp"

namespace rbee::cpu {

const MatmulKernels& matmul_kernels(Isa isa) noexcept {
  switch (isa) {
    case Isa::avx512:
      return avx512::kMatmul;
    case Isa::avx2:
      return avx2::kMatmul;
    case Isa::base:
      break;
  }
  return base::kMatmul;
}

}  // namespace rbee::cpu
