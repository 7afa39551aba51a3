#include "nn/recurrent.hpp"

#include <cmath>

namespace rbee::nn {

Weight load_flat(Loader& load, const Name& name, int size, int layer) {
  return load.constant(load.flat_values(name, static_cast<std::size_t>(size), layer));
}

std::vector<float> transpose(const std::vector<float>& values, int rows, int cols) {
  std::vector<float> out(values.size());
  for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r) {
    for (std::size_t c = 0; c < static_cast<std::size_t>(cols); ++c) {
      out[c * static_cast<std::size_t>(rows) + r] = values[r * static_cast<std::size_t>(cols) + c];
    }
  }
  return out;
}

ShortConv load_short_conv(Loader& load, const Name& weight, const Name& bias, int channels,
                          int width, int layer) {
  const std::size_t count = static_cast<std::size_t>(channels) * static_cast<std::size_t>(width);
  const auto taps = transpose(load.flat_values(weight, count, layer), channels, width);
  return {.width = width,
          .taps = load.constant(taps),
          .bias = load.maybe_vector(bias, channels, layer)};
}

std::vector<float> load_rates(Loader& load, const Name& name, std::size_t count, int layer) {
  std::vector<float> values = load.flat_values(name, count, layer);
  if (load.checkpoint().format() == Format::safetensors) {
    for (float& value : values) value = -std::exp(value);
  }
  return values;
}

}  // namespace rbee::nn
