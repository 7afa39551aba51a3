#include "convert/convert.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/load_error.hpp"
#include "checkpoint/checkpoint.hpp"
#include "checkpoint/gguf.hpp"
#include "checkpoint/testing/temp_folder.hpp"

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
