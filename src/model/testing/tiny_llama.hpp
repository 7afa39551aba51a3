// TinyLlama: Llama-shaped models with random weights of any shape, in both formats, for tests. The
// two formats of one TinyLlama hold the same numbers.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/testing/gguf_image.hpp"
#include "checkpoint/testing/safetensors_image.hpp"
#include "checkpoint/testing/temp_folder.hpp"
#include "core/dtype.hpp"

namespace rbee::testing {

struct TinyLlama {
  std::string architecture = "LlamaForCausalLM";
  int layers = 2;
  int hidden = 32;
  int ffn = 48;
  int heads = 4;
  int kv_heads = 2;
  int head_dim = 8;
  int vocab = 64;
  int max_context = 512;
  double theta = 10000;
  bool tied = false;
  bool attention_bias = false;
  bool mlp_bias = false;
  bool fused_qkv = false;     // GGUF only
  DType type = DType::f32;    // of the matrices: f32, f16, bf16, or a type with blocks of 32 (GGUF)
  std::string config = "{}";  // members that are added to config.json, or replace those in it

  struct Values {
    std::vector<std::int64_t> shape;
    std::string bytes;  // encoded
    DType type = DType::f32;
  };
  // Under the names of the hub.
  std::map<std::string, Values> tensors() const;

  std::string config_text() const;
  SafetensorsImage safetensors() const;
  GgufImage gguf() const;

  // Write the model into the folder and give the path to open.
  std::filesystem::path write_safetensors(const TempFolder& folder) const;
  std::filesystem::path write_gguf(const TempFolder& folder) const;
};

}  // namespace rbee::testing
