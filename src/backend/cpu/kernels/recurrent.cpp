#include "backend/cpu/kernels/recurrent.hpp"

namespace rbee::cpu {

const RecurrentKernels& recurrent_kernels(Isa isa) noexcept {
  switch (isa) {
    case Isa::avx512:
      return avx512::kRecurrent;
    case Isa::avx2:
      return avx2::kRecurrent;
    case Isa::base:
      break;
  }
  return base::kRecurrent;
}

}  // namespace rbee::cpu
