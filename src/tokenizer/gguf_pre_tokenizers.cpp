#include "tokenizer/gguf_pre_tokenizers.hpp"

#include <algorithm>
#include <array>

namespace rbee {
namespace {

// What the expressions share (macros would be worse, and literals cannot be joined at run time).
constexpr std::string_view kDigit = R"(\p{N})";
constexpr std::string_view kDigitTriple = "[0-9][0-9][0-9]";
constexpr std::string_view kLineBreak = R"([\r\n])";
constexpr std::string_view kCjk = R"([一-龥ࠀ-一가-\x{d7ff}]+)";

constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|)"
    R"( ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kO200k =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
    R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kKimiK2 =
    R"(\p{Han}+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*)"
    R"([\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+)"
    R"([\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDeepseekV3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)"
    R"( ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Letters that have case, as of the Unicode version the vocabulary was made with.
constexpr std::string_view kDeepseekLetters =
    R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿ)"
    R"(ᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\x{1f7d}ᾀ-ᾴᾶ-ᾼ\x{1fbe}ῂ-ῄῆ-ῌῐ-\x{1fd3}ῖ-\x{1fdb}ῠ-Ῥῲ-ῴῶ-ῼ)"
    R"(ℂℇℊ-ℓℕℙ-ℝℤ\x{2126}ℨ\x{212a}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗ)"
    R"(Ａ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+)";

constexpr std::array kSplitGpt2 = {kGpt2};
constexpr std::array kSplitLlama3 = {kLlama3};
constexpr std::array kSplitQwen2 = {kQwen2};
constexpr std::array kSplitQwen35 = {kQwen35};
constexpr std::array kSplitO200k = {kO200k};
constexpr std::array kSplitTekken = {kTekken};
constexpr std::array kSplitKimiK2 = {kKimiK2};
constexpr std::array kSplitStarcoder = {kDigit, kGpt2};
constexpr std::array kSplitFalcon = {kGpt2, kDigitTriple};
constexpr std::array<std::string_view, 4> kSplitDefault = {R"([\p{P}$+<=>^~|]+)", kGpt2,
                                                           R"(\p{N}+)", kDigitTriple};
constexpr std::array<std::string_view, 6> kSplitDeepseekLlm = {
    kLineBreak, kDeepseekLetters, R"(\s?[!-/:-~！-／：-～‘-‟\x{3000}-。]+)", R"(\s+$)",
    kCjk,       R"(\p{N}+)"};
constexpr std::array<std::string_view, 5> kSplitDeepseekCoder = {kLineBreak, R"(\s?\p{L}+)",
                                                                 R"(\s?\p{P}+)", kCjk, kDigit};
constexpr std::array<std::string_view, 3> kSplitDeepseekV3 = {
    R"(\p{N}{1,3})", R"([一-龥\x{3040}-ゟ゠-ヿ]+)", kDeepseekV3};

struct Named {
  std::string_view name;
  GgufPreTokenizer pre;
};

constexpr GgufPreTokenizer kLlama3Family = {kSplitLlama3, true, true, false};
constexpr GgufPreTokenizer kStarcoderFamily = {kSplitStarcoder, false, false, false};
constexpr GgufPreTokenizer kGpt2Family = {kSplitGpt2, false, false, false};
constexpr GgufPreTokenizer kGptNeoxFamily = {kSplitGpt2, false, false, true};
constexpr GgufPreTokenizer kQwen2Family = {kSplitQwen2, false, false, true};

constexpr std::array<Named, 41> kTable = {{
    {"default", {kSplitDefault, false, false, false}},
    {"llama3", kLlama3Family},
    {"llama-v3", kLlama3Family},
    {"llama-bpe", kLlama3Family},
    {"falcon3", kLlama3Family},
    {"falcon-h1", kLlama3Family},
    {"lfm2", kLlama3Family},
    {"pixtral", kLlama3Family},
    {"dbrx", {kSplitLlama3, false, false, false}},
    {"smaug-bpe", {kSplitLlama3, false, false, false}},
    {"chatglm-bpe", {kSplitLlama3, false, false, false}},
    {"glm4", {kSplitLlama3, false, false, false}},
    {"qwen2", kQwen2Family},
    {"deepseek-r1-qwen", kQwen2Family},
    {"qwen35", {kSplitQwen35, false, false, false}},
    {"stablelm2", {kSplitQwen2, false, false, false}},
    {"hunyuan", {kSplitQwen2, false, false, false}},
    {"gpt-2", kGpt2Family},
    {"gpt2", kGpt2Family},
    {"phi-2", kGpt2Family},
    {"gigachat", kGpt2Family},
    {"roberta-bpe", kGpt2Family},
    {"mpt", kGptNeoxFamily},
    {"olmo", kGptNeoxFamily},
    {"jais", kGpt2Family},
    {"falcon", {kSplitFalcon, false, false, false, true}},
    {"starcoder", kStarcoderFamily},
    {"smollm", kStarcoderFamily},
    {"refact", kStarcoderFamily},
    {"command-r", kStarcoderFamily},
    {"codeshell", kStarcoderFamily},
    {"exaone", kStarcoderFamily},
    {"minerva-7b", kStarcoderFamily},
    {"deepseek-llm", {kSplitDeepseekLlm, false, false, false}},
    {"deepseek-coder", {kSplitDeepseekCoder, false, false, false}},
    {"deepseek-v3", {kSplitDeepseekV3, false, false, false}},
    {"gpt-4o", {kSplitO200k, false, false, false}},
    {"llama4", {kSplitO200k, false, false, false}},
    {"minimax-m2", {kSplitO200k, false, false, false}},
    {"tekken", {kSplitTekken, true, true, false}},
    {"kimi-k2", {kSplitKimiK2, false, false, false}},
}};

}  // namespace

std::optional<GgufPreTokenizer> find_gguf_pre_tokenizer(std::string_view name) {
  const auto* found = std::ranges::find(kTable, name, &Named::name);
  if (found == kTable.end()) return std::nullopt;
  return found->pre;
}

}  // namespace rbee
