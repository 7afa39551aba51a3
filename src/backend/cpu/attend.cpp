#include "backend/cpu/attend.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "backend/cpu/tensor_rows.hpp"

namespace rbee::cpu {
namespace {

// Queries of a task when there are many: enough to make up for reading the keys, few enough to keep
// their sums in the first-level cache.
constexpr int kTaskRows = 64;
constexpr float kLog2e = 1.44269504F;

template <class T>
T at(std::span<const T> values, int index) {
  return values[static_cast<std::size_t>(index)];
}

int group_size(const AttentionParams& params) { return params.n_heads / params.n_kv_heads; }

int oldest_key(const AttentionParams& params, int position) {
  return params.window == 0 ? 0 : std::max(0, position - params.window + 1);
}

std::size_t padded_rows(int rows) { return (static_cast<std::size_t>(rows) + 15) / 16 * 16; }

std::size_t state_floats(int rows, int head_dim) {
  return padded_rows(rows) + static_cast<std::size_t>(rows) *
                                 static_cast<std::size_t>(kSumLanes + padded_dim(head_dim));
}

AttentionState state_at(float* memory, int rows) {
  float* sum = memory + padded_rows(rows);
  return {memory, sum, sum + static_cast<std::ptrdiff_t>(rows) * kSumLanes};
}

int tokens_per_task(const AttentionParams& params) {
  return std::max(1, kTaskRows / group_size(params));
}

std::byte* page_of(const AttendCall& call, int seq, int position, int kv_head) {
  const int index = at(call.batch.page_begin, seq) + position / kPageTokens;
  return call.kv.page(at(call.batch.pages, index), kv_head);
}

void check(const AttendCall& call) {
  const AttentionParams& p = call.params;
  const PagedKv& shape = call.kv.shape;
  if (p.n_kv_heads != shape.n_kv_heads || p.head_dim != shape.head_dim) {
    throw BackendError("attention of " + std::to_string(p.n_kv_heads) + " heads of " +
                       std::to_string(p.head_dim) + " on a cache of " +
                       std::to_string(shape.n_kv_heads) + " of " + std::to_string(shape.head_dim));
  }
  const int columns = (p.n_heads + 2 * p.n_kv_heads) * p.head_dim;
  if (p.n_heads % p.n_kv_heads != 0 || call.qkv.cols != columns) {
    throw BackendError("attention of " + std::to_string(p.n_heads) + " heads on " +
                       std::to_string(p.n_kv_heads) + " needs " + std::to_string(columns) +
                       " columns, found " + std::to_string(call.qkv.cols));
  }
  const Batch& batch = call.batch;
  for (int s = 0; s < batch.n_seqs(); ++s) {
    const int begin = at(batch.seq_begin, s);
    const int end = at(batch.seq_begin, s + 1);
    if (begin == end) continue;
    const int keys = at(batch.positions, end - 1) + 1;
    const int pages = at(batch.page_begin, s + 1) - at(batch.page_begin, s);
    if (keys > pages * kPageTokens) throw BackendError("a sequence has fewer pages than tokens");
    for (int i = 0; i < (keys + kPageTokens - 1) / kPageTokens; ++i) {
      const int page = at(batch.pages, at(batch.page_begin, s) + i);
      if (page < 0 || page >= call.kv.n_pages) throw BackendError("no such page of the cache");
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
  const int block = tokens_per_task(call.params);
  int count = 0;
  for (int s = 0; s < batch.n_seqs(); ++s) {
    const int tokens = at(batch.seq_begin, s + 1) - at(batch.seq_begin, s);
    count += (tokens + block - 1) / block * call.params.n_kv_heads;
  }
  // Few tasks: cut them by parts of the keys, so that all workers find work.
  const bool divide = workers > 1 && count < Team::kGroupsPerWorker * workers;
  for (int s = 0; s < batch.n_seqs(); ++s) {
    const int begin = at(batch.seq_begin, s);
    const int end = at(batch.seq_begin, s + 1);
    if (begin == end) continue;
    if (end - begin > 1) plan_runs(call, s);
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
  const int rows = (token_end - token_begin) * group_size(call.params);
  max_rows_ = std::max(max_rows_, rows);
  const int oldest = oldest_key(call.params, at(call.batch.positions, token_begin));
  const int first = oldest / kPartKeys;
  const int last = at(call.batch.positions, token_end - 1) / kPartKeys;
  for (int h = 0; h < call.params.n_kv_heads; ++h) {
    if (!divide || first == last) {
      tasks_.push_back({seq, h, token_begin, token_end, first, last + 1, -1});
      continue;
    }
    const int group = static_cast<int>(groups_.size());
    groups_.push_back({last - first + 1, first, rows, nullptr});
    for (int part = first; part <= last; ++part) {
      tasks_.push_back({seq, h, token_begin, token_end, part, part + 1, group});
    }
  }
}

Range Attention::take_partials(Worker& worker, int head_dim) {
  std::size_t floats = 0;
  for (const Group& group : groups_) {
    floats += static_cast<std::size_t>(group.tasks) * state_floats(group.rows, head_dim);
  }
  const std::size_t bytes = floats * sizeof(float);
  auto* memory = reinterpret_cast<float*>(worker.shared().take(bytes));
  const Range range = Range::of(memory, bytes);
  for (Group& group : groups_) {
    group.parts = memory;
    memory += static_cast<std::size_t>(group.tasks) * state_floats(group.rows, head_dim);
  }
  return range;
}

Attention::Scratch Attention::take_scratch(Arena& own, int head_dim) const {
  const auto rows = static_cast<std::size_t>(max_rows_);
  const auto dim = static_cast<std::size_t>(head_dim);
  const auto floats = [&own](std::size_t n) {
    return reinterpret_cast<float*>(own.take(n * sizeof(float)));
  };
  return {.queries = own.take(rows * dim * sizeof(float)),
          .positions = reinterpret_cast<std::int32_t*>(own.take(rows * sizeof(std::int32_t))),
          .rotated = floats(dim),
          .total = state_at(floats(state_floats(max_rows_, head_dim)), max_rows_),
          .part = state_at(floats(state_floats(max_rows_, head_dim)), max_rows_)};
}

void Attention::run(Worker& worker, const AttendCall& call) {
  check(call);
  plan(worker.workers(), call);
  if (tasks_.empty()) return;
  if (!runs_.empty()) store_runs(worker, call);

  const std::size_t mark = worker.mark();
  const Range partials = take_partials(worker, call.params.head_dim);
  const Scratch scratch = take_scratch(worker.own(), call.params.head_dim);
  const Range cache = Range::of(call.kv.memory.data(), call.kv.memory.size());
  // The counters of the groups are in use until the last task is done.
  const Range counters = Range::of(&worker.team(), sizeof(Team));
  worker.before({Range::of(call.qkv), call.rope.range, cache},
                {Range::of(call.out), partials, cache, counters});
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
  const auto dim = static_cast<std::size_t>(call.params.head_dim);
  auto* rotated = reinterpret_cast<float*>(worker.own().take(dim * sizeof(float)));
  worker.before({Range::of(call.qkv), call.rope.range},
                {Range::of(call.kv.memory.data(), call.kv.memory.size())});
  const int heads = call.params.n_kv_heads;
  const int n = static_cast<int>(runs_.size()) * heads;
  worker.split(n, n, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      const Run& run = runs_[static_cast<std::size_t>(i / heads)];
      for (int t = run.token_begin; t < run.token_end; ++t) {
        store_token(call, t, run.seq, i % heads, rotated);
      }
    }
  });
  worker.release(mark);
}

void Attention::rotate(const AttendCall& call, int token, const float* head, float* out) const {
  const Rope& rope = call.params.rope;
  const float* table = call.rope.values;
  if (table) table += static_cast<std::ptrdiff_t>(token) * 2 * rope.dims;
  vector_.rotate(head, table, table ? table + rope.dims : nullptr, rope.dims,
                 rope.pairing == RopePairing::adjacent, call.params.head_dim, out);
}

void Attention::store_token(const AttendCall& call, int token, int seq, int kv_head,
                            float* rotated) const {
  const AttentionParams& p = call.params;
  const int position = at(call.batch.positions, token);
  const int slot = position % kPageTokens;
  const float* row = call.qkv.data + static_cast<std::ptrdiff_t>(token) * call.qkv.stride;
  const float* key = row + static_cast<std::ptrdiff_t>(p.n_heads + kv_head) * p.head_dim;
  const float* value = key + static_cast<std::ptrdiff_t>(p.n_kv_heads) * p.head_dim;
  std::byte* page = page_of(call, seq, position, kv_head);
  if (slot == 0) {
    // A page is read as a whole: what its last owner left behind must not meet a weight of zero.
    std::memset(page + key_bytes(call.kv.store, p.head_dim), 0,
                value_bytes(call.kv.store, p.head_dim));
  }
  rotate(call, token, key, rotated);
  attention_.store(call.kv.store, rotated, value, p.head_dim, slot, page);
}

AttentionRows Attention::prepare(const AttendCall& call, const Task& task,
                                 const Scratch& scratch) const {
  const AttentionParams& p = call.params;
  const int heads = group_size(p);
  const std::size_t row_bytes = static_cast<std::size_t>(p.head_dim) * sizeof(float);
  int row = 0;
  for (int t = task.token_begin; t < task.token_end; ++t) {
    const float* queries = call.qkv.data + static_cast<std::ptrdiff_t>(t) * call.qkv.stride;
    for (int g = 0; g < heads; ++g, ++row) {
      const int head = task.kv_head * heads + g;
      rotate(call, t, queries + static_cast<std::ptrdiff_t>(head) * p.head_dim, scratch.rotated);
      attention_.prepare(call.kv.store, scratch.rotated, p.head_dim,
                         scratch.queries + static_cast<std::size_t>(row) * row_bytes);
      scratch.positions[row] = at(call.batch.positions, t);
    }
  }
  AttentionRows rows{scratch.queries, scratch.positions, row,
                     p.head_dim,      p.scale * kLog2e,  p.window};
  if (p.softcap != 0) {
    rows.cap_scale = p.scale / p.softcap;
    rows.scale = p.softcap * kLog2e;
  }
  return rows;
}

void Attention::attend_part(const AttendCall& call, const Task& task, const AttentionRows& rows,
                            int part, const AttentionState& state) const {
  attention_.clear(state, rows.rows, rows.head_dim);
  const int oldest = oldest_key(call.params, rows.position[0]);
  const int last = rows.position[rows.rows - 1];
  const int begin = std::max(part * kPartKeys, oldest / kKeyBlock * kKeyBlock);
  const int end = std::min((part + 1) * kPartKeys, last + 1);
  for (int key = begin; key < end; key += kKeyBlock) {
    const std::byte* page = page_of(call, task.seq, key, task.kv_head);
    const int ahead = key + kKeyBlock;
    const std::byte* next = ahead <= last ? page_of(call, task.seq, ahead, task.kv_head) : nullptr;
    attention_.attend(call.kv.store, rows, page, key, next, state);
  }
}

void Attention::run_task(Team& team, const AttendCall& call, const Task& task,
                         const Scratch& scratch) const {
  const AttentionRows rows = prepare(call, task, scratch);
  // A sequence's only token: nobody else reads the page that it is stored in.
  const bool alone =
      at(call.batch.seq_begin, task.seq + 1) - at(call.batch.seq_begin, task.seq) == 1;
  if (alone && rows.position[0] / kPartKeys == task.part_end - 1) {
    store_token(call, task.token_begin, task.seq, task.kv_head, scratch.rotated);
  }
  const int dim = call.params.head_dim;
  if (task.group < 0) {
    attention_.clear(scratch.total, rows.rows, dim);
    for (int part = task.part_begin; part < task.part_end; ++part) {
      attend_part(call, task, rows, part, scratch.part);
      attention_.merge(scratch.total, scratch.part, rows.rows, dim);
    }
    return finish(call, task, scratch.total);
  }
  const Group& group = groups_[static_cast<std::size_t>(task.group)];
  const int index = task.part_begin - group.first_part;
  float* memory = group.parts + static_cast<std::size_t>(index) * state_floats(group.rows, dim);
  attend_part(call, task, rows, task.part_begin, state_at(memory, group.rows));
  std::atomic<std::uint32_t>& done = team.group(task.group);
  if (done.fetch_add(1, std::memory_order_acq_rel) + 1 == static_cast<std::uint32_t>(group.tasks)) {
    done.store(0, std::memory_order_relaxed);
    merge_group(call, task, scratch.total);
  }
}

void Attention::merge_group(const AttendCall& call, const Task& task,
                            const AttentionState& total) const {
  const Group& group = groups_[static_cast<std::size_t>(task.group)];
  const int dim = call.params.head_dim;
  attention_.clear(total, group.rows, dim);
  for (int i = 0; i < group.tasks; ++i) {
    float* memory = group.parts + static_cast<std::size_t>(i) * state_floats(group.rows, dim);
    attention_.merge(total, state_at(memory, group.rows), group.rows, dim);
  }
  finish(call, task, total);
}

void Attention::finish(const AttendCall& call, const Task& task,
                       const AttentionState& state) const {
  const int heads = group_size(call.params);
  const int dim = call.params.head_dim;
  const float* sinks = vector_values(call.params.sinks);
  int row = 0;
  for (int t = task.token_begin; t < task.token_end; ++t) {
    float* out = call.out.data + static_cast<std::ptrdiff_t>(t) * call.out.stride;
    for (int g = 0; g < heads; ++g, ++row) {
      const int head = task.kv_head * heads + g;
      const float sink = sinks ? sinks[head] * kLog2e : 0;
      attention_.finish(state, row, dim, sinks ? &sink : nullptr,
                        out + static_cast<std::ptrdiff_t>(head) * dim);
    }
  }
}

}  // namespace rbee::cpu
