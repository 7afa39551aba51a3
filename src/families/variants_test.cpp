// Variants of the dense families that no fixture has: each is a fixture with another configuration
// or with its tensors under other names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "backend/ref/ref_backend.hpp"
#include "base/json.hpp"
#include "base/load_error.hpp"
#include "checkpoint/testing/safetensors_image.hpp"
#include "checkpoint/testing/temp_folder.hpp"
#include "model/family.hpp"
#include "model/testing/stepper.hpp"

namespace rbee {
namespace {

using ::testing::HasSubstr;
using testing::Logits;
using testing::SafetensorsImage;
using testing::Stepper;
using testing::TempFolder;

const std::vector<std::int32_t> kPrompt{1, 5, 9, 2, 5, 33, 60, 7, 12, 3, 3, 41};

Logits run(const std::filesystem::path& path, int context = 0) {
  const auto checkpoint = Checkpoint::open(path);
  RefBackend backend;
  Loader loader(*checkpoint, &backend, context);
  const auto model = find_family(*checkpoint, all_families()).build(loader);
  loader.check_all_used();
  Stepper stepper(backend, *model, 4);
  Stepper::Sequence sequence;
  return stepper.feed(sequence, kPrompt);
}

// A fixture in safetensors, to be changed.
struct Variant {
  struct Tensor {
    DType type;
    std::vector<std::int64_t> shape;
    std::string bytes;
  };
  Json config;
  std::map<std::string, Tensor> tensors;

  explicit Variant(const std::string& fixture) {
    const auto folder = std::filesystem::path(RBEE_TEST_DATA) / "fixtures" / fixture;
    std::ifstream in(folder / "config.json");
    config = parse_json(std::string(std::istreambuf_iterator<char>(in), {}));
    const auto checkpoint = Checkpoint::open(folder);
    for (const TensorInfo& tensor : checkpoint->tensors()) {
      const auto* bytes = reinterpret_cast<const char*>(tensor.bytes.data());
      tensors[tensor.name] = {tensor.type, tensor.shape, std::string(bytes, tensor.bytes.size())};
    }
  }

  Variant& set(const char* patch) {
    config.merge_patch(parse_json(patch));
    return *this;
  }
  Variant& rename(const std::string& from, const std::string& to) {
    std::map<std::string, Tensor> renamed;
    for (auto& [name, tensor] : tensors) {
      std::string other = name;
      if (const auto at = other.find(from); at != std::string::npos) {
        other.replace(at, from.size(), to);
      }
      renamed[other] = std::move(tensor);
    }
    tensors = std::move(renamed);
    return *this;
  }
  Variant& erase(const std::string& part) {
    std::erase_if(tensors, [&](const auto& entry) { return entry.first.find(part) != part.npos; });
    return *this;
  }
  // A vector of equal numbers.
  Variant& add(const std::string& name, std::int64_t size, float value) {
    std::string bytes;
    for (std::int64_t i = 0; i < size; ++i) {
      bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    tensors[name] = {DType::f32, {size}, std::move(bytes)};
    return *this;
  }

  std::filesystem::path write(const TempFolder& folder) const {
    SafetensorsImage image;
    for (const auto& [name, tensor] : tensors) {
      image.add_tensor(name, info(tensor.type).name, tensor.shape, tensor.bytes);
    }
    folder.write("config.json", config.dump());
    folder.write("model.safetensors", image.bytes());
    return folder.path();
  }
  Logits logits(int context = 0) const {
    const TempFolder folder;
    return run(write(folder), context);
  }
  std::string error() const {
    try {
      logits();
    } catch (const LoadError& error) {
      return error.what();
    }
    return "no error";
  }
};

// Of logits that are the same up to this position: the first one that is not.
std::size_t first_difference(const Logits& a, const Logits& b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin()).first - a.begin());
}

void expect_near(const Logits& a, const Logits& b) {
  for (std::size_t t = 0; t < a.size(); ++t) {
    for (std::size_t i = 0; i < a[t].size(); ++i) ASSERT_NEAR(a[t][i], b[t][i], 1e-4F);
  }
}

TEST(Variants, QwenWindowsItsUpperLayers) {
  for (const char* family : {"qwen2", "qwen3"}) {
    const Logits all = Variant(family).logits();
    const char* on = R"({"use_sliding_window": true, "sliding_window": 5, "max_window_layers": 1})";
    const Logits windowed = Variant(family).set(on).logits();
    EXPECT_EQ(first_difference(windowed, all), 5U);
    EXPECT_EQ(Variant(family).set(R"({"sliding_window": 5, "max_window_layers": 1})").logits(),
              all);
    EXPECT_EQ(Variant(family).set(on).set(R"({"max_window_layers": 3})").logits(), all);
    EXPECT_EQ(Variant(family)
                  .set(on)
                  .set(R"({"max_window_layers": 0, "layer_types":
                       ["full_attention", "sliding_attention", "sliding_attention"]})")
                  .logits(),
              windowed);
    EXPECT_THAT(Variant(family).set(R"({"layer_types": ["full_attention"]})").error(),
                HasSubstr("layer_types"));
    EXPECT_THAT(Variant(family)
                    .set(R"({"layer_types": ["full_attention", "full_attention", "chunked"]})")
                    .error(),
                HasSubstr("chunked"));
  }
}

TEST(Variants, QwenMixturesHaveOtherWindows) {
  const char* on = R"({"use_sliding_window": true, "sliding_window": 5})";
  const Logits all = Variant("qwen2_moe").logits();
  const Logits first = Variant("qwen2_moe").set(on).set(R"({"max_window_layers": 1})").logits();
  EXPECT_EQ(first_difference(first, all), 5U);
  EXPECT_EQ(Variant("qwen2_moe").set(on).set(R"({"max_window_layers": 2})").logits(), first);
  EXPECT_EQ(Variant("qwen2_moe").set(on).set(R"({"max_window_layers": 0})").logits(), all);
  const Logits plain = Variant("qwen3_moe").logits();
  EXPECT_EQ(first_difference(Variant("qwen3_moe").set(on).logits(), plain), 5U);
  EXPECT_EQ(Variant("qwen3_moe").set(R"({"sliding_window": 5})").logits(), plain);
}

TEST(Variants, QwenMustHaveItsTensors) {
  EXPECT_THAT(Variant("qwen2").erase("layers.1.self_attn.k_proj.bias").error(),
              HasSubstr("layers.1.self_attn.k_proj.bias"));
  EXPECT_THAT(Variant("qwen3").erase("layers.2.self_attn.q_norm").error(),
              HasSubstr("layers.2.self_attn.q_norm.weight"));
}

TEST(Variants, MinistralWindowsSomeLayers) {
  const Logits all = Variant("mistral").set(R"({"sliding_window": null})").logits();
  const auto with = [](const char* types) {
    return Variant("mistral")
        .set(R"({"architectures": ["MinistralForCausalLM"], "sliding_window": 6})")
        .set(types)
        .logits();
  };
  Json types = Json::array();
  for (int i = 0; i < Variant("mistral").config["num_hidden_layers"]; ++i) {
    types.push_back("full_attention");
  }
  EXPECT_EQ(with(Json{{"layer_types", types}}.dump().c_str()), all);
  types[0] = "sliding_attention";
  EXPECT_EQ(first_difference(with(Json{{"layer_types", types}}.dump().c_str()), all), 6U);
}

TEST(Variants, GemmaIgnoresTheOldActivation) {
  Variant old("gemma");
  old.config.erase("hidden_activation");
  EXPECT_EQ(old.set(R"({"hidden_act": "gelu"})").logits(), Variant("gemma").logits());
  EXPECT_NE(old.set(R"({"hidden_act": "relu"})").logits(), Variant("gemma").logits());
}

TEST(Variants, GemmaCapsMayBeOff) {
  const Logits capped = Variant("gemma2").logits();
  EXPECT_NE(Variant("gemma2").set(R"({"final_logit_softcapping": 5})").logits(), capped);
  EXPECT_NE(Variant("gemma2").set(R"({"attn_logit_softcapping": 1})").logits(), capped);
  Variant off("gemma2");  // a patch would erase the key, which means its default
  off.config["final_logit_softcapping"] = nullptr;
  const auto largest = [](const Logits& logits) {
    float most = 0;
    for (const auto& row : logits) most = std::max(most, *std::max_element(row.begin(), row.end()));
    return most;
  };
  EXPECT_GT(largest(off.logits()), largest(capped));
}

TEST(Variants, Gemma3InsideAMultimodalModel) {
  Variant wrapped("gemma3");
  Json text = wrapped.config;
  text.erase("architectures");
  // What the class has for absent keys.
  for (const char* key : {"rope_theta", "rope_local_base_freq", "sliding_window_pattern"}) {
    text.erase(key);
  }
  wrapped.config = {{"architectures", {"Gemma3ForConditionalGeneration"}},
                    {"model_type", "gemma3"},
                    {"text_config", text}};
  const Logits expected = Variant("gemma3").logits();
  Variant older = wrapped;
  wrapped.rename("model.", "model.language_model.").add("model.vision_tower.x", 3, 1);
  EXPECT_EQ(wrapped.logits(), expected);
  older.rename("model.", "language_model.model.").add("multi_modal_projector.x", 3, 1);
  EXPECT_EQ(older.logits(), expected);
}

TEST(Variants, Gemma3RotationByLayerType) {
  Variant nested("gemma3");
  for (const char* key : {"rope_theta", "rope_local_base_freq", "rope_scaling"}) {
    nested.config.erase(key);
  }
  nested.set(R"({"rope_parameters": {
      "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
      "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}}})");
  EXPECT_EQ(nested.logits(), Variant("gemma3").logits());
  nested.set(R"({"rope_parameters": {"sliding_attention": {"rope_theta": 500.0}}})");
  EXPECT_NE(nested.logits(), Variant("gemma3").logits());
}

TEST(Variants, PhiWithNormsOfQueriesAndKeys) {
  Variant with("phi");
  with.set(R"({"qk_layernorm": true})");
  EXPECT_THAT(with.error(), HasSubstr("q_layernorm.weight"));
  for (const char* layer : {"0", "1"}) {
    for (const char* part : {"q", "k"}) {
      const std::string name =
          "model.layers." + std::string(layer) + ".self_attn." + part + "_layernorm.";
      with.add(name + "weight", 8, 1).add(name + "bias", 8, 0);
    }
  }
  const Logits normed = with.logits();
  EXPECT_NE(normed, Variant("phi").logits());
  with.add("model.layers.0.self_attn.q_layernorm.bias", 8, 1);
  EXPECT_NE(with.logits(), normed);
}

TEST(Variants, LongRopeIsChosenByThePlannedContext) {
  const Logits within = Variant("phi3").logits(24);
  EXPECT_EQ(Variant("phi3").logits(5), within);
  const Logits beyond = Variant("phi3").logits(25);
  EXPECT_NE(beyond, within);
  EXPECT_EQ(Variant("phi3").logits(), beyond);  // made for more than the original context
  const TempFolder folder;
  const auto gguf = std::filesystem::path(RBEE_TEST_DATA) / "fixtures" / "phi3" / "model.gguf";
  expect_near(run(gguf, 24), within);
  expect_near(run(gguf, 25), beyond);
}

TEST(Variants, LongRopeTakesTheFactorThatIsGiven) {
  const double factor = std::sqrt(1 + std::log(2.0) / std::log(256.0));
  const Json given{{"rope_scaling", {{"attention_factor", factor}}}};
  const Logits expected = Variant("phi3_short").set(given.dump().c_str()).logits();
  EXPECT_EQ(Variant("phi3_short").set(R"({"rope_scaling": {"factor": 2}})").logits(), expected);
  EXPECT_NE(Variant("phi3_short").logits(), expected);
}

TEST(Variants, LongRopeHasOldNames) {
  const Logits expected = Variant("phi3").logits();
  for (const char* type : {"su", "yarn"}) {
    Variant old("phi3");
    old.config["rope_scaling"]["type"] = type;
    EXPECT_EQ(old.logits(), expected) << type;
  }
  Variant newer("phi3");
  newer.config["rope_parameters"] = newer.config["rope_scaling"];
  newer.config["rope_parameters"]["rope_type"] = "longrope";
  newer.config["rope_parameters"]["rope_theta"] = newer.config["rope_theta"];
  newer.config.erase("rope_scaling");
  newer.config.erase("rope_theta");
  EXPECT_EQ(newer.logits(), expected);
  newer.config["rope_parameters"]["attention_factor"] = 1.0;
  EXPECT_NE(newer.logits(), expected);
  newer.config["rope_parameters"]["long_factor"].push_back(1.0);
  EXPECT_THAT(newer.error(), HasSubstr("long_factor"));
}

TEST(Variants, Phi3RotatesAPart) {
  Variant part("phi3");  // Phi-4-mini: three quarters of a head
  part.config["partial_rotary_factor"] = 0.75;
  EXPECT_THAT(part.error(), HasSubstr("6 elements"));
  for (const char* key : {"short_factor", "long_factor"}) {
    part.config["rope_scaling"][key].erase(7);
    part.config["rope_scaling"][key].erase(6);
  }
  EXPECT_NE(part.logits(), Variant("phi3").logits());
}

TEST(Variants, FalconOfTheFirstUploads) {
  Variant old("falcon_40b");
  for (const auto& [now, then] :
       std::map<std::string, std::string>{{"num_attention_heads", "n_head"},
                                          {"num_hidden_layers", "n_layer"},
                                          {"num_kv_heads", "n_head_kv"}}) {
    old.config[then] = old.config[now];
    old.config.erase(now);
  }
  old.config.erase("new_decoder_architecture");
  old.config.erase("multi_query");
  old.set(R"({"architectures": ["RWForCausalLM"], "model_type": "RefinedWeb"})");
  EXPECT_EQ(old.logits(), Variant("falcon_40b").logits());
  Variant small("falcon_7b");
  small.config.erase("new_decoder_architecture");
  small.set(R"({"architectures": ["RWForCausalLM"], "model_type": "RefinedWebModel",
                "num_kv_heads": 5})");
  EXPECT_EQ(small.logits(), Variant("falcon_7b").logits());
}

TEST(Variants, FalconWithOneNorm) {
  Variant one("falcon_40b"), both("falcon_40b");
  one.erase("ln_mlp").rename("ln_attn", "input_layernorm");
  one.set(R"({"num_ln_in_parallel_attn": 1})");
  for (int i = 0; i < 3; ++i) {
    for (const char* part : {".weight", ".bias"}) {
      const std::string at = "transformer.h." + std::to_string(i);
      both.tensors[at + ".ln_mlp" + part] = both.tensors.at(at + ".ln_attn" + part);
    }
  }
  EXPECT_EQ(one.logits(), both.logits());
}

TEST(Variants, FalconWithoutRotationIsRefused) {
  EXPECT_THAT(Variant("falcon_7b").set(R"({"alibi": true, "parallel_attn": false})").error(),
              HasSubstr("ALiBi"));
}

TEST(Variants, FalconBiases) {
  Variant biased("falcon_40b");
  EXPECT_THAT(biased.set(R"({"bias": true})").error(), HasSubstr("bias"));
  for (int i = 0; i < 3; ++i) {
    const std::string at = "transformer.h." + std::to_string(i) + ".";
    biased.add(at + "self_attention.query_key_value.bias", 64, 0);
    biased.add(at + "self_attention.dense.bias", 32, 0);
    biased.add(at + "mlp.dense_h_to_4h.bias", 128, 0).add(at + "mlp.dense_4h_to_h.bias", 32, 0);
  }
  EXPECT_EQ(biased.logits(), Variant("falcon_40b").logits());
}

TEST(Variants, StableLmSideBySide) {
  Variant parallel("stablelm");
  parallel.set(R"({"use_parallel_residual": true})");
  EXPECT_THAT(parallel.error(), HasSubstr("post_attention_layernorm"));
  parallel.erase("post_attention_layernorm");
  EXPECT_NE(parallel.logits(), Variant("stablelm").logits());
  EXPECT_THAT(Variant("stablelm").erase("q_proj.bias").error(), HasSubstr("q_proj.bias"));
  EXPECT_THAT(Variant("stablelm2_12b").erase("q_layernorm.norms.5").error(),
              HasSubstr("q_layernorm.norms.5.weight"));
}

TEST(Variants, SmolLm3LayersWithoutRotation) {
  const Logits expected = Variant("smollm3").logits();
  Variant interval("smollm3");
  interval.config.erase("no_rope_layers");
  EXPECT_EQ(interval.logits(), expected);
  EXPECT_NE(interval.set(R"({"no_rope_layer_interval": 2})").logits(), expected);
  EXPECT_NE(Variant("smollm3").set(R"({"no_rope_layers": [1, 1, 1, 1]})").logits(), expected);
  EXPECT_THAT(Variant("smollm3").set(R"({"no_rope_layers": [1, 1, 1]})").error(),
              HasSubstr("no_rope_layers"));
}

TEST(Variants, Gpt2Scales) {
  const Logits expected = Variant("gpt2").logits();
  EXPECT_EQ(Variant("gpt2").rename("h.", "transformer.h.").logits(), expected);
  EXPECT_NE(Variant("gpt2").set(R"({"scale_attn_by_inverse_layer_idx": true})").logits(), expected);
  EXPECT_NE(Variant("gpt2").set(R"({"scale_attn_weights": false})").logits(), expected);
  EXPECT_EQ(Variant("gpt2").set(R"({"n_inner": 192})").logits(), expected);
  EXPECT_THAT(Variant("gpt2").set(R"({"n_positions": 65})").error(), HasSubstr("wpe.weight"));
}

TEST(Variants, OlmoClips) {
  const Logits clipped = Variant("olmo").logits();
  Variant off("olmo");
  off.config["clip_qkv"] = nullptr;
  EXPECT_NE(off.logits(), clipped);
  EXPECT_THAT(Variant("olmo").set(R"({"clip_qkv": -1})").error(), HasSubstr("clip_qkv"));
}

TEST(Variants, Olmo3HasWindowsAndScalesFullLayersOnly) {
  // Three layers: all of them windowed, so that the scaling is nowhere.
  const char* olmo3 = R"({"architectures": ["Olmo3ForCausalLM"], "sliding_window": 5})";
  const char* yarn = R"({"rope_scaling": {"rope_type": "yarn", "factor": 8.0,
                         "original_max_position_embeddings": 32}})";
  const Logits all = Variant("olmo2").logits();
  const Logits windowed = Variant("olmo2").set(olmo3).logits();
  EXPECT_EQ(first_difference(windowed, all), 5U);
  EXPECT_EQ(Variant("olmo2").set(R"({"sliding_window": 5})").logits(), all);
  EXPECT_EQ(Variant("olmo2").set(olmo3).set(yarn).logits(), windowed);
  const char* last_is_full = R"({"layer_types":
      ["sliding_attention", "sliding_attention", "full_attention"]})";
  EXPECT_NE(Variant("olmo2").set(olmo3).set(last_is_full).set(yarn).logits(),
            Variant("olmo2").set(olmo3).set(last_is_full).logits());
}

TEST(Variants, KimiLinearConvolvesWithItsActivation) {
  EXPECT_THAT(Variant("kimi_linear").set(R"({"hidden_act": "identity"})").error(),
              HasSubstr("hidden_act"));
  Variant dense("kimi_linear");
  for (const char* part : {"gate_proj", "w1"}) {
    for (auto& [name, tensor] : dense.tensors) {
      if (name.find(part) != name.npos) std::ranges::fill(tensor.bytes, '\0');
    }
  }
  // Gates of zero leave nothing of the MLPs with silu and relu alike: what moves is attention.
  const Logits silu = dense.logits();
  EXPECT_NE(dense.set(R"({"hidden_act": "relu"})").logits(), silu);
}

TEST(Variants, KimiLinearAsTransformersSavesIt) {
  EXPECT_EQ(Variant("kimi_linear").rename(".mlp.", ".block_sparse_moe.").logits(),
            Variant("kimi_linear").logits());
  Variant flat("kimi_linear");
  const Json delta = flat.config["linear_attn_config"];
  flat.config.erase("linear_attn_config");
  flat.config["linear_num_heads"] = delta["num_heads"];
  flat.config["linear_head_dim"] = delta["head_dim"];
  flat.config["linear_conv_kernel_dim"] = delta["short_conv_kernel_size"];
  EXPECT_EQ(flat.logits(), Variant("kimi_linear").logits());
}

TEST(Variants, WhatIsNotBuiltInIsRefused) {
  constexpr std::pair<const char*, const char*> kRefused[] = {
      {"gemma", R"({"use_bidirectional_attention": true})"},
      {"gemma2", R"({"use_bidirectional_attention": true})"},
      {"gemma3", R"({"use_bidirectional_attention": true})"},
      {"phimoe", R"({"num_experts_per_tok": 1})"},
      {"deepseek_v2", R"({"topk_method": "random"})"},
      {"llama2", R"({"hidden_act": "relu2"})"},
      {"llama2", R"({"rope_scaling": {"rope_type": "proportional"}})"},
  };
  for (const auto& [name, patch] : kRefused) {
    const Json json = parse_json(patch);
    const std::string key = json.begin().key();
    EXPECT_THAT(Variant(name).set(patch).error(), HasSubstr(key)) << name;
  }
}

TEST(Variants, StarCoderWithoutBiases) {
  Variant none("starcoder2");
  none.erase("proj.bias").erase("c_fc.bias");
  EXPECT_THAT(none.error(), HasSubstr("bias"));
  EXPECT_NE(none.set(R"({"use_bias": false})").logits(), Variant("starcoder2").logits());
}

}  // namespace
}  // namespace rbee
