#include "convert/write_tensors.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>

#include "base/parallel.hpp"
#include "quantize/requantize.hpp"

namespace rbee {
namespace {

constexpr std::size_t kSliceValues = std::size_t{1} << 20;

// Rows [begin, begin + n) of a task, all of one matrix where matrices differ in importance.
struct Slice {
  std::size_t task = 0;
  std::int64_t begin = 0, n = 0;
};

// Rows of each matrix that has an importance of its own.
std::int64_t rows_each(const WriteTask& task) {
  const auto matrices = static_cast<std::int64_t>(task.importance.size());
  return task.spec.rows() / std::max<std::int64_t>(matrices, 1);
}

std::vector<Slice> slices_of(const std::vector<WriteTask>& tasks) {
  std::vector<Slice> slices;
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const GgufTensorSpec& spec = tasks[t].spec;
    const auto cols = std::max<std::size_t>(static_cast<std::size_t>(spec.shape.back()), 1);
    const auto most = static_cast<std::int64_t>(std::max<std::size_t>(kSliceValues / cols, 1));
    const std::int64_t rows = rows_each(tasks[t]);
    for (std::int64_t at = 0, n = 0; at < spec.rows(); at += n) {
      n = std::min(most, rows - at % rows);
      slices.push_back({t, at, n});
    }
  }
  return slices;
}

// One thread's memory.
struct Scratch {
  std::vector<std::byte> read, encoded;
  std::vector<float> values;
};

// Encodes a slice; gives the bytes to be written.
std::span<const std::byte> encode(const WriteTask& task, const Slice& slice, Scratch& scratch) {
  const auto cols = static_cast<std::size_t>(task.spec.shape.back());
  const auto n = static_cast<std::size_t>(slice.n);
  const DType from = task.rows->type(), to = task.spec.type;
  scratch.read.resize(n * row_bytes(from, cols));
  task.rows->read(slice.begin, slice.n, scratch.read);
  if (from == to) return scratch.read;
  scratch.encoded.resize(n * task.spec.row_bytes());
  const auto importance =
      task.importance.empty()
          ? std::span<const float>()
          : task.importance[static_cast<std::size_t>(slice.begin / rows_each(task))];
  requantize_rows({scratch.read, from, static_cast<int>(n), static_cast<int>(cols), task.spec.name},
                  to, importance, scratch.values, scratch.encoded);
  return scratch.encoded;
}

}  // namespace

void write_tensors(const std::vector<WriteTask>& tasks, int threads,
                   const std::function<void(std::size_t)>& progress) {
  const std::vector<Slice> slices = slices_of(tasks);
  const auto left = std::make_unique<std::atomic<std::size_t>[]>(tasks.size());  // slices of each
  for (const Slice& slice : slices) ++left[slice.task];
  std::vector<Scratch> scratch(static_cast<std::size_t>(std::max(threads, 1)));
  std::mutex mutex;
  std::size_t done = 0;
  run_parallel(slices.size(), threads, [&](std::size_t piece, std::size_t thread) {
    const Slice& slice = slices[piece];
    const WriteTask& task = tasks[slice.task];
    const auto bytes = encode(task, slice, scratch[thread]);
    task.writer->write(task.tensor, static_cast<std::size_t>(slice.begin) * task.spec.row_bytes(),
                       bytes);
    if (--left[slice.task] == 0) task.rows->release();
    const std::lock_guard lock(mutex);
    if (progress) progress(done += bytes.size());
  });
}

}  // namespace rbee
