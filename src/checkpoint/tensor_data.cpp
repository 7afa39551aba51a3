#include "checkpoint/tensor_data.hpp"

#include "checkpoint/encoded_matrix.hpp"

namespace rbee {

TensorData::TensorData(const TensorInfo& info) : bytes_(info.bytes) {
  if (info.encoded == nullptr) return;
  const std::int64_t rows = info.shape.front();
  made_.resize(static_cast<std::size_t>(rows) *
               row_bytes(info.type, static_cast<std::size_t>(info.shape.back())));
  info.encoded->rows(0, rows, made_);
  bytes_ = made_;
}

}  // namespace rbee
