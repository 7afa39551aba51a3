#include "backend/cpu/attend.hpp"

#include <algorithm>
#include <cstring>
#include <string>

namespace rbee::cpu {
namespace {

// Queries of a task when there are many: enough to make up for reading the keys, few enough to keep
// their sums in the first-level cache.
constexpr int kTaskRows = 64;

template <class T>
T at(std::span<const T> values, int index) {
  return values[static_cast<std::size_t>(index)];
}

int oldest_key(const AttendShape& shape, int position) {
  return shape.window == 0 ? 0 : std::max(0, position - shape.window + 1);
}

std::size_t padded_rows(int rows) { return (static_cast<std::size_t>(rows) + 15) / 16 * 16; }

std::size_t state_floats(int rows, int sum_dim) {
  return padded_rows(rows) +
         static_cast<std::size_t>(rows) * static_cast<std::size_t>(kSumLanes + padded_dim(sum_dim));
}

AttentionState state_at(float* memory, int rows) {
  float* sum = memory + padded_rows(rows);
  return {memory, sum, sum + static_cast<std::ptrdiff_t>(rows) * kSumLanes};
}

int tokens_per_task(const AttendShape& shape) { return std::max(1, kTaskRows / shape.group); }

int heads_of(const AttendShape& shape, int group) {
  return std::min(shape.group, shape.heads - group * shape.group);
}

std::byte* page_of(const AttendCall& call, int seq, int position, int group) {
  const int index = position / kPageTokens;
  const int ring = call.cache.ring_pages;
  const int page = ring > 0 ? at(call.batch.slots, seq) * ring + index % ring
                            : at(call.batch.pages, at(call.batch.page_begin, seq) + index);
  return call.cache.page(page, std::min(group, call.shape.stored_heads - 1));
}

// Of a sequence's only token each stored head is read by one task, which can store it.
bool stored_by_task(const AttendCall& call, int seq) {
  return at(call.batch.seq_begin, seq + 1) - at(call.batch.seq_begin, seq) == 1 &&
         call.shape.groups() == call.shape.stored_heads;
}

// A step must not overwrite what it reads.
void check_ring(const AttendCall& call, int seq) {
  const Batch& batch = call.batch;
  const int ring = call.cache.ring_pages;
  const bool has_slot = seq < static_cast<int>(batch.slots.size()) && at(batch.slots, seq) >= 0 &&
                        at(batch.slots, seq) < call.cache.n_pages / ring;
  if (!has_slot) throw BackendError("a sequence has no slot for the keys of its windows");
  const int first = oldest_key(call.shape, at(batch.positions, at(batch.seq_begin, seq)));
  const int last = at(batch.positions, at(batch.seq_begin, seq + 1) - 1);
  if (last / kPageTokens - first / kPageTokens >= ring) {
    throw BackendError("a step takes more tokens than its slots have room for");
  }
}

void check_pages(const AttendCall& call) {
  const Batch& batch = call.batch;
  for (int s = 0; s < batch.n_seqs(); ++s) {
    if (call.cache.ring_pages > 0) {
      if (at(batch.seq_begin, s) < at(batch.seq_begin, s + 1)) check_ring(call, s);
      continue;
    }
    const int begin = at(batch.seq_begin, s);
    const int end = at(batch.seq_begin, s + 1);
    if (begin == end) continue;
    const int keys = at(batch.positions, end - 1) + 1;
    const int pages = at(batch.page_begin, s + 1) - at(batch.page_begin, s);
    if (keys > pages * kPageTokens) throw BackendError("a sequence has fewer pages than tokens");
    for (int i = 0; i < (keys + kPageTokens - 1) / kPageTokens; ++i) {
      const int page = at(batch.pages, at(batch.page_begin, s) + i);
      if (page < 0 || page >= call.cache.n_pages) throw BackendError("no such page of the cache");
    }
  }
}

}  // namespace

void Attention::plan(int workers, const AttendCall& call) {
  tasks_.clear();
  runs_.clear();
  groups_.clear();
  max_rows_ = 0;
  const Batch& batch = call.batch;
  const int block = tokens_per_task(call.shape);
  int count = 0;
  for (int s = 0; s < batch.n_seqs(); ++s) {
    const int tokens = at(batch.seq_begin, s + 1) - at(batch.seq_begin, s);
    count += (tokens + block - 1) / block * call.shape.groups();
  }
  // Few tasks: cut them by parts of the keys, so that all workers find work.
  const bool divide = workers > 1 && count < Team::kGroupsPerWorker * workers;
  for (int s = 0; s < batch.n_seqs(); ++s) {
    const int begin = at(batch.seq_begin, s);
    const int end = at(batch.seq_begin, s + 1);
    if (begin == end) continue;
    if (!stored_by_task(call, s)) plan_runs(call, s);
    // Late tokens see more keys: the largest tasks come first.
    for (int first = begin + (end - begin - 1) / block * block; first >= begin; first -= block) {
      plan_block(call, s, first, std::min(first + block, end), divide);
    }
  }
}

void Attention::plan_runs(const AttendCall& call, int seq) {
  const Batch& batch = call.batch;
  const int end = at(batch.seq_begin, seq + 1);
  for (int t = at(batch.seq_begin, seq); t < end;) {
    const int slot = at(batch.positions, t) % kPageTokens;
    const int next = std::min(end, t + kPageTokens - slot);
    runs_.push_back({seq, t, next});
    t = next;
  }
}

void Attention::plan_block(const AttendCall& call, int seq, int token_begin, int token_end,
                           bool divide) {
  const AttendShape& shape = call.shape;
  const int oldest = oldest_key(shape, at(call.batch.positions, token_begin));
  const int first = oldest / kPartKeys;
  const int last = at(call.batch.positions, token_end - 1) / kPartKeys;
  for (int g = 0; g < shape.groups(); ++g) {
    const int queries = (token_end - token_begin) * heads_of(shape, g);
    const int rows = (queries + shape.row_unit - 1) / shape.row_unit * shape.row_unit;
    max_rows_ = std::max(max_rows_, rows);
    if (!divide || first == last) {
      tasks_.push_back({seq, g, token_begin, token_end, first, last + 1, rows, -1});
      continue;
    }
    const int group = static_cast<int>(groups_.size());
    groups_.push_back({last - first + 1, first, rows, nullptr});
    for (int part = first; part <= last; ++part) {
      tasks_.push_back({seq, g, token_begin, token_end, part, part + 1, rows, group});
    }
  }
}

Range Attention::take_partials(Worker& worker, int sum_dim) {
  std::size_t floats = 0;
  for (const Group& group : groups_) {
    floats += static_cast<std::size_t>(group.tasks) * state_floats(group.rows, sum_dim);
  }
  const std::size_t bytes = floats * sizeof(float);
  auto* memory = reinterpret_cast<float*>(worker.shared().take(bytes));
  const Range range = Range::of(memory, bytes);
  for (Group& group : groups_) {
    group.parts = memory;
    memory += static_cast<std::size_t>(group.tasks) * state_floats(group.rows, sum_dim);
  }
  return range;
}

Attention::Scratch Attention::take_scratch(Arena& own, const AttendShape& shape) const {
  const auto rows = static_cast<std::size_t>(max_rows_);
  const auto dim = static_cast<std::size_t>(shape.query_dim);
  const auto floats = [&own](std::size_t n) {
    return reinterpret_cast<float*>(own.take(n * sizeof(float)));
  };
  return {.queries = own.take(rows * dim * sizeof(float)),
          .positions = reinterpret_cast<std::int32_t*>(own.take(rows * sizeof(std::int32_t))),
          .row = floats(dim),
          .total = state_at(floats(state_floats(max_rows_, shape.sum_dim)), max_rows_),
          .part = state_at(floats(state_floats(max_rows_, shape.sum_dim)), max_rows_)};
}

void Attention::run(Worker& worker, const AttendCall& call) {
  check_pages(call);
  plan(worker.workers(), call);
  if (tasks_.empty()) return;
  if (!runs_.empty()) store_runs(worker, call);

  const std::size_t mark = worker.mark();
  const Range partials = take_partials(worker, call.shape.sum_dim);
  const Scratch scratch = take_scratch(worker.own(), call.shape);
  const Range cache = Range::of(call.cache.memory.data(), call.cache.memory.size());
  // The counters of the groups are in use until the last task is done.
  const Range counters = Range::of(&worker.team(), sizeof(Team));
  worker.before({call.reads[0], call.reads[1], call.reads[2], cache},
                {call.writes, partials, cache, counters});
  const int n = static_cast<int>(tasks_.size());
  worker.split(n, n, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      run_task(worker.team(), call, tasks_[static_cast<std::size_t>(i)], scratch);
    }
  });
  worker.release(mark);
}

void Attention::store_runs(Worker& worker, const AttendCall& call) {
  const std::size_t mark = worker.mark();
  const auto dim = static_cast<std::size_t>(call.shape.query_dim);
  auto* scratch = reinterpret_cast<float*>(worker.own().take(dim * sizeof(float)));
  worker.before({call.reads[0], call.reads[1], call.reads[2]},
                {Range::of(call.cache.memory.data(), call.cache.memory.size())});
  const int heads = call.shape.stored_heads;
  const int n = static_cast<int>(runs_.size()) * heads;
  worker.split(n, n, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      const Run& run = runs_[static_cast<std::size_t>(i / heads)];
      for (int t = run.token_begin; t < run.token_end; ++t) {
        store_token(call, t, run.seq, i % heads, scratch);
      }
    }
  });
  worker.release(mark);
}

void Attention::store_token(const AttendCall& call, int token, int seq, int stored_head,
                            float* scratch) const {
  const int position = at(call.batch.positions, token);
  const int slot = position % kPageTokens;
  std::byte* page = page_of(call, seq, position, stored_head);
  // A page is read as a whole: what its last owner left behind must not meet a weight of zero.
  if (slot == 0) std::memset(page, 0, call.cache.head_bytes);
  call.store(token, stored_head, slot, page, scratch);
}

AttentionRows Attention::prepare(const AttendCall& call, const Task& task,
                                 const Scratch& scratch) const {
  const AttendShape& shape = call.shape;
  const std::size_t row_bytes = static_cast<std::size_t>(shape.query_dim) * sizeof(float);
  const int first_head = task.heads * shape.group;
  int row = 0;
  for (int t = task.token_begin; t < task.token_end; ++t) {
    for (int g = 0; g < heads_of(shape, task.heads); ++g, ++row) {
      call.prepare(t, first_head + g, scratch.row,
                   scratch.queries + static_cast<std::size_t>(row) * row_bytes);
      scratch.positions[row] = at(call.batch.positions, t);
    }
  }
  for (; row < task.rows; ++row) {
    std::memset(scratch.queries + static_cast<std::size_t>(row) * row_bytes, 0, row_bytes);
    scratch.positions[row] = -1;  // sees nothing
  }
  AttentionRows rows = call.rows();
  rows.queries = scratch.queries;
  rows.position = scratch.positions;
  rows.rows = task.rows;
  return rows;
}

void Attention::attend_part(const AttendCall& call, const Task& task, const AttentionRows& rows,
                            int part, const AttentionState& state) const {
  kernels_.clear(state, rows.rows, call.shape.sum_dim);
  const int oldest = oldest_key(call.shape, at(call.batch.positions, task.token_begin));
  const int last = at(call.batch.positions, task.token_end - 1);
  const int begin = std::max(part * kPartKeys, oldest / kKeyBlock * kKeyBlock);
  const int end = std::min((part + 1) * kPartKeys, last + 1);
  for (int key = begin; key < end; key += kKeyBlock) {
    const std::byte* page = page_of(call, task.seq, key, task.heads);
    const int ahead = key + kKeyBlock;
    const std::byte* next = ahead <= last ? page_of(call, task.seq, ahead, task.heads) : nullptr;
    call.attend(rows, page, key, next, state);
  }
}

void Attention::run_task(Team& team, const AttendCall& call, const Task& task,
                         const Scratch& scratch) const {
  const AttentionRows rows = prepare(call, task, scratch);
  const int last = at(call.batch.positions, task.token_end - 1);
  if (stored_by_task(call, task.seq) && last / kPartKeys == task.part_end - 1) {
    store_token(call, task.token_begin, task.seq, task.heads, scratch.row);
  }
  const int dim = call.shape.sum_dim;
  if (task.group < 0) {
    kernels_.clear(scratch.total, rows.rows, dim);
    for (int part = task.part_begin; part < task.part_end; ++part) {
      attend_part(call, task, rows, part, scratch.part);
      kernels_.merge(scratch.total, scratch.part, rows.rows, dim);
    }
    return finish(call, task, scratch);
  }
  const Group& group = groups_[static_cast<std::size_t>(task.group)];
  const int index = task.part_begin - group.first_part;
  float* memory = group.parts + static_cast<std::size_t>(index) * state_floats(group.rows, dim);
  attend_part(call, task, rows, task.part_begin, state_at(memory, group.rows));
  std::atomic<std::uint32_t>& done = team.group(task.group);
  if (done.fetch_add(1, std::memory_order_acq_rel) + 1 == static_cast<std::uint32_t>(group.tasks)) {
    done.store(0, std::memory_order_relaxed);
    merge_group(call, task, scratch);
  }
}

void Attention::merge_group(const AttendCall& call, const Task& task,
                            const Scratch& scratch) const {
  const Group& group = groups_[static_cast<std::size_t>(task.group)];
  const int dim = call.shape.sum_dim;
  kernels_.clear(scratch.total, group.rows, dim);
  for (int i = 0; i < group.tasks; ++i) {
    float* memory = group.parts + static_cast<std::size_t>(i) * state_floats(group.rows, dim);
    kernels_.merge(scratch.total, state_at(memory, group.rows), group.rows, dim);
  }
  finish(call, task, scratch);
}

void Attention::finish(const AttendCall& call, const Task& task, const Scratch& scratch) const {
  int row = 0;
  for (int t = task.token_begin; t < task.token_end; ++t) {
    for (int g = 0; g < heads_of(call.shape, task.heads); ++g, ++row) {
      call.finish(scratch.total, row, t, task.heads * call.shape.group + g, scratch.row);
    }
  }
}

}  // namespace rbee::cpu
