#include "checkpoint/gguf.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/load_error.hpp"
#include "checkpoint/checkpoint.hpp"
#include "checkpoint/gguf_types.hpp"
#include "checkpoint/testing/gguf_image.hpp"
#include "checkpoint/testing/temp_folder.hpp"

namespace rbee {
namespace {

using ::testing::ElementsAre;
using testing::GgufImage;
using ::testing::HasSubstr;
using ::testing::Optional;
using testing::TempFolder;

std::unique_ptr<Checkpoint> open(const GgufImage& image) {
  const TempFolder folder;  // a mapping outlives the file's name
  return Checkpoint::open(folder.write("m.gguf", image.bytes()));
}

// Calls open and gives the error's text; empty when there is none.
std::string refusal(const std::filesystem::path& path) {
  try {
    Checkpoint::open(path);
    return "";
  } catch (const LoadError& e) {
    return e.what();
  }
}

GgufImage with_all_types() {
  GgufImage image;
  image.set("general.architecture", "test")
      .set<std::uint8_t>("u8", 255)
      .set<std::int8_t>("i8", -128)
      .set<std::uint16_t>("u16", 65535)
      .set<std::int16_t>("i16", -32768)
      .set<std::uint32_t>("u32", 4294967295)
      .set<std::int32_t>("i32", -2147483648)
      .set<std::uint64_t>("u64", INT64_MAX)
      .set<std::int64_t>("i64", INT64_MIN)
      .set<std::uint64_t>("too_large", std::uint64_t{1} << 63)
      .set("f32", 0.1f)
      .set("f64", 0.1)
      .set("yes", true)
      .set("no", false)
      .set("text", "a\xff\n")
      .set("empty", "")
      .set_array<std::int8_t>("i8s", {-1, 2})
      .set_array<std::uint64_t>("u64s", {1, std::uint64_t{1} << 63})
      .set_array<float>("f32s", {0.5f, -1.5f})
      .set_array<double>("f64s", {0.25})
      .set_array<std::int32_t>("none", {})
      .set_array_raw("flags", GgufType::boolean, 3, std::string("\x01\x00\x01", 3))
      .set_strings("texts", {"one", "", "three"});
  return image;
}

TEST(GgufMetadata, ReadsIntegersOfAnyWidth) {
  const auto checkpoint = open(with_all_types());
  const GgufMetadata& m = *checkpoint->gguf();
  EXPECT_EQ(m.integer("u8"), 255);
  EXPECT_EQ(m.integer("i8"), -128);
  EXPECT_EQ(m.integer("u16"), 65535);
  EXPECT_EQ(m.integer("i16"), -32768);
  EXPECT_EQ(m.integer("u32"), 4294967295);
  EXPECT_EQ(m.integer("i32"), -2147483648LL);
  EXPECT_EQ(m.integer("u64"), INT64_MAX);
  EXPECT_EQ(m.integer("i64"), INT64_MIN);
  EXPECT_EQ(m.integer("absent"), std::nullopt);
  for (const char* key : {"too_large", "f32", "yes", "text", "i8s"}) {
    EXPECT_THROW(m.integer(key), LoadError) << key;
  }
}

TEST(GgufMetadata, ReadsOtherScalars) {
  const auto checkpoint = open(with_all_types());
  const GgufMetadata& m = *checkpoint->gguf();
  EXPECT_EQ(m.real("f32"), 0.1f);
  EXPECT_EQ(m.real("f64"), 0.1);
  EXPECT_EQ(m.real("i8"), -128.0);
  EXPECT_EQ(m.real("too_large"), 0x1p63);
  EXPECT_THROW(m.real("yes"), LoadError);
  EXPECT_THROW(m.real("text"), LoadError);
  EXPECT_THAT(m.boolean("yes"), Optional(true));
  EXPECT_THAT(m.boolean("no"), Optional(false));
  EXPECT_THROW(m.boolean("u8"), LoadError);
  EXPECT_THROW(m.boolean("flags"), LoadError);
  EXPECT_EQ(m.string("text"), "a\xff\n");
  EXPECT_EQ(m.string("empty"), "");
  EXPECT_THROW(m.string("u8"), LoadError);
  EXPECT_THROW(m.string("texts"), LoadError);
}

TEST(GgufMetadata, ReadsArrays) {
  const auto checkpoint = open(with_all_types());
  const GgufMetadata& m = *checkpoint->gguf();
  EXPECT_THAT(m.integers("i8s"), Optional(ElementsAre(-1, 2)));
  EXPECT_THAT(m.integers("flags"), Optional(ElementsAre(1, 0, 1)));
  EXPECT_THAT(m.integers("u16"), Optional(ElementsAre(65535)));
  EXPECT_THAT(m.integers("none"), Optional(ElementsAre()));
  EXPECT_EQ(m.integers("absent"), std::nullopt);
  for (const char* key : {"u64s", "f32s", "f32", "yes", "text", "texts"}) {
    EXPECT_THROW(m.integers(key), LoadError) << key;
  }
  EXPECT_THAT(m.floats("f32s"), Optional(ElementsAre(0.5f, -1.5f)));
  EXPECT_THAT(m.floats("f64s"), Optional(ElementsAre(0.25f)));
  EXPECT_THAT(m.floats("i8s"), Optional(ElementsAre(-1.0f, 2.0f)));
  EXPECT_THROW(m.floats("f32"), LoadError);
  EXPECT_THROW(m.floats("texts"), LoadError);
  EXPECT_THROW(m.floats("flags"), LoadError);
  EXPECT_THAT(m.strings("texts"), Optional(ElementsAre("one", "", "three")));
  EXPECT_THROW(m.strings("text"), LoadError);
  EXPECT_THROW(m.strings("i8s"), LoadError);
}

TEST(GgufMetadata, ListsKeysInFileOrder) {
  const GgufImage image = with_all_types();
  const auto checkpoint = open(image);
  const auto entries = checkpoint->gguf()->entries();
  ASSERT_EQ(entries.size(), image.entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i) EXPECT_EQ(entries[i].key, image.entries[i].key);
  EXPECT_EQ(entries.back().element, GgufType::string);
  EXPECT_TRUE(entries.back().is_array);
  EXPECT_EQ(entries.back().count, 3u);
  EXPECT_EQ(name(entries.back().element), "string");
  EXPECT_EQ(name(GgufType{99}), "unknown");
}

TEST(GgufMetadata, ErrorsNameKeyExpectedAndFound) {
  const auto checkpoint = open(with_all_types());
  try {
    checkpoint->gguf()->integer("i8s");
    ADD_FAILURE();
  } catch (const LoadError& e) {
    EXPECT_EQ(e.field(), "key 'i8s'");
    EXPECT_EQ(e.expected(), "an integer below 2^63");
    EXPECT_EQ(e.found(), "array of 2 i8");
  }
}

TEST(GgufTypes, AgreeWithTheTypesComputedWith) {
  for (const DType type : all_dtypes()) {
    if (!is_gguf_type(type)) continue;
    const GgufTensorType* entry = gguf_tensor_type(gguf_type_id(type));
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(entry->dtype, type);
    EXPECT_EQ(entry->name, info(type).name);
    EXPECT_EQ(entry->block, static_cast<std::uint32_t>(info(type).block));
    EXPECT_EQ(entry->block_bytes, info(type).block_bytes);
  }
}

TEST(GgufCheckpoint, GivesTensorsInTorchOrderSortedByName) {
  GgufImage image;
  image.set("general.architecture", "test").set("general.alignment", 64u);
  image.alignment = 64;
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  image.add_tensor("z", {2, 3}, values);
  image.add_tensor("a", DType::q8_0, {1, 1, 2, 32}, std::string(68, 'x'));
  const auto checkpoint = open(image);
  ASSERT_EQ(checkpoint->tensors().size(), 2u);
  EXPECT_EQ(checkpoint->tensors()[0].name, "a");
  EXPECT_EQ(checkpoint->tensors()[0].type, DType::q8_0);
  EXPECT_THAT(checkpoint->tensors()[0].shape, ElementsAre(1, 1, 2, 32));
  const TensorInfo* z = checkpoint->find("z");
  ASSERT_NE(z, nullptr);
  EXPECT_THAT(z->shape, ElementsAre(2, 3));
  EXPECT_EQ(std::memcmp(z->bytes.data(), values.data(), z->bytes.size()), 0);
  EXPECT_EQ(checkpoint->find("absent"), nullptr);
}

TEST(GgufCheckpoint, GivesQuantisedMatricesTheScalesBesideThem) {
  const std::vector<float> each{0.5F, 2, 3}, one{0.25F};
  const auto image = [&](std::vector<float> scales) {
    GgufImage out;
    out.set("general.architecture", "test");
    const auto count = static_cast<std::int64_t>(scales.size());
    out.add_tensor("stack.scale", {count}, scales);
    out.add_tensor("stack.weight", DType::nvfp4, {3, 2, 64}, std::string(6 * 36, 'x'));
    out.add_tensor("a.weight", DType::nvfp4, {2, 64}, std::string(2 * 36, 'x'));
    out.add_tensor("a.scale", {1}, one);
    out.add_tensor("plain.weight", {1}, one).add_tensor("plain.scale", {1}, one);
    return out;
  };
  const auto checkpoint = open(image(each));
  EXPECT_EQ(checkpoint->tensors().size(), 4u);
  EXPECT_EQ(checkpoint->find("a.scale"), nullptr);
  EXPECT_NE(checkpoint->find("plain.scale"), nullptr);
  EXPECT_EQ(checkpoint->find("stack.weight")->scales, each);
  EXPECT_EQ(checkpoint->find("stack.weight")->scale(2), 3);
  EXPECT_EQ(checkpoint->find("a.weight")->scale(7), 0.25F);
  EXPECT_EQ(checkpoint->find("plain.weight")->scale(0), 1);

  EXPECT_NO_THROW(open(image(one)));  // one for all
  GgufImage twice = image(one);
  twice.add_tensor("a.scale", {1}, one);
  EXPECT_THROW(open(twice), LoadError);
  EXPECT_THROW(open(image({1, 2})), LoadError);
  EXPECT_THROW(open(image({1, std::numeric_limits<float>::infinity(), 1})), LoadError);
}

TEST(GgufCheckpoint, OpensVocabularyOnlyFilesOfEitherVersion) {
  GgufImage image = with_all_types();
  for (const std::uint32_t version : {2u, 3u}) {
    image.version = version;
    const auto checkpoint = open(image);
    EXPECT_TRUE(checkpoint->tensors().empty());
    EXPECT_EQ(checkpoint->architecture(), "test");
  }
}

TEST(GgufCheckpoint, ListsTensorsOfOtherTypesAndRefusesThemWhenAsked) {
  GgufImage image;
  image.set("general.architecture", "test");
  image.add_tensor("odd", 27, std::vector<std::int64_t>{2, 32}, std::string(512, 'o'));
  image.add_tensor("plain", DType::f16, {2}, "1234");
  const auto checkpoint = open(image);
  EXPECT_EQ(checkpoint->tensors().size(), 1u);
  ASSERT_EQ(checkpoint->opaque_tensors().size(), 1u);
  EXPECT_EQ(checkpoint->opaque_tensors()[0].type, "I64");
  EXPECT_EQ(checkpoint->opaque_tensors()[0].bytes, 512u);
  EXPECT_THAT(checkpoint->opaque_tensors()[0].shape, ElementsAre(2, 32));
  try {
    checkpoint->find("odd");
    ADD_FAILURE();
  } catch (const LoadError& e) {
    EXPECT_EQ(e.field(), "tensor 'odd'");
    EXPECT_EQ(e.found(), "'I64'");
  }
}

TEST(GgufCheckpoint, OpensALargeVocabularyAndManyTensorsInMilliseconds) {
  GgufImage image;
  image.set("general.architecture", "test");
  std::vector<std::string> tokens;
  tokens.reserve(256000);
  for (int i = 0; i < 256000; ++i) tokens.push_back("token" + std::to_string(i));
  image.set_strings("tokenizer.ggml.tokens", tokens);
  for (int i = 0; i < 1000; ++i) {
    image.add_tensor("blk." + std::to_string(i) + ".weight", {1}, std::vector{1.0f});
  }
  const TempFolder folder;
  const auto path = folder.write("m.gguf", image.bytes());
  const auto begin = std::chrono::steady_clock::now();
  const auto checkpoint = Checkpoint::open(path);
  const auto found = checkpoint->gguf()->strings("tokenizer.ggml.tokens");
  const auto took = std::chrono::steady_clock::now() - begin;
  ASSERT_TRUE(found.has_value());
  ASSERT_EQ(found->size(), tokens.size());
  EXPECT_EQ(found->back(), tokens.back());
  EXPECT_EQ(checkpoint->tensors().size(), 1000u);
  // A few milliseconds; the limit allows for sanitizers and a busy machine.
  EXPECT_LT(std::chrono::duration<double>(took).count(), 1.0);
}

// Part number `part` of `count`, with one tensor of that number.
GgufImage part(int number, int count, int tensors) {
  GgufImage image;
  if (number == 0) image.set("general.architecture", "test").set("test.block_count", 2u);
  image.set("split.no", static_cast<std::uint16_t>(number));
  image.set("split.count", static_cast<std::uint16_t>(count));
  image.set("split.tensors.count", std::int32_t{tensors});
  image.add_tensor("t" + std::to_string(number), {1}, std::vector{static_cast<float>(number)});
  return image;
}

std::string part_name(int number, int count) {
  return "m-0000" + std::to_string(number + 1) + "-of-0000" + std::to_string(count) + ".gguf";
}

TEST(SplitGguf, OpensFromTheFirstPart) {
  const TempFolder folder;
  for (int i = 0; i < 3; ++i) folder.write(part_name(i, 3), part(i, 3, 3).bytes());
  const auto checkpoint = Checkpoint::open(folder.path() / part_name(0, 3));
  ASSERT_EQ(checkpoint->tensors().size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    const TensorInfo& tensor = checkpoint->tensors()[i];
    float value = -1;
    std::memcpy(&value, tensor.bytes.data(), sizeof value);
    EXPECT_EQ(value, static_cast<float>(i));
    EXPECT_THAT(tensor.file, HasSubstr(part_name(static_cast<int>(i), 3)));
  }
  EXPECT_EQ(checkpoint->integer({"", "block_count"}), 2);
}

TEST(SplitGguf, ASetOfOneOrNoneIsASingleFile) {
  for (const std::uint32_t count : {0u, 1u}) {
    GgufImage image;
    image.set("general.architecture", "test").set("split.count", count);
    EXPECT_EQ(open(image)->architecture(), "test");
  }
}

TEST(SplitGguf, RefusesSpoiltSets) {
  const TempFolder folder;
  const auto first = folder.path() / part_name(0, 2);
  folder.write(part_name(0, 2), part(0, 2, 2).bytes());
  EXPECT_THAT(refusal(first), HasSubstr(part_name(1, 2) + ": file: "));  // missing
  folder.write(part_name(1, 2), part(1, 2, 2).bytes());
  EXPECT_EQ(refusal(first), "");
  EXPECT_THAT(refusal(folder.path() / part_name(1, 2)), HasSubstr("first part"));

  const auto spoil_second = [&](const GgufImage& image, const std::string& error) {
    folder.write(part_name(1, 2), image.bytes());
    EXPECT_THAT(refusal(first), HasSubstr(error));
  };
  spoil_second(part(0, 2, 2), "key 'split.no': expected 1, found 0");
  spoil_second(part(1, 3, 2), "key 'split.count': expected 2, found 3");
  spoil_second(GgufImage(), "key 'split.no': expected 1, found no such key");
  GgufImage twin = part(1, 2, 2);
  twin.tensors[0].name = std::string("t0");
  spoil_second(twin, "tensor 't0': expected one of that name");
  GgufImage more = part(1, 2, 2);
  more.add_tensor("t2", {1}, std::vector{1.0f});
  spoil_second(more, "key 'split.tensors.count': expected 3, found 2");
  GgufImage cut = part(1, 2, 2);
  cut.data.pop_back();
  spoil_second(cut, part_name(1, 2) + ": tensor 't1'");

  folder.write(part_name(1, 2), part(1, 2, 2).bytes());
  const auto spoil_first = [&](const GgufImage& image, const std::string& error) {
    folder.write(part_name(0, 2), image.bytes());
    EXPECT_THAT(refusal(first), HasSubstr(error));
  };
  spoil_first(part(0, 3, 2), "file name: expected one that ends in -00001-of-00003.gguf");
  spoil_first(part(0, 2, 5), "key 'split.tensors.count': expected 2, found 5");
  GgufImage negative = part(0, 2, 2);
  negative.entry("split.count") = {"split.count", 5, testing::raw(-2), {}};
  spoil_first(negative, "key 'split.count'");
  GgufImage huge = part(0, 2, 2);
  huge.entry("split.count") = {"split.count", 10, testing::raw(std::uint64_t{1} << 40), {}};
  spoil_first(huge, "key 'split.count'");
  EXPECT_THAT(refusal(folder.write("other.gguf", part(0, 2, 2).bytes())), HasSubstr("file name"));
}

}  // namespace
}  // namespace rbee
