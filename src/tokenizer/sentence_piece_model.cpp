#include "tokenizer/sentence_piece_model.hpp"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "base/load_error.hpp"
#include "base/mapped_file.hpp"
#include "tokenizer/protobuf.hpp"
#include "tokenizer/sentence_piece_normalizer.hpp"
#include "tokenizer/sentence_pieces.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

constexpr std::size_t kMostPieces = std::size_t{1} << 22;

// What we read of TrainerSpec, with its defaults.
struct Trainer {
  enum class Model : std::uint8_t { unigram = 1, bpe = 2 };
  Model model = Model::unigram;
  bool byte_fallback = false;
  bool whitespace_as_suffix = false;
  std::int64_t unknown = 0;
  std::int64_t bos = 1;
  std::int64_t eos = 2;
};

struct ModelFile {
  SentencePieces pieces;
  Trainer trainer;
  SentencePieceNormalizer normalizer;
};

void read_piece(std::string_view message, const std::string& file, SentencePieces& pieces) {
  const std::string name = fmt::format("pieces[{}]", pieces.texts.size());
  if (pieces.texts.size() == kMostPieces) {
    throw LoadError(file, name, fmt::format("at most {} pieces", kMostPieces), "more");
  }
  ProtobufReader reader(message, file, name);
  std::string_view text;
  float score = 0;
  std::int64_t type = 1;
  while (const auto field = reader.next()) {
    if (field->number == 1) text = reader.bytes(*field);
    if (field->number == 2) score = reader.real(*field);
    if (field->number == 3) type = reader.integer(*field);
  }
  if (!std::isfinite(score)) {
    throw LoadError(file, name + ".score", "a finite number", std::to_string(score));
  }
  if (type < 1 || type > 6) {
    throw LoadError(file, name + ".type", "types from 1 to 6", std::to_string(type));
  }
  if (!is_valid_utf8(text)) throw LoadError(file, name + ".piece", "UTF-8", repair_utf8(text));
  pieces.texts.push_back(text);
  pieces.scores.push_back(score);
  pieces.types.push_back(static_cast<PieceType>(type));
}

Trainer read_trainer(std::string_view message, const std::string& file) {
  Trainer trainer;
  ProtobufReader reader(message, file, "trainer_spec");
  while (const auto field = reader.next()) {
    switch (field->number) {
      case 3: {
        const std::int64_t type = reader.integer(*field);
        if (type != 1 && type != 2) {
          throw LoadError(file, "trainer_spec.model_type", "1 (Unigram) or 2 (BPE)",
                          std::to_string(type));
        }
        trainer.model = static_cast<Trainer::Model>(type);
        break;
      }
      case 24:
        trainer.whitespace_as_suffix = reader.boolean(*field);
        break;
      case 35:
        trainer.byte_fallback = reader.boolean(*field);
        break;
      case 40:
        trainer.unknown = reader.integer(*field);
        break;
      case 41:
        trainer.bos = reader.integer(*field);
        break;
      case 42:
        trainer.eos = reader.integer(*field);
        break;
      default:
        break;
    }
  }
  return trainer;
}

SentencePieceNormalizer read_normalizer(std::string_view message, const std::string& file) {
  SentencePieceNormalizer normalizer;
  ProtobufReader reader(message, file, "normalizer_spec");
  while (const auto field = reader.next()) {
    switch (field->number) {
      case 2:
        normalizer.rules = std::make_shared<const CharsMap>(reader.bytes(*field), file,
                                                            "normalizer_spec.precompiled_charsmap");
        break;
      case 3:
        normalizer.add_dummy_prefix = reader.boolean(*field);
        break;
      case 4:
        normalizer.remove_extra_whitespaces = reader.boolean(*field);
        break;
      case 5:
        normalizer.escape_whitespaces = reader.boolean(*field);
        break;
      default:
        break;
    }
  }
  return normalizer;
}

ModelFile read_model(std::string_view bytes, const std::string& file) {
  ModelFile model;
  ProtobufReader reader(bytes, file, "(whole file)");
  while (const auto field = reader.next()) {
    if (field->number == 1) read_piece(reader.bytes(*field), file, model.pieces);
    if (field->number == 2) model.trainer = read_trainer(reader.bytes(*field), file);
    if (field->number == 3) model.normalizer = read_normalizer(reader.bytes(*field), file);
  }
  if (model.pieces.texts.empty()) throw LoadError(file, "pieces", "a vocabulary", "none");
  return model;
}

// The piece of that id, when it is a control piece: files without BOS have -1 there.
std::optional<TokenId> boundary(const SentencePieces& pieces, std::int64_t id) {
  if (id < 0 || static_cast<std::size_t>(id) >= pieces.texts.size()) return std::nullopt;
  if (pieces.types[static_cast<std::size_t>(id)] != PieceType::control) return std::nullopt;
  return static_cast<TokenId>(id);
}

// Control pieces and the unknown one are special tokens. With BPE, user-defined pieces are found
// before the model runs; Unigram prefers them by itself.
std::vector<AddedToken> added_tokens(const SentencePieces& pieces, bool bpe) {
  std::vector<AddedToken> added;
  for (std::size_t i = 0; i < pieces.texts.size(); ++i) {
    const PieceType type = pieces.types[i];
    const bool special = type == PieceType::control || type == PieceType::unknown;
    if (!special && !(bpe && type == PieceType::user_defined)) continue;
    if (pieces.texts[i].empty() || pieces.texts[i].size() > AddedTokens::kLongest) continue;
    AddedToken token;
    token.id = static_cast<TokenId>(i);
    token.content = pieces.texts[i];
    token.special = special;
    token.normalized = !special;
    added.push_back(std::move(token));
  }
  return added;
}

void set_normalizer(ModelFile& model, TokenizerParts& parts) {
  std::vector<TextTable::Entry> symbols;
  for (std::size_t i = 0; i < model.pieces.texts.size(); ++i) {
    if (model.pieces.types[i] == PieceType::user_defined) {
      symbols.push_back({static_cast<TokenId>(i), model.pieces.texts[i]});
    }
  }
  if (!symbols.empty()) {
    model.normalizer.symbols = std::make_shared<const TokenTrie>(std::move(symbols));
  }
  model.normalizer.treat_whitespace_as_suffix = model.trainer.whitespace_as_suffix;
  parts.normalizer.add(
      [normalizer = model.normalizer](std::string& text) { text = normalizer.apply(text); });
}

}  // namespace

TokenizerParts parse_sentence_piece_model(std::string_view bytes, const std::string& file) {
  ModelFile model = read_model(bytes, file);
  SentencePieces& pieces = model.pieces;
  const Trainer& trainer = model.trainer;
  pieces.byte_fallback = trainer.byte_fallback;
  if (trainer.unknown >= 0 && static_cast<std::size_t>(trainer.unknown) < pieces.texts.size()) {
    pieces.unknown = static_cast<TokenId>(trainer.unknown);
  }
  const bool bpe = trainer.model == Trainer::Model::bpe;
  const bool strips =
      model.normalizer.add_dummy_prefix || model.normalizer.remove_extra_whitespaces;
  TokenizerParts parts(
      bpe ? PieceModel(bpe_by_scores(pieces)) : PieceModel(unigram_by_scores(pieces)),
      Decoder::sentence_piece(strips));
  parts.spellings = table_of(pieces.texts, pieces.types, [](PieceType) { return true; });
  parts.added = AddedTokens(added_tokens(pieces, bpe),
                            [](std::string_view text) { return std::string(text); });
  set_normalizer(model, parts);
  parts.finds_special_in_text = false;
  parts.bos = boundary(pieces, trainer.bos);
  if (parts.bos) {
    parts.bos_text = pieces.texts[static_cast<std::size_t>(*parts.bos)];
    parts.framing.before = parts.config_framing.before = {*parts.bos};
  }
  if (const auto eos = boundary(pieces, trainer.eos)) {
    parts.eos_text = pieces.texts[static_cast<std::size_t>(*eos)];
    parts.end_ids = {*eos};
  }
  parts.description =
      fmt::format("SentencePiece {}, {} tokens", bpe ? "BPE" : "Unigram", pieces.texts.size());
  return parts;
}

TokenizerParts read_sentence_piece_model(const std::string& file) {
  const MappedFile mapped(file);
  const auto bytes = mapped.bytes();
  return parse_sentence_piece_model({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                                    file);
}

}  // namespace rbee
