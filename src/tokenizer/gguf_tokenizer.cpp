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
#include "tokenizer/unicode.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
constexpr std::size_t kMostTokens = std::size_t{1} << 22;
// Longer tokens are not made by merging: the cost of finding their halves grows with the square.
constexpr std::size_t kLongestMerged = 1024;
constexpr std::string_view kSpaceMark = "\u2581";

enum class TokenType : std::uint8_t {
  undefined = 0,
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6,
};

// The arrays of the vocabulary, of equal length.
struct Vocabulary {
  std::vector<std::string_view> texts;
  std::vector<TokenType> types;
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
  vocabulary.types.assign(texts->size(), TokenType::normal);
  const auto types = metadata.integers("tokenizer.ggml.token_type");
  if (!types) return vocabulary;
  check_count(metadata, "tokenizer.ggml.token_type", texts->size(), types->size());
  for (std::size_t i = 0; i < types->size(); ++i) {
    const std::int64_t type = (*types)[i];
    if (type < 0 || type > 6) {
      refuse(metadata, "tokenizer.ggml.token_type", "types from 0 to 6", std::to_string(type));
    }
    vocabulary.types[i] = static_cast<TokenType>(type);
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

bool is_added(TokenType type) {
  return type == TokenType::control || type == TokenType::user_defined ||
         type == TokenType::unknown;
}

AddedTokens added_tokens(const Vocabulary& vocabulary) {
  std::vector<AddedToken> tokens;
  for (std::size_t i = 0; i < vocabulary.texts.size(); ++i) {
    const std::string_view text = vocabulary.texts[i];
    const TokenType type = vocabulary.types[i];
    if (!is_added(type) || text.empty() || text.size() > AddedTokens::kLongest) continue;
    AddedToken token;
    token.id = static_cast<TokenId>(i);
    token.content = text;
    token.special = type != TokenType::user_defined;
    tokens.push_back(std::move(token));
  }
  return AddedTokens(std::move(tokens), [](std::string_view text) { return std::string(text); });
}

// The tokens for which keep(type) holds.
template <class F>
TextTable table_of(const Vocabulary& vocabulary, F keep) {
  std::vector<TextTable::Entry> entries;
  entries.reserve(vocabulary.texts.size());
  for (std::size_t i = 0; i < vocabulary.texts.size(); ++i) {
    if (keep(vocabulary.types[i])) {
      entries.push_back({static_cast<TokenId>(i), vocabulary.texts[i]});
    }
  }
  return TextTable(entries);
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

// Rank of each token as the result of a merge: higher scores first, equal ones alike.
std::vector<std::uint32_t> score_ranks(const std::vector<float>& scores) {
  std::vector<float> order = scores;
  std::ranges::sort(order, std::greater<>());
  order.erase(std::unique(order.begin(), order.end()), order.end());
  std::vector<std::uint32_t> ranks(scores.size());
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const auto at = std::ranges::lower_bound(order, scores[i], std::greater<>());
    ranks[i] = static_cast<std::uint32_t>(at - order.begin());
  }
  return ranks;
}

// SentencePiece joins any two neighbours whose text together is a token, the highest score first:
// every way to cut a token in two tokens is a merge.
std::vector<Merges::Merge> merges_by_score(const GgufMetadata& metadata,
                                           const Vocabulary& vocabulary, const TextTable& pieces) {
  constexpr std::string_view kScores = "tokenizer.ggml.scores";
  const auto scores = metadata.floats(kScores);
  if (!scores) refuse(metadata, kScores, "an array of scores", "none");
  check_count(metadata, kScores, vocabulary.texts.size(), scores->size());
  if (std::ranges::any_of(*scores, [](float score) { return std::isnan(score); })) {
    refuse(metadata, kScores, "numbers", "NaN");
  }
  const std::vector<std::uint32_t> ranks = score_ranks(*scores);
  std::vector<Merges::Merge> merges;
  for (TokenId id = 0; id < pieces.size(); ++id) {
    const std::string_view text = pieces.text(id);
    if (text.empty() || text.size() > kLongestMerged || !is_valid_utf8(text)) continue;
    for (std::size_t cut = code_point_at(text, 0).size; cut < text.size();
         cut += code_point_at(text, cut).size) {
      const auto left = pieces.find(text.substr(0, cut));
      const auto right = pieces.find(text.substr(cut));
      if (left && right) {
        merges.push_back({*left, *right, id, ranks[static_cast<std::size_t>(id)]});
      }
    }
  }
  return merges;
}

// What both models have in common; the steps are filled in by the caller.
TokenizerParts common_parts(const Vocabulary& vocabulary, Bpe bpe, Decoder decoder) {
  return {.spellings = table_of(vocabulary, [](TokenType) { return true; }),
          .added = added_tokens(vocabulary),
          .normalizer = {},
          .pre_tokenizer = {},
          .bpe = std::move(bpe),
          .decoder = std::move(decoder),
          .framing = {},
          .config_framing = {},
          .bos = std::nullopt,
          .end_ids = {},
          .bos_text = {},
          .eos_text = {},
          .chat_template = {},
          .description = {}};
}

struct Defaults {
  bool adds_bos;
  std::optional<TokenId> bos;
  std::optional<TokenId> eos;
};

TokenizerParts sentence_piece_parts(const GgufMetadata& metadata, const Vocabulary& vocabulary) {
  const bool prefix = metadata.boolean("tokenizer.ggml.add_space_prefix").value_or(true);
  TextTable pieces = table_of(vocabulary, [](TokenType type) {
    return type == TokenType::normal || type == TokenType::user_defined ||
           type == TokenType::undefined;
  });
  const std::vector<Merges::Merge> merges = merges_by_score(metadata, vocabulary, pieces);
  Bpe::Options options;
  options.byte_fallback = true;
  options.fuse_unknown = true;
  const auto unknown = metadata.integer("tokenizer.ggml.unknown_token_id");
  options.unknown =
      unknown ? token_key(metadata, "unknown", vocabulary.texts.size()) : std::optional(0);
  // Byte tokens take part as what unknown characters become, not in merges.
  Bpe bpe(
      table_of(vocabulary,
               [](TokenType type) { return !is_added(type) || type == TokenType::user_defined; }),
      merges, options);
  TokenizerParts parts = common_parts(vocabulary, std::move(bpe), Decoder::sentence_piece(prefix));
  if (prefix) parts.normalizer.add(Normalizer::prepend(std::string(kSpaceMark)));
  parts.normalizer.add(Normalizer::replace(" ", std::string(kSpaceMark)));
  parts.description = fmt::format("SentencePiece-style BPE, {} tokens", vocabulary.texts.size());
  return parts;
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
  const TextTable spellings = table_of(vocabulary, [](TokenType) { return true; });
  const std::vector<Merges::Merge> merges = read_merges(metadata, spellings);
  Bpe::Options options;
  options.bytes = true;
  options.ignore_merges = pre.ignore_merges;
  // A byte that is no token vanishes, whatever unknown_token_id says.
  const TextTable model = table_of(vocabulary, [](TokenType type) { return !is_added(type); });
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

  std::vector<TokenId> ends = known_end_ids([&parts](std::string_view text) {
    const auto id = parts.spellings.find(text);
    return id ? parts.added.find(*id) : nullptr;
  });
  if (eos) ends.push_back(*eos);
  for (const char* name : {"eot", "eom", "fim_pad", "fim_rep", "fim_sep"}) {
    if (const auto id = token_key(metadata, name, count)) ends.push_back(*id);
  }
  parts.end_ids = sorted_ids(std::move(ends));
}

}  // namespace

TokenizerParts read_gguf_tokenizer(const GgufMetadata& metadata) {
  constexpr std::string_view kModel = "tokenizer.ggml.model";
  const std::string_view model = metadata.string(kModel).value_or("none");
  if (model != "gpt2" && model != "llama") {
    refuse(metadata, kModel, "gpt2 or llama",
           fmt::format("'{}'", repair_utf8(model.substr(0, 100))));
  }
  const Vocabulary vocabulary = read_vocabulary(metadata);
  Defaults defaults{true, 1, 2};
  TokenizerParts parts = [&] {
    if (model == "llama") return sentence_piece_parts(metadata, vocabulary);
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
  parts.chat_template =
      repair_utf8(metadata.string("tokenizer.chat_template").value_or(std::string_view()));
  return parts;
}

}  // namespace rbee
