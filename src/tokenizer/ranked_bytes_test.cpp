// tiktoken.model and tekken.json made by hand: what they say, and what is wrong with bad ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string>

#include "base/load_error.hpp"
#include "tokenizer/base64.hpp"
#include "tokenizer/ranked_bytes.hpp"

namespace rbee {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Base64, Decodes) {
  EXPECT_EQ(decode_base64("YQ=="), "a");
  EXPECT_EQ(decode_base64("YWI="), "ab");
  EXPECT_EQ(decode_base64("YWJj"), "abc");
  EXPECT_EQ(decode_base64("/+8A"), std::string("\xFF\xEF\0", 3));
  for (const char* text : {"", "Y", "YQ", "YQ=", "=", "====", "Y===", "YQ==YQ==", "Y Q=", "YQ-_"}) {
    EXPECT_EQ(decode_base64(text), std::nullopt) << text;
  }
}

// a b c ab abc
constexpr const char* kRanks = "YQ== 0\nYg== 1\nYw== 2\r\nYWI= 3\n\nYWJj 4";

TEST(TiktokenModel, MergesByRank) {
  const BpeTokenizer tokenizer(parse_tiktoken_model(kRanks, "tiktoken.model"));
  EXPECT_EQ(tokenizer.vocab_size(), 5 + 256);
  EXPECT_THAT(tokenizer.encode("abcab", {}), ElementsAre(4, 3));
  EXPECT_THAT(tokenizer.encode("bcab<|reserved_token_6|>", {}), ElementsAre(1, 2, 3, 6));
  EXPECT_TRUE(tokenizer.is_special(260));
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{4, 6, 0}, true), "abca");
  EXPECT_FALSE(tokenizer.bos());
}

TEST(TiktokenModel, BadLinesAreNamed) {
  for (const char* line : {"YQ==", "YQ== 2", "YQ== x", "YQ 1", " 1", "YQ==  1", "YQ== 1 "}) {
    try {
      parse_tiktoken_model("YQ== 0\n" + std::string(line), "tiktoken.model");
      ADD_FAILURE() << line;
    } catch (const LoadError& error) {
      EXPECT_THAT(error.what(), HasSubstr("tiktoken.model: line 2")) << line;
    }
  }
  EXPECT_THROW(parse_tiktoken_model("\n", "tiktoken.model"), LoadError);
}

Json tekken() {
  return Json::parse(
      R"({"config":{"pattern":"[a-z]+|.","default_vocab_size":6,"default_num_special_tokens":3},
    "vocab":[{"rank":0,"token_bytes":"YQ==","token_str":"a"},{"rank":1,"token_bytes":"Yg=="},
             {"rank":2,"token_bytes":"YWI="},{"rank":3,"token_bytes":"YWJh"}],
    "special_tokens":[{"rank":0,"token_str":"<s>"},{"rank":1,"token_str":"</s>"}]})");
}

TEST(Tekken, SpecialTokensComeFirst) {
  const BpeTokenizer tokenizer(parse_tekken(tekken().dump(), "tekken.json"));
  EXPECT_EQ(tokenizer.vocab_size(), 6);  // the fourth rank is beyond the vocabulary
  EXPECT_THAT(tokenizer.encode("aba", {}), ElementsAre(0, 5, 3));
  EXPECT_THAT(tokenizer.encode("b</s><SPECIAL_2>", {.add_special = false}), ElementsAre(4, 1, 2));
  EXPECT_EQ(tokenizer.bos(), 0);
  EXPECT_THAT(tokenizer.end_ids(), ElementsAre(1));
  Json early = tekken();
  early.erase("special_tokens");
  early["config"]["default_num_special_tokens"] = 20;
  early["config"]["default_vocab_size"] = 24;
  const BpeTokenizer old(parse_tekken(early.dump(), "tekken.json"));
  EXPECT_THAT(old.encode("[INST]aba[/INST]", {}), ElementsAre(1, 3, 23, 4));
}

TEST(Tekken, BadFilesNameTheField) {
  struct Case {
    const char* pointer;
    const char* value;
    const char* expected;
  };
  const std::array cases = {
      Case{"/config/pattern", R"("(")", "config.pattern"},
      Case{"/config/default_vocab_size", "3", "config.default_vocab_size"},
      Case{"/config/default_vocab_size", "8", "config.default_vocab_size"},
      Case{"/config/default_num_special_tokens", "1", "config.default_num_special_tokens"},
      Case{"/config/default_num_special_tokens", "1e9", "tekken JSON"},
      Case{"/config/default_num_special_tokens", "16385", "2 to 16384"},
      Case{"/vocab/1/rank", "2", "vocab[1].rank"},
      Case{"/vocab/1/token_bytes", R"("Y")", "vocab[1].token_bytes"},
      Case{"/vocab/1", "{}", "tekken JSON"},
      Case{"/vocab", "{}", "tekken JSON"},
      Case{"/special_tokens/0/token_str", R"("")", "special_tokens[0].token_str"},
      Case{"/special_tokens/1/rank", "7", "special_tokens[1].rank"},
  };
  for (const Case& one : cases) {
    Json json = tekken();
    json[Json::json_pointer(one.pointer)] = Json::parse(one.value);
    try {
      parse_tekken(json.dump(), "tekken.json");
      ADD_FAILURE() << one.pointer << " = " << one.value;
    } catch (const LoadError& error) {
      EXPECT_THAT(error.what(), HasSubstr(one.expected)) << one.pointer;
    }
  }
}

}  // namespace
}  // namespace rbee
