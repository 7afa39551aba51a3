// Quantised weights as safetensors repositories hold them: several tensors with agreed names stand
// for one matrix. After decode_encodings a repository has plain tensors only, some of them encoded.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "checkpoint/checkpoint.hpp"

namespace rbee {

// A tensor as its file holds it.
struct StoredTensor {
  std::string name;
  std::string dtype;          // as the file spells it
  std::optional<DType> type;  // nullopt: nothing here computes with it
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
  std::string file;
};

// Throws LoadError for a quant_method that decode_encodings does not know. file: the config.json.
void check_quantisation(const std::string& file, const Json* quantisation);

// The matrices that groups of stored tensors stand for; the tensors of these groups are taken out
// of `stored`. quantisation: config.json's quantization_config (or compression_config), null
// without.
//
// Known: FP8 E4M3 with scales for blocks, rows or the whole matrix; compressed-tensors with 4 or 8
// bits packed in words; GPTQ with 2, 4 or 8 bits and AWQ; bitsandbytes NF4, FP4 and INT8; integers
// with scales for rows; NVFP4 of compressed-tensors and ModelOpt, with the scale of the whole in
// TensorInfo::scales; the stacked MXFP4 matrices of gpt-oss, which keep the name of their blocks
// and become MXFP4. Each of the others becomes blocks of 32 with float32 scales (F8_E4M3, INT4,
// INT8, NF4, FP4), without loss; F32 where groups do not divide into such blocks, and F16 where
// GPTQ has reordered the columns. Throws LoadError, naming tensor and field, for a group that is
// incomplete, has shapes that do not fit, or is of a kind not known.
std::vector<TensorInfo> decode_encodings(const Json* quantisation,
                                         std::vector<StoredTensor>& stored);

}  // namespace rbee
