#include "model/testing/tiny_llama.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>

#include "base/json.hpp"

namespace rbee::testing {
namespace {

// k / 1024 as IEEE binary16, for |k| < 2048.
std::uint16_t encode_f16(long k) {
  const auto magnitude = static_cast<std::uint32_t>(std::labs(k));
  if (magnitude == 0) return 0;
  const auto exponent = static_cast<std::uint32_t>(std::bit_width(magnitude)) - 1;
  const std::uint32_t mantissa = (magnitude << (10 - exponent)) & 0x3FFU;
  return static_cast<std::uint16_t>((k < 0 ? 0x8000U : 0U) | ((exponent + 5) << 10) | mantissa);
}

std::mt19937 generator_for(const std::string& name) {
  std::seed_seq seeds(name.begin(), name.end());
  return std::mt19937(seeds);
}

std::string encode(const std::vector<float>& values, DType type) {
  std::string bytes;
  for (const float value : values) {
    if (type == DType::f32) {
      bytes += raw(value);
    } else if (type == DType::bf16) {
      bytes += raw(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16));
    } else {
      bytes += raw(encode_f16(std::lround(value * 1024)));
    }
  }
  return bytes;
}

// Blocks of 32 with random codes: a scale, for some types a minimum, and the codes.
std::string random_blocks(const std::string& name, DType type, std::size_t count, float deviation) {
  const bool has_minimum = type == DType::q4_1 || type == DType::q5_1;
  const bool wide = type == DType::q8_0 || type == DType::iq4_nl;
  const bool narrow = type == DType::q4_0 || type == DType::mxfp4 || has_minimum;
  const float range = wide ? 74 : narrow ? 5 : 9;
  auto generator = generator_for(name);
  std::uniform_int_distribution<int> byte(0, 255);
  std::uniform_real_distribution<float> around(0.5F, 1.5F);
  std::string bytes;
  for (std::size_t block = 0; block < count / 32; ++block) {
    const float scale = deviation * around(generator) / range;
    std::string one = raw(encode_f16(std::max(1L, std::lround(scale * 1024))));
    if (type == DType::mxfp4) one = raw(static_cast<std::uint8_t>(128 + std::ilogb(scale)));
    if (has_minimum) one += raw(encode_f16(-std::lround(scale * 1024 * 8)));
    while (one.size() < info(type).block_bytes) one += static_cast<char>(byte(generator));
    bytes += one;
  }
  return bytes;
}

class Builder {
 public:
  explicit Builder(DType type) : type_(type) {}

  void matrix(const std::string& name, int rows, int cols, float gain = 1) {
    const float deviation = gain / std::sqrt(static_cast<float>(cols));
    const auto count = static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols);
    tensors[name] = {{rows, cols},
                     info(type_).quantised ? random_blocks(name, type_, count, deviation)
                                           : encode(normal(name, count, 0, deviation), type_),
                     type_};
  }
  void vector(const std::string& name, int size, float mean) {
    tensors[name] = {{size},
                     encode(normal(name, static_cast<std::size_t>(size), mean, 0.2F), DType::f32),
                     DType::f32};
  }
  void linear(const std::string& name, int rows, int cols, bool bias) {
    matrix(name + ".weight", rows, cols);
    if (bias) vector(name + ".bias", rows, 0);
  }

  std::map<std::string, TinyLlama::Values> tensors;

 private:
  static std::vector<float> normal(const std::string& name, std::size_t count, float mean,
                                   float deviation) {
    auto generator = generator_for(name);
    std::normal_distribution<float> distribution(mean, deviation);
    std::vector<float> values(count);
    for (float& value : values) value = distribution(generator);
    return values;
  }

  DType type_;
};

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  if (const auto at = text.find(from); at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

std::string gguf_name(std::string name) {
  constexpr const char* kParts[][2] = {
      {"model.layers.", "blk."},
      {"self_attn.q_proj", "attn_q"},
      {"self_attn.k_proj", "attn_k"},
      {"self_attn.v_proj", "attn_v"},
      {"self_attn.o_proj", "attn_output"},
      {"mlp.gate_proj", "ffn_gate"},
      {"mlp.up_proj", "ffn_up"},
      {"mlp.down_proj", "ffn_down"},
      {"input_layernorm", "attn_norm"},
      {"post_attention_layernorm", "ffn_norm"},
      {"model.embed_tokens", "token_embd"},
      {"model.norm", "output_norm"},
      {"lm_head", "output"},
  };
  for (const auto& [hf, gguf] : kParts) name = replaced(std::move(name), hf, gguf);
  return name;
}

// Rows of each head in the order of GGUF: element h * d/2 + j of a head becomes element 2j + h.
std::string permuted(const TinyLlama::Values& values, int head_dim) {
  const auto rows = static_cast<std::size_t>(values.shape[0]);
  const std::size_t row = values.bytes.size() / rows;
  const auto dim = static_cast<std::size_t>(head_dim);
  std::string out(values.bytes.size(), '\0');
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t head = r / dim * dim, element = r % dim;
    const std::size_t to = head + 2 * (element % (dim / 2)) + element / (dim / 2);
    std::memcpy(&out[to * row], &values.bytes[r * row], row);
  }
  return out;
}

// q, k and v of each layer under one name, rows of q first.
void fuse(std::map<std::string, TinyLlama::Values>& tensors) {
  for (auto it = tensors.begin(); it != tensors.end();) {
    const std::string& name = it->first;
    if (name.find("attn_q.") == std::string::npos) {
      ++it;
      continue;
    }
    TinyLlama::Values fused = it->second;
    for (const char* other : {"attn_k.", "attn_v."}) {
      const auto part = tensors.find(replaced(name, "attn_q.", other));
      fused.bytes += part->second.bytes;
      fused.shape[0] += part->second.shape[0];
      tensors.erase(part);
    }
    tensors[replaced(name, "attn_q.", "attn_qkv.")] = std::move(fused);
    it = tensors.erase(it);
  }
}

}  // namespace

std::map<std::string, TinyLlama::Values> TinyLlama::tensors() const {
  Builder build(type);
  build.matrix("model.embed_tokens.weight", vocab, hidden, 3);
  build.vector("model.norm.weight", hidden, 1);
  if (!tied) build.matrix("lm_head.weight", vocab, hidden, 2.5F);
  for (int i = 0; i < layers; ++i) {
    const std::string at = "model.layers." + std::to_string(i) + ".";
    build.vector(at + "input_layernorm.weight", hidden, 1);
    build.vector(at + "post_attention_layernorm.weight", hidden, 1);
    build.linear(at + "self_attn.q_proj", heads * head_dim, hidden, attention_bias);
    build.linear(at + "self_attn.k_proj", kv_heads * head_dim, hidden, attention_bias);
    build.linear(at + "self_attn.v_proj", kv_heads * head_dim, hidden, attention_bias);
    build.linear(at + "self_attn.o_proj", hidden, heads * head_dim, attention_bias);
    build.linear(at + "mlp.gate_proj", ffn, hidden, mlp_bias);
    build.linear(at + "mlp.up_proj", ffn, hidden, mlp_bias);
    build.linear(at + "mlp.down_proj", hidden, ffn, mlp_bias);
  }
  return build.tensors;
}

std::string TinyLlama::config_text() const {
  Json json = {{"architectures", {architecture}},
               {"hidden_size", hidden},
               {"intermediate_size", ffn},
               {"num_hidden_layers", layers},
               {"num_attention_heads", heads},
               {"num_key_value_heads", kv_heads},
               {"head_dim", head_dim},
               {"vocab_size", vocab},
               {"max_position_embeddings", max_context},
               {"rms_norm_eps", 1e-5},
               {"rope_theta", theta},
               {"tie_word_embeddings", tied},
               {"attention_bias", attention_bias},
               {"mlp_bias", mlp_bias},
               {"hidden_act", "silu"}};
  json.merge_patch(parse_json(config));
  return json.dump();
}

SafetensorsImage TinyLlama::safetensors() const {
  SafetensorsImage image;
  for (const auto& [name, values] : tensors()) {
    image.add_tensor(name, info(values.type).name, values.shape, values.bytes);
  }
  return image;
}

GgufImage TinyLlama::gguf() const {
  GgufImage image;
  const auto number = [&](const char* key, int value) {
    image.set(key, static_cast<std::uint32_t>(value));
  };
  image.set("general.architecture", "llama");
  number("llama.block_count", layers);
  number("llama.context_length", max_context);
  number("llama.embedding_length", hidden);
  number("llama.feed_forward_length", ffn);
  number("llama.attention.head_count", heads);
  number("llama.attention.head_count_kv", kv_heads);
  number("llama.attention.key_length", head_dim);
  number("llama.attention.value_length", head_dim);
  number("llama.rope.dimension_count", head_dim);
  image.set("llama.attention.layer_norm_rms_epsilon", 1e-5F);
  image.set("llama.rope.freq_base", static_cast<float>(theta));
  std::map<std::string, Values> renamed;
  for (auto& [name, values] : tensors()) {
    const bool rotated =
        name.find("q_proj") != std::string::npos || name.find("k_proj") != std::string::npos;
    renamed[gguf_name(name)] = {values.shape, rotated ? permuted(values, head_dim) : values.bytes,
                                values.type};
  }
  if (fused_qkv) fuse(renamed);
  for (const auto& [name, values] : renamed) {
    image.add_tensor(name, values.type, values.shape, values.bytes);
  }
  return image;
}

std::filesystem::path TinyLlama::write_safetensors(const TempFolder& folder) const {
  folder.write("config.json", config_text());
  folder.write("model.safetensors", safetensors().bytes());
  return folder.path();
}

std::filesystem::path TinyLlama::write_gguf(const TempFolder& folder) const {
  return folder.write("model.gguf", gguf().bytes());
}

}  // namespace rbee::testing
