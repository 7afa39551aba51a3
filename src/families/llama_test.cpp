#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "backend/ref/ref_backend.hpp"
#include "base/json.hpp"
#include "base/load_error.hpp"
#include "model/family.hpp"
#include "model/testing/stepper.hpp"
#include "model/testing/tiny_llama.hpp"

namespace rbee {
namespace {

using testing::GgufImage;
using ::testing::HasSubstr;
using testing::Logits;
using testing::SafetensorsImage;
using testing::Stepper;
using testing::TempFolder;
using testing::TinyLlama;

const std::vector<std::int32_t> kPrompt{1, 5, 9, 2, 5, 33, 60, 7, 12, 3, 3, 41};

struct Loaded {
  RefBackend backend;
  std::unique_ptr<Model> model;
  std::size_t parameters = 0;
};

std::unique_ptr<Loaded> load(const std::filesystem::path& path) {
  const auto checkpoint = Checkpoint::open(path);
  auto loaded = std::make_unique<Loaded>();
  Loader loader(*checkpoint, &loaded->backend);
  loaded->model = find_family(*checkpoint, all_families()).build(loader);
  loader.check_all_used();
  loaded->parameters = loader.parameters();
  return loaded;
}

Logits run(const std::filesystem::path& path) {
  const auto loaded = load(path);
  Stepper stepper(loaded->backend, *loaded->model, 4);
  Stepper::Sequence sequence;
  return stepper.feed(sequence, kPrompt);
}

Logits run(const TinyLlama& model) {
  const TempFolder folder;
  return run(model.write_safetensors(folder));
}

// The folder with config.json changed and the tensors as the test left them.
std::filesystem::path write(const TempFolder& folder, const TinyLlama& model,
                            const SafetensorsImage& image) {
  folder.write("config.json", model.config_text());
  folder.write("model.safetensors", image.bytes());
  return folder.path();
}

float worst_distance(const Logits& a, const Logits& b) {
  float worst = 0;
  for (std::size_t t = 0; t < a.size(); ++t) {
    for (std::size_t i = 0; i < a[t].size(); ++i) {
      worst = std::max(worst, std::fabs(a[t][i] - b[t][i]));
    }
  }
  return worst;
}

std::string error_of(const std::filesystem::path& path) {
  try {
    load(path);
  } catch (const LoadError& error) {
    return error.what();
  }
  return "no error";
}

std::string error_of(const TinyLlama& model) {
  const TempFolder folder;
  return error_of(model.write_safetensors(folder));
}

// With `change` made to the key or tensor list of a valid GGUF file.
template <class Change>
std::string gguf_error(Change change, const TinyLlama& model = {}) {
  GgufImage image = model.gguf();
  change(image);
  const TempFolder folder;
  return error_of(folder.write("model.gguf", image.bytes()));
}

void rename_tensors(SafetensorsImage& image, const std::string& from, const std::string& to) {
  for (auto& tensor : image.tensors) {
    if (const auto at = tensor.name.find(from); at != std::string::npos) {
      tensor.name.replace(at, from.size(), to);
    }
  }
}

TEST(Llama, DescribesItself) {
  const TempFolder folder;
  const auto loaded = load(TinyLlama{.heads = 4, .kv_heads = 2, .head_dim = 6}.write_gguf(folder));
  const ModelInfo& info = loaded->model->info();
  EXPECT_EQ(info.n_layers, 2);
  EXPECT_EQ(info.hidden_size, 32);
  EXPECT_EQ(info.vocab_size, 64);
  EXPECT_EQ(info.max_context, 512);
  ASSERT_EQ(info.state.size(), 2U);
  const auto& kv = std::get<PagedKv>(info.state[1]);
  EXPECT_EQ(kv.n_kv_heads, 2);
  EXPECT_EQ(kv.head_dim, 6);
  EXPECT_EQ(kv.window, 0);
  EXPECT_EQ(loaded->parameters,
            2U * 64 * 32 + 32 + 2U * (2 * 32 + 2 * 24 * 32 + 2 * 12 * 32 + 3 * 48 * 32));
}

TEST(Llama, FormatsAgree) {
  for (const TinyLlama& model :
       {TinyLlama{}, TinyLlama{.tied = true}, TinyLlama{.attention_bias = true, .mlp_bias = true},
        TinyLlama{.heads = 3, .kv_heads = 1, .head_dim = 14}}) {
    const TempFolder folder;
    const Logits hf = run(model.write_safetensors(folder));
    EXPECT_LT(worst_distance(hf, run(model.write_gguf(folder))), 1e-5F);
  }
}

TEST(Llama, FusedProjectionsAreTheSame) {
  for (const bool bias : {false, true}) {
    const TempFolder folder;
    TinyLlama model{.attention_bias = bias};
    const Logits separate = run(model.write_gguf(folder));
    model.fused_qkv = true;
    EXPECT_EQ(run(model.write_gguf(folder)), separate);
  }
}

TEST(Llama, BiasesCount) {
  const Logits with = run(TinyLlama{.attention_bias = true});
  EXPECT_GT(worst_distance(with, run(TinyLlama{})), 0.01F);
}

TEST(Llama, AcceptsOtherNames) {
  const Logits expected = run(TinyLlama{});
  EXPECT_EQ(run(TinyLlama{.architecture = "LLaMAForCausalLM"}), expected);
  const TempFolder folder;
  // The first uploads of Yi.
  TinyLlama yi{.architecture = "YiForCausalLM"};
  SafetensorsImage image = yi.safetensors();
  rename_tensors(image, "post_attention_layernorm", "ln2");
  rename_tensors(image, "input_layernorm", "ln1");
  EXPECT_EQ(run(write(folder, yi, image)), expected);
  for (const char* prefix : {"", "transformer.", "language_model.model."}) {
    image = TinyLlama{}.safetensors();
    rename_tensors(image, "model.", prefix);
    EXPECT_EQ(run(write(folder, {}, image)), expected) << prefix;
  }
  // No architecture, only a type.
  EXPECT_EQ(run(TinyLlama{.config = R"({"architectures": null, "model_type": "llama"})"}),
            expected);
}

TEST(Llama, UsesAHeadThatIsThereThoughTied) {
  const TempFolder folder;
  const TinyLlama model{.tied = true};
  SafetensorsImage image = model.safetensors();
  const Logits tied = run(write(folder, model, image));
  const TinyLlama::Values embedding = model.tensors().at("model.embed_tokens.weight");
  image.add_tensor("lm_head.weight", "F32", embedding.shape, embedding.bytes);
  EXPECT_EQ(run(write(folder, model, image)), tied);
  image = model.safetensors();
  image.add_tensor("lm_head.weight", "F32", embedding.shape,
                   std::string(embedding.bytes.size(), '\0'));
  EXPECT_EQ(run(write(folder, model, image))[0], std::vector<float>(64));
}

TEST(Llama, MistralSeesItsWindow) {
  const Logits all = run(TinyLlama{});
  const auto mistral = [](const char* config) {
    return run(TinyLlama{.architecture = "MistralForCausalLM", .config = config});
  };
  EXPECT_EQ(mistral(R"({"sliding_window": 4096})"), all);
  EXPECT_EQ(mistral(R"({"sliding_window": 12})"), all);
  const Logits windowed = mistral(R"({"sliding_window": 5})");
  EXPECT_EQ(Logits(windowed.begin(), windowed.begin() + 5), Logits(all.begin(), all.begin() + 5));
  EXPECT_GT(worst_distance(windowed, all), 0.01F);
  // Llama itself has none, whatever the key says.
  EXPECT_EQ(run(TinyLlama{.config = R"({"sliding_window": 5})"}), all);
}

TEST(Llama, WindowIsPartOfTheState) {
  const TempFolder folder;
  const auto window_of = [&](const std::string& extra) {
    const TinyLlama model{.architecture = "MistralForCausalLM"};
    Json config = parse_json(model.config_text());
    config.update(parse_json(extra));
    write(folder, model, model.safetensors());
    folder.write("config.json", config.dump());
    return std::get<PagedKv>(load(folder.path())->model->info().state[0]).window;
  };
  EXPECT_EQ(window_of(R"({"sliding_window": 7})"), 7);
  EXPECT_EQ(window_of(R"({"sliding_window": null})"), 0);
  EXPECT_EQ(window_of("{}"), 4096);  // what the key's absence means
}

// Divisors of rope_freqs.weight in GGUF stand for the llama3 parameters of config.json.
TEST(Llama, RopeFreqsEqualLlama3Scaling) {
  const TempFolder folder;
  const TinyLlama model{.head_dim = 16, .theta = 5e5, .config = R"({"rope_scaling": {
      "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
      "original_max_position_embeddings": 64}})"};
  const Logits expected = run(model.write_safetensors(folder));
  std::vector<float> divisors;
  for (int j = 0; j < 8; ++j) {
    const double f = std::pow(5e5, -2.0 * j / 16), wavelength = 2 * std::acos(-1.0) / f;
    const double kept = std::clamp((64 / wavelength - 1) / (4 - 1), 0.0, 1.0);
    divisors.push_back(static_cast<float>(1 / ((1 - kept) / 8 + kept)));
  }
  GgufImage image = model.gguf();
  image.add_tensor("rope_freqs.weight", {8}, divisors);
  EXPECT_LT(worst_distance(run(folder.write("model.gguf", image.bytes())), expected), 1e-4F);
  EXPECT_GT(worst_distance(run(model.write_gguf(folder)), expected), 0.01F);
}

TEST(Llama, LinearScalingInBothFormatsAndSpellings) {
  const TempFolder folder;
  const auto scaled = [](const char* config) { return run(TinyLlama{.config = config}); };
  const Logits expected = scaled(R"({"rope_scaling": {"type": "linear", "factor": 4}})");
  EXPECT_GT(worst_distance(expected, run(TinyLlama{})), 0.01F);
  EXPECT_EQ(scaled(R"({"rope_scaling": {"rope_type": "linear", "factor": 4.0}})"), expected);
  EXPECT_EQ(scaled(R"({"rope_theta": null, "rope_parameters": {"rope_type": "linear",
                       "factor": 4.0, "rope_theta": 10000.0}})"),
            expected);
  for (const char* key : {"llama.rope.scaling.factor", "llama.rope.scale_linear"}) {
    GgufImage image = TinyLlama{}.gguf();
    image.set(key, 4.0F);
    EXPECT_LT(worst_distance(run(folder.write("model.gguf", image.bytes())), expected), 1e-5F);
  }
}

TEST(Llama, SomeScalingsChangeNothing) {
  const Logits expected = run(TinyLlama{});
  for (const char* scaling :
       {R"({"rope_scaling": null})", R"({"rope_scaling": {"type": "default"}})",
        R"({"rope_scaling": {"type": "dynamic", "factor": 2.0}})"}) {
    EXPECT_EQ(run(TinyLlama{.config = scaling}), expected) << scaling;
  }
}

TEST(Llama, ThetaFromEitherPlace) {
  const Logits expected = run(TinyLlama{.theta = 5e5});
  EXPECT_GT(worst_distance(expected, run(TinyLlama{})), 0.01F);
  EXPECT_EQ(run(TinyLlama{.config = R"({"rope_theta": null, "rope_parameters": {
                "rope_type": "default", "rope_theta": 500000.0}})"}),
            expected);
}

TEST(Llama, DryRunCountsWithoutABackend) {
  const TempFolder folder;
  const auto path = TinyLlama{.tied = true}.write_gguf(folder);
  const auto checkpoint = Checkpoint::open(path);
  Loader loader(*checkpoint, nullptr);
  const auto model = find_family(*checkpoint, all_families()).build(loader);
  loader.check_all_used();
  EXPECT_EQ(loader.parameters(), load(path)->parameters);
  EXPECT_GT(loader.packed_bytes(), loader.parameters() * sizeof(float));
  EXPECT_EQ(model->info().n_layers, 2);
}

// It is then a Mixtral, which lacks its router here.
TEST(LlamaErrors, LeavesMixturesOfExpertsToMixtral) {
  EXPECT_THAT(gguf_error([](GgufImage& i) {
                i.set("llama.expert_count", std::uint32_t{8});
                i.set("llama.expert_used_count", std::uint32_t{2});
              }),
              HasSubstr("ffn_gate_inp"));
}

TEST(LlamaErrors, NamesTensorAndShapes) {
  const std::string wrong = gguf_error([](GgufImage& i) {
    for (auto& tensor : i.tensors) {
      if (tensor.name == "blk.1.ffn_up.weight") tensor.ne = {48, 32};
    }
  });
  EXPECT_THAT(wrong, HasSubstr("model.gguf: tensor 'blk.1.ffn_up.weight': expected shape [48, 32], "
                               "found shape [32, 48]"));
  const std::string missing = gguf_error([](GgufImage& i) {
    for (auto& tensor : i.tensors) {
      if (tensor.name == "blk.0.attn_v.weight") tensor.name = "blk.0.attn_w.weight";
    }
  });
  EXPECT_THAT(missing,
              HasSubstr("tensor 'blk.0.attn_v.weight': expected shape [16, 32], found no such"));
}

TEST(LlamaErrors, LeftoverTensorsAreNamed) {
  const TempFolder folder;
  SafetensorsImage image = TinyLlama{}.safetensors();
  image.add_tensor("model.layers.0.self_attn.rotary_emb.inv_freq", {4}, std::vector<float>(4));
  EXPECT_EQ(error_of(write(folder, {}, image)), "no error");
  image.add_tensor("model.layers.0.self_attn.sinks", {4}, std::vector<float>(4));
  EXPECT_THAT(error_of(write(folder, {}, image)), HasSubstr("model.layers.0.self_attn.sinks"));
}

TEST(LlamaErrors, PromisedBiasesMustBeThere) {
  EXPECT_THAT(error_of(TinyLlama{.config = R"({"attention_bias": true})"}),
              HasSubstr("q_proj.bias"));
  EXPECT_THAT(error_of(TinyLlama{.config = R"({"mlp_bias": true})"}), HasSubstr("gate_proj.bias"));
}

struct BadConfig {
  const char* change;
  const char* named;  // in the error
};

class BadConfigTest : public ::testing::TestWithParam<BadConfig> {};

TEST_P(BadConfigTest, IsRefused) {
  EXPECT_THAT(error_of(TinyLlama{.config = GetParam().change}), HasSubstr(GetParam().named));
}

INSTANTIATE_TEST_SUITE_P(
    Llama, BadConfigTest,
    ::testing::Values(
        BadConfig{R"({"num_hidden_layers": 0})", "num_hidden_layers"},
        BadConfig{R"({"num_hidden_layers": 1000000000})", "num_hidden_layers"},
        BadConfig{R"({"num_hidden_layers": null})", "num_hidden_layers"},
        BadConfig{R"({"num_hidden_layers": "two"})", "num_hidden_layers"},
        BadConfig{R"({"num_hidden_layers": 3})", "layers.2"},
        BadConfig{R"({"num_hidden_layers": 1})", "layers.1"},
        BadConfig{R"({"hidden_size": -32})", "hidden_size"},
        BadConfig{R"({"hidden_size": 2147483648})", "hidden_size"},
        BadConfig{R"({"hidden_size": 31})", "embed_tokens"},
        BadConfig{R"({"hidden_size": 1e300})", "hidden_size"},
        BadConfig{R"({"intermediate_size": 0})", "intermediate_size"},
        BadConfig{R"({"intermediate_size": 47})", "gate_proj"},
        BadConfig{R"({"num_attention_heads": 0})", "num_attention_heads"},
        BadConfig{R"({"num_attention_heads": 99999999})", "num_attention_heads"},
        BadConfig{R"({"num_attention_heads": 2, "head_dim": null})", "k_proj"},
        BadConfig{R"({"num_attention_heads": 5, "num_key_value_heads": 5, "head_dim": null})",
                  "head_dim"},
        BadConfig{R"({"num_key_value_heads": 3})", "num_key_value_heads"},
        BadConfig{R"({"num_key_value_heads": 0})", "num_key_value_heads"},
        BadConfig{R"({"head_dim": 7})", "head_dim"}, BadConfig{R"({"head_dim": 1})", "head_dim"},
        BadConfig{R"({"head_dim": 1000000})", "head_dim"},
        BadConfig{R"({"vocab_size": 65})", "embed_tokens"},
        BadConfig{R"({"vocab_size": null})", "vocab_size"},
        BadConfig{R"({"max_position_embeddings": 0})", "max_position_embeddings"},
        BadConfig{R"({"rms_norm_eps": -1e-5})", "rms_norm_eps"},
        BadConfig{R"({"rms_norm_eps": 2})", "rms_norm_eps"},
        BadConfig{R"({"rope_theta": 0})", "rope_theta"},
        BadConfig{R"({"rope_theta": 1e-320})", "rope_theta"},
        BadConfig{R"({"rope_scaling": {"type": "longrope"}})", "longrope"},
        BadConfig{R"({"rope_scaling": {"type": "linear"}})", "factor"},
        BadConfig{R"({"rope_scaling": {"type": "linear", "factor": 0}})", "factor"},
        BadConfig{R"({"rope_scaling": {"type": "linear", "factor": 1e-300}})", "rope"},
        BadConfig{R"({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}})", "low_freq_factor"},
        BadConfig{R"({"rope_scaling": {"rope_type": "llama3", "factor": 8.0,
                      "low_freq_factor": 4.0, "high_freq_factor": 4.0}})",
                  "high_freq_factor"},
        BadConfig{R"({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}, "rope_theta": 1})",
                  "rope"},
        BadConfig{R"({"hidden_act": "mish"})", "mish"},
        BadConfig{R"({"partial_rotary_factor": 0.1})", "rotat"},
        BadConfig{R"({"architectures": ["MistralForCausalLM"], "sliding_window": 0})",
                  "sliding_window"},
        BadConfig{R"({"quantization_config": {"quant_method": "hqq"}})", "hqq"},
        BadConfig{R"({"architectures": ["LamaForCausalLM"]})", "nearest: LlamaForCausalLM"}));

TEST(LlamaErrors, GgufKeysAreChecked) {
  const auto spoiled = [](const char* key, std::uint32_t value) {
    return gguf_error([&](GgufImage& i) { i.entry(key).value = testing::raw(value); });
  };
  EXPECT_THAT(spoiled("llama.block_count", 0), HasSubstr("llama.block_count"));
  EXPECT_THAT(spoiled("llama.block_count", 0xFFFFFFFF), HasSubstr("llama.block_count"));
  EXPECT_THAT(spoiled("llama.attention.head_count", 0), HasSubstr("llama.attention.head_count"));
  EXPECT_THAT(spoiled("llama.attention.value_length", 16), HasSubstr("value_length"));
  EXPECT_THAT(spoiled("llama.rope.dimension_count", 3), HasSubstr("rope.dimension_count"));
  EXPECT_THAT(spoiled("llama.rope.dimension_count", 10), HasSubstr("rope.dimension_count"));
  EXPECT_THAT(gguf_error([](GgufImage& i) {
                i.add_tensor("rope_freqs.weight", {3}, std::vector<float>(3, 1));
              }),
              HasSubstr("rope_freqs.weight"));
  EXPECT_THAT(gguf_error([](GgufImage& i) {
                i.add_tensor("rope_freqs.weight", {4}, std::vector<float>(4));
              }),
              HasSubstr("finite"));
}

}  // namespace
}  // namespace rbee
