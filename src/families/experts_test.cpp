// Mixtures of experts in layouts and configurations that no fixture has: each is a fixture, written
// again with its experts in other tensors.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/load_error.hpp"
#include "model/testing/fixture_copy.hpp"

namespace rbee {
namespace {

using testing::distance;
using testing::FixtureCopy;
using testing::FixtureTensor;
using ::testing::HasSubstr;
using testing::Logits;
using testing::logits_of_gguf;
using testing::logits_of_safetensors;

std::filesystem::path fixture(const std::string& name) {
  return std::filesystem::path(RBEE_TEST_DATA) / "fixtures" / name;
}

std::size_t u(std::int64_t n) { return static_cast<std::size_t>(n); }

FixtureTensor take(FixtureCopy& copy, const std::string& name) {
  FixtureTensor tensor = copy.tensors.at(name);
  copy.tensors.erase(name);
  return tensor;
}

// Matrix x of a tensor [n, rows, cols].
FixtureTensor matrix_of(const FixtureTensor& all, std::int64_t x) {
  const std::int64_t size = all.shape[1] * all.shape[2];
  const auto begin = all.values.begin() + size * x;
  return {{all.shape[1], all.shape[2]}, {begin, begin + size}};
}

// [n, rows, cols] of n tensors [rows, cols], each made of some with their rows one after the other.
FixtureTensor stacked(FixtureCopy& copy, const std::vector<std::string>& parts, std::int64_t n) {
  FixtureTensor all;
  for (std::int64_t x = 0; x < n; ++x) {
    all.shape = {n, 0, 0};
    for (std::string name : parts) {
      name.replace(name.find("{x}"), 3, std::to_string(x));
      const FixtureTensor one = take(copy, name);
      all.shape[1] += one.shape[0];
      all.shape[2] = one.shape[1];
      all.values.insert(all.values.end(), one.values.begin(), one.values.end());
    }
  }
  return all;
}

// The columns of each matrix as rows.
FixtureTensor transposed(const FixtureTensor& all) {
  const std::int64_t n = all.shape[0], rows = all.shape[1], cols = all.shape[2];
  FixtureTensor out{{n, cols, rows}, std::vector<float>(all.values.size())};
  for (std::int64_t i = 0; i < n * rows * cols; ++i) {
    const std::int64_t x = i / (rows * cols), row = i / cols % rows, col = i % cols;
    out.values[u((x * cols + col) * rows + row)] = all.values[u(i)];
  }
  return out;
}

TEST(Experts, OneTensorEachInOldGguf) {
  FixtureCopy copy(fixture("mixtral/model.gguf"));
  const Logits expected = logits_of_gguf(copy);
  for (const std::string layer : {"blk.0.", "blk.1."}) {
    for (const std::string part : {"ffn_gate", "ffn_up", "ffn_down"}) {
      const FixtureTensor all = take(copy, layer + part + "_exps.weight");
      for (std::int64_t x = 0; x < all.shape[0]; ++x) {
        copy.tensors[layer + part + "." + std::to_string(x) + ".weight"] = matrix_of(all, x);
      }
    }
  }
  EXPECT_EQ(logits_of_gguf(copy), expected);
  take(copy, "blk.1.ffn_up.2.weight");
  EXPECT_THROW(logits_of_gguf(copy), LoadError);
}

TEST(Experts, GateAndUpInOneTensorOfGguf) {
  FixtureCopy copy(fixture("qwen2_moe/model.gguf"));
  const Logits expected = logits_of_gguf(copy);
  for (const std::string layer : {"blk.0.", "blk.1."}) {
    const FixtureTensor gate = take(copy, layer + "ffn_gate_exps.weight");
    const FixtureTensor up = take(copy, layer + "ffn_up_exps.weight");
    FixtureTensor both{{gate.shape[0], 2 * gate.shape[1], gate.shape[2]}, {}};
    for (std::int64_t x = 0; x < gate.shape[0]; ++x) {
      for (const FixtureTensor* part : {&gate, &up}) {
        const FixtureTensor one = matrix_of(*part, x);
        both.values.insert(both.values.end(), one.values.begin(), one.values.end());
      }
    }
    copy.tensors[layer + "ffn_gate_up_exps.weight"] = std::move(both);
  }
  EXPECT_EQ(logits_of_gguf(copy), expected);
}

TEST(Experts, OneTensorForAllInSafetensors) {
  FixtureCopy copy(fixture("qwen3_moe"));
  const Logits expected = logits_of_safetensors(copy);
  for (const std::string layer : {"model.layers.0.mlp.experts.", "model.layers.1.mlp.experts."}) {
    const std::int64_t n = copy.config["num_experts"];
    copy.tensors[layer + "gate_up_proj"] =
        stacked(copy, {layer + "{x}.gate_proj.weight", layer + "{x}.up_proj.weight"}, n);
    copy.tensors[layer + "down_proj"] = stacked(copy, {layer + "{x}.down_proj.weight"}, n);
  }
  EXPECT_EQ(logits_of_safetensors(copy), expected);
}

// GPT-OSS without MXFP4: columns for rows, gate and up in turn.
TEST(Experts, TransposedInGptOss) {
  FixtureCopy copy(fixture("gpt_oss"));
  const Logits expected = testing::logits_of(fixture("gpt_oss"));
  copy.config.erase("quantization_config");
  for (const std::string layer : {"0", "1", "2"}) {
    for (const std::string part : {"gate_up_proj", "down_proj"}) {
      const std::string name = fmt::format("model.layers.{}.mlp.experts.{}", layer, part);
      copy.tensors[name] = transposed(take(copy, name + "_blocks"));
    }
  }
  EXPECT_EQ(logits_of_safetensors(copy), expected);
  EXPECT_EQ(testing::logits_of(fixture("gpt_oss/model.gguf")), expected);
  copy.config["swiglu_limit"] = 0.05;
  EXPECT_GT(distance(logits_of_safetensors(copy), expected), 0.01F);
}

// A plain MLP in the first layer: chosen by two keys in config.json, and by its tensors in GGUF.
TEST(Experts, SomeLayersHaveAPlainMlp) {
  for (const std::string family : {"qwen2_moe", "qwen3_moe"}) {
    FixtureCopy hf(fixture(family)), gguf(fixture(family + "/model.gguf"));
    std::erase_if(hf.tensors,
                  [](const auto& t) { return t.first.starts_with("model.layers.0.mlp."); });
    std::erase_if(gguf.tensors, [](const auto& t) {
      return t.first.starts_with("blk.0.ffn_") && t.first != "blk.0.ffn_norm.weight";
    });
    const std::int64_t ffn = hf.config["intermediate_size"], hidden = hf.config["hidden_size"];
    for (const std::string part : {"gate", "up", "down"}) {
      FixtureTensor tensor{{ffn, hidden}, std::vector<float>(u(ffn * hidden))};
      if (part == "down") tensor.shape = {hidden, ffn};
      for (std::size_t i = 0; i < tensor.values.size(); ++i) {
        tensor.values[i] = static_cast<float>(i * part.size() % 17) / 64 - 0.125F;
      }
      hf.tensors["model.layers.0.mlp." + part + "_proj.weight"] = tensor;
      gguf.tensors["blk.0.ffn_" + part + ".weight"] = tensor;
    }
    EXPECT_THROW(logits_of_safetensors(hf), LoadError);
    hf.config["mlp_only_layers"] = {0};
    const Logits expected = logits_of_safetensors(hf);
    EXPECT_LT(distance(logits_of_gguf(gguf), expected), 1e-4F);
    hf.config.erase("mlp_only_layers");
    hf.config["decoder_sparse_step"] = 2;
    EXPECT_EQ(logits_of_safetensors(hf), expected);
  }
}

TEST(Experts, BadNumbersNameTheirKey) {
  const FixtureCopy plain(fixture("mixtral"));
  for (const auto& [key, value] :
       std::initializer_list<std::pair<const char*, int>>{{"num_local_experts", 0},
                                                          {"num_local_experts", 1 << 20},
                                                          {"num_experts_per_tok", 0},
                                                          {"num_experts_per_tok", 5},
                                                          {"moe_intermediate_size", -1}}) {
    FixtureCopy copy = plain;
    copy.config[key] = value;
    try {
      logits_of_safetensors(copy);
      ADD_FAILURE() << key << " = " << value;
    } catch (const LoadError& error) {
      EXPECT_THAT(error.what(), HasSubstr(key));
    }
  }
}

// Mixtral's fixture with what Phi-3.5-MoE has besides: biases of every norm, of attention and of
// the head.
FixtureCopy phimoe() {
  FixtureCopy copy(fixture("mixtral"));
  copy.config["architectures"] = {"PhiMoEForCausalLM"};
  copy.config["model_type"] = "phimoe";
  copy.config["attention_bias"] = true;
  copy.config["rope_theta"] = 10000.0;
  std::map<std::string, FixtureTensor> biases;
  for (const auto& [name, tensor] : copy.tensors) {
    const bool has_bias = name.find("norm") != name.npos || name.find("self_attn") != name.npos ||
                          name == "lm_head.weight";
    if (!has_bias) continue;
    FixtureTensor bias{{tensor.shape[0]}, std::vector<float>(u(tensor.shape[0]))};
    for (std::size_t i = 0; i < bias.values.size(); ++i) {
      bias.values[i] = static_cast<float>((i * 5 + name.size()) % 11) / 32 - 0.15F;
    }
    biases[name.substr(0, name.rfind('.')) + ".bias"] = std::move(bias);
  }
  copy.tensors.merge(biases);
  return copy;
}

// As the converter writes it.
FixtureCopy as_gguf(FixtureCopy copy) {
  constexpr std::pair<const char*, const char*> kNames[] = {
      {"model.layers.", "blk."},
      {"model.embed_tokens", "token_embd"},
      {"model.norm", "output_norm"},
      {"lm_head", "output"},
      {"input_layernorm", "attn_norm"},
      {"post_attention_layernorm", "ffn_norm"},
      {"self_attn.q_proj", "attn_q"},
      {"self_attn.k_proj", "attn_k"},
      {"self_attn.v_proj", "attn_v"},
      {"self_attn.o_proj", "attn_output"},
      {"block_sparse_moe.gate", "ffn_gate_inp"}};
  constexpr std::pair<const char*, const char*> kParts[] = {
      {"w1", "gate"}, {"w3", "up"}, {"w2", "down"}};
  for (const std::string layer : {"0", "1"}) {
    const std::int64_t n = copy.config["num_local_experts"];
    for (const auto& [hf, gguf] : kParts) {
      copy.tensors["blk." + layer + ".ffn_" + gguf + "_exps.weight"] = stacked(
          copy, {"model.layers." + layer + ".block_sparse_moe.experts.{x}." + hf + ".weight"}, n);
    }
  }
  std::map<std::string, FixtureTensor> renamed;
  for (auto& [name, tensor] : copy.tensors) {
    std::string other = name;
    for (const auto& [from, to] : kNames) {
      if (const auto at = other.find(from); at != other.npos) {
        other.replace(at, std::string_view(from).size(), to);
      }
    }
    renamed[other] = std::move(tensor);
  }
  copy.tensors = std::move(renamed);
  const auto number = [&](const char* key) { return copy.config[key].get<std::uint32_t>(); };
  copy.keys.set("general.architecture", "phimoe")
      .set("phimoe.block_count", number("num_hidden_layers"))
      .set("phimoe.context_length", number("max_position_embeddings"))
      .set("phimoe.embedding_length", number("hidden_size"))
      .set("phimoe.feed_forward_length", number("intermediate_size"))
      .set("phimoe.attention.head_count", number("num_attention_heads"))
      .set("phimoe.attention.head_count_kv", number("num_key_value_heads"))
      .set("phimoe.attention.layer_norm_rms_epsilon", copy.config["rms_norm_eps"].get<float>())
      .set("phimoe.rope.freq_base", 10000.0F)
      .set("phimoe.expert_count", number("num_local_experts"))
      .set("phimoe.expert_used_count", number("num_experts_per_tok"));
  return copy;
}

TEST(Experts, PhiMoe) {
  FixtureCopy copy = phimoe();
  const Logits expected = logits_of_safetensors(copy);
  EXPECT_LT(distance(logits_of_gguf(as_gguf(copy)), expected), 1e-4F);
  copy.config["router_jitter_noise"] = 10.0;
  EXPECT_GT(distance(logits_of_safetensors(copy), expected), 0.1F);
}

}  // namespace
}  // namespace rbee
