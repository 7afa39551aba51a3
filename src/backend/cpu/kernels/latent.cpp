#include "backend/cpu/kernels/latent.hpp"

namespace rbee::cpu {

const LatentKernels& latent_kernels(Isa isa) noexcept {
  switch (isa) {
    case Isa::avx512:
      return avx512::kLatent;
    case Isa::avx2:
      return avx2::kLatent;
    case Isa::base:
      break;
  }
  return base::kLatent;
}

}  // namespace rbee::cpu
