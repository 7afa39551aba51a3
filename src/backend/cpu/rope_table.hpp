// RopeTables: cos and sin of every token's rotary angles, computed once a step for each distinct
// Rope.
#pragma once
#include <vector>

#include "backend/cpu/kernels/vector.hpp"
#include "backend/cpu/worker.hpp"
#include "backend/ops.hpp"
#include "core/batch.hpp"

namespace rbee::cpu {

// [T][2][dims]: cos, and sin with its sign, of each element's angle, as VectorKernels::rotate wants
// them. null without rotation.
struct RopeTable {
  const float* values = nullptr;
  Range range{};
};

// The head of n values of a token, rotated. out must not overlap it.
struct RopeHead {
  int token;
  int n;
};
void rotate(const VectorKernels& vector, const Rope& rope, const RopeTable& table,
            const RopeHead& head, const float* x, float* out);

class RopeTables {
 public:
  void begin_step() noexcept { tables_.clear(); }

  // May divide the work among the workers: whoever reads the table states so (Worker::before).
  RopeTable get(Worker& worker, const Rope& rope, const Batch& batch);

 private:
  struct Entry {
    Rope rope;
    RopeTable table;
  };
  std::vector<Entry> tables_;
};

}  // namespace rbee::cpu
