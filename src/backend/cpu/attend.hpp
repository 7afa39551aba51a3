// Attention over the paged cache: rotates and stores this step's keys and values, and divides the
// queries among the workers.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "backend/cpu/kernels/attention.hpp"
#include "backend/cpu/kernels/vector.hpp"
#include "backend/cpu/kv_cache.hpp"
#include "backend/cpu/rope_table.hpp"
#include "backend/cpu/worker.hpp"
#include "backend/ops.hpp"
#include "core/batch.hpp"

namespace rbee::cpu {

// The keys of a sequence are cut here, whatever the batch and the number of workers: each part has
// its own running maximum, and parts are merged in ascending order. So the parts of one sequence
// may be computed by several workers without a bit of difference.
inline constexpr int kPartKeys = 256;
static_assert(kPartKeys % kKeyBlock == 0);

// One call of Ops::attend.
struct AttendCall {
  Tensor qkv;
  Tensor out;
  const AttentionParams& params;
  const Batch& batch;
  const KvLayer& kv;
  RopeTable rope;
};

class Attention {
 public:
  Attention(const AttentionKernels& attention, const VectorKernels& vector)
      : attention_(attention), vector_(vector) {}

  // Throws BackendError when the batch does not fit the cache.
  void run(Worker& worker, const AttendCall& call);

 private:
  // Some tokens of one sequence, for one KV head and parts [part_begin, part_end) of its keys.
  struct Task {
    int seq;
    int kv_head;
    int token_begin;
    int token_end;
    int part_begin;
    int part_end;
    int group;  // of the tasks with the same tokens and KV head, one for each part; -1: none
  };
  // Tokens of one sequence that lie in one page.
  struct Run {
    int seq;
    int token_begin;
    int token_end;
  };
  struct Group {
    int tasks;
    int first_part;
    int rows;
    float* parts;  // the states of the tasks, one after the other
  };
  // Memory of this worker for the task at hand.
  struct Scratch {
    std::byte* queries;
    std::int32_t* positions;
    float* rotated;
    AttentionState total;
    AttentionState part;
  };

  void plan(int workers, const AttendCall& call);
  Range take_partials(Worker& worker, int head_dim);
  Scratch take_scratch(Arena& own, int head_dim) const;
  void plan_block(const AttendCall& call, int seq, int token_begin, int token_end, bool divide);
  void plan_runs(const AttendCall& call, int seq);
  void store_runs(Worker& worker, const AttendCall& call);
  AttentionRows prepare(const AttendCall& call, const Task& task, const Scratch& scratch) const;
  void store_token(const AttendCall& call, int token, int seq, int kv_head, float* rotated) const;
  void rotate(const AttendCall& call, int token, const float* head, float* out) const;
  void run_task(Team& team, const AttendCall& call, const Task& task, const Scratch& scratch) const;
  void attend_part(const AttendCall& call, const Task& task, const AttentionRows& rows, int part,
                   const AttentionState& state) const;
  void merge_group(const AttendCall& call, const Task& task, const AttentionState& total) const;
  void finish(const AttendCall& call, const Task& task, const AttentionState& state) const;

  const AttentionKernels& attention_;
  const VectorKernels& vector_;
  // The plan, the same on every worker; kept to reuse the memory.
  std::vector<Task> tasks_;
  std::vector<Run> runs_;
  std::vector<Group> groups_;
  int max_rows_ = 0;
};

}  // namespace rbee::cpu
