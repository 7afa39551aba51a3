// RWKV World vocabularies: Python's literals, longest match, and what is wrong with bad files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "base/load_error.hpp"
#include "tokenizer/python_literal.hpp"
#include "tokenizer/rwkv_vocabulary.hpp"

namespace rbee {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(PythonLiteral, ReadsWhatPythonReads) {
  struct Case {
    const char* literal;
    std::string bytes;
  };
  const std::array cases = {
      Case{"'a b'", "a b"},
      Case{"\"it's\"", "it's"},
      Case{R"('\'"')", "'\""},
      Case{R"('\\n\n\t\r')", "\\n\n\t\r"},
      Case{R"('\xe9')", "\xC3\xA9"},
      Case{R"(b'\xe9')", "\xE9"},
      Case{R"('\u20ac')", "€"},
      Case{R"('\U0001f600')", "😀"},
      Case{R"('\0')", std::string(1, '\0')},
      Case{R"('\1018')", "A8"},
      Case{R"(b'\u20ac')", "\\u20ac"},
      Case{R"('\d')", "\\d"},
      Case{"'é'", "é"},
      Case{"''", ""},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(parse_python_literal(one.literal), one.bytes) << one.literal;
  }
}

TEST(PythonLiteral, RefusesTheRest) {
  for (const char* literal :
       {"", "'", "b", "b'", "a", "'a", "a'", "'a\"", "'a'b'", R"('\')", R"('\x4')", R"('\xg0')",
        R"('\u12')", R"('\ud800')", R"('\U00110000')", R"('\N{DIGIT ONE}')", "'a' 'b'"}) {
    EXPECT_EQ(parse_python_literal(literal), std::nullopt) << literal;
  }
}

TEST(PythonLiteral, EscapesRoundTrip) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(unescape_python_bytes(escape_python_bytes(all)), all);
  EXPECT_EQ(escape_python_bytes("a'\"\\\n\xFF"), R"(a'"\\\n\xff)");
}

TEST(RwkvVocabulary, TakesTheLongestMatch) {
  const BpeTokenizer tokenizer(parse_rwkv_vocabulary(
      "1 'a' 1\n2 'b' 1\n3 'abc' 3\r\n\n5 b'\\xe4\\xb8' 2\n6 'bc' 2", "vocab.txt"));
  EXPECT_EQ(tokenizer.vocab_size(), 7);
  EXPECT_THAT(tokenizer.encode("ababc", {}), ElementsAre(1, 2, 3));
  EXPECT_THAT(tokenizer.encode("abcbc", {}), ElementsAre(3, 6));
  EXPECT_THAT(tokenizer.encode("bacb", {}), ElementsAre(2, 1, 2));  // 'c' is no token
  EXPECT_THAT(tokenizer.encode("中", {}), ElementsAre(5));
  EXPECT_EQ(tokenizer.token_bytes(5, true), "\xE4\xB8");
  EXPECT_EQ(tokenizer.id_to_token(5), R"(\xe4\xb8)");
  EXPECT_THAT(tokenizer.end_ids(), ElementsAre(0));
  EXPECT_EQ(tokenizer.bos(), 0);
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{0, 3, 4, 1}, true), "abca");
}

TEST(RwkvVocabulary, BadLinesAreNamed) {
  for (const char* line :
       {"x 'a' 1", "1 'a' 2", "1 'a'", "1", "0 'a' 1", "-1 'a' 1", "2000000 'a' 1", "1 a 1",
        "1 '' 0", "1 'a' 1 1", "1  'a' 1", "99999999999 'a' 1"}) {
    try {
      parse_rwkv_vocabulary("1 'a' 1\n" + std::string(line) + "\n", "vocab.txt");
      ADD_FAILURE() << line;
    } catch (const LoadError& error) {
      EXPECT_THAT(error.what(), HasSubstr("vocab.txt: line 2")) << line;
    }
  }
  EXPECT_THROW(parse_rwkv_vocabulary("", "vocab.txt"), LoadError);
}

}  // namespace
}  // namespace rbee
