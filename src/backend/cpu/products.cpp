#include "backend/cpu/products.hpp"

#include <algorithm>

#include "backend/cpu/kernels/pack.hpp"

namespace rbee::cpu {
namespace {

// Converted activations of this size stay in the second-level cache while the panels go by.
constexpr std::size_t kStripBytes = std::size_t{384} << 10;
// The panels of a chunk should too, and a chunk should take a few microseconds at least.
constexpr std::size_t kChunkBytes = std::size_t{128} << 10;
constexpr std::size_t kLeastChunks = 4;
constexpr std::size_t kMostChunks = 64;
// From this many tokens on a product is limited by arithmetic and chunks are smaller.
constexpr int kManyTokens = 16;

int panels_of(const Product& product) { return panel_count(product.weight.rows); }

std::size_t bytes_of(const Product& product) {
  return static_cast<std::size_t>(panels_of(product)) * product.weight.panel_bytes;
}

// Chunks that each worker's share of so many bytes of weights is cut into.
int chunk_count(std::size_t bytes, int workers, int tokens) {
  const std::size_t chunk = tokens < kManyTokens ? kChunkBytes : kChunkBytes / 4;
  const std::size_t share = bytes / static_cast<std::size_t>(workers);
  return static_cast<int>(std::clamp(share / chunk, kLeastChunks, kMostChunks));
}

// The same activations from token begin on, a multiple of kTileTokens.
Activations strip_of(const MatmulKernels& kernels, const Activations& x, int begin, int count) {
  Activations strip = x;
  strip.data += kernels.act_bytes(x.type, begin, x.cols);
  strip.tokens = count;
  return strip;
}

int strip_tokens(const MatmulKernels& kernels, const Activations& x) {
  const std::size_t tile = kernels.act_bytes(x.type, kTileTokens, x.cols);
  const auto tiles = static_cast<int>(std::max<std::size_t>(1, kStripBytes / tile));
  return tiles * kTileTokens;
}

}  // namespace

void multiply_panels(const MatmulKernels& kernels, const Product& product, int begin, int end,
                     bool accumulate) {
  const int tokens = product.x.tokens;
  const int strip = strip_tokens(kernels, product.x);
  for (int t = 0; t < tokens; t += strip) {
    const Activations x = strip_of(kernels, product.x, t, std::min(strip, tokens - t));
    kernels.matmul(product.weight, begin, end, x.data, x.tokens, product.out + t * product.stride,
                   product.stride, product.bias, accumulate);
  }
}

void multiply(Worker& worker, const MatmulKernels& kernels, std::span<const Product> products,
              bool accumulate) {
  std::size_t bytes = 0;
  for (const Product& product : products) bytes += bytes_of(product);
  // The panels of all products form one row; worker w's share begins where w / workers of the bytes
  // lie before.
  const auto bound = [&](int w) {
    const std::size_t target =
        bytes * static_cast<std::size_t>(w) / static_cast<std::size_t>(worker.workers());
    std::size_t before = 0;
    int panels = 0;
    for (const Product& product : products) {
      const std::size_t panel = product.weight.panel_bytes;
      const std::size_t left = target - before;
      if (left <= bytes_of(product)) return panels + static_cast<int>((left + panel / 2) / panel);
      before += bytes_of(product);
      panels += panels_of(product);
    }
    return panels;
  };
  const int chunks = chunk_count(bytes, worker.workers(), products.front().x.tokens);
  worker.split(bound, chunks, [&](int begin, int end) {
    int first = 0;  // panel of the product at hand
    for (const Product& product : products) {
      const int last = first + panels_of(product);
      const int from = std::max(begin, first);
      const int to = std::min(end, last);
      if (from < to) multiply_panels(kernels, product, from - first, to - first, accumulate);
      first = last;
    }
  });
}

namespace {

constexpr int kGatedTokens = 128;
constexpr int kGatedPanels = 2;  // for kGatedTokens tokens, more for fewer
constexpr int kGatedBuffer = kGatedTokens * kGatedPanels * kPanelRows;

// The part of a product that a few panels and a strip of tokens give, as a product into buffer.
Product part_of(const Product& product, int panel, int panels, const Activations& strip,
                float* buffer) {
  const int row = panel * kPanelRows;
  PanelMatrix weight = product.weight;
  weight.data += static_cast<std::size_t>(panel) * weight.panel_bytes;
  weight.rows = std::min(weight.rows - row, panels * kPanelRows);
  return {weight, product.bias ? product.bias + row : nullptr, strip, buffer, panels * kPanelRows};
}

}  // namespace

void multiply_gated(Worker& worker, const MatmulKernels& matmul, const VectorKernels& vector,
                    const GatedProduct& product) {
  const Product& gate = product.gate;
  const Product& up = product.up;
  const int tokens = gate.x.tokens;
  const int strip = std::min(tokens, kGatedTokens);
  const int panels_at_once = kGatedPanels * (kGatedTokens / strip);
  alignas(64) float gate_buffer[kGatedBuffer];
  alignas(64) float up_buffer[kGatedBuffer];
  const auto compute = [&](int panel, int panels, int token) {
    const int count = std::min(strip, tokens - token);
    const Product a =
        part_of(gate, panel, panels, strip_of(matmul, gate.x, token, count), gate_buffer);
    const Product b = part_of(up, panel, panels, strip_of(matmul, up.x, token, count), up_buffer);
    multiply_panels(matmul, a, 0, panels, /*accumulate=*/false);
    multiply_panels(matmul, b, 0, panels, /*accumulate=*/false);
    float* out = product.out.data + static_cast<std::ptrdiff_t>(token) * product.out.stride +
                 panel * kPanelRows;
    vector.gate(product.function, gate_buffer, up_buffer, a.stride, count, a.weight.rows, out,
                product.out.stride);
  };
  const int chunks = chunk_count(bytes_of(gate) + bytes_of(up), worker.workers(), tokens);
  worker.split(panels_of(gate), chunks, [&](int begin, int end) {
    for (int panel = begin; panel < end; panel += panels_at_once) {
      const int panels = std::min(panels_at_once, end - panel);
      for (int token = 0; token < tokens; token += strip) compute(panel, panels, token);
    }
  });
}

}  // namespace rbee::cpu
