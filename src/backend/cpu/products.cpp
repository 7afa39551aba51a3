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

int chunk_count(std::size_t bytes, int workers, int tokens) {
  const std::size_t chunk = tokens < kManyTokens ? kChunkBytes : kChunkBytes / 4;
  const std::size_t share = bytes / static_cast<std::size_t>(workers);
  return static_cast<int>(std::clamp(share / chunk, kLeastChunks, kMostChunks));
}

Product part_of(const MatmulKernels& kernels, const Product& product, const ProductPart& part,
                float* buffer) {
  const int row = part.panel * kPanelRows;
  PanelMatrix weight = from_panel(product.weight, part.panel);
  weight.rows = std::min(weight.rows, part.panels * kPanelRows);
  return {weight, product.bias ? product.bias + row : nullptr,
          strip_of(kernels, product.x, part.token, part.count), buffer, part.panels * kPanelRows};
}

namespace {

// Strip by strip of the tokens.
void multiply_packed(const MatmulKernels& kernels, const Product& product, int begin, int end,
                     bool accumulate) {
  const int tokens = product.x.tokens;
  const int strip = strip_tokens(kernels, product.x);
  for (int t = 0; t < tokens; t += strip) {
    const Activations x = strip_of(kernels, product.x, t, std::min(strip, tokens - t));
    kernels.matmul(product.weight, begin, end, x.data, x.tokens, product.out + t * product.stride,
                   product.stride, product.bias, accumulate);
  }
}

}  // namespace

void multiply_panels(Worker& worker, const MatmulKernels& kernels, const Product& product,
                     int begin, int end, bool accumulate) {
  if (!product.weight.in_file) return multiply_packed(kernels, product, begin, end, accumulate);
  // A few panels at a time, packed into what stays in the second-level cache.
  const std::size_t bytes = product.weight.panel_bytes;
  const auto at_once = static_cast<int>(std::clamp<std::size_t>(kChunkBytes / bytes, 1, 4));
  const std::size_t mark = worker.own().mark();
  std::byte* scratch = worker.own().take(static_cast<std::size_t>(at_once) * bytes);
  for (int panel = begin; panel < end; panel += at_once) {
    const int count = std::min(at_once, end - panel);
    const int row = panel * kPanelRows;
    const Product part{packed_part(product.weight, panel, panel + count, scratch),
                       product.bias ? product.bias + row : nullptr, product.x, product.out + row,
                       product.stride};
    multiply_packed(kernels, part, 0, count, accumulate);
  }
  worker.own().release(mark);
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
      if (from < to) {
        multiply_panels(worker, kernels, product, from - first, to - first, accumulate);
      }
      first = last;
    }
  });
}

void multiply_gated_panels(Worker& worker, const MatmulKernels& matmul, const VectorKernels& vector,
                           const GatedProduct& product, int begin, int end) {
  constexpr int kTokens = 128;
  constexpr int kPanels = 2;  // for kTokens tokens, more for fewer
  alignas(64) float gate_buffer[kTokens * kPanels * kPanelRows];
  alignas(64) float up_buffer[kTokens * kPanels * kPanelRows];
  const int tokens = product.gate.x.tokens;
  const int strip = std::min(tokens, kTokens);
  const int panels_at_once = kPanels * (kTokens / strip);
  const auto compute = [&](const ProductPart& part) {
    const Product gate = part_of(matmul, product.gate, part, gate_buffer);
    const Product up = part_of(matmul, product.up, part, up_buffer);
    multiply_panels(worker, matmul, gate, 0, part.panels, /*accumulate=*/false);
    multiply_panels(worker, matmul, up, 0, part.panels, /*accumulate=*/false);
    const std::ptrdiff_t stride = product.out.stride;
    float* out = product.out.data + part.token * stride + part.panel * kPanelRows;
    if (product.swiglu_limit != 0) {
      return vector.clamped_swiglu(product.swiglu_limit, gate_buffer, up_buffer, gate.stride,
                                   part.count, gate.weight.rows, out, stride);
    }
    vector.gate(product.function, gate_buffer, up_buffer, gate.stride, part.count, gate.weight.rows,
                out, stride);
  };
  for (int panel = begin; panel < end; panel += panels_at_once) {
    for (int token = 0; token < tokens; token += strip) {
      compute(
          {panel, std::min(panels_at_once, end - panel), token, std::min(strip, tokens - token)});
    }
  }
}

void multiply_gated(Worker& worker, const MatmulKernels& matmul, const VectorKernels& vector,
                    const GatedProduct& product) {
  const std::size_t bytes = bytes_of(product.gate) + bytes_of(product.up);
  const int chunks = chunk_count(bytes, worker.workers(), product.gate.x.tokens);
  worker.split(panels_of(product.gate), chunks, [&](int begin, int end) {
    multiply_gated_panels(worker, matmul, vector, product, begin, end);
  });
}

}  // namespace rbee::cpu
