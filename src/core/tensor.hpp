// Views passed between layers. None of them owns memory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/dtype.hpp"

namespace rbee {

// Activations in a backend's step arena, row-major f32 [rows, cols]: one row a token. The data may
// lie in device memory: only the backend that made a Tensor may read it. stride is in elements, so
// that a Tensor can be a column slice of another.
struct Tensor {
  float* data = nullptr;
  int rows = 0;
  int cols = 0;
  int stride = 0;

  Tensor columns(int begin, int count) const noexcept {
    return {data + begin, rows, count, stride};
  }
};

// An immutable matrix [rows = out features, cols = in features], or a vector (rows = 1, always
// f32), in the layout of the backend that packed it. The backend owns the memory; a Weight is a
// handle and is copied freely.
struct Weight {
  const std::byte* data = nullptr;  // null: absent (an optional bias, say)
  DType type = DType::f32;          // the type the values are stored in
  int rows = 0;
  int cols = 0;
  float scale = 1;       // the values are these times what data holds
  bool in_file = false;  // data is what HostMatrix::bytes was, in file layout and not the backend's

  explicit operator bool() const noexcept { return data != nullptr; }
};

// y = x · weightᵀ (+ bias).
struct Linear {
  Weight weight;
  Weight bias{};  // vector of weight.rows, or absent
};

// A matrix in host memory in file layout: rows * row_bytes(type, cols) bytes, row-major. What a
// Checkpoint gives to Backend::pack. The bytes need no alignment.
struct HostMatrix {
  std::span<const std::byte> bytes;
  DType type = DType::f32;
  int rows = 0;
  int cols = 0;
  std::string_view name;  // for error messages
  float scale = 1;        // the values are these times what bytes hold
  bool lasting = false;   // bytes stay where they are for as long as the backend is used
};

}  // namespace rbee
