// What the files say about special tokens, and what happens when they are wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/load_error.hpp"
#include "checkpoint/testing/gguf_image.hpp"
#include "checkpoint/testing/temp_folder.hpp"
#include "tokenizer/testing/goldens.hpp"
#include "tokenizer/tokenizer.hpp"
#include "tokenizer/tokenizer_json.hpp"

namespace rbee {
namespace {

using ::testing::ElementsAre;
using testing::GgufImage;
using ::testing::HasSubstr;
using testing::TempFolder;

Json added(int id, const std::string& content, bool special = true) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", special}};
}

// Tokens a b ab and four added ones.
Json small_tokenizer() {
  Json json = Json::parse(R"({"version":"1.0","truncation":null,"padding":null,"normalizer":null,
    "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true},
    "post_processor":null,"decoder":{"type":"ByteLevel"},
    "model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}})");
  json["added_tokens"] = Json::array(
      {added(3, "<s>"), added(4, "</s>"), added(5, "<|im_end|>"), added(6, "<think>", false)});
  return json;
}

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::string load_error(const Json& json) {
  try {
    parse_tokenizer_json(json.dump(), "tokenizer.json");
  } catch (const LoadError& error) {
    return error.what();
  }
  return "no error";
}

TEST(ModelFiles, TokenizerFilesAloneAreEnough) {
  const TempFolder folder;
  write(folder.path() / "tokenizer.json", small_tokenizer().dump());
  const auto tokenizer = Tokenizer::open(folder.path());
  EXPECT_EQ(tokenizer->vocab_size(), 7);
  EXPECT_FALSE(tokenizer->bos());
  EXPECT_THAT(tokenizer->end_ids(), ElementsAre(4, 5));
  EXPECT_THAT(tokenizer->encode("ab<s>b<think>"), ElementsAre(2, 3, 1, 6));
  EXPECT_EQ(tokenizer->chat_template(), "");
}

TEST(ModelFiles, SayWhatBeginsAndEnds) {
  const TempFolder folder;
  write(folder.path() / "tokenizer.json", small_tokenizer().dump());
  write(folder.path() / "tokenizer_config.json",
        R"({"bos_token":{"content":"<s>","lstrip":false},"eos_token":"ab","add_bos_token":true,
            "chat_template":[{"name":"tool","template":"T"},{"name":"default","template":"D"}]})");
  write(
      folder.path() / "config.json",
      R"({"eos_token_id":[0,1],"time_step_limit":[0.0,Infinity],"text_config":{"eos_token_id":6}})");
  write(folder.path() / "generation_config.json", R"({"eos_token_id":3})");
  const auto tokenizer = Tokenizer::open(folder.path());
  EXPECT_EQ(tokenizer->bos(), 3);
  EXPECT_EQ(tokenizer->bos_text(), "<s>");
  EXPECT_EQ(tokenizer->eos_text(), "ab");
  EXPECT_THAT(tokenizer->end_ids(), ElementsAre(0, 1, 2, 3, 4, 5, 6));
  EXPECT_EQ(tokenizer->chat_template(), "D");
  EXPECT_THAT(tokenizer->encode("b"), ElementsAre(1));
  EXPECT_THAT(tokenizer->encode("b", {.follow_config = true}), ElementsAre(3, 1));
  EXPECT_THAT(tokenizer->encode("b", {.add_special = false, .follow_config = true}),
              ElementsAre(1));
  EXPECT_TRUE(tokenizer->is_special(5));
  EXPECT_FALSE(tokenizer->is_special(6));
  write(folder.path() / "chat_template.json", R"({"chat_template":"J"})");
  EXPECT_EQ(Tokenizer::open(folder.path())->chat_template(), "J");
  write(folder.path() / "chat_template.jinja", "X");
  EXPECT_EQ(Tokenizer::open(folder.path())->chat_template(), "X");
}

TEST(Decoding, ToleratesAnyIds) {
  const BpeTokenizer tokenizer(parse_tokenizer_json(small_tokenizer().dump(), "tokenizer.json"));
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{-1, 0, 99, 1, 1 << 30, 5}, true), "ab");
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{0, 5}, false), "a<|im_end|>");
  EXPECT_EQ(tokenizer.id_to_token(99), "");
  EXPECT_EQ(tokenizer.token_bytes(-5, false), "");
}

TEST(Decoding, InvalidUtf8IsReplacedBeforeEncoding) {
  Json json = small_tokenizer();
  json["model"]["vocab"]["ï¿½"] = 7;
  json["model"]["vocab"]["ï"] = 8;
  json["model"]["vocab"]["¿"] = 9;
  json["model"]["vocab"]["½"] = 10;
  const BpeTokenizer tokenizer(parse_tokenizer_json(json.dump(), "tokenizer.json"));
  EXPECT_THAT(tokenizer.encode("a\xFF", {}), ElementsAre(0, 8, 9, 10));
  EXPECT_EQ(tokenizer.encode("\xE2\x82", {}), tokenizer.encode("\xFF", {}));
}

TEST(Encoding, SeveralThreadsAgree) {
  const auto tokenizer =
      Tokenizer::open(std::filesystem::path(RBEE_VOCABULARIES) / "gpt-2" / "vocab.gguf");
  const std::string text = "Threads share the tokenizer and what it has learnt about tokens. ";
  const std::vector<TokenId> expected = tokenizer->encode(text);
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 50; ++round) EXPECT_EQ(tokenizer->encode(text), expected);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(BadTokenizerJson, NamesTheField) {
  struct Case {
    const char* pointer;
    const char* value;
    const char* expected;
  };
  const std::string deep_sequence = [] {
    std::string text = R"({"type":"NFC"})";
    for (int i = 0; i < 20; ++i) {
      text.insert(0, R"({"type":"Sequence","normalizers":[)");
      text += "]}";
    }
    return text;
  }();
  const std::vector<Case> cases = {
      {"/model/type", R"("Unigram")", "model.vocab: expected an array of tokens and scores"},
      {"/model", R"({"type":"Unigram","vocab":[["a",0,1]]})", "model.vocab[0]"},
      {"/model", R"({"type":"Unigram","vocab":[["a"]]})", "model.vocab[0]"},
      {"/model", R"({"type":"Unigram","vocab":[["a",0]],"unk_id":1})", "model.unk_id"},
      {"/model", R"({"type":"Unigram","vocab":[]})", "model.vocab"},
      {"/model", R"({"type":"WordLevel","vocab":[["a",0]]})", "model.vocab"},
      {"/model/type", R"("WordPiece")", "expected BPE, Unigram or WordLevel, found WordPiece"},
      {"/model/vocab", R"({"a":-1})", "model.vocab"},
      {"/model/vocab", R"({"a":0.5})", "tokenizer JSON"},
      {"/model/vocab", R"({"a":4294967296})", "model.vocab"},
      {"/model/vocab", R"({"a":4000000})", "gaps"},
      {"/model/vocab", R"([["a",0]])", "model.vocab"},
      {"/model/vocab", "null", "model.vocab"},
      {"/model/merges", R"(["a"])", "model.merges"},
      {"/model/merges", R"(["a b c"])", "model.merges"},
      {"/model/merges", R"([["a"]])", "model.merges"},
      {"/model/merges", R"([["a","b","c"]])", "model.merges"},
      {"/model/merges", R"(["b a"])",
       "model.merges: expected tokens of the vocabulary, found 'ba'"},
      {"/model/merges", R"(["x b"])", "found 'x'"},
      {"/model/merges", "[1]", "tokenizer JSON"},
      {"/model/merges", "{}", "tokenizer JSON"},
      {"/model/dropout", "0.1", "model.dropout"},
      {"/model/end_of_word_suffix", R"("</w>")", "model.end_of_word_suffix"},
      {"/model/byte_fallback", "1", "model.byte_fallback"},
      {"/model", "[]", "tokenizer JSON"},
      {"/normalizer", R"({"type":"BertNormalizer"})", "normalizer.type"},
      {"/normalizer", R"({"type":"Precompiled","precompiled_charsmap":"?"})",
       "normalizer.precompiled_charsmap"},
      {"/normalizer", R"({"type":"Precompiled","precompiled_charsmap":"CAAAAA=="})",
       "normalizer.precompiled_charsmap"},
      {"/normalizer", R"({})", "normalizer.type"},
      {"/normalizer", R"("NFC")", "normalizer"},
      {"/normalizer", R"({"type":"Replace","pattern":{"Regex":"("},"content":""})",
       "normalizer.pattern"},
      {"/normalizer", R"({"type":"Replace","pattern":{"String":""},"content":""})",
       "pattern.String"},
      {"/normalizer", deep_sequence.c_str(), "nested"},
      {"/pre_tokenizer", R"({"type":"UnicodeScripts"})", "pre_tokenizer.type"},
      {"/pre_tokenizer",
       R"({"type":"Split","pattern":{"Regex":"(*UTF)a"},"behavior":"Isolated","invert":false})",
       "pre_tokenizer.pattern"},
      {"/pre_tokenizer",
       R"({"type":"Split","pattern":{"Regex":"(?:(?:a{900}){900}){900}"},"behavior":"Isolated","invert":false})",
       "pre_tokenizer.pattern"},
      {"/pre_tokenizer",
       R"({"type":"Split","pattern":{"Regex":"a"},"behavior":"Other","invert":false})", "behavior"},
      {"/pre_tokenizer", R"({"type":"Metaspace","replacement":"ab"})", "replacement"},
      {"/pre_tokenizer/add_prefix_space", R"("no")", "pre_tokenizer.add_prefix_space"},
      {"/decoder", R"({"type":"WordPiece"})", "decoder.type"},
      {"/decoder",
       R"({"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"Strip","content":" ","start":2,"stop":0}]})",
       "decoder.decoders[1]"},
      {"/post_processor", R"({"type":"Other"})", "post_processor.type"},
      {"/post_processor", R"({"type":"TemplateProcessing","single":[],"special_tokens":{}})",
       "single"},
      {"/post_processor",
       R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"q"}},{"Sequence":{"id":"A"}}],"special_tokens":{}})",
       "special_tokens.q"},
      {"/post_processor", R"({"type":"BertProcessing","sep":["</s>",4],"cls":["<s>",3000]})",
       "3000"},
      {"/added_tokens", R"([{"id":-1,"content":"x"}])", "added_tokens[0].id"},
      {"/added_tokens", R"([{"id":3}])", "added_tokens[0].content"},
      {"/added_tokens", R"([{"id":4194000,"content":"x"}])", "gaps"},
      {"/added_tokens", "{}", "added_tokens"},
  };
  for (const Case& one : cases) {
    Json json = small_tokenizer();
    json[Json::json_pointer(one.pointer)] = Json::parse(one.value);
    EXPECT_THAT(load_error(json), HasSubstr(one.expected)) << one.pointer << " = " << one.value;
  }
  for (const char* text :
       {"", "{", "[]", "null", "{\"model\":", "\xFF", R"({"model":{"vocab":{"a":)"}) {
    EXPECT_THROW(parse_tokenizer_json(text, "tokenizer.json"), LoadError) << text;
  }
}

GgufImage small_gguf() {
  GgufImage image;
  image.set("general.architecture", "llama");
  image.set("tokenizer.ggml.model", "gpt2");
  image.set("tokenizer.ggml.pre", "gpt-2");
  image.set_strings("tokenizer.ggml.tokens", {"a", "b", "ab", "<|x|>", "<|im_end|>"});
  image.set_array("tokenizer.ggml.token_type", std::vector<std::int32_t>{1, 1, 1, 4, 3});
  image.set_strings("tokenizer.ggml.merges", {"a b"});
  return image;
}

std::shared_ptr<const Tokenizer> open(const GgufImage& image) {
  const TempFolder folder;
  const auto path = folder.path() / "vocab.gguf";
  write(path, image.bytes());
  return Tokenizer::open(path);
}

TEST(Gguf, SpecialTokens) {
  GgufImage image = small_gguf();
  image.set("tokenizer.ggml.bos_token_id", std::uint32_t{3});
  image.set("tokenizer.ggml.eos_token_id", std::uint32_t{2});
  image.set("tokenizer.ggml.eot_token_id", std::uint32_t{1});
  image.set("tokenizer.ggml.eom_token_id", std::uint32_t{77});
  image.set("tokenizer.chat_template", "T");
  auto tokenizer = open(image);
  EXPECT_EQ(tokenizer->bos(), 3);
  EXPECT_THAT(tokenizer->end_ids(), ElementsAre(1, 2, 4));
  EXPECT_THAT(tokenizer->encode("ab<|x|><|im_end|>"), ElementsAre(2, 3, 4));
  EXPECT_THAT(tokenizer->encode("a<|x|><|im_end|>", {.parse_special = false}), ElementsAre(0, 3));
  EXPECT_EQ(tokenizer->chat_template(), "T");
  image.set("tokenizer.ggml.add_bos_token", true);
  image.set("tokenizer.ggml.add_eos_token", true);
  EXPECT_THAT(open(image)->encode("b"), ElementsAre(3, 1, 2));
  EXPECT_THAT(open(image)->encode("b", {.add_special = false}), ElementsAre(1));
}

TEST(ModelFiles, HarmonyMessagesDoNotEndTurns) {
  const TempFolder folder;
  Json json = small_tokenizer();
  json["added_tokens"] = Json::array({added(3, "<|end|>"), added(4, "<|return|>")});
  write(folder.path() / "tokenizer.json", json.dump());
  write(folder.path() / "config.json", R"({"eos_token_id":[3,4]})");
  EXPECT_THAT(Tokenizer::open(folder.path())->end_ids(), ElementsAre(3, 4));
  json["added_tokens"].push_back(added(5, "<|call|>"));
  write(folder.path() / "tokenizer.json", json.dump());
  EXPECT_THAT(Tokenizer::open(folder.path())->end_ids(), ElementsAre(4, 5));
}

TEST(Gguf, FirstOfSeveralTemplatesWithoutADefault) {
  GgufImage image = small_gguf();
  image.set_strings("tokenizer.chat_templates", {"tool_use", "rag"});
  image.set("tokenizer.chat_template.tool_use", "T");
  image.set("tokenizer.chat_template.rag", "R");
  EXPECT_EQ(open(image)->chat_template(), "T");
  image.set("tokenizer.chat_template", "D");
  EXPECT_EQ(open(image)->chat_template(), "D");
}

TEST(ModelFiles, AdditionalTemplatesComeLast) {
  const TempFolder folder;
  write(folder.path() / "tokenizer.json", small_tokenizer().dump());
  std::filesystem::create_directory(folder.path() / "additional_chat_templates");
  write(folder.path() / "additional_chat_templates" / "tool_use.jinja", "T");
  write(folder.path() / "additional_chat_templates" / "rag.jinja", "R");
  write(folder.path() / "additional_chat_templates" / "a.txt", "X");
  EXPECT_EQ(Tokenizer::open(folder.path())->chat_template(), "R");
  write(folder.path() / "tokenizer_config.json", R"({"chat_template":"C"})");
  EXPECT_EQ(Tokenizer::open(folder.path())->chat_template(), "C");
}

TEST(Gguf, RwkvWorld) {
  GgufImage image;
  image.set("general.architecture", "rwkv6");
  image.set("tokenizer.ggml.model", "rwkv");
  image.set_strings("tokenizer.ggml.tokens", {"<s>", "a", "\\n\\n", "\\xc3", "[PAD4]"});
  image.set_array("tokenizer.ggml.token_type", std::vector<std::int32_t>{3, 1, 1, 1, 5});
  image.set("tokenizer.ggml.eot_token_id", std::uint32_t{2});
  const auto tokenizer = open(image);
  EXPECT_THAT(tokenizer->encode("a\n\né[PAD4]"), ElementsAre(1, 2, 3));
  EXPECT_EQ(tokenizer->bos(), 0);
  EXPECT_THAT(tokenizer->end_ids(), ElementsAre(0));
  image.entry("tokenizer.ggml.tokens").key = "other";
  image.set_strings("tokenizer.ggml.tokens", {"<s>", "a", "\\x1", "b", "c"});
  EXPECT_THROW(open(image), LoadError);
}

TEST(Gguf, UnknownPreTokenizerIsNoError) {
  GgufImage image = small_gguf();
  image.entry("tokenizer.ggml.pre").value = testing::raw_string("made-up");
  EXPECT_THAT(open(image)->encode("ab"), ElementsAre(2));
}

TEST(Gguf, BadMetadataNamesTheKey) {
  const auto message = [](auto spoil) {
    GgufImage image = small_gguf();
    spoil(image);
    try {
      open(image);
    } catch (const LoadError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(message([](GgufImage& image) {
                image.entry("tokenizer.ggml.model").value = testing::raw_string("bert");
              }),
              HasSubstr("tokenizer.ggml.model: expected gpt2, llama, t5 or rwkv, found 'bert'"));
  EXPECT_THAT(message([](GgufImage& image) { image.entry("tokenizer.ggml.tokens").key = "other"; }),
              HasSubstr("tokenizer.ggml.tokens"));
  EXPECT_THAT(message([](GgufImage& image) { image.entry("tokenizer.ggml.merges").key = "other"; }),
              HasSubstr("tokenizer.ggml.merges"));
  EXPECT_THAT(message([](GgufImage& image) {
                image.entry("tokenizer.ggml.merges").key = "other";
                image.set_strings("tokenizer.ggml.merges", {"ab"});
              }),
              HasSubstr("tokenizer.ggml.merges"));
  EXPECT_THAT(message([](GgufImage& image) {
                image.entry("tokenizer.ggml.token_type").key = "other";
                image.set_array("tokenizer.ggml.token_type", std::vector<std::int32_t>{1});
              }),
              HasSubstr("tokenizer.ggml.token_type"));
  EXPECT_THAT(
      message([](GgufImage& image) {
        image.entry("tokenizer.ggml.token_type").key = "other";
        image.set_array("tokenizer.ggml.token_type", std::vector<std::int32_t>{1, 1, 1, 9, 1});
      }),
      HasSubstr("types from 0 to 6"));
  EXPECT_THAT(message([](GgufImage& image) {
                image.entry("tokenizer.ggml.model").value = testing::raw_string("llama");
              }),
              HasSubstr("tokenizer.ggml.scores"));
  EXPECT_THAT(message([](GgufImage& image) {
                image.entry("tokenizer.ggml.model").value = testing::raw_string("llama");
                image.set_array(
                    "tokenizer.ggml.scores",
                    std::vector<float>{0, 0, std::numeric_limits<float>::quiet_NaN(), 0, 0});
              }),
              HasSubstr("NaN"));
}

// The same vocabulary by scores and by merges gives the same ids. The scores are those of its
// SentencePiece model: the negative order of the pieces, but for runs of spaces.
TEST(Gguf, ScoresAgreeWithMerges) {
  const auto by_merges = Tokenizer::open(std::filesystem::path(RBEE_VOCABULARIES) / "mistral_v1");
  std::vector<std::string> tokens;
  std::vector<float> scores;
  std::vector<std::int32_t> types;
  for (int id = 0; id < by_merges->vocab_size(); ++id) {
    tokens.emplace_back(by_merges->id_to_token(id));
    const bool spaces = by_merges->id_to_token(id).find_first_not_of("▁") == std::string::npos;
    scores.push_back(id < 259 ? 0.0f : spaces ? -1e9f : static_cast<float>(259 - id));
    types.push_back(id == 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1);
  }
  GgufImage image;
  image.set("general.architecture", "llama");
  image.set("tokenizer.ggml.model", "llama");
  image.set_strings("tokenizer.ggml.tokens", tokens);
  image.set_array("tokenizer.ggml.scores", scores);
  image.set_array("tokenizer.ggml.token_type", types);
  const auto by_scores = open(image);
  const auto report = testing::check_hard_golden(
      *by_scores, std::filesystem::path(RBEE_VOCABULARIES) / "mistral_v1" / "hard_golden.json",
      RBEE_TEST_DATA "/tokenizers/hard_corpus.json");
  EXPECT_GT(report.texts, 4000 / testing::kHardTextStep);
  EXPECT_EQ(report.failures, 0) << report.first_failures;
}

}  // namespace
}  // namespace rbee
