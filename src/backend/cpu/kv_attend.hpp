// KvAttend: one call of Ops::attend, over the keys and values of each KV head.
#pragma once
#include "backend/cpu/attend_call.hpp"
#include "backend/cpu/kernels/vector.hpp"
#include "backend/cpu/rope_table.hpp"
#include "backend/ops.hpp"

namespace rbee::cpu {

class KvAttend final : public AttendCall {
 public:
  struct Args {
    const AttentionParams& params;
    const Batch& batch;
    const KvLayer& cache;
    Tensor qkv;
    Tensor out;
    RopeTable rope;
  };
  // Throws BackendError when heads and columns do not fit each other or the cache.
  KvAttend(const AttentionKernels& attention, const VectorKernels& vector, const Args& args);

  void store(int token, int stored_head, int slot, std::byte* page, float* scratch) const override;
  void prepare(int token, int head, float* scratch, std::byte* prepared) const override;
  AttentionRows rows() const override;
  void attend(const AttentionRows& rows, const std::byte* page, int first_key,
              const std::byte* next, const AttentionState& state) const override;
  void finish(const AttentionState& state, int row, int token, int head,
              float* scratch) const override;

 private:
  const AttentionKernels& attention_;
  const VectorKernels& vector_;
  Args args_;
};

}  // namespace rbee::cpu
