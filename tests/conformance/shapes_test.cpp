// Models with random weights in shapes that no fixture has: every device agrees with the reference
// backend, and the two formats of a model agree with each other.
#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "checkpoint/checkpoint.hpp"
#include "checkpoint/dequantize.hpp"
#include "checkpoint/tensor_data.hpp"
#include "fixture.hpp"
#include "model/testing/tiny_llama.hpp"

namespace rbee::conformance {
namespace {

using testing::Logits;
using testing::Stepper;
using testing::TempFolder;
using testing::TinyLlama;

struct Shape {
  const char* name;
  TinyLlama model;
  int prompt;
};

std::vector<Shape> shapes() {
  return {
      {"wide_heads",
       {.hidden = 40, .ffn = 72, .heads = 2, .kv_heads = 1, .head_dim = 80, .vocab = 300},
       200},
      {"odd_sizes",
       {.hidden = 37, .ffn = 61, .heads = 5, .kv_heads = 5, .head_dim = 6, .vocab = 129},
       70},
      {"biases",
       {.hidden = 48,
        .heads = 6,
        .head_dim = 16,
        .theta = 1e6,
        .tied = true,
        .attention_bias = true,
        .mlp_bias = true},
       33},
      {"window",
       {.architecture = "MistralForCausalLM",
        .heads = 8,
        .kv_heads = 2,
        .head_dim = 24,
        .config = R"({"sliding_window": 65})"},
       190},
      {"linear_scaling",
       {.theta = 5e5, .config = R"({"rope_scaling": {"type": "linear", "factor": 4.0}})"},
       100},
      {"yarn",
       {.head_dim = 32, .config = R"({"rope_parameters": {"rope_type": "yarn", "factor": 4.0,
           "rope_theta": 10000.0, "original_max_position_embeddings": 64}})"},
       150},
      {"one_layer_one_head",
       {.layers = 1, .hidden = 16, .ffn = 8, .heads = 1, .kv_heads = 1, .head_dim = 2, .vocab = 17},
       64},
      {"bf16", {.hidden = 72, .ffn = 80, .heads = 9, .kv_heads = 3, .type = DType::bf16}, 65},
      {"f16", {.hidden = 50, .ffn = 70, .head_dim = 10, .type = DType::f16}, 65},
  };
}

std::vector<std::int32_t> prompt_of(const Shape& shape) {
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(shape.prompt));
  for (int i = 0; i < shape.prompt; ++i) {
    tokens[static_cast<std::size_t>(i)] = (i * 7 + i * i * 3) % shape.model.vocab;
  }
  return tokens;
}

Logits run(const std::filesystem::path& path, const Device& device, const Shape& shape,
           int chunk = 0) {
  Running running(path, device);
  Stepper::Sequence sequence;
  return running.stepper->feed(sequence, prompt_of(shape), chunk);
}

// Root mean square of the difference as a share of that of the expected logits.
double relative_error(const Logits& got, const Logits& expected) {
  double difference = 0, size = 0;
  for (std::size_t t = 0; t < expected.size(); ++t) {
    for (std::size_t i = 0; i < expected[t].size(); ++i) {
      difference += std::pow(got[t][i] - expected[t][i], 2);
      size += std::pow(expected[t][i], 2);
    }
  }
  return std::sqrt(difference / size);
}

class ShapesTest : public ::testing::TestWithParam<std::tuple<Shape, Device>> {
 protected:
  const Shape shape_ = std::get<0>(GetParam());
  const Device device_ = std::get<1>(GetParam());
  const TempFolder folder_;

  double allowed() const {
    const bool rounds = device_.options.cpu_isa == "avx512" && shape_.model.type == DType::bf16;
    return rounds ? 0.03 : 2e-5;
  }
};

TEST_P(ShapesTest, AgreesWithTheReference) {
  const auto path = shape_.model.write_safetensors(folder_);
  const Logits expected = run(path, devices().front(), shape_);
  const Logits got = run(path, device_, shape_);
  EXPECT_LE(relative_error(got, expected), allowed());
  EXPECT_EQ(run(path, device_, shape_, 17), got);
}

TEST_P(ShapesTest, FormatsAgree) {
  const TinyLlama& model = shape_.model;
  if (model.config != "{}") return;  // GGUF says such things in another way
  const Logits hf = run(model.write_safetensors(folder_), device_, shape_);
  EXPECT_LE(relative_error(run(model.write_gguf(folder_), device_, shape_), hf), allowed());
}

std::string shape_name(const ::testing::TestParamInfo<ShapesTest::ParamType>& info) {
  return std::string(std::get<0>(info.param).name) + "_" + std::get<1>(info.param).name;
}

INSTANTIATE_TEST_SUITE_P(Tiny, ShapesTest,
                         ::testing::Combine(::testing::ValuesIn(shapes()),
                                            ::testing::ValuesIn(devices())),
                         shape_name);

// Matrices whose width is no multiple of 256, as in small models, in the types with blocks of 32.
class QuantisedShapesTest : public ::testing::TestWithParam<std::tuple<DType, Device>> {};

TEST_P(QuantisedShapesTest, AgreesWithTheReference) {
  const auto& [type, device] = GetParam();
  const Shape shape{
      "", {.hidden = 96, .ffn = 160, .heads = 6, .head_dim = 32, .vocab = 200, .type = type}, 80};
  const TempFolder folder;
  const auto path = shape.model.write_gguf(folder);
  const Logits got = run(path, device, shape);
  const double allowed = device.device == "ref" ? 0 : 0.05;
  EXPECT_LE(relative_error(got, run(path, devices().front(), shape)), allowed);
  EXPECT_EQ(run(path, device, shape, 9), got);
}

std::string quantised_name(const ::testing::TestParamInfo<QuantisedShapesTest::ParamType>& test) {
  return std::string(info(std::get<0>(test.param)).name) + "_" + std::get<1>(test.param).name;
}

INSTANTIATE_TEST_SUITE_P(Tiny, QuantisedShapesTest,
                         ::testing::Combine(::testing::Values(DType::q4_0, DType::q4_1, DType::q5_0,
                                                              DType::q5_1, DType::q8_0,
                                                              DType::mxfp4, DType::iq4_nl),
                                            ::testing::ValuesIn(devices())),
                         quantised_name);

// The fixtures with their bf16 numbers stored as f32: nothing is rounded on any device.
class ExpandedTest : public ::testing::TestWithParam<std::tuple<std::string, Device>> {};

void write_expanded(const std::filesystem::path& fixture, const TempFolder& folder) {
  const auto checkpoint = Checkpoint::open(fixture);
  testing::SafetensorsImage image;
  for (const TensorInfo& tensor : checkpoint->tensors()) {
    const DTypeInfo& type = info(tensor.type);
    const TensorData data(tensor);
    std::vector<float> values(data.bytes().size() / type.block_bytes *
                              static_cast<std::size_t>(type.block));
    dequantize_row(tensor.type, data.bytes(), values);
    image.add_tensor(tensor.name, tensor.shape, values);
  }
  folder.write("model.safetensors", image.bytes());
  std::filesystem::copy_file(fixture / "config.json", folder.path() / "config.json");
}

TEST_P(ExpandedTest, HoldsTheF32Tolerance) {
  const auto& [name, device] = GetParam();
  const std::filesystem::path fixture = std::filesystem::path(RBEE_TEST_DATA) / "fixtures" / name;
  const Golden golden = Golden::read(fixture / "golden.json");
  const TempFolder folder;
  write_expanded(fixture, folder);
  Running running(folder.path(), device, golden.length());
  Stepper::Sequence sequence;
  const Logits logits = running.stepper->feed(sequence, golden.prompt);
  for (std::size_t i = 0; i < golden.last_logits.size(); ++i) {
    EXPECT_NEAR(logits.back()[i], golden.last_logits[i], golden.tolerance_f32) << "token " << i;
  }
}

std::string expanded_name(const ::testing::TestParamInfo<ExpandedTest::ParamType>& test) {
  return std::get<0>(test.param) + "_" + std::get<1>(test.param).name;
}

// Folders with weights that are plain numbers.
std::vector<std::string> expandable() {
  constexpr std::string_view kEnding = "_safetensors";
  std::vector<std::string> names;
  for (const Fixture& fixture : fixtures()) {
    if (!fixture.name.ends_with(kEnding)) continue;
    names.push_back(fixture.name.substr(0, fixture.name.size() - kEnding.size()));
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, ExpandedTest,
                         ::testing::Combine(::testing::ValuesIn(expandable()),
                                            ::testing::ValuesIn(devices())),
                         expanded_name);

}  // namespace
}  // namespace rbee::conformance
