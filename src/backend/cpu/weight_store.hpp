// WeightStore: the packed weights of a model, in a few large pieces of memory.
#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "backend/cpu/huge_memory.hpp"
#include "backend/cpu/kernels/matmul.hpp"
#include "backend/cpu/thread_pool.hpp"
#include "core/tensor.hpp"

namespace rbee::cpu {

PanelMatrix panel_matrix(const Weight& weight) noexcept;

// Bytes that a matrix of this type and shape takes.
std::size_t packed_matrix_bytes(DType type, int rows, int cols) noexcept;

class WeightStore {
 public:
  // Throws LoadError for a shape that does not fit its type or its bytes.
  Weight pack(const HostMatrix& matrix, ThreadPool& pool);
  Weight pack_vector(std::span<const float> values);
  // The matrix as it lies in the file, which takes no memory. Throws as pack does; in a dry run the
  // matrix is without its bytes, as for plan.
  Weight refer(const HostMatrix& matrix, bool dry_run);
  // Check the shape and count as the two above, but take no memory; nothing may read the result.
  Weight plan(const HostMatrix& matrix);
  Weight plan_vector(std::span<const float> values);

  std::size_t bytes() const noexcept { return bytes_; }
  std::size_t in_file() const noexcept { return in_file_; }

 private:
  std::byte* take(std::size_t bytes);

  std::vector<HugeMemory> pieces_;
  std::span<std::byte> rest_;  // of the last piece
  std::size_t bytes_ = 0;
  std::size_t in_file_ = 0;
};

}  // namespace rbee::cpu
