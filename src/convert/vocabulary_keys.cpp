#include "convert/vocabulary_keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "base/load_error.hpp"
#include "convert/canonical_merges.hpp"
#include "tokenizer/byte_alphabet.hpp"
#include "tokenizer/pre_tokenizer_names.hpp"
#include "tokenizer/sentence_pieces.hpp"

namespace rbee {
namespace {

enum class Model : unsigned char { byte_level, sentence_piece, rwkv };

Model model_of(const TokenizerParts& parts, const std::string& file) {
  if (std::holds_alternative<LongestMatch>(parts.model)) return Model::rwkv;
  const auto* bpe = std::get_if<Bpe>(&parts.model);
  if (bpe != nullptr && bpe->options().bytes) return Model::byte_level;
  if (bpe != nullptr && bpe->options().byte_fallback) return Model::sentence_piece;
  throw LoadError(file, "vocabulary",
                  "byte-level BPE, SentencePiece's BPE or RWKV's, to be written to GGUF",
                  parts.description);
}

const Bpe& bpe_of(const TokenizerParts& parts) { return std::get<Bpe>(parts.model); }

struct Tokens {
  std::vector<std::string> texts;
  std::vector<std::int32_t> types;
};

PieceType type_of(const TokenizerParts& parts, Model model, TokenId id, std::string_view text) {
  if (model == Model::sentence_piece) {
    if (id == parts.unknown.value_or(bpe_of(parts).options().unknown.value_or(-1))) {
      return PieceType::unknown;
    }
    if (byte_of_token(text)) return PieceType::byte;
  }
  const AddedToken* added = parts.added.find(id);
  if (added == nullptr) return PieceType::normal;
  return added->special ? PieceType::control : PieceType::user_defined;
}

Tokens tokens_of(const TokenizerParts& parts, Model model, std::size_t rows) {
  Tokens tokens;
  for (std::size_t i = 0; i < rows; ++i) {
    const auto id = static_cast<TokenId>(i);
    if (parts.spellings.contains(id)) {
      const std::string_view text = parts.spellings.text(id);
      tokens.texts.emplace_back(text);
      tokens.types.push_back(static_cast<std::int32_t>(type_of(parts, model, id, text)));
    } else {
      tokens.texts.push_back(fmt::format("[PAD{}]", id));
      tokens.types.push_back(static_cast<std::int32_t>(PieceType::unused));
    }
  }
  return tokens;
}

std::vector<std::string> merge_lines(const TokenizerParts& parts) {
  std::vector<std::string> lines;
  for (const Merges::Merge& merge : canonical_merges(bpe_of(parts))) {
    lines.push_back(
        fmt::format("{} {}", parts.spellings.text(merge.left), parts.spellings.text(merge.right)));
  }
  return lines;
}

// Of tokens that come about by merging: the earlier, the higher. Those of others are never asked.
std::vector<float> scores_of(const TokenizerParts& parts, std::size_t rows) {
  constexpr float kNever = -1e6F;
  std::vector<float> scores(rows, kNever);
  for (const Merges::Merge& merge : bpe_of(parts).merges().all()) {
    const auto id = static_cast<std::size_t>(merge.result);
    if (id < rows) scores[id] = std::max(scores[id], -static_cast<float>(merge.rank));
  }
  return scores;
}

// Whether text at the start gets a space, which SentencePiece spells as a mark.
bool adds_space(const TokenizerParts& parts) {
  Pieces pieces;
  pieces.text = parts.normalizer.apply("a");
  pieces.ranges = {{0, pieces.text.size()}};
  parts.pre_tokenizer.apply(pieces);
  const std::string_view first =
      pieces.ranges.empty() ? std::string_view() : pieces.view(pieces.ranges.front());
  return first.starts_with(kSpaceMark) || first.starts_with(' ') || first.starts_with("\u0120");
}

void set_id(const char* name, std::optional<TokenId> id, std::size_t rows, GgufKeys& keys) {
  if (!id || *id < 0 || static_cast<std::size_t>(*id) >= rows) return;
  keys.set(fmt::format("tokenizer.ggml.{}_token_id", name), static_cast<std::uint32_t>(*id));
}

// Readers know most tokens that end a turn by their texts; one that they may not is named.
void set_ends(const TokenizerParts& parts, std::optional<TokenId> eos, std::size_t rows,
              GgufKeys& keys) {
  const char* names[] = {"eot", "eom"};
  std::size_t used = 0;
  for (const TokenId id : parts.end_ids) {
    if (id != eos && used < std::size(names)) set_id(names[used++], id, rows, keys);
  }
}

void set_boundaries(const TokenizerParts& parts, Model model, std::size_t rows, GgufKeys& keys) {
  const auto eos = parts.spellings.find(parts.eos_text);
  set_id("bos", parts.bos, rows, keys);
  set_id("eos", eos, rows, keys);
  if (model == Model::rwkv) {
    return set_id("eot", parts.spellings.find("\\n\\n"), rows, keys);  // between turns
  }
  set_ends(parts, eos, rows, keys);
  auto unknown = parts.unknown;
  if (!unknown && std::holds_alternative<Bpe>(parts.model)) {
    unknown = bpe_of(parts).options().unknown;
  }
  set_id("unknown", unknown, rows, keys);
  set_id("padding", parts.padding, rows, keys);
  const auto& [before, after] = parts.config_framing;
  const auto has = [](const std::vector<TokenId>& ids, std::optional<TokenId> id) {
    return id && std::ranges::find(ids, *id) != ids.end();
  };
  keys.set("tokenizer.ggml.add_bos_token", has(before, parts.bos));
  keys.set("tokenizer.ggml.add_eos_token", has(after, eos));
}

}  // namespace

void add_vocabulary_keys(const TokenizerParts& parts, const std::string& file, std::size_t rows,
                         GgufKeys& keys, std::vector<std::string>& warnings) {
  const Model model = model_of(parts, file);
  if (static_cast<std::size_t>(parts.spellings.size()) > rows) {
    warnings.push_back(
        fmt::format("the vocabulary has {} tokens, the embedding {} rows: the "
                    "tokens beyond are left out",
                    parts.spellings.size(), rows));
  }
  keys.set("tokenizer.ggml.model", model == Model::rwkv             ? "rwkv"
                                   : model == Model::sentence_piece ? "llama"
                                                                    : "gpt2");
  if (model == Model::byte_level) {
    const auto name = gguf_pre_tokenizer_name(parts);
    if (!name) {
      warnings.emplace_back(
          "GGUF has no name for how the vocabulary cuts text into words: 'default' stands in "
          "tokenizer.ggml.pre, and some texts will get other tokens");
    }
    keys.set("tokenizer.ggml.pre", name.value_or("default"));
  } else if (model == Model::sentence_piece) {
    keys.set("tokenizer.ggml.pre", "default");
  }
  const Tokens tokens = tokens_of(parts, model, rows);
  keys.set("tokenizer.ggml.tokens", std::span<const std::string>(tokens.texts));
  keys.set("tokenizer.ggml.token_type", std::span<const std::int32_t>(tokens.types));
  if (model == Model::byte_level) {
    const auto lines = merge_lines(parts);
    keys.set("tokenizer.ggml.merges", std::span<const std::string>(lines));
  } else if (model == Model::sentence_piece) {
    const auto scores = scores_of(parts, rows);
    keys.set("tokenizer.ggml.scores", std::span<const float>(scores));
  }
  if (model != Model::rwkv && (model == Model::sentence_piece || adds_space(parts))) {
    keys.set("tokenizer.ggml.add_space_prefix", adds_space(parts));
  }
  set_boundaries(parts, model, rows, keys);
  if (!parts.chat_template.empty()) keys.set("tokenizer.chat_template", parts.chat_template);
}

}  // namespace rbee
