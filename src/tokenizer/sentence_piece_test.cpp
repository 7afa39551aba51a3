// Small SentencePiece models made by hand: what the files say, and what is wrong with bad ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "base/load_error.hpp"
#include "checkpoint/testing/temp_folder.hpp"
#include "tokenizer/sentence_piece_model.hpp"

namespace rbee {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TempFolder;

std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
std::string integer_field(unsigned number, std::uint64_t value) {
  return varint(number << 3) + varint(value);
}
std::string bytes_field(unsigned number, const std::string& bytes) {
  return varint(number << 3 | 2) + varint(bytes.size()) + bytes;
}
std::string float_field(unsigned number, float value) {
  std::string out = varint(number << 3 | 5);
  const auto bits = std::bit_cast<std::uint32_t>(value);
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(bits >> shift);
  return out;
}
std::string piece(const std::string& text, float score, unsigned type = 1) {
  return bytes_field(1, bytes_field(1, text) + float_field(2, score) + integer_field(3, type));
}
std::string trainer(unsigned model) { return bytes_field(2, integer_field(3, model)); }

// <unk> <s> </s> a b ab ▁ <x>
std::string small_model(unsigned model) {
  return piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3) + piece("a", -2) +
         piece("b", -2) + piece("ab", -1) + piece("▁", -3) + piece("<x>", 0, 4) + trainer(model);
}

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

TEST(SentencePieceModel, BothModelsReadTheFile) {
  for (const unsigned model : {1u, 2u}) {
    const BpeTokenizer tokenizer(parse_sentence_piece_model(small_model(model), "tokenizer.model"));
    EXPECT_THAT(tokenizer.encode("ab<x>  a", {}), ElementsAre(1, 6, 5, 7, 6, 3)) << model;
    EXPECT_THAT(tokenizer.encode("bzyb", {.add_special = false}), ElementsAre(6, 4, 0, 4));
    EXPECT_THAT(tokenizer.encode("a</s>", {.add_special = false}), ElementsAre(6, 3, 2));
    EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{1, 6, 5, 6, 3, 2}, true), "ab a");
    EXPECT_EQ(tokenizer.bos(), 1);
    EXPECT_EQ(tokenizer.eos_text(), "</s>");
    EXPECT_THAT(tokenizer.end_ids(), ElementsAre(2));
    EXPECT_TRUE(tokenizer.is_special(0));
    EXPECT_FALSE(tokenizer.is_special(7));
    EXPECT_FALSE(tokenizer.finds_special_in_text());
  }
}

TEST(SentencePieceModel, FilesBesideItAddTokensAndDecideOnBos) {
  const TempFolder folder;
  write(folder.path() / "tokenizer.model", small_model(2));
  write(folder.path() / "added_tokens.json", R"({"<|end|>":9,"<|plain|>":8})");
  write(folder.path() / "tokenizer_config.json", R"({"added_tokens_decoder":{
    "9":{"content":"<|end|>","special":true,"rstrip":true}}})");
  auto tokenizer = Tokenizer::open(folder.path());
  EXPECT_THAT(tokenizer->encode("a<|end|> <|plain|>"), ElementsAre(1, 6, 3, 9, 8));
  EXPECT_TRUE(tokenizer->finds_special_in_text());
  EXPECT_TRUE(tokenizer->is_special(9));
  EXPECT_FALSE(tokenizer->is_special(8));
  EXPECT_THAT(tokenizer->end_ids(), ElementsAre(2, 9));
  write(folder.path() / "tokenizer_config.json", R"({"add_bos_token":false,"add_eos_token":true})");
  tokenizer = Tokenizer::open(folder.path());
  EXPECT_THAT(tokenizer->encode("a"), ElementsAre(6, 3, 2));
  write(folder.path() / "added_tokens.json", R"({"<|end|>":4000000})");
  EXPECT_THROW(Tokenizer::open(folder.path()), LoadError);
}

TEST(SentencePieceModel, BadFilesNameTheField) {
  const auto message = [](const std::string& bytes) {
    try {
      parse_sentence_piece_model(bytes, "tokenizer.model");
    } catch (const LoadError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_THAT(message(""), HasSubstr("tokenizer.model: pieces"));
  EXPECT_THAT(message("\x0A\x05"), HasSubstr("expected 5 more bytes, found 0 bytes"));
  EXPECT_THAT(message(std::string(11, '\xFF')), HasSubstr("at most 64 bits"));
  EXPECT_THAT(message("\x0B"), HasSubstr("wire type 3"));
  EXPECT_THAT(message(std::string(2, '\0')), HasSubstr("a field number"));
  EXPECT_THAT(message(integer_field(1, 3)), HasSubstr("bytes as field 1"));
  EXPECT_THAT(message(piece("a", 0) + piece("a", kInfinity)), HasSubstr("pieces[1].score"));
  EXPECT_THAT(message(piece("a", 0, 9)), HasSubstr("pieces[0].type"));
  EXPECT_THAT(message(piece("\xFF", 0)), HasSubstr("pieces[0].piece"));
  EXPECT_THAT(message(bytes_field(1, float_field(1, 2))), HasSubstr("pieces[0]"));
  EXPECT_THAT(message(piece("a", 0) + trainer(4)), HasSubstr("trainer_spec.model_type"));
  const auto map = [](const std::string& blob) {
    return piece("a", 0) + bytes_field(3, bytes_field(2, blob));
  };
  EXPECT_THAT(message(map("abc")), HasSubstr("normalizer_spec.precompiled_charsmap"));
  EXPECT_THAT(message(map(std::string("\x08\0\0\0abcd", 8))), HasSubstr("8 bytes of units"));
  EXPECT_EQ(message(map(std::string("\x04\0\0\0abcd", 8))), "no error");
}

}  // namespace
}  // namespace rbee
