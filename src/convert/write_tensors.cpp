#include "convert/write_tensors.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>

#include "base/load_error.hpp"
#include "checkpoint/dequantize.hpp"
#include "quantize/quantize.hpp"

namespace rbee {
namespace {

constexpr std::size_t kSliceValues = std::size_t{1} << 20;

// Rows [begin, begin + n) of a task.
struct Slice {
  std::size_t task = 0;
  std::int64_t begin = 0, n = 0;
};

std::vector<Slice> slices_of(const std::vector<WriteTask>& tasks) {
  std::vector<Slice> slices;
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const GgufTensorSpec& spec = tasks[t].spec;
    const auto cols = std::max<std::size_t>(static_cast<std::size_t>(spec.shape.back()), 1);
    const auto most = static_cast<std::int64_t>(std::max<std::size_t>(kSliceValues / cols, 1));
    for (std::int64_t at = 0; at < spec.rows(); at += most) {
      slices.push_back({t, at, std::min(most, spec.rows() - at)});
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
  scratch.values.resize(n * cols);
  dequantize_row(from, scratch.read, scratch.values);
  if (info(to).quantised &&
      !std::ranges::all_of(scratch.values, [](float value) { return std::isfinite(value); })) {
    throw LoadError("source", "tensor '" + task.spec.name + "'",
                    "finite numbers, to be written as " + std::string(info(to).name), "another");
  }
  scratch.encoded.resize(n * task.spec.row_bytes());
  quantize_rows(to, scratch.values, cols, {}, scratch.encoded);
  return scratch.encoded;
}

class Pool {
 public:
  Pool(const std::vector<WriteTask>& tasks, const std::function<void(std::size_t)>& progress)
      : tasks_(tasks),
        progress_(progress),
        slices_(slices_of(tasks)),
        left_(std::make_unique<std::atomic<std::size_t>[]>(tasks.size())) {
    for (const Slice& slice : slices_) ++left_[slice.task];
  }

  void run(int threads) {
    {
      std::vector<std::jthread> workers;
      for (int i = 1; i < threads; ++i) workers.emplace_back([this] { work(); });
      work();
    }
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void work() {
    try {
      Scratch scratch;
      for (std::size_t at = next_++; at < slices_.size(); at = next_++) {
        const Slice& slice = slices_[at];
        const WriteTask& task = tasks_[slice.task];
        const auto bytes = encode(task, slice, scratch);
        task.writer->write(task.tensor,
                           static_cast<std::size_t>(slice.begin) * task.spec.row_bytes(), bytes);
        if (--left_[slice.task] == 0) task.rows->release();
        report(bytes.size());
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
      next_ = slices_.size();
    }
  }

  void report(std::size_t bytes) {
    if (!progress_) return;
    const std::lock_guard lock(mutex_);
    progress_(done_ += bytes);
  }

  const std::vector<WriteTask>& tasks_;
  const std::function<void(std::size_t)>& progress_;
  std::vector<Slice> slices_;
  std::unique_ptr<std::atomic<std::size_t>[]> left_;  // slices of each task
  std::atomic<std::size_t> next_ = 0;
  std::mutex mutex_;
  std::size_t done_ = 0;
  std::exception_ptr error_;
};

}  // namespace

void write_tensors(const std::vector<WriteTask>& tasks, int threads,
                   const std::function<void(std::size_t)>& progress) {
  Pool(tasks, progress).run(std::max(threads, 1));
}

}  // namespace rbee
