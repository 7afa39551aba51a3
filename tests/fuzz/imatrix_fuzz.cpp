// links: rbee_quantize
// Reads the input as an importance matrix of either format and looks its entries up.
#include <cstdint>
#include <span>

#include "base/load_error.hpp"
#include "quantize/importance_matrix.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto matrix = rbee::ImportanceMatrix::read("input", std::as_bytes(std::span(data, size)));
    volatile float total = 0;
    for (const int part : {-1, 0, 1, 1 << 30}) {
      for (const std::size_t cols : {0U, 1U, 2U, 4U}) {
        try {
          for (const float v : matrix.columns("blk.0.ffn_up_exps.weight", part, cols)) {
            total = total + v;
          }
        } catch (const rbee::LoadError&) {
        }
      }
    }
  } catch (const rbee::LoadError&) {
  }
  return 0;
}
