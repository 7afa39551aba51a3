// Backend: a device. Owns weight and state memory, threads or streams, and runs steps.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "backend/ops.hpp"
#include "base/function_ref.hpp"
#include "core/batch.hpp"
#include "core/layer_state.hpp"
#include "core/tensor.hpp"

namespace rbee {

class ProductObserver;

// A step failed (out of memory, a device fault). Caught in one place: the engine fails that batch
// and goes on.
class BackendError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What the key/value cache is stored in. automatic: never coarser than the activations the matrices
// are multiplied with. q8_0, q4_0: blocks of 32 with a scale, 8.5 and 4.5 bits a value. Latents
// (PagedLatent) are stored as bf16 where f16 or these are asked for.
enum class KvType : std::uint8_t { automatic, f32, bf16, f16, q8_0, q4_0 };

struct MemoryUse {
  std::size_t weights = 0;  // bytes in the backend's own memory, as those of the next two are
  std::size_t state = 0;
  std::size_t scratch = 0;
  std::size_t in_file = 0;  // of weights that are read from the file (Weight::in_file)
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string name() const = 0;  // "cpu (avx512, 2 threads)"

  // Whether nothing is packed and only counted (BackendOptions::dry_run): a matrix may then come
  // without its bytes.
  virtual bool dry_run() const { return false; }

  // Copies a matrix into the backend's own layout. The source may be unmapped afterwards, unless
  // the weight says that it is still in the file.
  // Throws LoadError for a type or shape the backend cannot hold.
  virtual Weight pack(const HostMatrix& matrix) = 0;
  virtual Weight pack_vector(std::span<const float> values) = 0;

  // Bytes that pack would take for such a matrix, and that one page or slot takes over all these
  // layers.
  virtual std::size_t packed_bytes(DType type, int rows, int cols) const = 0;
  virtual std::size_t page_bytes(std::span<const LayerState> layers) const = 0;
  virtual std::size_t slot_bytes(std::span<const LayerState> layers) const = 0;

  // Makes the state memory, zeroed: n_pages pages of kPageTokens tokens and n_slots recurrent slots
  // in each layer. Called once, after the weights are packed; layer i is the state_layer i of Ops.
  // Throws BackendError when memory lacks.
  virtual void allocate_state(std::span<const LayerState> layers, int n_pages, int n_slots) = 0;

  // Runs one step: calls forward with the backend's Ops (possibly on several threads at once, see
  // Ops) and returns the tensor it gave, [batch.logit_rows.size(), vocab], as host memory that
  // stays valid until the next run. Throws BackendError. One run at a time.
  using Forward = FunctionRef<Tensor(Ops&, const Batch&)>;
  virtual std::span<const float> run(const Batch& batch, Forward forward) = 0;

  virtual MemoryUse memory() const = 0;
};

struct BackendOptions {
  int threads = 0;      // 0: one for each core this process may use
  std::string cpu_isa;  // "": the best the processor has; or base, avx2, avx512
  KvType kv_type = KvType::automatic;
  // false: where a matrix may stay in the file (HostMatrix::lasting) it is computed with from
  // there. Starts at once and takes no memory of its own, but decodes slower. For cpu; others pack.
  bool repack = true;
  bool dry_run = false;  // packs nothing, but memory() and all sizes answer as if; cannot run
  ProductObserver* observer = nullptr;  // must outlive the backend; none: costs nothing
};

}  // namespace rbee
