// Attention kernels over pages of latents: one row for each token serves as the key and as the
// value of all heads (the absorbed form of multi-head latent attention; DeepSeek-V2, 2024,
// arXiv:2405.04434). The softmax is that of attention.hpp, and so are states and the promise that a
// row's result depends on nothing but its own position, query and keys.
//
// A page holds kKeyBlock rows of `width` elements, a multiple of kLatentBlock: the latent, the
// rotated key, zeros. bf16 rows hold the elements i and i + 16 of a block in one 32-bit unit, so
// that both halves of a register of units are consecutive elements.
#pragma once
#include <cstddef>
#include <cstdint>

#include "backend/cpu/kernels/attention.hpp"
#include "backend/cpu/kernels/isa.hpp"

namespace rbee::cpu {

constexpr int kLatentBlock = 32;
constexpr int kLatentRows = 8;  // queries that are worked on together

static constexpr int latent_padded(int dim) {
  return (dim + kLatentBlock - 1) / kLatentBlock * kLatentBlock;
}
// Latents are f32 or bf16.
static constexpr KvStore latent_store(KvStore store) {
  return store == KvStore::f32 ? KvStore::f32 : KvStore::bf16;
}
static constexpr std::size_t latent_page_bytes(KvStore store, int width) {
  return kv_bytes(latent_store(store), width);
}

// Queries: rows.rows a multiple of kLatentRows; those that only fill it up have position -1.
// rows.head_dim is the width, no window and no cap. A state's out has value_dim columns, a multiple
// of kLatentBlock: the weighted sums of the first elements of each token.
struct LatentRows {
  AttentionRows rows;
  int value_dim;
};

struct LatentKernels {
  Isa isa;

  // Stores the row [width] of one token in its slot of a page.
  void (*store)(KvStore store, const float* row, int width, int slot, std::byte* page);

  // Puts a query [width] in the form attend wants it, width * 4 bytes.
  void (*prepare)(KvStore store, const float* query, int width, void* prepared);

  // As AttentionKernels::attend.
  void (*attend)(KvStore store, const LatentRows& rows, const std::byte* page, int first_key,
                 const std::byte* next, const AttentionState& state);
};

// The kernels of an instruction set, whether or not the processor has it.
const LatentKernels& latent_kernels(Isa isa) noexcept;

namespace base {
extern const LatentKernels kLatent;
}
namespace avx2 {
extern const LatentKernels kLatent;
}
namespace avx512 {
extern const LatentKernels kLatent;
}

}  // namespace rbee::cpu
