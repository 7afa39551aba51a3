// A megabyte of anything takes less than a second, and hostile vocabularies stay bounded.
#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <filesystem>

#include "tokenizer/bpe_tokenizer.hpp"
#include "tokenizer/tokenizer.hpp"
#include "tokenizer/tokenizer_json.hpp"

namespace rbee {
namespace {

// With sanitizers or without optimisation everything is many times slower. A sixteenth of a
// megabyte still tells linear time from quadratic: 4e9 steps take longer than what is allowed.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(NDEBUG)
constexpr std::size_t kTextSize = 1 << 16;
constexpr double kAllowed = 2;
#else
constexpr std::size_t kTextSize = 1 << 20;
constexpr double kAllowed = 1;
#endif

// The time of this thread alone: neighbours on the machine do not count.
double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::string repeated(const std::string& unit, std::size_t bytes = kTextSize) {
  std::string text;
  while (text.size() < bytes) text += unit;
  return text;
}

class LinearTime : public ::testing::TestWithParam<const char*> {};

TEST_P(LinearTime, MegabyteInASecond) {
  const std::filesystem::path folder = std::filesystem::path(RBEE_VOCABULARIES) / GetParam();
  const std::filesystem::path gguf = folder / "vocab.gguf";
  const auto tokenizer = Tokenizer::open(std::filesystem::exists(gguf) ? gguf : folder);
  std::vector<std::string> texts;
  for (const char* unit : {"a",
                           " ",
                           "ab",
                           "\n",
                           "7",
                           "😀",
                           "A",
                           "é",
                           "中",
                           "\t",
                           "<",
                           "'s",
                           "▁",
                           "-",
                           " \n",
                           "\u0301\u0316",
                           "<|im_start|",
                           "<|im_end|>",
                           "<s",
                           "</s>",
                           "<｜User",
                           "\xFF",
                           "The quick brown fox jumps over the lazy dog. "}) {
    texts.push_back(repeated(unit));
  }
  texts.push_back(repeated(" ") + "x");
  std::string letters;
  for (unsigned state = 1; letters.size() < kTextSize;) {
    state = state * 1664525 + 1013904223;
    letters += static_cast<char>('a' + (state >> 16) % 26);
  }
  texts.push_back(letters);
  for (const std::string& text : texts) {
    const double start = thread_seconds();
    const std::vector<TokenId> ids = tokenizer->encode(text);
    const double encoded = thread_seconds();
    const std::string decoded = tokenizer->decode(ids);
    const double end = thread_seconds();
    EXPECT_LT(encoded - start, kAllowed) << "encoding " << text.substr(0, 20);
    EXPECT_LT(end - encoded, kAllowed) << "decoding " << text.substr(0, 20);
  }
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, LinearTime,
                         ::testing::Values("deepseek_v3", "mistral_v1", "gpt-2", "falcon",
                                           "rwkv_world"),
                         [](const ::testing::TestParamInfo<const char*>& param) {
                           std::string name = param.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// A vocabulary of single letters whose only step is the given one.
BpeTokenizer with_pre_tokenizer(const std::string& json) {
  return BpeTokenizer(parse_tokenizer_json(
      R"({"version":"1.0","added_tokens":[],"normalizer":null,"pre_tokenizer":)" + json +
          R"(,"post_processor":null,"decoder":null,"model":{"type":"BPE","vocab":{"a":0,"b":1,"aa":2},)" +
          R"("merges":["a a"]}})",
      "tokenizer.json"));
}

TEST(HostilePatterns, StayBounded) {
  for (const char* pattern :
       {"(a*)*b", "(a+)+$", "(?:a|a)*c", "(a|aa)+b", "a(?=[^b]*$)", "((a?){30}){30}b",
        "(.*)(.*)(.*)(.*)(.*)x", "(?=(a+))a*b\\\\1", "(a*?)*?c", "a{1,1000}b"}) {
    const std::string json = R"({"type":"Split","pattern":{"Regex":")" + std::string(pattern) +
                             R"("},"behavior":"Isolated","invert":false})";
    const BpeTokenizer tokenizer = with_pre_tokenizer(json);
    for (const std::size_t size : {std::size_t{100}, std::size_t{10000}, kTextSize}) {
      const double start = thread_seconds();
      const auto ids = tokenizer.encode(repeated("a", size), {});
      EXPECT_LT(thread_seconds() - start, 15 * kAllowed) << pattern << " on " << size;
      EXPECT_GE(ids.size(), size / 2) << pattern;
    }
  }
}

}  // namespace
}  // namespace rbee
