#include "tokenizer/tokenizer_json.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/load_error.hpp"
#include "base/mapped_file.hpp"
#include "tokenizer/byte_alphabet.hpp"
#include "tokenizer/config_tokens.hpp"
#include "tokenizer/json_spec.hpp"
#include "tokenizer/post_processor.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

namespace ondemand = simdjson::ondemand;

// The large parts of the file as simdjson finds them, the small ones as JSON values.
struct Document {
  std::string vocabulary_block;  // texts of the vocabulary, back to back
  struct Token {
    std::size_t begin;
    std::size_t size;
    TokenId id;
  };
  std::vector<Token> vocabulary;
  Json model = Json::object();  // its members but vocab and merges
  std::vector<double> scores;   // by id, for Unigram; its ids are the places in the array
  bool has_vocabulary = false;
  bool has_merges = false;
  Json normalizer, pre_tokenizer, post_processor, decoder;
  Json added_tokens = Json::array();
};

[[noreturn]] void refuse(const std::string& file, std::string field, std::string expected,
                         std::string found) {
  throw LoadError(file, std::move(field), std::move(expected), std::move(found));
}

Json small_json(ondemand::value value, const std::string& file, const std::string& field) {
  const std::string_view raw = simdjson::to_json_string(value);
  try {
    return parse_json(raw);
  } catch (const JsonError& error) {
    refuse(file, field, "JSON", error.what());
  }
}

void read_vocabulary(ondemand::value value, const std::string& file, Document& document) {
  document.has_vocabulary = true;
  for (auto field : value.get_object()) {
    const std::string_view text = field.unescaped_key();
    const std::int64_t id = field.value().get_int64();
    if (id < 0 || id > kHighestTokenId) {
      refuse(file, "model.vocab", fmt::format("ids from 0 to {}", kHighestTokenId),
             std::to_string(id));
    }
    document.vocabulary.push_back(
        {document.vocabulary_block.size(), text.size(), static_cast<TokenId>(id)});
    document.vocabulary_block.append(text);
  }
}

// [["text", score], ...]
void read_scored_vocabulary(ondemand::value value, const std::string& file, Document& document) {
  for (auto one : value.get_array()) {
    const std::size_t id = document.scores.size();
    std::size_t count = 0;
    for (auto part : one.get_array()) {
      if (count == 0) {
        const std::string_view text = part.get_string();
        document.vocabulary.push_back(
            {document.vocabulary_block.size(), text.size(), static_cast<TokenId>(id)});
        document.vocabulary_block.append(text);
      } else if (count == 1) {
        document.scores.push_back(part.get_double());
      }
      ++count;
    }
    if (count != 2 || id > static_cast<std::size_t>(kHighestTokenId)) {
      refuse(file, fmt::format("model.vocab[{}]", id), "a text and a score", "other");
    }
  }
}

void read_model(ondemand::value value, const std::string& file, Document& document) {
  for (auto field : value.get_object()) {
    const std::string key(std::string_view(field.unescaped_key()));
    if (key == "vocab") {
      ondemand::value vocabulary = field.value();
      if (vocabulary.type() == ondemand::json_type::object) {
        read_vocabulary(vocabulary, file, document);
      } else if (vocabulary.type() == ondemand::json_type::array) {
        read_scored_vocabulary(vocabulary, file, document);
      }
    } else if (key == "merges") {
      document.has_merges = true;
    } else {
      document.model[key] = small_json(field.value(), file, fmt::format("model.{}", key));
    }
  }
}

Document read_document(ondemand::document& json, const std::string& file) {
  Document document;
  for (auto field : json.get_object()) {
    const std::string key(std::string_view(field.unescaped_key()));
    if (key == "model") {
      read_model(field.value(), file, document);
    } else if (key == "added_tokens") {
      document.added_tokens = small_json(field.value(), file, key);
    } else if (key == "normalizer") {
      document.normalizer = small_json(field.value(), file, key);
    } else if (key == "pre_tokenizer") {
      document.pre_tokenizer = small_json(field.value(), file, key);
    } else if (key == "post_processor") {
      document.post_processor = small_json(field.value(), file, key);
    } else if (key == "decoder") {
      document.decoder = small_json(field.value(), file, key);
    }
  }
  return document;
}

TokenId token_of(const TextTable& vocabulary, std::string_view text, const std::string& file) {
  const auto id = vocabulary.find(text);
  if (!id) {
    refuse(file, "model.merges", "tokens of the vocabulary", fmt::format("'{}'", text));
  }
  return *id;
}

// A merge is "left right" or ["left", "right"].
void read_merge(ondemand::value value, const TextTable& vocabulary, const std::string& file,
                std::vector<Merges::Merge>& merges) {
  std::string left;
  std::string right;
  if (value.type() == ondemand::json_type::string) {
    const std::string_view line = value.get_string();
    if (line.starts_with("#version")) return;
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
      refuse(file, "model.merges", "two tokens with a space between", std::string(line));
    }
    left = line.substr(0, space);
    right = line.substr(space + 1);
  } else {
    std::size_t count = 0;
    for (auto half : value.get_array()) {
      const std::string_view text = half.get_string();
      if (count < 2) (count == 0 ? left : right) = text;
      ++count;
    }
    if (count != 2) {
      refuse(file, "model.merges", "pairs of tokens", fmt::format("{} tokens", count));
    }
  }
  const TokenId left_id = token_of(vocabulary, left, file);
  const TokenId right_id = token_of(vocabulary, right, file);
  const TokenId result = token_of(vocabulary, left + right, file);
  merges.push_back({left_id, right_id, result, static_cast<std::uint32_t>(merges.size())});
}

std::vector<Merges::Merge> read_merges(ondemand::document& json, const TextTable& vocabulary,
                                       const std::string& file) {
  std::vector<Merges::Merge> merges;
  json.rewind();
  for (auto value : json.get_object()["model"]["merges"].get_array()) {
    read_merge(value.value(), vocabulary, file, merges);
  }
  return merges;
}

enum class Kind : std::uint8_t { bpe, unigram, word_level };

// Which model it is. Throws LoadError for others and for what is missing.
Kind check_model(const Document& document, const std::string& file) {
  const JsonSpec spec(document.model, file, "model");
  // Files from before 0.8 have no type: then only BPE has both a vocabulary and merges.
  const std::string type = spec.has("type")      ? spec.string("type")
                           : document.has_merges ? "BPE"
                                                 : "a model without a type or merges";
  if (type == "Unigram") {
    if (document.scores.empty() || document.has_vocabulary) {
      spec.refuse("vocab", "an array of tokens and scores", "another value");
    }
    return Kind::unigram;
  }
  if (type != "BPE" && type != "WordLevel") spec.refuse("type", "BPE, Unigram or WordLevel", type);
  if (!document.has_vocabulary || !document.scores.empty()) {
    spec.refuse("vocab", "an object of tokens and ids", "another value");
  }
  if (type == "WordLevel") return Kind::word_level;
  if (!document.has_merges) spec.refuse("merges", "an array", "none");
  for (const std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (spec.has(key) && !spec.string(key).empty()) spec.refuse(key, "none", spec.string(key));
  }
  if (spec.has("dropout") && spec.member("dropout").json() != 0.0) {
    spec.refuse("dropout", "none", "random merges");
  }
  return Kind::bpe;
}

std::vector<TextTable::Entry> entries_of(const Document& document) {
  std::vector<TextTable::Entry> entries;
  entries.reserve(document.vocabulary.size());
  const std::string_view block = document.vocabulary_block;
  for (const Document::Token& token : document.vocabulary) {
    entries.push_back({token.id, block.substr(token.begin, token.size)});
  }
  return entries;
}

// Added tokens that the model has keep its ids; the others have those of the file.
std::vector<AddedToken> read_added_tokens(const Document& document, const TextTable& vocabulary,
                                          const std::string& file) {
  std::vector<AddedToken> tokens;
  for (const JsonSpec& spec : JsonSpec(document.added_tokens, file, "added_tokens").elements()) {
    AddedToken token = read_added_token(spec, spec.integer("id"));
    if (token.content.empty()) continue;
    token.id = vocabulary.find(token.content).value_or(token.id);
    tokens.push_back(std::move(token));
  }
  return tokens;
}

Bpe::Options model_options(const Document& document, const TextTable& vocabulary, bool bytes,
                           const std::string& file) {
  const JsonSpec spec(document.model, file, "model");
  Bpe::Options options;
  options.bytes = bytes;
  options.ignore_merges = spec.boolean("ignore_merges", false);
  options.byte_fallback = spec.boolean("byte_fallback", false);
  options.fuse_unknown = spec.boolean("fuse_unk", false);
  if (spec.has("unk_token")) options.unknown = vocabulary.find(spec.string("unk_token"));
  return options;
}

// Ids may have gaps, but not so wide that a small file makes large tables.
void check_gaps(const std::vector<TextTable::Entry>& entries, const std::string& file) {
  constexpr std::size_t kSpare = 65536;
  TokenId highest = 0;
  for (const TextTable::Entry& entry : entries) highest = std::max(highest, entry.id);
  if (static_cast<std::size_t>(highest) > kSpare + 8 * entries.size()) {
    refuse(file, "model.vocab", "ids without wide gaps",
           fmt::format("the id {} with {} tokens", highest, entries.size()));
  }
}

void check_framing(const Framing& framing, const TextTable& spellings, const std::string& file) {
  for (const auto* ids : {&framing.before, &framing.after}) {
    for (const TokenId id : *ids) {
      if (!spellings.contains(id)) {
        refuse(file, "post_processor", "ids of the vocabulary", std::to_string(id));
      }
    }
  }
}

// All tokens by id: the model's and the added ones.
TextTable all_spellings(std::vector<TextTable::Entry> entries, const AddedTokens& added,
                        const std::string& file) {
  for (const AddedToken& token : added.tokens()) entries.push_back({token.id, token.content});
  check_gaps(entries, file);
  return TextTable(entries);
}

Unigram read_unigram(const Document& document, const std::vector<TextTable::Entry>& entries,
                     const TextTable& vocabulary, const std::string& file) {
  const JsonSpec spec(document.model, file, "model");
  Unigram::Options options;
  options.reference = Unigram::Reference::hugging_face;
  options.byte_fallback = spec.boolean("byte_fallback", false);
  options.bytes.fill(-1);
  options.lowest_score = std::ranges::min(document.scores);
  if (spec.has("unk_id")) {
    const std::int64_t id = spec.integer("unk_id");
    if (id < 0 || static_cast<std::size_t>(id) >= entries.size()) {
      spec.refuse("unk_id", "an id of the vocabulary", std::to_string(id));
    }
    options.unknown = static_cast<TokenId>(id);
  }
  for (int byte = 0; byte < 256; ++byte) {
    const auto id = vocabulary.find(fmt::format("<0x{:02X}>", byte));
    options.bytes[static_cast<std::size_t>(byte)] = id.value_or(-1);
  }
  std::vector<Unigram::Token> tokens;
  for (const TextTable::Entry& entry : entries) {
    const double score = document.scores[static_cast<std::size_t>(entry.id)];
    tokens.push_back({entry.id, entry.text, score});
  }
  return {tokens, options};
}

WordLevel read_word_level(const Document& document, TextTable vocabulary, const std::string& file) {
  const JsonSpec spec(document.model, file, "model");
  std::optional<TokenId> unknown;
  if (spec.has("unk_token")) unknown = vocabulary.find(spec.string("unk_token"));
  return {std::move(vocabulary), unknown};
}

TokenizerParts assemble(const Document& document, Kind kind, ondemand::document& json,
                        const std::string& file) {
  const std::vector<TextTable::Entry> entries = entries_of(document);
  check_gaps(entries, file);
  TextTable vocabulary(entries);
  Normalizer normalizer(JsonSpec(document.normalizer, file, "normalizer"));
  PreTokenizer pre_tokenizer(JsonSpec(document.pre_tokenizer, file, "pre_tokenizer"),
                             kind == Kind::bpe);
  AddedTokens added(read_added_tokens(document, vocabulary, file),
                    [&](std::string_view text) { return normalizer.apply(text); });
  TextTable spellings = all_spellings(entries, added, file);
  const auto count = spellings.size();
  std::string description;
  PieceModel model = [&]() -> PieceModel {
    if (kind == Kind::unigram) {
      description = fmt::format("Unigram, {} tokens", count);
      return read_unigram(document, entries, vocabulary, file);
    }
    if (kind == Kind::word_level) {
      description = fmt::format("words, {} tokens", count);
      return read_word_level(document, std::move(vocabulary), file);
    }
    const bool bytes = pre_tokenizer.ends_in_bytes();
    const std::vector<Merges::Merge> merges = read_merges(json, vocabulary, file);
    const Bpe::Options options = model_options(document, vocabulary, bytes, file);
    Bpe bpe(bytes ? raw_vocabulary(vocabulary) : std::move(vocabulary), merges, options);
    description = fmt::format("{} BPE, {} tokens, {} merges",
                              options.byte_fallback ? "SentencePiece-style" : "byte-level", count,
                              bpe.merge_count());
    return PieceModel(std::move(bpe));
  }();
  TokenizerParts parts(std::move(model), Decoder(JsonSpec(document.decoder, file, "decoder")));
  parts.framing = read_post_processor(JsonSpec(document.post_processor, file, "post_processor"));
  check_framing(parts.framing, spellings, file);
  parts.config_framing = parts.framing;
  parts.spellings = std::move(spellings);
  parts.added = std::move(added);
  parts.normalizer = std::move(normalizer);
  parts.pre_tokenizer = std::move(pre_tokenizer);
  parts.description = std::move(description);
  return parts;
}

}  // namespace

TokenizerParts read_tokenizer_json(const std::string& file) {
  const MappedFile mapped(file);
  const auto bytes = mapped.bytes();
  return parse_tokenizer_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, file);
}

TokenizerParts parse_tokenizer_json(std::string_view json, const std::string& file) {
  try {
    const simdjson::padded_string padded(json);
    ondemand::parser parser;
    ondemand::document read = parser.iterate(padded);
    const Document document = read_document(read, file);
    return assemble(document, check_model(document, file), read, file);
  } catch (const simdjson::simdjson_error& error) {
    refuse(file, "(whole file)", "tokenizer JSON", error.what());
  }
}

}  // namespace rbee
