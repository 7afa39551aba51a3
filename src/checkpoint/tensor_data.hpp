// TensorData: the bytes of a tensor in the layout of its type.
#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "checkpoint/checkpoint.hpp"

namespace rbee {

class TensorData {
 public:
  // A view of the mapped file where that holds the layout of the type; else made here.
  explicit TensorData(const TensorInfo& info) : TensorData(info, 0, 1) {}
  // Part i of n equal ones, one after the other: of a tensor [n, rows, cols] a matrix.
  TensorData(const TensorInfo& info, int i, int n);

  std::span<const std::byte> bytes() const noexcept { return bytes_; }

 private:
  std::vector<std::byte> made_;
  std::span<const std::byte> bytes_;
};

}  // namespace rbee
