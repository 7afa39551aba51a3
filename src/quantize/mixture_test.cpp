#include "quantize/mixture.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "base/load_error.hpp"

namespace rbee {
namespace {

std::string name_of(DType type) { return std::string(info(type).name); }

// Of the files, made by llama-quantize, every tensor.
class MixtureOfFile : public testing::TestWithParam<const char*> {};

TEST_P(MixtureOfFile, HasTheTypesOfLlamaQuantize) {
  const std::string file = GetParam();
  const std::string folder = std::string(RBEE_TEST_DATA) + "/fixtures/";
  const auto checkpoint = Checkpoint::open(folder + file);
  const std::size_t at = file.find("model-") + 6;
  const auto mixture = mixture_from_name(file.substr(at, file.find('.', at) - at));
  ASSERT_TRUE(mixture);
  const MixtureModel model = MixtureModel::read(*checkpoint);
  for (const TensorInfo& tensor : checkpoint->tensors()) {
    EXPECT_EQ(name_of(type_for(*mixture, model, tensor.name, tensor.shape)), name_of(tensor.type))
        << tensor.name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Files, MixtureOfFile,
    testing::Values("llama_k256/model-IQ3_S.gguf", "llama_k256/model-IQ4_NL.gguf",
                    "llama_k256/model-IQ4_XS.gguf", "llama_k256/model-Q2_K.gguf",
                    "llama_k256/model-Q3_K_M.gguf", "llama_k256/model-Q4_0.gguf",
                    "llama_k256/model-Q4_1.gguf", "llama_k256/model-Q4_K_M.gguf",
                    "llama_k256/model-Q5_0.gguf", "llama_k256/model-Q5_1.gguf",
                    "llama_k256/model-Q5_K_M.gguf", "llama_k256/model-Q6_K.gguf",
                    "llama_k256/model-Q8_0.gguf", "mixtral_k256/model-MXFP4_MOE.gguf",
                    "mixtral_k256/model-Q4_0.gguf", "mixtral_k256/model-Q4_K_M.gguf"));

// "6644": a digit for the type of a tensor in each layer.
std::string digits(Mixture mixture, const MixtureModel& model, const std::string& tensor,
                   std::int64_t cols) {
  std::string text;
  for (int layer = 0; layer < model.layers; ++layer) {
    const std::string name = "blk." + std::to_string(layer) + "." + tensor + ".weight";
    text += info(type_for(mixture, model, name, std::array<std::int64_t, 2>{64, cols})).name[1];
  }
  return text;
}

// What llama-quantize (llama.cpp as of llama-cpp-python 0.3.36) makes of SmolLM2-135M: 30 layers,
// 9 heads for 3, rows of 576 and 1536.
TEST(Mixture, LayersDifferAsInLlamaQuantize) {
  const MixtureModel model{"llama", 30, 0, 3};
  const std::string sensitive = "666446446446446446446446446666";
  EXPECT_EQ(digits(Mixture::q4_k_m, model, "ffn_down", 1536), sensitive);
  EXPECT_EQ(digits(Mixture::q4_k_m, model, "attn_v", 1536), sensitive);
  EXPECT_EQ(digits(Mixture::q4_k_m, model, "attn_v", 576), "888558558558558558558558558888");
  EXPECT_EQ(digits(Mixture::q5_k_m, model, "ffn_down", 1536), "666556556556556556556556556666");
  EXPECT_EQ(digits(Mixture::q3_k_m, model, "ffn_down", 1536), "5" + std::string(29, '4'));
  EXPECT_EQ(digits(Mixture::q3_k_m, model, "attn_v", 1536), "55" + std::string(28, '4'));
  EXPECT_EQ(digits(Mixture::q4_k_m, model, "ffn_up", 576), std::string(30, '5'));
  EXPECT_EQ(digits(Mixture::q4_k_s, model, "ffn_down", 1536), "555" + std::string(27, '4'));
}

TEST(Mixture, TheOutputGetsMoreBitsWhereverItIs) {
  const std::array<std::int64_t, 2> shape{1000, 512};
  MixtureModel model{"llama", 4};
  EXPECT_EQ(type_for(Mixture::q4_k_m, model, "token_embd.weight", shape), DType::q6_k);
  model.own_output = true;
  EXPECT_EQ(type_for(Mixture::q4_k_m, model, "token_embd.weight", shape), DType::q4_k);
  EXPECT_EQ(type_for(Mixture::q4_k_m, model, "output.weight", shape), DType::q6_k);
  EXPECT_EQ(type_for(Mixture::mxfp4, model, "output.weight", shape), DType::q8_0);
}

TEST(Mixture, SmallAndDelicateTensorsStayF32) {
  const MixtureModel model{"x", 4};
  for (const char* name : {"blk.0.ffn_gate_inp.weight", "blk.0.ssm_conv1d.weight",
                           "position_embd.weight", "blk.0.time_mix_w1.weight", "blk.0.ssm_a"}) {
    EXPECT_EQ(type_for(Mixture::q4_k_m, model, name, std::array<std::int64_t, 2>{256, 256}),
              DType::f32)
        << name;
  }
  EXPECT_EQ(type_for(Mixture::f16, model, "output_norm.weight", std::array<std::int64_t, 1>{256}),
            DType::f32);
}

TEST(Mixture, RowsThatBlocksDoNotFillGetAnotherType) {
  const MixtureModel model{"x", 4};
  const auto type = [&model](Mixture mixture, std::int64_t cols) {
    return type_for(mixture, model, "blk.1.attn_q.weight", std::array<std::int64_t, 2>{8, cols});
  };
  EXPECT_EQ(type(Mixture::q4_k_m, 96), DType::q5_0);
  EXPECT_EQ(type(Mixture::q3_k_s, 96), DType::q4_0);
  EXPECT_EQ(type(Mixture::iq4_xs, 96), DType::iq4_nl);
  EXPECT_EQ(type(Mixture::q6_k, 96), DType::q8_0);
  EXPECT_EQ(type(Mixture::q4_k_m, 100), DType::f16);
}

TEST(Mixture, NamesAreReadInEitherCase) {
  EXPECT_EQ(mixture_from_name("Q4_K_M"), Mixture::q4_k_m);
  EXPECT_EQ(mixture_from_name("q4_k"), Mixture::q4_k_m);
  EXPECT_FALSE(mixture_from_name("q4_k_xl"));
  for (const MixtureInfo& one : all_mixtures()) {
    EXPECT_EQ(mixture_from_name(one.name), one.mixture);
  }
}

TEST(Mixture, SomeTypesNeedAnImportanceMatrix) {
  constexpr std::string_view kUp = "blk.0.ffn_up.weight";
  EXPECT_THROW(require_no_importance(Mixture::iq2_m, DType::iq2_s, kUp), LoadError);
  EXPECT_THROW(require_no_importance(Mixture::q2_k_s, DType::q2_k, kUp), LoadError);
  EXPECT_NO_THROW(require_no_importance(Mixture::q2_k, DType::q2_k, kUp));
  EXPECT_NO_THROW(require_no_importance(Mixture::iq3_m, DType::iq3_s, kUp));
  EXPECT_NO_THROW(require_no_importance(Mixture::iq2_m, DType::iq2_s, "token_embd.weight"));
}

}  // namespace
}  // namespace rbee
