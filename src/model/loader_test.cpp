// What the loader makes of tensors that differ between formats in more than their names.
#include "model/loader.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/load_error.hpp"
#include "checkpoint/testing/gguf_image.hpp"
#include "checkpoint/testing/safetensors_image.hpp"
#include "checkpoint/testing/temp_folder.hpp"

namespace rbee {
namespace {

using ::testing::ElementsAre;
using testing::GgufImage;
using ::testing::HasSubstr;
using testing::SafetensorsImage;
using testing::TempFolder;

// Keeps what it is given to pack.
class Recorder : public Backend {
 public:
  std::string name() const override { return "recorder"; }
  Weight pack(const HostMatrix& m) override {
    packed.emplace_back(reinterpret_cast<const char*>(m.bytes.data()), m.bytes.size());
    return {m.bytes.data(), m.type, m.rows, m.cols};
  }
  Weight pack_vector(std::span<const float> values) override {
    vector.assign(values.begin(), values.end());
    return {reinterpret_cast<const std::byte*>(vector.data()), DType::f32, 1,
            static_cast<int>(values.size())};
  }
  std::size_t packed_bytes(DType type, int rows, int cols) const override {
    return static_cast<std::size_t>(rows) * row_bytes(type, static_cast<std::size_t>(cols));
  }
  std::size_t page_bytes(std::span<const LayerState>) const override { return 0; }
  std::size_t slot_bytes(std::span<const LayerState>) const override { return 0; }
  void allocate_state(std::span<const LayerState>, int, int) override {}
  std::span<const float> run(const Batch&, Forward) override { return {}; }
  MemoryUse memory() const override { return {}; }

  std::vector<std::string> packed;
  std::vector<float> vector;
};

constexpr Name kMatrix{"w", "w"};
constexpr Name kVector{"v", "v"};

Stored rows(std::vector<int> order, int file_rows) {
  return {
      .row = [order = std::move(order)](int r) { return order.at(static_cast<std::size_t>(r)); },
      .file_rows = file_rows};
}

std::vector<float> ramp(int n) {
  std::vector<float> values(static_cast<std::size_t>(n));
  std::iota(values.begin(), values.end(), 0.0F);
  return values;
}

class LoaderTest : public ::testing::Test {
 protected:
  std::vector<float> floats(std::size_t i) const {
    std::vector<float> values(recorder_.packed.at(i).size() / sizeof(float));
    std::memcpy(values.data(), recorder_.packed[i].data(), recorder_.packed[i].size());
    return values;
  }
  template <class Load>
  std::string error_of(Load load) {
    try {
      load();
    } catch (const LoadError& error) {
      return error.what();
    }
    return "no error";
  }

  std::unique_ptr<Checkpoint> write(const SafetensorsImage& image) const {
    folder_.write("model.safetensors", image.bytes());
    return Checkpoint::open(folder_.path());
  }

  TempFolder folder_;
  std::unique_ptr<Checkpoint> checkpoint_ = open();
  Recorder recorder_;
  Loader loader_{*checkpoint_, &recorder_};

 private:
  // A matrix "w" of 3 rows and 2 columns, 0 to 5, and a vector "v", 0 to 3.
  std::unique_ptr<Checkpoint> open() const {
    SafetensorsImage image;
    image.add_tensor("w", {3, 2}, ramp(6)).add_tensor("v", {4}, ramp(4));
    folder_.write("config.json", R"({"model_type": "x"})");
    return write(image);
  }
};

TEST_F(LoaderTest, TakesARangeOfRows) {
  const Weight weight = loader_.matrix(kMatrix, 2, 2, -1, Stored::range(3, 1));
  EXPECT_EQ(weight.rows, 2);
  EXPECT_EQ(weight.cols, 2);
  EXPECT_THAT(floats(0), ElementsAre(2, 3, 4, 5));
}

TEST_F(LoaderTest, TakesRowsInAnotherOrder) {
  loader_.matrix(kMatrix, 4, 2, -1, rows({2, 0, 0, 1}, 3));
  EXPECT_THAT(floats(0), ElementsAre(4, 5, 0, 1, 0, 1, 2, 3));
  loader_.vector(kVector, 2, -1, rows({3, 1}, 4));
  EXPECT_THAT(recorder_.vector, ElementsAre(3, 1));
}

TEST_F(LoaderTest, Transposes) {
  loader_.matrix(kMatrix, 2, 3, -1, {.transposed = true});
  EXPECT_THAT(floats(0), ElementsAre(0, 2, 4, 1, 3, 5));
}

TEST_F(LoaderTest, AddsToAVector) {
  loader_.vector(kVector, 4, -1, {.add = 1});
  EXPECT_THAT(recorder_.vector, ElementsAre(1, 2, 3, 4));
}

TEST_F(LoaderTest, TakesRowsOfEachHead) {
  const auto weights =
      loader_.head_matrices(kMatrix, {.heads = 1, .head_rows = 3, .begin = 1}, 2, -1);
  ASSERT_EQ(weights.size(), 1U);
  EXPECT_EQ(weights[0].rows, 2);
  EXPECT_THAT(floats(0), ElementsAre(2, 3, 4, 5));
  EXPECT_EQ(loader_.head_matrices(kMatrix, {.heads = 3, .head_rows = 1}, 2, -1).size(), 3U);
  EXPECT_THAT(floats(3), ElementsAre(4, 5));
  EXPECT_THAT(
      error_of([&] { loader_.head_matrices(kMatrix, {.heads = 2, .head_rows = 1}, 2, -1); }),
      HasSubstr("expected shape [2, 2], found shape [3, 2]"));
}

TEST_F(LoaderTest, TransposesTheRowsOfEachHead) {
  const auto weights = loader_.head_matrices(
      kMatrix, {.heads = 1, .head_rows = 3, .rows = 2, .transpose = true}, 2, -1);
  EXPECT_EQ(weights[0].rows, 2);
  EXPECT_EQ(weights[0].cols, 2);
  EXPECT_THAT(floats(0), ElementsAre(0, 2, 1, 3));
}

TEST_F(LoaderTest, CountsATensorOnceHoweverItIsTaken) {
  loader_.matrix(kMatrix, 1, 2, -1, Stored::range(3, 0));
  loader_.matrix(kMatrix, 2, 2, -1, Stored::range(3, 1));
  EXPECT_EQ(loader_.parameters(), 6U);
  EXPECT_EQ(loader_.packed_bytes(), 6 * sizeof(float));
}

TEST_F(LoaderTest, ComparesTheShapeOfTheFile) {
  EXPECT_THAT(error_of([&] { loader_.matrix(kMatrix, 2, 2, -1, Stored::range(4, 1)); }),
              HasSubstr("expected shape [4, 2], found shape [3, 2]"));
  EXPECT_THAT(error_of([&] { loader_.matrix(kMatrix, 3, 2, -1, {.transposed = true}); }),
              HasSubstr("expected shape [2, 3], found shape [3, 2]"));
  EXPECT_THAT(error_of([&] {
                loader_.vector(kVector, 2, -1, rows({0, 1}, 3));
              }),
              HasSubstr("expected shape [3], found shape [4]"));
  EXPECT_THAT(error_of([&] { loader_.values(kVector, std::array<std::int64_t, 1>{5}); }),
              HasSubstr("expected shape [5], found shape [4]"));
  EXPECT_THAT(error_of([&] {
                loader_.values({"none", ""}, std::array<std::int64_t, 1>{5});
              }),
              HasSubstr("expected shape [5], found no such tensor"));
}

// Blocks go with their row, of whatever type.
class QuantisedRowsTest : public ::testing::TestWithParam<DType> {};

TEST_P(QuantisedRowsTest, MoveWhole) {
  constexpr int kRows = 5, kCols = 512;
  const std::size_t width = row_bytes(GetParam(), kCols);
  std::string contents;
  for (int r = 0; r < kRows; ++r) contents += std::string(width, static_cast<char>('a' + r));
  GgufImage image;
  image.set("general.architecture", "x");
  image.add_tensor("w", GetParam(), {kRows, kCols}, contents);
  const TempFolder folder;
  const auto checkpoint = Checkpoint::open(folder.write("model.gguf", image.bytes()));
  Recorder recorder;
  Loader loader(*checkpoint, &recorder);
  loader.matrix(kMatrix, 3, kCols, -1, rows({4, 0, 2}, kRows));
  EXPECT_EQ(recorder.packed[0],
            std::string(width, 'e') + std::string(width, 'a') + std::string(width, 'c'));
  loader.matrix(kMatrix, 2, kCols, -1, Stored::range(kRows, 1));
  EXPECT_EQ(recorder.packed[1], std::string(width, 'b') + std::string(width, 'c'));
  const auto turned =
      loader.head_matrices(kMatrix, {.heads = 1, .head_rows = kRows, .transpose = true}, kCols, -1);
  EXPECT_EQ(turned[0].type, info(GetParam()).quantised ? DType::f32 : GetParam());
  EXPECT_EQ(recorder.packed[2].size(), row_bytes(turned[0].type, kRows) * kCols);
  if (!info(GetParam()).quantised) return;
  try {
    loader.matrix(kMatrix, kCols, kRows, -1, {.transposed = true});
    ADD_FAILURE() << "transposed";
  } catch (const LoadError& error) {
    EXPECT_THAT(error.what(), HasSubstr("to be transposed"));
  }
}

TEST_F(LoaderTest, FlatValuesOfAnyShape) {
  EXPECT_EQ(loader_.flat_values(kMatrix, 6), ramp(6));
  EXPECT_EQ(loader_.shape(kMatrix), (std::vector<std::int64_t>{3, 2}));
  EXPECT_TRUE(loader_.shape({"none", ""}).empty());
  EXPECT_THAT(error_of([&] { loader_.flat_values(kMatrix, 5); }),
              AllOf(HasSubstr("'w'"), HasSubstr("5 elements"), HasSubstr("[3, 2]")));
  EXPECT_THAT(error_of([&] { loader_.flat_values({"none", ""}, 5); }), HasSubstr("no such tensor"));
  loader_.constant_matrix(ramp(4), 2, 2);
  EXPECT_EQ(floats(0), ramp(4));
}

std::vector<DType> types_in_files() {
  std::vector<DType> types(all_dtypes().begin(), all_dtypes().end());
  std::erase_if(types, [](DType type) {
    return type == DType::q8_k || !is_gguf_type(type);  // of activations only, or in memory only
  });
  return types;
}

INSTANTIATE_TEST_SUITE_P(Types, QuantisedRowsTest, ::testing::ValuesIn(types_in_files()),
                         [](const auto& test) { return std::string(rbee::info(test.param).name); });

constexpr Name kEach{"e.all|e.{x}.w", "e.all|e.{x}.w"};

TEST_F(LoaderTest, ExpertsOfOneTensorOrOfEach) {
  for (const bool stacked : {true, false}) {
    SafetensorsImage image;
    if (stacked) {
      image.add_tensor("e.all", {3, 2, 4}, ramp(24));
    } else {
      for (int x = 0; x < 3; ++x) {
        std::vector<float> values = ramp(8);
        for (float& v : values) v += 8.0F * static_cast<float>(x);
        image.add_tensor("e." + std::to_string(x) + ".w", {2, 4}, values);
      }
    }
    const auto checkpoint = write(image);
    recorder_.packed.clear();
    Loader load(*checkpoint, &recorder_);
    ASSERT_EQ(load.experts(kEach, 3, 2, 4, 0).size(), 3);
    EXPECT_THAT(floats(0), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
    EXPECT_THAT(floats(2), ElementsAre(16, 17, 18, 19, 20, 21, 22, 23));
    EXPECT_NO_THROW(load.check_all_used());
    EXPECT_THAT(error_of([&] { load.experts(kEach, 4, 2, 4, 0); }),
                HasSubstr(stacked ? "[4, 2, 4]" : "'e.3.w'"));
    EXPECT_THAT(error_of([&] {
                  load.experts(Name{"f.all|f.{x}", ""}, 3, 2, 4, 0);
                }),
                HasSubstr("'f.all'"));
  }
}

// Rows in turn, as they lie and as columns.
TEST_F(LoaderTest, PartsOfStackedExperts) {
  SafetensorsImage image;
  image.add_tensor("e.all", {2, 4, 2}, ramp(16));
  image.add_tensor("b", {2, 4}, ramp(8));
  const auto checkpoint = write(image);
  Loader load(*checkpoint, &recorder_);
  load.experts(kEach, 2, 2, 2, 0, Stored::every(4, 1, 2));
  EXPECT_THAT(floats(0), ElementsAre(2, 3, 6, 7));
  EXPECT_THAT(floats(1), ElementsAre(10, 11, 14, 15));
  Stored columns = Stored::every(2, 1, 2);
  columns.transposed = true;
  load.experts(kEach, 2, 1, 4, 0, columns);
  EXPECT_THAT(floats(2), ElementsAre(1, 3, 5, 7));
  EXPECT_THAT(floats(3), ElementsAre(9, 11, 13, 15));
  ASSERT_EQ(load.maybe_expert_vectors(Name{"b", ""}, 2, 2, 0, Stored::every(4, 1, 2)).size(), 2);
  EXPECT_THAT(recorder_.vector, ElementsAre(5, 7));
  EXPECT_TRUE(load.maybe_expert_vectors(Name{"c", ""}, 2, 2, 0).empty());
}

TEST_F(LoaderTest, RoutersAreHeldInF32) {
  SafetensorsImage image;
  using namespace std::string_view_literals;
  image.add_tensor("w", "BF16", {2, 2}, "\x80\x3F\x00\x40\x40\x40\x80\x40"sv);
  image.add_tensor("v", {3}, ramp(3));
  const auto checkpoint = write(image);
  Loader load(*checkpoint, &recorder_);
  EXPECT_EQ(load.f32_matrix(kMatrix, 2, 2).type, DType::f32);
  EXPECT_THAT(floats(0), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(load.f32_matrix(kVector, 1, 3).cols, 3);
  EXPECT_THAT(floats(1), ElementsAre(0, 1, 2));
}

// Notes the names that what is packed would have in a GGUF file.
class Names final : public LoadObserver {
 public:
  void packed(const Weight& weight, const TensorRequest& request, int index) override {
    names.push_back(request.gguf_name() + " " + std::to_string(index) + " of " +
                    std::to_string(weight.cols));
  }
  std::vector<std::string> names;
};

TEST(Loader, ObserversLearnWhatAMatrixIsInGguf) {
  const TempFolder folder;
  SafetensorsImage image;
  image.add_tensor("layers.3.kv_b.weight", {4, 2}, ramp(8));
  image.add_tensor("layers.3.gate_up.weight", {2, 4, 2}, ramp(16));
  folder.write("config.json", R"({"model_type": "x"})");
  folder.write("model.safetensors", image.bytes());
  const auto checkpoint = Checkpoint::open(folder.path());
  Loader load(*checkpoint, nullptr);
  Names seen;
  load.observe(seen);
  constexpr Name kKeysValues{"layers.{}.kv_b.weight", "blk.{}.attn_kv_b.weight"};
  constexpr Name kExpertsUp{"layers.{}.gate_up.weight", "blk.{}.ffn_gate_up_exps.weight|b"};
  load.head_matrices(kKeysValues, {.heads = 2, .head_rows = 2, .rows = 1, .transpose = true}, 2, 3);
  load.head_matrices(kKeysValues, {.heads = 2, .head_rows = 2, .begin = 1}, 2, 3);
  load.experts(kExpertsUp, 2, 2, 2, 3, Stored::range(4, 2));
  EXPECT_THAT(seen.names,
              ElementsAre("blk.3.attn_k_b.weight 0 of 1", "blk.3.attn_k_b.weight 1 of 1",
                          "blk.3.attn_v_b.weight 0 of 2", "blk.3.attn_v_b.weight 1 of 2",
                          "blk.3.ffn_up_exps.weight 0 of 2", "blk.3.ffn_up_exps.weight 1 of 2"));
}

}  // namespace
}  // namespace rbee
