#include "backend/cpu/kernels/vector.hpp"

namespace rbee::cpu {

const VectorKernels& vector_kernels(Isa isa) noexcept {
  switch (isa) {
    case Isa::avx512:
      return avx512::kVector;
    case Isa::avx2:
      return avx2::kVector;
    case Isa::base:
      break;
  }
  return base::kVector;
}

}  // namespace rbee::cpu
