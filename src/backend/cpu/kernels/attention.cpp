#include "backend/cpu/kernels/attention.hpp"

namespace rbee::cpu {

const AttentionKernels& attention_kernels(Isa isa) noexcept {
  switch (isa) {
    case Isa::avx512:
      return avx512::kAttention;
    case Isa::avx2:
      return avx2::kAttention;
    case Isa::base:
      break;
  }
  return base::kAttention;
}

}  // namespace rbee::cpu
