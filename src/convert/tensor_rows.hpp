// TensorRows: the rows of a tensor as they are to be written, made when they are asked for.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.hpp"

namespace rbee {

class TensorRows {
 public:
  virtual ~TensorRows() = default;
  virtual DType type() const = 0;  // of what read gives; not always one that GGUF has
  // Rows [begin, begin + n), of all matrices of the tensor one after the other. May be called by
  // several threads at once.
  virtual void read(std::int64_t begin, std::int64_t n, std::span<std::byte> out) const = 0;
  // All has been read: pages of the source may leave memory.
  virtual void release() const {}
};

using RowsPtr = std::shared_ptr<const TensorRows>;

// Rows of a tensor of the checkpoint: row r is the file's row(r); all in order without a row.
RowsPtr file_rows(const TensorInfo& tensor, std::function<std::int64_t(std::int64_t)> row = {});

// Tensors of equal size, one after the other.
RowsPtr stacked_rows(std::vector<RowsPtr> parts, std::int64_t rows_each);

// What becomes rows of the columns of the matrices in a tensor.
struct Columns {
  std::int64_t matrices = 1;
  std::int64_t file_rows = 0;         // of each matrix
  std::int64_t begin = 0, width = 0;  // its rows that are taken: the columns of the result
  std::int64_t columns = 0;           // of each matrix that are taken: the rows of the result
  std::function<std::int64_t(std::int64_t)> pick{};  // which ones; none: all in order
};
// Values of a plain type move; those of others become f32.
RowsPtr column_rows(const TensorInfo& tensor, Columns columns);

// Values [.., cols] that are computed, in f32. Called again for every piece: small tensors only.
RowsPtr computed_rows(std::function<std::vector<float>()> values, std::int64_t cols);

// How much each column matters, of each matrix of a tensor (see quantize_rows); empty: alike.
using TensorImportance = std::vector<std::span<const float>>;

// A tensor to be written.
struct PlannedTensor {
  std::string name;
  std::vector<std::int64_t> shape;  // torch order
  RowsPtr rows;
  TensorImportance importance{};
};

}  // namespace rbee
