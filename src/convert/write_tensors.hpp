// Encodes tensors and writes them, on all cores and with bounded memory.
#pragma once
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/gguf_writer.hpp"
#include "convert/tensor_rows.hpp"

namespace rbee {

// Tensor `tensor` of the file `writer`, made of rows.
struct WriteTask {
  const GgufWriter* writer = nullptr;
  std::size_t tensor = 0;
  GgufTensorSpec spec;
  RowsPtr rows;
  TensorImportance importance{};
};

// Each thread holds the rows of a few MiB at a time, and no less than one row. progress: called now
// and then with bytes written, by one thread at a time. Throws what reading or writing throws.
void write_tensors(const std::vector<WriteTask>& tasks, int threads,
                   const std::function<void(std::size_t bytes)>& progress);

}  // namespace rbee
