// AttendCall: one call of an attention op, as the planner sees it.
#pragma once
#include <array>
#include <cstddef>

#include "backend/cpu/kernels/attention.hpp"
#include "backend/cpu/kv_cache.hpp"
#include "backend/cpu/worker.hpp"
#include "core/batch.hpp"

namespace rbee::cpu {

// Query heads come in groups: those of a group read the same pages and are worked on together.
struct AttendShape {
  int heads = 0;  // of queries
  int group = 0;  // heads of a group; the last group may have fewer
  int stored_heads =
      0;              // each stored and read for itself: one for each group, or one for all groups
  int window = 0;     // keys a query sees, its own included; 0: all
  int query_dim = 0;  // elements of a prepared query
  int sum_dim = 0;    // columns of a state's weighted sum
  int row_unit = 1;   // the kernel wants a multiple of so many queries

  int groups() const noexcept { return (heads + group - 1) / group; }
};

struct AttendInput {
  const Batch& batch;
  const KvLayer& cache;
  AttendShape shape;
  std::array<Range, 3> reads;  // beside the cache
  Range writes;
};

class AttendCall : public AttendInput {
 public:
  explicit AttendCall(const AttendInput& input) : AttendInput(input) {}
  virtual ~AttendCall() = default;
  AttendCall(const AttendCall&) = delete;
  AttendCall& operator=(const AttendCall&) = delete;

  // Rotates and stores what the token keeps of this head, in its slot of a page. scratch:
  // shape.query_dim values.
  virtual void store(int token, int stored_head, int slot, std::byte* page,
                     float* scratch) const = 0;
  // Rotates the query of a head and puts it in the form attend wants.
  virtual void prepare(int token, int head, float* scratch, std::byte* prepared) const = 0;
  // The rows without queries: the softmax scale, the window.
  virtual AttentionRows rows() const = 0;
  virtual void attend(const AttentionRows& rows, const std::byte* page, int first_key,
                      const std::byte* next, const AttentionState& state) const = 0;
  // Writes the result of a row of the state. scratch: as above.
  virtual void finish(const AttentionState& state, int row, int token, int head,
                      float* scratch) const = 0;
};

}  // namespace rbee::cpu
