#include "tokenizer/gguf_tokenizer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/load_error.hpp"
#include "base/log.hpp"
#include "tokenizer/byte_alphabet.hpp"
#include "tokenizer/end_tokens.hpp"
#include "tokenizer/gguf_pre_tokenizers.hpp"
#include "tokenizer/rwkv_vocabulary.hpp"
#include "tokenizer/sentence_piece_normalizer.hpp"
#include "tokenizer/sentence_pieces.hpp"
#include "tokenizer/unicode.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
constexpr std::size_t kMostTokens = std::size_t{1} << 22;

// The arrays of the vocabulary, of equal length.
struct Vocabulary {
  std::vector<std::string_view> texts;
  std::vector<PieceType> types;
};

[[noreturn]] void refuse(const GgufMetadata& metadata, std::string_view key, std::string expected,
                         std::string found) {
  throw LoadError(metadata.file(), std::string(key), std::move(expected), std::move(found));
}

void check_count(const GgufMetadata& metadata, std::string_view key, std::size_t expected,
                 std::size_t found) {
  if (expected != found) {
    refuse(metadata, key, fmt::format("{} elements, as many as tokens", expected),
           std::to_string(found));
  }
}

Vocabulary read_vocabulary(const GgufMetadata& metadata) {
  Vocabulary vocabulary;
  const auto texts = metadata.strings(kTokens);
  if (!texts || texts->empty()) refuse(metadata, kTokens, "an array of tokens", "none");
  if (texts->size() > kMostTokens) {
    refuse(metadata, kTokens, fmt::format("at most {} tokens", kMostTokens),
           std::to_string(texts->size()));
  }
  vocabulary.texts = *texts;
  vocabulary.types.assign(texts->size(), PieceType::normal);
  const auto types = metadata.integers("tokenizer.ggml.token_type");
  if (!types) return vocabulary;
  check_count(metadata, "tokenizer.ggml.token_type", texts->size(), types->size());
  for (std::size_t i = 0; i < types->size(); ++i) {
    const std::int64_t type = (*types)[i];
    if (type < 0 || type > 6) {
      refuse(metadata, "tokenizer.ggml.token_type", "types from 0 to 6", std::to_string(type));
    }
    vocabulary.types[i] = static_cast<PieceType>(type);
  }
  return vocabulary;
}

// The id that a key gives, when the vocabulary has it. Files without such a token have -1 or the
// like there.
std::optional<TokenId> token_key(const GgufMetadata& metadata, const std::string& name,
                                 std::size_t count) {
  const auto id = metadata.integer(fmt::format("tokenizer.ggml.{}_token_id", name));
  if (!id || *id < 0 || static_cast<std::size_t>(*id) >= count) return std::nullopt;
  return static_cast<TokenId>(*id);
}

bool is_added(PieceType type) {
  return type == PieceType::control || type == PieceType::user_defined ||
         type == PieceType::unknown;
}

AddedTokens added_tokens(const Vocabulary& vocabulary) {
  std::vector<AddedToken> tokens;
  for (std::size_t i = 0; i < vocabulary.texts.size(); ++i) {
    const std::string_view text = vocabulary.texts[i];
    const PieceType type = vocabulary.types[i];
    if (!is_added(type) || text.empty() || text.size() > AddedTokens::kLongest) continue;
    AddedToken token;
    token.id = static_cast<TokenId>(i);
    token.content = text;
    token.special = type != PieceType::user_defined;
    tokens.push_back(std::move(token));
  }
  return AddedTokens(std::move(tokens), [](std::string_view text) { return std::string(text); });
}

// "left right"; a merge of tokens that the vocabulary lacks can never be applied.
std::vector<Merges::Merge> read_merges(const GgufMetadata& metadata, const TextTable& spellings) {
  constexpr std::string_view kMerges = "tokenizer.ggml.merges";
  const auto lines = metadata.strings(kMerges);
  if (!lines) refuse(metadata, kMerges, "an array of merges", "none");
  std::vector<Merges::Merge> merges;
  merges.reserve(lines->size());
  std::string result;
  for (std::size_t i = 0; i < lines->size() && i < Merges::kNoRank; ++i) {
    const std::string_view line = (*lines)[i];
    const std::size_t space = line.find(' ', 1);
    if (space == std::string_view::npos) {
      refuse(metadata, kMerges, "two tokens with a space between",
             repair_utf8(line.substr(0, 100)));
    }
    result = line.substr(0, space);
    result += line.substr(space + 1);
    const auto left = spellings.find(line.substr(0, space));
    const auto right = spellings.find(line.substr(space + 1));
    const auto joined = spellings.find(result);
    if (left && right && joined) {
      merges.push_back({*left, *right, *joined, static_cast<std::uint32_t>(i)});
    }
  }
  return merges;
}

std::vector<float> read_scores(const GgufMetadata& metadata, std::size_t count) {
  constexpr std::string_view kScores = "tokenizer.ggml.scores";
  const auto scores = metadata.floats(kScores);
  if (!scores) refuse(metadata, kScores, "an array of scores", "none");
  check_count(metadata, kScores, count, scores->size());
  if (std::ranges::any_of(*scores, [](float score) { return std::isnan(score); })) {
    refuse(metadata, kScores, "numbers", "NaN");
  }
  return *scores;
}

// What the models have in common; the steps are filled in by the caller.
TokenizerParts common_parts(const Vocabulary& vocabulary, PieceModel model, Decoder decoder) {
  TokenizerParts parts(std::move(model), std::move(decoder));
  parts.spellings = table_of(vocabulary.texts, vocabulary.types, [](PieceType) { return true; });
  parts.added = added_tokens(vocabulary);
  return parts;
}

struct Defaults {
  bool adds_bos;
  std::optional<TokenId> bos;
  std::optional<TokenId> eos;
};

SentencePieces read_pieces(const GgufMetadata& metadata, const Vocabulary& vocabulary,
                           TokenId default_unknown) {
  SentencePieces pieces;
  pieces.texts = vocabulary.texts;
  pieces.types = vocabulary.types;
  pieces.scores = read_scores(metadata, vocabulary.texts.size());
  const auto unknown = metadata.integer("tokenizer.ggml.unknown_token_id");
  pieces.unknown = unknown ? token_key(metadata, "unknown", vocabulary.texts.size())
                           : std::optional(default_unknown);
  return pieces;
}

TokenizerParts sentence_piece_parts(const GgufMetadata& metadata, const Vocabulary& vocabulary) {
  const bool prefix = metadata.boolean("tokenizer.ggml.add_space_prefix").value_or(true);
  TokenizerParts parts =
      common_parts(vocabulary, bpe_by_scores(read_pieces(metadata, vocabulary, 0)),
                   Decoder::sentence_piece(prefix));
  if (prefix) parts.normalizer.add(Normalizer::prepend(std::string(kSpaceMark)));
  parts.normalizer.add(Normalizer::replace(" ", std::string(kSpaceMark)));
  parts.description = fmt::format("SentencePiece-style BPE, {} tokens", vocabulary.texts.size());
  return parts;
}

// The vocabularies of T5 and its kin: SentencePiece's Unigram with its normalisation.
TokenizerParts unigram_parts(const GgufMetadata& metadata, const Vocabulary& vocabulary) {
  constexpr std::string_view kRules = "tokenizer.ggml.precompiled_charsmap";
  SentencePieces pieces = read_pieces(metadata, vocabulary, 2);
  pieces.byte_fallback = std::ranges::count(pieces.types, PieceType::byte) == 256;
  SentencePieceNormalizer normalizer;
  normalizer.add_dummy_prefix = metadata.boolean("tokenizer.ggml.add_space_prefix").value_or(true);
  normalizer.remove_extra_whitespaces =
      metadata.boolean("tokenizer.ggml.remove_extra_whitespaces").value_or(true);
  if (const GgufEntry* rules = metadata.find(kRules)) {
    if (!rules->is_array || size_of(rules->element) != 1) {
      refuse(metadata, kRules, "an array of bytes", std::string(name(rules->element)));
    }
    normalizer.rules = std::make_shared<const CharsMap>(
        std::string_view(reinterpret_cast<const char*>(rules->bytes.data()), rules->bytes.size()),
        metadata.file(), std::string(kRules));
  }
  TokenizerParts parts = common_parts(
      vocabulary, unigram_by_scores(pieces),
      Decoder::sentence_piece(normalizer.add_dummy_prefix || normalizer.remove_extra_whitespaces));
  parts.normalizer.add([normalizer](std::string& text) { text = normalizer.apply(text); });
  parts.description = fmt::format("SentencePiece Unigram, {} tokens", vocabulary.texts.size());
  return parts;
}

TokenizerParts rwkv_world_parts(const GgufMetadata& metadata, const Vocabulary& vocabulary) {
  std::vector<TextTable::Entry> tokens;
  for (std::size_t i = 1; i < vocabulary.texts.size(); ++i) {
    if (vocabulary.types[i] == PieceType::unused) continue;  // padding
    tokens.push_back({static_cast<TokenId>(i), vocabulary.texts[i]});
  }
  return rwkv_parts(tokens, vocabulary.texts[0], metadata.file(), std::string(kTokens));
}

GgufPreTokenizer chosen_pre_tokenizer(const GgufMetadata& metadata, std::string_view name) {
  if (const auto known = find_gguf_pre_tokenizer(name)) return *known;
  log::warn(
      "{}: unknown pre-tokenizer '{}' (tokenizer.ggml.pre): using 'default'; answers may be "
      "slightly worse than the model can do",
      metadata.file(), name);
  return *find_gguf_pre_tokenizer("default");
}

TokenizerParts byte_level_parts(const GgufMetadata& metadata, const Vocabulary& vocabulary,
                                const GgufPreTokenizer& pre, std::string_view pre_name) {
  const TextTable spellings =
      table_of(vocabulary.texts, vocabulary.types, [](PieceType) { return true; });
  const std::vector<Merges::Merge> merges = read_merges(metadata, spellings);
  Bpe::Options options;
  options.bytes = true;
  options.ignore_merges = pre.ignore_merges;
  // A byte that is no token vanishes, whatever unknown_token_id says.
  const TextTable model =
      table_of(vocabulary.texts, vocabulary.types, [](PieceType type) { return !is_added(type); });
  TokenizerParts parts =
      common_parts(vocabulary, Bpe(raw_vocabulary(model), merges, options), Decoder::byte_level());
  if (pre.composes) {
    parts.normalizer.add([](std::string& text) { text = normalize(text, NormalForm::nfc); });
  }
  if (pre.isolates_punctuation) parts.pre_tokenizer.add_punctuation_runs();
  for (const std::string_view split : pre.splits) {
    parts.pre_tokenizer.add_split(split, metadata.file(), "tokenizer.ggml.pre");
  }
  if (metadata.boolean("tokenizer.ggml.add_space_prefix").value_or(false)) {
    parts.normalizer.add(Normalizer::prepend(" "));
  }
  parts.description =
      fmt::format("byte-level BPE, {} tokens, pre-tokenizer {}", vocabulary.texts.size(), pre_name);
  return parts;
}

void add_boundaries(const GgufMetadata& metadata, const Defaults& defaults, TokenizerParts& parts) {
  const auto count = static_cast<std::size_t>(parts.spellings.size());
  const auto with_default = [&](const std::string& name, std::optional<TokenId> otherwise) {
    if (metadata.find(fmt::format("tokenizer.ggml.{}_token_id", name)) == nullptr) return otherwise;
    return token_key(metadata, name, count);
  };
  parts.bos = with_default("bos", defaults.bos);
  const auto eos = with_default("eos", defaults.eos);
  if (parts.bos) parts.bos_text = std::string(parts.spellings.text(*parts.bos));
  if (eos) parts.eos_text = std::string(parts.spellings.text(*eos));

  const bool add_bos = metadata.boolean("tokenizer.ggml.add_bos_token").value_or(defaults.adds_bos);
  const bool add_eos = metadata.boolean("tokenizer.ggml.add_eos_token").value_or(false);
  if (add_bos && parts.bos) parts.framing.before = {*parts.bos};
  if (add_eos && eos) parts.framing.after = {*eos};
  parts.config_framing = parts.framing;

  std::vector<TokenId> ends;
  if (eos) ends.push_back(*eos);
  for (const char* name : {"eot", "eom", "fim_pad", "fim_rep", "fim_sep"}) {
    // RWKV files call the empty line between turns their end of turn: an answer may have several.
    if (std::holds_alternative<LongestMatch>(parts.model)) break;
    if (const auto id = token_key(metadata, name, count)) ends.push_back(*id);
  }
  parts.end_ids = end_ids(std::move(ends), [&parts](std::string_view text) {
    const auto id = parts.spellings.find(text);
    return id ? parts.added.find(*id) : nullptr;
  });
}

// Files with several templates may have no default one: then the first is taken.
std::string_view chat_template(const GgufMetadata& metadata) {
  constexpr std::string_view kKey = "tokenizer.chat_template";
  if (const auto text = metadata.string(kKey)) return *text;
  const auto names = metadata.strings("tokenizer.chat_templates");
  for (const std::string_view name : names.value_or(std::vector<std::string_view>())) {
    if (const auto text = metadata.string(fmt::format("{}.{}", kKey, name))) return *text;
  }
  return {};
}

}  // namespace

TokenizerParts read_gguf_tokenizer(const GgufMetadata& metadata) {
  constexpr std::string_view kModel = "tokenizer.ggml.model";
  const std::string_view model = metadata.string(kModel).value_or("none");
  if (model != "gpt2" && model != "llama" && model != "t5" && model != "rwkv") {
    refuse(metadata, kModel, "gpt2, llama, t5 or rwkv",
           fmt::format("'{}'", repair_utf8(model.substr(0, 100))));
  }
  const Vocabulary vocabulary = read_vocabulary(metadata);
  Defaults defaults{true, 1, 2};
  TokenizerParts parts = [&] {
    if (model == "llama") return sentence_piece_parts(metadata, vocabulary);
    if (model == "t5") {
      defaults = {false, std::nullopt, 1};
      return unigram_parts(metadata, vocabulary);
    }
    if (model == "rwkv") {
      defaults = {false, 0, 0};
      return rwkv_world_parts(metadata, vocabulary);
    }
    const std::string name =
        repair_utf8(metadata.string("tokenizer.ggml.pre").value_or("none").substr(0, 100));
    const GgufPreTokenizer pre = chosen_pre_tokenizer(metadata, name);
    defaults = {pre.adds_bos, std::nullopt, std::nullopt};
    return byte_level_parts(metadata, vocabulary, pre, name);
  }();
  if (defaults.bos && static_cast<int>(*defaults.bos) >= parts.spellings.size()) {
    defaults.bos.reset();
  }
  if (defaults.eos && static_cast<int>(*defaults.eos) >= parts.spellings.size()) {
    defaults.eos.reset();
  }
  add_boundaries(metadata, defaults, parts);
  parts.chat_template = repair_utf8(chat_template(metadata));
  return parts;
}

}  // namespace rbee
