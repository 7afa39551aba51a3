// What the sources of the loader share: checks and bytes of tensors.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.hpp"
#include "core/tensor.hpp"
#include "model/loader.hpp"

namespace rbee {

// For errors.
std::string tensor_field(std::string_view name);
std::string shape_field(std::span<const std::int64_t> shape);

// Throws LoadError when the tensor has another shape.
void expect_shape(const TensorInfo& info, std::span<const std::int64_t> expected);

// Throws LoadError when the tensor is not what a matrix [rows, cols], or n > 0 of them, is made of.
void expect_stored(const TensorInfo& info, int n, int rows, int cols, const Stored& stored);

// The bytes of a weight [rows, cols] out of those in the file (matrix.bytes): the same where they
// can stay, else in copy.
std::span<const std::byte> stored_bytes(const HostMatrix& matrix, const Stored& stored,
                                        std::vector<std::byte>& copy);

// The values of a tensor.
std::vector<float> decode(const TensorInfo& info);

}  // namespace rbee
