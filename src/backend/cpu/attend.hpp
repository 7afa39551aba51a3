// Attention over the paged cache: stores what this step adds to it and divides the queries among
// the workers.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "backend/cpu/attend_call.hpp"
#include "backend/cpu/kernels/attention.hpp"
#include "backend/cpu/worker.hpp"

namespace rbee::cpu {

// The keys of a sequence are cut here, whatever the batch and the number of workers: each part has
// its own running maximum, and parts are merged in ascending order. So the parts of one sequence
// may be computed by several workers without a bit of difference.
inline constexpr int kPartKeys = 256;
static_assert(kPartKeys % kKeyBlock == 0);

class Attention {
 public:
  explicit Attention(const AttentionKernels& kernels) : kernels_(kernels) {}

  // Throws BackendError when the batch does not fit the cache.
  void run(Worker& worker, const AttendCall& call);

 private:
  // Some tokens of one sequence, for one group of heads and parts [part_begin, part_end) of its
  // keys.
  struct Task {
    int seq;
    int heads;  // the number of the group
    int token_begin;
    int token_end;
    int part_begin;
    int part_end;
    int rows;   // queries, filled up to a multiple of AttendShape::row_unit
    int group;  // of the tasks with the same tokens and heads, one for each part; -1: none
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
    float* row;
    AttentionState total;
    AttentionState part;
  };

  void plan(int workers, const AttendCall& call);
  void plan_block(const AttendCall& call, int seq, int token_begin, int token_end, bool divide);
  void plan_runs(const AttendCall& call, int seq);
  Range take_partials(Worker& worker, int sum_dim);
  Scratch take_scratch(Arena& own, const AttendShape& shape) const;
  void store_runs(Worker& worker, const AttendCall& call);
  void store_token(const AttendCall& call, int token, int seq, int stored_head,
                   float* scratch) const;
  AttentionRows prepare(const AttendCall& call, const Task& task, const Scratch& scratch) const;
  void run_task(Team& team, const AttendCall& call, const Task& task, const Scratch& scratch) const;
  void attend_part(const AttendCall& call, const Task& task, const AttentionRows& rows, int part,
                   const AttentionState& state) const;
  void merge_group(const AttendCall& call, const Task& task, const Scratch& scratch) const;
  void finish(const AttendCall& call, const Task& task, const Scratch& scratch) const;

  const AttentionKernels& kernels_;
  // The plan, the same on every worker; kept to reuse the memory.
  std::vector<Task> tasks_;
  std::vector<Run> runs_;
  std::vector<Group> groups_;
  int max_rows_ = 0;
};

}  // namespace rbee::cpu
