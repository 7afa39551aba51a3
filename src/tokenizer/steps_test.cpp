// Each kind of step, and small whole tokenizers, against Hugging Face tokenizers (steps.json, made
// by tools/tokenizer_goldens/make_steps.py).
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tokenizer/bpe_tokenizer.hpp"
#include "tokenizer/byte_alphabet.hpp"
#include "tokenizer/tokenizer_json.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

const Json& goldens() {
  static const Json kGoldens = [] {
    std::ifstream file(RBEE_TEST_DATA "/tokenizers/steps.json");
    return Json::parse(file);
  }();
  return kGoldens;
}

const std::string kFile = "tokenizer.json";

std::string decode(const Decoder& decoder, const std::vector<std::string>& tokens) {
  std::string all;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    std::string bytes = decoder.bytes(tokens[i]);
    if (i == 0) drop_leading_space(decoder.leading_space(), bytes);
    all += bytes;
  }
  return repair_utf8(all, decoder.marks_each_byte() ? Repair::per_byte : Repair::per_sequence);
}

TEST(Steps, PreTokenizersCutAsTheReferenceDoes) {
  const std::vector<std::string> texts = goldens()["texts"];
  for (const Json& golden : goldens()["pre_tokenizers"]) {
    const PreTokenizer pre(JsonSpec(golden["spec"], kFile, "pre_tokenizer"));
    for (std::size_t i = 0; i < texts.size(); ++i) {
      Pieces pieces{texts[i], {{0, texts[i].size()}}, true};
      pre.apply(pieces);
      std::vector<std::string> found;
      for (const auto range : pieces.ranges) {
        found.emplace_back(pre.ends_in_bytes() ? to_byte_alphabet(pieces.view(range))
                                               : std::string(pieces.view(range)));
      }
      EXPECT_EQ(found, golden["pieces"][i].get<std::vector<std::string>>())
          << golden["spec"].dump() << " on " << Json(texts[i]).dump();
    }
  }
}

TEST(Steps, NormalizersChangeAsTheReferenceDoes) {
  const std::vector<std::string> texts = goldens()["texts"];
  for (const Json& golden : goldens()["normalizers"]) {
    const Normalizer normalizer(JsonSpec(golden["spec"], kFile, "normalizer"));
    for (std::size_t i = 0; i < texts.size(); ++i) {
      EXPECT_EQ(normalizer.apply(texts[i]), golden["texts"][i].get<std::string>())
          << golden["spec"].dump() << " on " << Json(texts[i]).dump();
    }
  }
}

TEST(Steps, DecodersSpellAsTheReferenceDoes) {
  for (const Json& golden : goldens()["decoders"]) {
    const Decoder decoder(JsonSpec(golden["spec"], kFile, "decoder"));
    const Json& tokens = golden["tokens"];
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      EXPECT_EQ(decode(decoder, tokens[i]), golden["texts"][i].get<std::string>())
          << golden["spec"].dump() << " on " << tokens[i].dump();
    }
  }
}

TEST(Steps, WholeTokenizersAgreeWithTheReference) {
  int index = 0;
  for (const Json& golden : goldens()["tokenizers"]) {
    const BpeTokenizer tokenizer(parse_tokenizer_json(golden["spec"].dump(), kFile));
    for (const Json& row : golden["rows"]) {
      const std::string text = row["text"];
      const auto where = "tokenizer " + std::to_string(index) + " on " + Json(text).dump();
      const std::vector<TokenId> ids = row["ids"];
      EXPECT_EQ(tokenizer.encode(text, {}), ids) << where;
      EXPECT_EQ(tokenizer.encode(text, {.add_special = false, .parse_special = false}),
                row["unparsed"].get<std::vector<TokenId>>())
          << where;
      EXPECT_EQ(tokenizer.decode(ids, true), row["decoded"].get<std::string>()) << where;
      EXPECT_EQ(tokenizer.decode(ids, false), row["full"].get<std::string>()) << where;
    }
    ++index;
  }
}

}  // namespace
}  // namespace rbee
