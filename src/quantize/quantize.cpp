#include "quantize/quantize.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <numeric>
#include <vector>

#include "checkpoint/float16.hpp"
#include "quantize/few_level_blocks.hpp"
#include "quantize/grid_blocks.hpp"
#include "quantize/k_blocks.hpp"
#include "quantize/small_blocks.hpp"
#include "quantize/table_blocks.hpp"

namespace rbee {
namespace {

// Weights of the columns. None is zero: a column that no input ever reached may yet meet one.
std::vector<float> column_weights(std::span<const float> importance, std::size_t cols) {
  constexpr float kLeast = 1e-4F;  // of the mean
  std::vector<float> weights(cols, 1.0F);
  if (importance.empty()) return weights;
  const double sum = std::accumulate(importance.begin(), importance.end(), 0.0);
  if (!(sum > 0)) return weights;
  // Only proportions count: their mean becomes 1, so that no sum of products leaves f32.
  const double unit = static_cast<double>(cols) / sum;
  for (std::size_t i = 0; i < cols; ++i) {
    weights[i] = std::max(static_cast<float>(importance[i] * unit), kLeast);
  }
  return weights;
}

template <class Block, class Encode>
void encode_blocks(DType type, std::span<const float> values, std::span<const float> weights,
                   std::span<std::byte> out, Encode encode_one) {
  const auto elements = static_cast<std::size_t>(info(type).block);
  for (std::size_t i = 0; i < values.size() / elements; ++i) {
    Block block;
    const std::size_t first = i * elements;
    encode_one(values.data() + first, weights.data() + first % weights.size(), block);
    std::memcpy(out.data() + i * sizeof block, &block, sizeof block);
  }
}

template <class Block>
void encode_rows(DType type, std::span<const float> values, std::span<const float> weights,
                 std::span<std::byte> out) {
  encode_blocks<Block>(type, values, weights, out,
                       [](const float* x, const float* w, Block& block) { encode(x, w, block); });
}

template <class Block>
void encode_table_rows(DType type, std::span<const float> values, std::span<const float> weights,
                       std::span<std::byte> out) {
  const TableLevels levels(codebook(type));
  encode_blocks<Block>(
      type, values, weights, out,
      [&levels](const float* x, const float* w, Block& block) { encode(x, w, levels, block); });
}

template <class Convert>
void convert16(std::span<const float> values, std::span<std::byte> out, Convert convert) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t bits = convert(values[i]);
    std::memcpy(out.data() + i * sizeof bits, &bits, sizeof bits);
  }
}

using Encoder = void (*)(DType, std::span<const float>, std::span<const float>,
                         std::span<std::byte>);

// Nullptr: plain numbers, and types that cannot be written.
Encoder encoder(DType type) noexcept {
  switch (type) {
    case DType::q4_0:
      return encode_rows<BlockQ40>;
    case DType::q4_1:
      return encode_rows<BlockQ41>;
    case DType::q5_0:
      return encode_rows<BlockQ50>;
    case DType::q5_1:
      return encode_rows<BlockQ51>;
    case DType::q8_0:
      return encode_rows<BlockQ80>;
    case DType::q2_k:
      return encode_rows<BlockQ2K>;
    case DType::q3_k:
      return encode_rows<BlockQ3K>;
    case DType::q4_k:
      return encode_rows<BlockQ4K>;
    case DType::q5_k:
      return encode_rows<BlockQ5K>;
    case DType::q6_k:
      return encode_rows<BlockQ6K>;
    case DType::mxfp4:
      return encode_table_rows<BlockMxfp4>;
    case DType::nvfp4:
      return encode_table_rows<BlockNvfp4>;
    case DType::iq4_nl:
      return encode_table_rows<BlockIq4Nl>;
    case DType::iq4_xs:
      return encode_table_rows<BlockIq4Xs>;
    case DType::iq2_xxs:
      return encode_rows<BlockIq2Xxs>;
    case DType::iq2_xs:
      return encode_rows<BlockIq2Xs>;
    case DType::iq2_s:
      return encode_rows<BlockIq2S>;
    case DType::iq3_xxs:
      return encode_rows<BlockIq3Xxs>;
    case DType::iq3_s:
      return encode_rows<BlockIq3S>;
    case DType::iq1_s:
      return encode_rows<BlockIq1S>;
    case DType::iq1_m:
      return encode_rows<BlockIq1M>;
    case DType::tq1_0:
      return encode_rows<BlockTq10>;
    case DType::tq2_0:
      return encode_rows<BlockTq20>;
    case DType::q1_0:
      return encode_rows<BlockQ10>;
    case DType::q2_0:
      return encode_rows<BlockQ20>;
    default:
      return nullptr;
  }
}

}  // namespace

bool can_quantize(DType type) noexcept {
  return type == DType::f32 || type == DType::f16 || type == DType::bf16 ||
         encoder(type) != nullptr;
}

void quantize_rows(DType type, std::span<const float> values, std::size_t cols,
                   std::span<const float> importance, std::span<std::byte> out) {
  assert(can_quantize(type));
  assert(importance.empty() || importance.size() == cols);
  if (values.empty()) return;
  assert(cols % static_cast<std::size_t>(info(type).block) == 0 && values.size() % cols == 0);
  assert(out.size() == values.size() / cols * row_bytes(type, cols));
  switch (type) {
    case DType::f32:
      std::memcpy(out.data(), values.data(), values.size_bytes());
      return;
    case DType::f16:
      return convert16(values, out, float_to_f16);
    case DType::bf16:
      return convert16(values, out, float_to_bf16);
    default:
      encoder(type)(type, values, column_weights(importance, cols), out);
  }
}

}  // namespace rbee
