// What families with recurrent layers share.
#pragma once
#include <vector>

#include "backend/ops.hpp"
#include "model/loader.hpp"

namespace rbee::nn {

// A recurrent model has no limit of its own, its state does not grow. This bounds what one request
// may ask for; it is also what converters write into GGUF files of such models.
inline constexpr int kRecurrentContext = 1 << 20;

// A vector of size elements, whatever the shape of the tensor.
Weight load_flat(Loader& load, const Name& name, int size, int layer);

// Rows and columns of a matrix in host memory changed over: [cols][rows] of [rows][cols].
std::vector<float> transpose(const std::vector<float>& values, int rows, int cols);

// The causal convolution [channels, 1, width] or [channels, width] of a layer, and its bias if
// there is one.
ShortConv load_short_conv(Loader& load, const Name& weight, const Name& bias, int channels,
                          int width, int layer);

// The rates of decay of count channels: safetensors hold their logarithm, GGUF files -exp of that.
std::vector<float> load_rates(Loader& load, const Name& name, std::size_t count, int layer);

}  // namespace rbee::nn
