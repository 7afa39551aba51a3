#include "model/importance_collector.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "backend/ref/ref_backend.hpp"
#include "base/load_error.hpp"
#include "checkpoint/gguf_file.hpp"
#include "checkpoint/testing/gguf_image.hpp"
#include "checkpoint/testing/temp_folder.hpp"
#include "quantize/importance_matrix.hpp"

namespace rbee {
namespace {

using ::testing::ElementsAre;
using testing::GgufImage;
using testing::raw;
using testing::TempFolder;

constexpr int kExperts = 3;
constexpr Name kUp{"up", "blk.{}.ffn_up.weight"}, kOutput{"output", "output.weight"};
constexpr Name kExpertsUp{"experts", "blk.{}.ffn_up_exps.weight"};

std::string ones(int n) {
  std::string text;
  for (int i = 0; i < n; ++i) text += raw(1.0F);
  return text;
}

// A matrix [4, 2] and experts [2, 2].
class ImportanceCollectorTest : public ::testing::Test {
 protected:
  ImportanceCollectorTest() {
    GgufImage image;
    image.set("general.architecture", "x").set("x.block_count", std::uint32_t{1});
    image.add_tensor("blk.0.ffn_up.weight", DType::f32, {4, 2}, ones(8));
    image.add_tensor("blk.0.ffn_up_exps.weight", DType::f32, {kExperts, 2, 2}, ones(12));
    image.add_tensor("output.weight", DType::f32, {2, 2}, ones(4));
    checkpoint_ = Checkpoint::open(folder_.write("model.gguf", image.bytes()));
    Loader load(*checkpoint_, &backend_);
    load.observe(collector_);
    // Both halves of one matrix: its columns are counted once.
    first_ = load.matrix(kUp, 2, 2, 0, Stored::range(4, 0));
    second_ = load.matrix(kUp, 2, 2, 0, Stored::range(4, 2));
    experts_ = load.experts(kExpertsUp, kExperts, 2, 2, 0);
    output_ = load.matrix(kOutput, 2, 2);
  }

  void feed(const Weight& weight, std::vector<float> values) {
    const int rows = static_cast<int>(values.size()) / 2;
    collector_.inputs(weight, {values.data(), rows, 2, 2});
  }
  std::filesystem::path write() {
    auto path = folder_.path() / "imatrix.gguf";
    collector_.write(path, {"text", 5, 128});
    return path;
  }

  TempFolder folder_;
  std::unique_ptr<Checkpoint> checkpoint_;
  RefBackend backend_;
  ImportanceCollector collector_;
  Weight first_, second_, output_;
  std::vector<Weight> experts_;
};

TEST_F(ImportanceCollectorTest, WritesMeanSquares) {
  feed(first_, {1, 2, 3, 4});
  feed(second_, {1, 2, 3, 4});
  feed(output_, {9, 9});
  feed(experts_[2], {2, 0});
  feed(experts_[2], {0, 4});
  EXPECT_EQ(collector_.size(), 2U);
  const ImportanceMatrix matrix = ImportanceMatrix::load(write());
  EXPECT_EQ(matrix.size(), 2U);
  EXPECT_EQ(matrix.dataset(), "text");
  EXPECT_EQ(matrix.chunks(), 5);
  EXPECT_THAT(matrix.columns("blk.0.ffn_up.weight", -1, 2), ElementsAre(5, 10));
  EXPECT_THAT(matrix.columns("blk.0.ffn_up_exps.weight", 2, 2), ElementsAre(2, 8));
  // Nothing went to it: all columns alike.
  EXPECT_THAT(matrix.columns("blk.0.ffn_up_exps.weight", 0, 2), ElementsAre(1, 1));
}

// The tensors and keys that llama.cpp's tools read.
TEST_F(ImportanceCollectorTest, TheFileIsOneOfLlamaImatrix) {
  feed(experts_[1], {3, 4});
  const std::string bytes = [&] {
    std::ifstream in(write(), std::ios::binary);
    return std::string{std::istreambuf_iterator<char>(in), {}};
  }();
  const GgufFile file = read_gguf("imatrix.gguf", std::as_bytes(std::span(bytes)));
  EXPECT_EQ(file.metadata.string("general.type"), "imatrix");
  EXPECT_EQ(file.metadata.integer("imatrix.chunk_count"), 5);
  EXPECT_EQ(file.metadata.integer("imatrix.chunk_size"), 128);
  EXPECT_THAT(file.metadata.strings("imatrix.datasets").value(), ElementsAre("text"));
  ASSERT_EQ(file.tensors.size(), 4U);
  EXPECT_EQ(file.tensors[2].name, "blk.0.ffn_up_exps.weight.in_sum2");
  EXPECT_THAT(file.tensors[2].shape, ElementsAre(kExperts, 2));
  EXPECT_EQ(file.tensors[3].name, "blk.0.ffn_up_exps.weight.counts");
  EXPECT_THAT(file.tensors[3].shape, ElementsAre(kExperts, 1));
  std::vector<float> counts(kExperts);
  std::memcpy(counts.data(), file.tensors[3].bytes.data(), kExperts * sizeof(float));
  EXPECT_THAT(counts, ElementsAre(0, 1, 0));
}

TEST_F(ImportanceCollectorTest, RefusesSumsThatAreNoNumbers) {
  feed(first_, {1, std::numeric_limits<float>::quiet_NaN()});
  EXPECT_THROW(write(), LoadError);
}

}  // namespace
}  // namespace rbee
