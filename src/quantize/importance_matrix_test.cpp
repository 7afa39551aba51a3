#include "quantize/importance_matrix.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/load_error.hpp"
#include "checkpoint/testing/gguf_image.hpp"

namespace rbee {
namespace {

using ::testing::ElementsAre;
using testing::GgufImage;
using ::testing::HasSubstr;
using testing::raw;

ImportanceMatrix read(const std::string& bytes) {
  return ImportanceMatrix::read("file", std::as_bytes(std::span(bytes)));
}

std::string error_of(const std::string& bytes) {
  try {
    read(bytes);
  } catch (const LoadError& error) {
    return error.what();
  }
  return "no error";
}

// Two matrices of three columns; no token went to the second expert's.
GgufImage image() {
  GgufImage image;
  image.set("general.type", "imatrix");
  image.add_tensor("blk.0.attn_q.weight.in_sum2", DType::f32, {1, 3},
                   raw(4.0F) + raw(8.0F) + raw(0.0F));
  image.add_tensor("blk.0.attn_q.weight.counts", DType::f32, {1, 1}, raw(4.0F));
  image.add_tensor("blk.0.ffn_up_exps.weight.in_sum2", DType::f32, {2, 2},
                   raw(1.0F) + raw(3.0F) + raw(0.0F) + raw(0.0F));
  image.add_tensor("blk.0.ffn_up_exps.weight.counts", DType::f32, {2, 1}, raw(2.0F) + raw(0.0F));
  return image;
}

std::string old_entry(const std::string& name, std::int32_t calls,
                      const std::vector<float>& values) {
  std::string text = raw(static_cast<std::int32_t>(name.size())) + name + raw(calls) +
                     raw(static_cast<std::int32_t>(values.size()));
  for (const float value : values) text += raw(value);
  return text;
}

TEST(ImportanceMatrix, ReadsGguf) {
  const ImportanceMatrix matrix = read(image().bytes());
  EXPECT_EQ(matrix.size(), 2U);
  EXPECT_THAT(matrix.columns("blk.0.attn_q.weight", -1, 3), ElementsAre(1, 2, 0));
  EXPECT_THAT(matrix.columns("blk.0.ffn_up_exps.weight", 0, 2), ElementsAre(0.5F, 1.5F));
  EXPECT_THAT(matrix.columns("blk.0.ffn_up_exps.weight", 1, 2), ElementsAre(1, 1));
  EXPECT_TRUE(matrix.columns("blk.1.attn_q.weight", -1, 3).empty());
}

TEST(ImportanceMatrix, ReadsTheOlderFormat) {
  const ImportanceMatrix matrix =
      read(raw(std::int32_t{2}) + old_entry("a", 2, {2, 6}) + old_entry("b", 1, {1, 2, 3, 4}) +
           raw(std::int32_t{7}) + raw(std::int32_t{4}) + "text");
  EXPECT_EQ(matrix.chunks(), 7);
  EXPECT_EQ(matrix.dataset(), "text");
  EXPECT_THAT(matrix.columns("a", -1, 2), ElementsAre(1, 3));
  EXPECT_THAT(matrix.columns("b", 1, 2), ElementsAre(3, 4));
}

TEST(ImportanceMatrix, RefusesThatOfAnotherModel) {
  const ImportanceMatrix matrix = read(image().bytes());
  EXPECT_THROW(matrix.columns("blk.0.attn_q.weight", -1, 4), LoadError);
  EXPECT_THROW(matrix.columns("blk.0.attn_q.weight", 3, 1), LoadError);
  EXPECT_THROW(matrix.columns("blk.0.ffn_up_exps.weight", -1, 2), LoadError);
  EXPECT_THROW(matrix.columns("blk.0.ffn_up_exps.weight", 2, 2), LoadError);
}

TEST(ImportanceMatrix, NamesWhatIsWrong) {
  GgufImage model = image();
  model.entries.clear();
  EXPECT_THAT(error_of(model.bytes()), HasSubstr("general.type"));
  GgufImage alone;
  alone.set("general.type", "imatrix");
  alone.add_tensor("x.in_sum2", DType::f32, {1}, raw(1.0F));
  EXPECT_THAT(error_of(alone.bytes()), HasSubstr("x.counts"));
  alone.add_tensor("x.counts", DType::f32, {1}, raw(-1.0F));
  EXPECT_THAT(error_of(alone.bytes()), HasSubstr("sums of squares"));
  EXPECT_THAT(error_of(""), HasSubstr("end of the file"));
  EXPECT_THAT(error_of(raw(std::int32_t{1'000'000})), HasSubstr("number of entries"));
  EXPECT_THAT(error_of(raw(std::int32_t{1}) + raw(std::int32_t{-5}) + "abcde"),
              HasSubstr("length of a name"));
  EXPECT_THAT(error_of(raw(std::int32_t{1}) + old_entry("a", 1, {-1})), HasSubstr("sums"));
  EXPECT_THAT(error_of(raw(std::int32_t{2}) + old_entry("a", 1, {1}) + old_entry("a", 1, {1})),
              HasSubstr("two"));
}

}  // namespace
}  // namespace rbee
