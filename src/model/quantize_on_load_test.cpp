#include "model/quantize_on_load.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/ref/ref_backend.hpp"
#include "base/load_error.hpp"
#include "checkpoint/testing/gguf_image.hpp"
#include "checkpoint/testing/temp_folder.hpp"
#include "quantize/requantize.hpp"

namespace rbee {
namespace {

using testing::GgufImage;
using testing::raw;
using testing::TempFolder;

constexpr int kRows = 3, kCols = 256, kExperts = 2;
constexpr Name kUp{"up", "blk.{}.ffn_up.weight"};
constexpr Name kExpertsUp{"experts.{x}", "blk.{}.ffn_up_exps.weight"};

std::string values(int rows) {
  std::string text;
  for (int i = 0; i < rows * kCols; ++i) {
    text += raw(static_cast<float>(std::sin(i * 0.37) * (1 + i % 5)));
  }
  return text;
}

GgufImage model_image() {
  GgufImage image;
  image.set("general.architecture", "x").set("x.block_count", std::uint32_t{1});
  image.add_tensor("blk.0.ffn_up.weight", DType::f32, {kRows, kCols}, values(kRows));
  image.add_tensor("blk.0.ffn_up_exps.weight", DType::f32, {kExperts, kRows, kCols},
                   values(kExperts * kRows));
  return image;
}

// The experts' columns weigh 1, or 100 in the half of the columns that has the expert's number.
std::shared_ptr<const ImportanceMatrix> importance() {
  GgufImage image;
  image.set("general.type", "imatrix");
  std::string sums;
  for (int i = 0; i < kExperts * kCols; ++i) {
    sums += raw(i / kCols == i % kCols / (kCols / 2) ? 100.0F : 1.0F);
  }
  image.add_tensor("blk.0.ffn_up_exps.weight.in_sum2", DType::f32, {kExperts, kCols}, sums);
  image.add_tensor("blk.0.ffn_up_exps.weight.counts", DType::f32, {kExperts, 1},
                   raw(1.0F) + raw(1.0F));
  const std::string bytes = image.bytes();
  return std::make_shared<const ImportanceMatrix>(
      ImportanceMatrix::read("importance", std::as_bytes(std::span(bytes))));
}

std::vector<std::byte> bytes_of(const Weight& weight) {
  const std::size_t row = row_bytes(weight.type, static_cast<std::size_t>(weight.cols));
  return {weight.data, weight.data + row * static_cast<std::size_t>(weight.rows)};
}

class QuantizeOnLoadTest : public ::testing::Test {
 protected:
  QuantizeOnLoadTest()
      : checkpoint_(Checkpoint::open(folder_.write("model.gguf", model_image().bytes()))) {}

  Loader loader(QuantizeOnLoad& hook) {
    Loader loader(*checkpoint_, &backend_);
    loader.observe(hook);
    return loader;
  }
  QuantizeOnLoad quantizer(Mixture mixture, std::shared_ptr<const ImportanceMatrix> columns = {}) {
    return QuantizeOnLoad({mixture, std::move(columns)}, *checkpoint_, 1);
  }

  // Matrix i of a tensor, in a type.
  std::vector<std::byte> expected(const char* tensor, int i, DType type,
                                  std::span<const float> columns) const {
    const TensorInfo* info = checkpoint_->find(tensor);
    const std::size_t size = kRows * kCols * sizeof(float);
    const auto bytes = info->bytes.subspan(static_cast<std::size_t>(i) * size, size);
    return requantize({bytes, DType::f32, kRows, kCols, tensor}, type, columns, 1);
  }

  TempFolder folder_;
  std::unique_ptr<Checkpoint> checkpoint_;
  RefBackend backend_;
};

TEST_F(QuantizeOnLoadTest, GivesMatricesTheirTypeOfTheMixture) {
  QuantizeOnLoad hook = quantizer(Mixture::q4_k_m);
  Loader load = loader(hook);
  const Weight up = load.matrix(kUp, kRows, kCols, 0);
  EXPECT_EQ(up.type, DType::q4_k);
  EXPECT_EQ(bytes_of(up), expected("blk.0.ffn_up.weight", 0, DType::q4_k, {}));
  EXPECT_EQ(load.f32_matrix(kUp, kRows, kCols, 0).type, DType::f32);
  EXPECT_EQ(load.constant_matrix(std::vector<float>(kCols, 1), 1, kCols).type, DType::f32);
}

TEST_F(QuantizeOnLoadTest, HeedsTheColumnsOfEachExpert) {
  const auto matrix = importance();
  QuantizeOnLoad hook = quantizer(Mixture::q4_k_m, matrix);
  Loader load = loader(hook);
  const auto experts = load.experts(kExpertsUp, kExperts, kRows, kCols, 0);
  for (int x = 0; x < kExperts; ++x) {
    const auto columns = matrix->columns("blk.0.ffn_up_exps.weight", x, kCols);
    const auto found = bytes_of(experts[static_cast<std::size_t>(x)]);
    EXPECT_EQ(found, expected("blk.0.ffn_up_exps.weight", x, DType::q4_k, columns));
    EXPECT_NE(found, expected("blk.0.ffn_up_exps.weight", x, DType::q4_k, {}));
  }
}

TEST_F(QuantizeOnLoadTest, RefusesFewBitsWithoutImportance) {
  QuantizeOnLoad without = quantizer(Mixture::iq2_xs),
                 with = quantizer(Mixture::iq2_xs, importance());
  for (QuantizeOnLoad* hook : {&without, &with}) {
    // Of the matrix of all tokens nothing is known.
    Loader dry(*checkpoint_, nullptr);
    dry.observe(*hook);
    EXPECT_THROW(dry.matrix(kUp, kRows, kCols, 0), LoadError);
  }
  Loader load = loader(with);
  EXPECT_EQ(load.experts(kExpertsUp, kExperts, kRows, kCols, 0).front().type, DType::iq2_xs);
}

TEST_F(QuantizeOnLoadTest, LeavesWhatIsSmaller) {
  QuantizeOnLoad first = quantizer(Mixture::q4_k_m), second = quantizer(Mixture::q8_0);
  Loader load = loader(first);
  load.observe(second);
  EXPECT_EQ(load.matrix(kUp, kRows, kCols, 0).type, DType::q4_k);
}

TEST_F(QuantizeOnLoadTest, CountsBytesInDryRuns) {
  QuantizeOnLoad hook = quantizer(Mixture::q4_k_m);
  Loader nowhere(*checkpoint_, nullptr);
  nowhere.observe(hook);
  EXPECT_EQ(nowhere.matrix(kUp, kRows, kCols, 0).type, DType::q4_k);
  EXPECT_EQ(nowhere.packed_bytes(), kRows * row_bytes(DType::q4_k, kCols));
  BackendOptions options;
  options.dry_run = true;
  RefBackend keeps_nothing(options);
  Loader dry(*checkpoint_, &keeps_nothing);
  dry.observe(hook);
  dry.matrix(kUp, kRows, kCols, 0);
  EXPECT_EQ(keeps_nothing.memory().weights, kRows * row_bytes(DType::q4_k, kCols));
}

}  // namespace
}  // namespace rbee
