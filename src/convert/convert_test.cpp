#include "convert/convert.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/load_error.hpp"
#include "checkpoint/checkpoint.hpp"
#include "checkpoint/gguf.hpp"
#include "checkpoint/testing/gguf_image.hpp"
#include "checkpoint/testing/temp_folder.hpp"
#include "quantize/importance_matrix.hpp"
#include "quantize/requantize.hpp"

namespace rbee {
namespace {

namespace fs = std::filesystem;

const fs::path kFixtures = fs::path(RBEE_TEST_DATA) / "fixtures";

// Tensors of two files are equal, in bytes where the types are.
void expect_equal(const fs::path& a, const fs::path& b) {
  const auto left = Checkpoint::open(a), right = Checkpoint::open(b);
  ASSERT_EQ(left->tensors().size(), right->tensors().size());
  for (const TensorInfo& tensor : left->tensors()) {
    const TensorInfo* other = right->find(tensor.name);
    ASSERT_NE(other, nullptr) << tensor.name;
    EXPECT_EQ(other->type, tensor.type) << tensor.name;
    EXPECT_EQ(other->shape, tensor.shape) << tensor.name;
    EXPECT_EQ(std::memcmp(other->bytes.data(), tensor.bytes.data(), tensor.bytes.size()), 0)
        << tensor.name;
  }
}

TEST(Convert, GgufFilesAreCopiedOrEncodedAnew) {
  const testing::TempFolder folder;
  const fs::path source = kFixtures / "llama3" / "model.gguf";
  const fs::path copy = folder.path() / "copy.gguf", small = folder.path() / "small.gguf";
  convert(source, copy, {});
  expect_equal(source, copy);
  const auto before = Checkpoint::open(source), after = Checkpoint::open(copy);
  EXPECT_EQ(after->gguf()->entries().size(), before->gguf()->entries().size());

  const ConvertReport report = convert(source, small, {.type = "q8_0"});
  EXPECT_EQ(report.type, "q8_0");
  const auto encoded = Checkpoint::open(small);
  EXPECT_EQ(encoded->find("token_embd.weight")->type, DType::f16);  // 48 columns: no blocks of 32
  EXPECT_EQ(encoded->find("blk.0.ffn_down.weight")->type, DType::q8_0);
  EXPECT_EQ(encoded->find("output_norm.weight")->type, DType::f32);
  EXPECT_EQ(encoded->gguf()->integer("general.file_type"), 7);
}

TEST(Convert, BothFormatsOfAModelGiveTheSameFile) {
  const testing::TempFolder folder;
  for (const char* name : {"llama3", "gemma3", "falcon_40b", "gpt2", "deepseek_v3", "gpt_oss"}) {
    const fs::path file = folder.path() / name;
    convert(kFixtures / name, file, {.type = "bf16"});
    expect_equal(kFixtures / name / "model.gguf", file);
  }
}

TEST(Convert, SplitsIntoFilesThatAreOneModel) {
  const testing::TempFolder folder;
  const fs::path source = kFixtures / "llama3", whole = folder.path() / "whole.gguf";
  convert(source, whole, {.type = "f32"});
  const ConvertReport report =
      convert(source, folder.path() / "parts.gguf", {.type = "f32", .split_bytes = 100'000});
  ASSERT_GT(report.files.size(), 1u);
  EXPECT_THAT(report.files.front().filename().string(), ::testing::StartsWith("parts-00001-of-0"));
  for (const fs::path& file : report.files) EXPECT_TRUE(fs::exists(file));
  expect_equal(whole, report.files.front());
}

TEST(Convert, BytesDoNotDependOnThreads) {
  const testing::TempFolder folder;
  const fs::path one = folder.path() / "one.gguf", four = folder.path() / "four.gguf";
  convert(kFixtures / "mixtral", one, {.type = "q4_0", .threads = 1});
  convert(kFixtures / "mixtral", four, {.type = "q4_0", .threads = 4});
  expect_equal(one, four);
}

TEST(Convert, RefusesWhatItWouldSpoil) {
  const testing::TempFolder folder;
  const fs::path file = folder.path() / "model.gguf";
  convert(kFixtures / "llama3", file, {});
  const auto refuses = [&](const fs::path& source, const ConvertOptions& options, const char* why) {
    try {
      convert(source, file, options);
      ADD_FAILURE() << "no error";
    } catch (const LoadError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(why));
    }
  };
  refuses(kFixtures / "llama2", {}, "--force");
  refuses(file, {.overwrite = true}, "another one than the source");
  refuses(kFixtures / "llama2", {.type = "q9", .overwrite = true}, "q4_k_m");
  EXPECT_EQ(Checkpoint::open(file)->gguf()->string("general.name"), "llama3");
  convert(kFixtures / "llama2", file, {.overwrite = true});
  EXPECT_EQ(Checkpoint::open(file)->gguf()->string("general.name"), "llama2");
}

// Of each matrix of a tensor the columns of its own half matter, and the others hardly.
fs::path importance_of(const fs::path& model, const testing::TempFolder& folder,
                       std::span<const std::string> names) {
  const auto checkpoint = Checkpoint::open(model);
  testing::GgufImage image;
  image.set("general.type", "imatrix").set("imatrix.chunk_count", std::uint32_t{3});
  for (const std::string& name : names) {
    std::vector<std::int64_t> shape = checkpoint->find(name)->shape;
    const std::int64_t cols = shape.back(), n = shape.size() > 2 ? shape.front() : 1;
    std::string sums, counts;
    for (std::int64_t i = 0; i < n; ++i) {
      counts += testing::raw(1.0F);
      for (std::int64_t c = 0; c < cols; ++c) {
        sums += testing::raw((c < cols / 2) == (i % 2 == 0) ? 1000.0F : 1.0F);
      }
    }
    image.add_tensor(name + ".in_sum2", DType::f32, {n, cols}, sums);
    image.add_tensor(name + ".counts", DType::f32, {n, 1}, counts);
  }
  return folder.write("imatrix.gguf", image.bytes());
}

TEST(Convert, RoundsByImportance) {
  const testing::TempFolder folder;
  const fs::path source = folder.path() / "exact.gguf";
  convert(kFixtures / "mixtral_k256", source, {.type = "f32"});
  const fs::path plain = folder.path() / "plain.gguf", better = folder.path() / "better.gguf";
  const std::array<std::string, 2> names{"blk.0.ffn_up_exps.weight", "blk.0.attn_q.weight"};
  const fs::path file = importance_of(source, folder, names);
  convert(source, plain, {.type = "q4_k_s"});
  const ConvertReport report = convert(source, better, {.type = "q4_k_s", .importance = file});
  EXPECT_THAT(report.warnings, ::testing::ElementsAre(::testing::HasSubstr("has nothing on")));
  const auto from = Checkpoint::open(source), one = Checkpoint::open(plain),
             two = Checkpoint::open(better);
  EXPECT_EQ(two->gguf()->string("quantize.imatrix.file"), file.string());
  EXPECT_EQ(two->gguf()->integer("quantize.imatrix.entries_count"), 2);
  EXPECT_EQ(two->gguf()->integer("quantize.imatrix.chunks_count"), 3);
  EXPECT_EQ(one->gguf()->find("quantize.imatrix.file"), nullptr);
  const ImportanceMatrix importance = ImportanceMatrix::load(file);
  for (const std::string& name : names) {
    const TensorInfo &exact = *from->find(name), &tensor = *two->find(name);
    ASSERT_EQ(tensor.type, DType::q4_k);
    // Bytes are those of each matrix encoded with its own columns.
    const auto cols = static_cast<int>(tensor.shape.back());
    const int n = tensor.shape.size() > 2 ? static_cast<int>(tensor.shape.front()) : 1;
    const int rows = static_cast<int>(tensor.shape[tensor.shape.size() - 2]);
    std::vector<std::byte> expected;
    for (int i = 0; i < n; ++i) {
      const std::size_t size = exact.bytes.size() / static_cast<std::size_t>(n);
      const HostMatrix matrix{exact.bytes.subspan(static_cast<std::size_t>(i) * size, size),
                              exact.type, rows, cols, name};
      const auto columns = importance.columns(name, n > 1 ? i : -1, tensor.shape.back());
      const auto bytes = requantize(matrix, tensor.type, columns, 1);
      expected.insert(expected.end(), bytes.begin(), bytes.end());
    }
    EXPECT_TRUE(std::ranges::equal(expected, tensor.bytes)) << name;
    EXPECT_FALSE(std::ranges::equal(one->find(name)->bytes, tensor.bytes)) << name;
  }
}

TEST(Convert, RefusesImportanceThatIsOfNoUse) {
  const testing::TempFolder folder;
  const fs::path source = kFixtures / "llama_k256" / "model-Q8_0.gguf";
  const fs::path target = folder.path() / "model.gguf";
  const auto error_of = [&](const ConvertOptions& options) -> std::string {
    try {
      convert(source, target, options);
    } catch (const LoadError& error) {
      return error.what();
    }
    return "no error";
  };
  using ::testing::HasSubstr;
  EXPECT_THAT(error_of({.type = "iq2_xs"}), HasSubstr("--imatrix"));
  EXPECT_THAT(error_of({.type = "q2_k_s"}), HasSubstr("--imatrix"));
  const std::array<std::string, 1> names{"blk.0.attn_q.weight"};
  const fs::path file = importance_of(source, folder, names);
  // It has nothing on most matrices of a type that needs it.
  EXPECT_THAT(error_of({.type = "iq2_xs", .importance = file}), HasSubstr("--imatrix"));
  EXPECT_THAT(error_of({.type = "f16", .importance = file}), HasSubstr("--type"));
  const std::array<std::string, 0> none{};
  EXPECT_THAT(error_of({.type = "q4_0", .importance = importance_of(source, folder, none)}),
              HasSubstr("entries"));
}

TEST(Convert, TellsOfItsProgress) {
  const testing::TempFolder folder;
  std::size_t last = 0, all = 0;
  ConvertOptions options{.type = "f32"};
  options.progress = [&](std::size_t done, std::size_t total) {
    EXPECT_GT(done, last);
    last = done, all = total;
  };
  convert(kFixtures / "llama3", folder.path() / "model.gguf", options);
  EXPECT_GT(all, 0u);
  EXPECT_EQ(last, all);
}

}  // namespace
}  // namespace rbee
