// RWKV 5 to 7 in the layouts and with the options that no fixture has. The fixtures are the models;
// tests/conformance compares them with the reference implementation.
#include <gmock/gmock.h>

#include <array>

#include "base/load_error.hpp"
#include "model/testing/fixture_copy.hpp"

namespace rbee {
namespace {

using testing::distance;
using testing::FixtureCopy;
using testing::GgufImage;
using ::testing::HasSubstr;
using testing::logits_of_gguf;
using testing::logits_of_safetensors;

constexpr float kSame = 2e-4F;
const std::filesystem::path kFixtures = std::filesystem::path(RBEE_TEST_DATA) / "fixtures";

void append(std::vector<float>& to, const std::vector<float>& values) {
  to.insert(to.end(), values.begin(), values.end());
}

// As docs/rwkv5-gguf.md says.
void make_rwkv5_gguf(FixtureCopy& copy) {
  constexpr std::array<std::array<const char*, 2>, 15> kNames{{
      {"attention.gate.weight", "time_mix_gate.weight"},
      {"attention.key.weight", "time_mix_key.weight"},
      {"attention.value.weight", "time_mix_value.weight"},
      {"attention.receptance.weight", "time_mix_receptance.weight"},
      {"attention.output.weight", "time_mix_output.weight"},
      {"attention.ln_x.weight", "time_mix_ln.weight"},
      {"attention.ln_x.bias", "time_mix_ln.bias"},
      {"attention.time_decay", "time_mix_decay.weight"},
      {"attention.time_faaaa", "time_mix_first.weight"},
      {"feed_forward.key.weight", "channel_mix_key.weight"},
      {"feed_forward.value.weight", "channel_mix_value.weight"},
      {"feed_forward.receptance.weight", "channel_mix_receptance.weight"},
      {"ln1.weight", "attn_norm.weight"},
      {"ln1.bias", "attn_norm.bias"},
      {"ln2.weight", "attn_norm_2.weight"},
  }};
  const auto lerp = [&](const std::string& name) {
    std::vector<float> values = copy.tensors.extract(name).mapped().values;
    for (float& value : values) value = 1 - value;
    return values;
  };
  for (const int layer : {0, 1}) {
    const std::string hf = "rwkv.blocks." + std::to_string(layer) + ".";
    const std::string gguf = "blk." + std::to_string(layer) + ".";
    for (const auto& [from, to] : kNames) copy.rename(hf + from, gguf + to);
    copy.rename(hf + "ln2.bias", gguf + "attn_norm_2.bias");
    std::vector<float> fused;
    for (const char* part : {"key", "value", "receptance", "gate"}) {
      append(fused, lerp(hf + "attention.time_mix_" + part));
    }
    copy.tensors[gguf + "time_mix_lerp_fused.weight"] = {{4, 1, 1, 48}, fused};
    const std::string channel = hf + "feed_forward.time_mix_";
    copy.tensors[gguf + "channel_mix_lerp_k.weight"] = {{48}, lerp(channel + "key")};
    copy.tensors[gguf + "channel_mix_lerp_r.weight"] = {{48}, lerp(channel + "receptance")};
  }
  copy.rename("rwkv.embeddings.weight", "token_embd.weight");
  copy.rename("rwkv.blocks.0.pre_ln.weight", "token_embd_norm.weight");
  copy.rename("rwkv.blocks.0.pre_ln.bias", "token_embd_norm.bias");
  copy.rename("rwkv.ln_out.weight", "output_norm.weight");
  copy.rename("rwkv.ln_out.bias", "output_norm.bias");
  copy.rename("head.weight", "output.weight");
  copy.keys.set("general.architecture", "rwkv5")
      .set("rwkv5.block_count", std::uint32_t{2})
      .set("rwkv5.embedding_length", std::uint32_t{48})
      .set("rwkv5.attention.layer_norm_epsilon", 1e-5F)
      .set("rwkv5.wkv.head_size", std::uint32_t{16});
}

// Divides what writes into the residual stream by 2^layer, as a file with this key has it.
void rescale(FixtureCopy& copy, const std::string& architecture) {
  copy.scale("blk.1.time_mix_output.weight", 0.5F);
  copy.scale("blk.1.channel_mix_value.weight", 0.5F);
  const std::string key = architecture + ".rescale_every_n_layers";
  std::erase_if(copy.keys.entries, [&](const GgufImage::Entry& e) { return e.key == key; });
  copy.keys.set(key, std::uint32_t{1});
}

TEST(Rwkv5, GgufHoldsTheSameModel) {
  FixtureCopy copy(kFixtures / "rwkv5");
  const auto expected = logits_of_safetensors(copy);
  make_rwkv5_gguf(copy);
  EXPECT_LT(distance(logits_of_gguf(copy), expected), kSame);
  rescale(copy, "rwkv5");
  EXPECT_LT(distance(logits_of_gguf(copy), expected), 10 * kSame);  // epsilon of norms does not
}

TEST(Rwkv5, TheDivisorBeforeTheNormCounts) {
  FixtureCopy copy(kFixtures / "rwkv5");
  const auto expected = logits_of_safetensors(copy);
  copy.config.erase("head_size_divisor");
  EXPECT_EQ(logits_of_safetensors(copy), expected);
  copy.config["head_size_divisor"] = 100;
  EXPECT_GT(distance(logits_of_safetensors(copy), expected), 1e-3F);
}

TEST(Rwkv6, RescaledGgufFilesAreTheSameModel) {
  FixtureCopy copy(kFixtures / "rwkv6" / "model.gguf");
  const auto expected = logits_of_gguf(copy);
  rescale(copy, "rwkv6");
  EXPECT_LT(distance(logits_of_gguf(copy), expected), 10 * kSame);
  copy.scale("blk.1.time_mix_output.weight", 2);
  EXPECT_GT(distance(logits_of_gguf(copy), expected), 1e-2F);
}

TEST(Rwkv7, NamesOfTheAuthor) {
  FixtureCopy copy(kFixtures / "rwkv7");
  const auto expected = logits_of_safetensors(copy);
  constexpr std::array<std::array<const char*, 2>, 26> kNames{
      {{"attn.a_lora.lora.2.bias", "att.a0"},
       {"attn.w_lora.lora.2.bias", "att.w0"},
       {"attn.g_norm.weight", "att.ln_x.weight"},
       {"attn.g_norm.bias", "att.ln_x.bias"},
       {"attn.k_a", "att.k_a"},
       {"attn.k_k", "att.k_k"},
       {"attn.r_k", "att.r_k"},
       {"attn.x_a", "att.x_a"},
       {"attn.x_g", "att.x_g"},
       {"attn.x_k", "att.x_k"},
       {"attn.x_r", "att.x_r"},
       {"attn.x_v", "att.x_v"},
       {"attn.x_w", "att.x_w"},
       {"attn.k_proj.weight", "att.key.weight"},
       {"attn.o_proj.weight", "att.output.weight"},
       {"attn.r_proj.weight", "att.receptance.weight"},
       {"attn.v_proj.weight", "att.value.weight"},
       {"attn_norm.weight", "ln1.weight"},
       {"attn_norm.bias", "ln1.bias"},
       {"ffn_norm.weight", "ln2.weight"},
       {"ffn_norm.bias", "ln2.bias"},
       {"ffn.key.weight", "ffn.key.weight"},
       {"ffn.value.weight", "ffn.value.weight"},
       {"ffn.x_k", "ffn.x_k"},
       {"pre_norm.weight", "ln0.weight"},
       {"pre_norm.bias", "ln0.bias"}}};
  for (const int layer : {0, 1}) {
    const std::string fla = "model.layers." + std::to_string(layer) + ".";
    const std::string author = "blocks." + std::to_string(layer) + ".";
    for (const char part : {'w', 'a', 'v', 'g'}) {
      const std::string name = fla + "attn." + part + "_lora.lora.";
      if (!copy.tensors.contains(name + "0.weight")) continue;
      copy.transpose(name + "0.weight");
      copy.transpose(name + "2.weight");
      copy.rename(name + "0.weight", author + "att." + part + "1");
      copy.rename(name + "2.weight", author + "att." + part + "2");
      if (part == 'v') copy.rename(name + "2.bias", author + "att.v0");
    }
    for (const auto& [from, to] : kNames) {
      if (copy.tensors.contains(fla + from)) copy.rename(fla + from, author + to);
    }
  }
  copy.tensors["blocks.0.att.v0"] = {{1, 1, 64}, std::vector<float>(64, 3)};  // without meaning
  copy.tensors["blocks.0.att.v1"] = {{64, 8}, std::vector<float>(512, 3)};
  copy.tensors["blocks.0.att.v2"] = {{8, 64}, std::vector<float>(512, 3)};
  copy.rename("model.embeddings.weight", "emb.weight");
  copy.rename("model.norm.weight", "ln_out.weight");
  copy.rename("model.norm.bias", "ln_out.bias");
  copy.rename("lm_head.weight", "head.weight");
  EXPECT_EQ(logits_of_safetensors(copy), expected);
}

TEST(Rwkv7, PackedFactorsAndModelsWithoutAGate) {
  FixtureCopy copy(kFixtures / "rwkv7");
  const auto expected = logits_of_safetensors(copy);
  FixtureCopy ungated = copy;
  for (const int layer : {0, 1}) {
    const std::string attn = "model.layers." + std::to_string(layer) + ".attn.";
    std::vector<float> packed;
    for (const char part : {'r', 'w', 'k', 'v', 'a', 'g'}) {
      append(packed, copy.tensors.extract(attn + "x_" + part).mapped().values);
    }
    copy.tensors[attn + "x_x"] = {{6, 64}, packed};
    ungated.tensors.erase(attn + "x_g");
    ungated.tensors.erase(attn + "g_lora.lora.0.weight");
    ungated.tensors.erase(attn + "g_lora.lora.2.weight");
  }
  EXPECT_EQ(logits_of_safetensors(copy), expected);
  EXPECT_GT(distance(logits_of_safetensors(ungated), expected), 1e-2F);
}

// num_attention_heads of the first files is the size of a head; fla may give the number of heads.
TEST(Rwkv, HeadSizeOfFilesThatDoNotNameIt) {
  for (const char* family : {"rwkv5", "rwkv6", "rwkv7"}) {
    FixtureCopy copy(kFixtures / family);
    const auto expected = logits_of_safetensors(copy);
    copy.config.erase("head_size");
    copy.config.erase("head_dim");
    copy.config["num_attention_heads"] = 16;
    EXPECT_EQ(logits_of_safetensors(copy), expected) << family;
  }
}

TEST(Rwkv, RefusesBadValues) {
  for (const char* family : {"rwkv5", "rwkv6", "rwkv7"}) {
    FixtureCopy copy(kFixtures / family);
    const std::string key = std::string(family) == "rwkv7" ? "head_dim" : "head_size";
    for (const int value : {0, 7, 1 << 20}) {
      copy.config[key] = value;
      try {
        logits_of_safetensors(copy);
        ADD_FAILURE() << family << " " << value;
      } catch (const LoadError& error) {
        EXPECT_THAT(error.what(), HasSubstr("head_"));
      }
    }
  }
}

}  // namespace
}  // namespace rbee
