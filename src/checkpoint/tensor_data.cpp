#include "checkpoint/tensor_data.hpp"

#include "checkpoint/encoded_matrix.hpp"

namespace rbee {

TensorData::TensorData(const TensorInfo& info, int i, int n) {
  if (info.encoded == nullptr) {
    const std::size_t size = info.bytes.size() / static_cast<std::size_t>(n);
    bytes_ = info.bytes.subspan(static_cast<std::size_t>(i) * size, size);
    return;
  }
  const std::int64_t rows = element_count(std::span(info.shape).first(info.shape.size() - 1)) / n;
  made_.resize(static_cast<std::size_t>(rows) *
               row_bytes(info.type, static_cast<std::size_t>(info.shape.back())));
  info.encoded->rows(rows * i, rows, made_);
  bytes_ = made_;
}

}  // namespace rbee
