// TensorTable: the tensors of a checkpoint by name.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.hpp"

namespace rbee {

class TensorTable {
 public:
  TensorTable() = default;
  // Throws LoadError when a name occurs twice, in one file or in two.
  TensorTable(std::vector<TensorInfo> tensors, std::vector<OpaqueTensor> opaque);

  // Nullptr when there is none of that name; LoadError when it is an opaque one.
  const TensorInfo* find(std::string_view name) const;

  std::span<const TensorInfo> tensors() const noexcept { return tensors_; }  // sorted by name
  std::span<const OpaqueTensor> opaque() const noexcept { return opaque_; }  // sorted by name

 private:
  std::vector<TensorInfo> tensors_;
  std::vector<OpaqueTensor> opaque_;
};

}  // namespace rbee
