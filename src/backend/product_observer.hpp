// ProductObserver: sees what the matrices of a model are multiplied with.
#pragma once
#include "core/tensor.hpp"

namespace rbee {

class ProductObserver {
 public:
  virtual ~ProductObserver() = default;

  // Rows [n, weight.cols] in host memory that this matrix meets, as f32 before any rounding: those
  // of the tokens that go to it, where it belongs to an expert. Called by one thread at a time,
  // within Backend::run.
  virtual void inputs(const Weight& weight, const Tensor& rows) = 0;
};

}  // namespace rbee
