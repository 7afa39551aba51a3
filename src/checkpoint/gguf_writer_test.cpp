#include "checkpoint/gguf_writer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <vector>

#include "checkpoint/checkpoint.hpp"
#include "checkpoint/gguf.hpp"
#include "checkpoint/testing/temp_folder.hpp"

namespace rbee {
namespace {

std::span<const std::byte> bytes_of(const std::vector<float>& values) {
  return std::as_bytes(std::span(values));
}

TEST(GgufWriter, WhatIsWrittenIsRead) {
  const testing::TempFolder folder;
  const auto path = folder.path() / "model.gguf";
  GgufKeys keys;
  keys.set("general.architecture", "llama");
  keys.set("a.u32", std::uint32_t{7});
  keys.set("a.f32", 0.5F);
  keys.set("a.yes", true);
  const std::vector<std::string> texts{"", "two words", std::string("a\0b", 3)};
  keys.set("a.texts", std::span<const std::string>(texts));
  const std::vector<std::int32_t> numbers{-1, 0, 2};
  keys.set("a.numbers", std::span<const std::int32_t>(numbers));
  keys.set("a.flags", std::vector<bool>{true, false});
  keys.set("a.gone", true);
  keys.erase("a.gone");
  keys.set("a.u32", std::uint32_t{8});
  const std::vector<GgufTensorSpec> specs{{"odd", DType::f32, {3}}, {"even", DType::f32, {2, 2}}};
  const std::vector<float> odd{1, 2, 3}, even{4, 5, 6, 7};
  {
    GgufWriter writer(path, keys, specs);
    writer.write(1, 8, bytes_of(even).subspan(8));
    writer.write(0, 0, bytes_of(odd));
    writer.write(1, 0, bytes_of(even).first(8));
    EXPECT_FALSE(std::filesystem::exists(path));  // not before it is complete
    writer.sync();
    writer.publish();
    EXPECT_EQ(std::filesystem::file_size(path), writer.file_bytes());
  }
  const auto checkpoint = Checkpoint::open(path);
  const GgufMetadata& metadata = *checkpoint->gguf();
  EXPECT_EQ(metadata.entries().size(), 7u);
  EXPECT_EQ(metadata.integer("a.u32"), 8);
  EXPECT_EQ(metadata.real("a.f32"), 0.5);
  EXPECT_EQ(metadata.boolean("a.yes"), true);
  EXPECT_EQ(metadata.strings("a.texts")->at(2), texts[2]);
  EXPECT_EQ(metadata.integers("a.numbers")->front(), -1);
  EXPECT_EQ(metadata.integers("a.flags")->back(), 0);
  const TensorInfo* tensor = checkpoint->find("even");
  ASSERT_NE(tensor, nullptr);
  EXPECT_EQ(tensor->shape, (std::vector<std::int64_t>{2, 2}));
  EXPECT_TRUE(std::ranges::equal(tensor->bytes, bytes_of(even)));
  EXPECT_TRUE(std::ranges::equal(checkpoint->find("odd")->bytes, bytes_of(odd)));
}

TEST(GgufWriter, WhatIsNotPublishedIsRemoved) {
  const testing::TempFolder folder;
  const auto path = folder.write("model.gguf", "as before");
  const std::vector<GgufTensorSpec> specs{{"t", DType::f32, {1}}};
  { const GgufWriter writer(path, {}, specs); }
  EXPECT_EQ(std::filesystem::file_size(path), 9u);
  EXPECT_FALSE(std::filesystem::exists(path.string() + ".partial"));
}

TEST(GgufWriter, SaysWhatCannotBeWritten) {
  const std::vector<GgufTensorSpec> specs{{"t", DType::f32, {1}}};
  try {
    const GgufWriter writer("/no/such/folder/model.gguf", {}, specs);
    FAIL() << "no error";
  } catch (const std::system_error& error) {
    EXPECT_NE(std::string(error.what()).find("/no/such/folder/model.gguf"), std::string::npos);
  }
}

}  // namespace
}  // namespace rbee
