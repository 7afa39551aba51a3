// tekken.json.
#include <fmt/format.h>
#include <simdjson.h>

#include <array>
#include <utility>

#include "base/load_error.hpp"
#include "base/mapped_file.hpp"
#include "tokenizer/base64.hpp"
#include "tokenizer/ranked_bytes.hpp"

namespace rbee {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr std::int64_t kMostTokens = 1 << 22;
constexpr std::int64_t kMostSpecial = 1 << 14;  // a number in the file makes them; real ones: 1000

// The special tokens of files from before they were written down (mistral-common, up to version 7).
constexpr std::array<std::string_view, 20> kEarlySpecial = {"<unk>",
                                                            "<s>",
                                                            "</s>",
                                                            "[INST]",
                                                            "[/INST]",
                                                            "[AVAILABLE_TOOLS]",
                                                            "[/AVAILABLE_TOOLS]",
                                                            "[TOOL_RESULTS]",
                                                            "[/TOOL_RESULTS]",
                                                            "[TOOL_CALLS]",
                                                            "[IMG]",
                                                            "<pad>",
                                                            "[IMG_BREAK]",
                                                            "[IMG_END]",
                                                            "[PREFIX]",
                                                            "[MIDDLE]",
                                                            "[SUFFIX]",
                                                            "[SYSTEM_PROMPT]",
                                                            "[/SYSTEM_PROMPT]",
                                                            "[TOOL_CONTENT]"};

struct TekkenFile {
  std::string pattern;
  std::int64_t size = 0;     // of the vocabulary, special tokens included
  std::int64_t special = 0;  // how many of them there are, unnamed ones included
  bool names_special = false;
  std::vector<std::string> special_names;
  std::vector<std::string> tokens;
};

[[noreturn]] void refuse(const std::string& file, std::string field, std::string expected,
                         std::string found) {
  throw LoadError(file, std::move(field), std::move(expected), std::move(found));
}

void read_config(ondemand::value value, TekkenFile& tekken) {
  for (auto field : value.get_object()) {
    const std::string_view key = field.unescaped_key();
    if (key == "pattern") {
      tekken.pattern = std::string(std::string_view(field.value().get_string()));
    } else if (key == "default_vocab_size") {
      tekken.size = field.value().get_int64();
    } else if (key == "default_num_special_tokens") {
      tekken.special = field.value().get_int64();
    }
  }
}

void read_vocabulary(ondemand::value value, const std::string& file, TekkenFile& tekken) {
  for (auto one : value.get_array()) {
    const std::string name = fmt::format("vocab[{}]", tekken.tokens.size());
    ondemand::object token = one.get_object();
    const std::int64_t rank = token.find_field_unordered("rank").get_int64();
    const std::string_view text = token.find_field_unordered("token_bytes").get_string();
    if (rank != static_cast<std::int64_t>(tekken.tokens.size())) {
      refuse(file, name + ".rank", "ranks in order", std::to_string(rank));
    }
    if (rank == kMostTokens) refuse(file, name, fmt::format("at most {}", kMostTokens), "more");
    auto bytes = decode_base64(text);
    if (!bytes) refuse(file, name + ".token_bytes", "base64", std::string(text.substr(0, 100)));
    tekken.tokens.push_back(std::move(*bytes));
  }
}

void read_special(ondemand::value value, const std::string& file, TekkenFile& tekken) {
  if (value.is_null()) return;
  tekken.names_special = true;
  for (auto one : value.get_array()) {
    const std::string name = fmt::format("special_tokens[{}]", tekken.special_names.size());
    ondemand::object token = one.get_object();
    const std::int64_t rank = token.find_field_unordered("rank").get_int64();
    const std::string_view text = token.find_field_unordered("token_str").get_string();
    if (rank != static_cast<std::int64_t>(tekken.special_names.size())) {
      refuse(file, name + ".rank", "ranks in order", std::to_string(rank));
    }
    if (text.empty() || text.size() > AddedTokens::kLongest) {
      refuse(file, name + ".token_str", fmt::format("1 to {} bytes", AddedTokens::kLongest),
             fmt::format("{} bytes", text.size()));
    }
    tekken.special_names.emplace_back(text);
  }
}

TekkenFile read_file(ondemand::document& json, const std::string& file) {
  TekkenFile tekken;
  for (auto field : json.get_object()) {
    const std::string_view key = field.unescaped_key();
    if (key == "config") {
      read_config(field.value(), tekken);
    } else if (key == "vocab") {
      read_vocabulary(field.value(), file, tekken);
    } else if (key == "special_tokens") {
      read_special(field.value(), file, tekken);
    }
  }
  if (!tekken.names_special) {
    tekken.special_names.assign(kEarlySpecial.begin(), kEarlySpecial.end());
  }
  if (tekken.special < static_cast<std::int64_t>(tekken.special_names.size()) ||
      tekken.special > kMostSpecial) {
    refuse(file, "config.default_num_special_tokens",
           fmt::format("{} to {}", tekken.special_names.size(), kMostSpecial),
           std::to_string(tekken.special));
  }
  const std::int64_t most = tekken.special + static_cast<std::int64_t>(tekken.tokens.size());
  if (tekken.size <= tekken.special || tekken.size > most) {
    refuse(file, "config.default_vocab_size", fmt::format("{} to {}", tekken.special + 1, most),
           std::to_string(tekken.size));
  }
  return tekken;
}

}  // namespace

TokenizerParts parse_tekken(std::string_view json, const std::string& file) {
  try {
    const simdjson::padded_string padded(json);
    ondemand::parser parser;
    ondemand::document document = parser.iterate(padded);
    TekkenFile tekken = read_file(document, file);
    RankedBytes vocabulary;
    vocabulary.first_id = static_cast<TokenId>(tekken.special);
    for (std::int64_t id = 0; id < tekken.special; ++id) {
      const auto index = static_cast<std::size_t>(id);
      AddedToken token;
      token.id = static_cast<TokenId>(id);
      token.special = true;
      token.content = index < tekken.special_names.size() ? tekken.special_names[index]
                                                          : fmt::format("<SPECIAL_{}>", id);
      vocabulary.special.push_back(std::move(token));
    }
    tekken.tokens.resize(static_cast<std::size_t>(tekken.size - tekken.special));
    vocabulary.tokens = std::move(tekken.tokens);
    const std::array<std::string_view, 1> patterns = {tekken.pattern};
    TokenizerParts parts =
        ranked_bytes_parts(std::move(vocabulary), patterns, file, "config.pattern");
    parts.finds_special_in_text = false;
    parts.bos = parts.spellings.find("<s>");
    if (parts.bos) {
      parts.bos_text = "<s>";
      parts.framing.before = parts.config_framing.before = {*parts.bos};
    }
    if (const auto eos = parts.spellings.find("</s>")) {
      parts.eos_text = "</s>";
      parts.end_ids = {*eos};
    }
    return parts;
  } catch (const simdjson::simdjson_error& error) {
    refuse(file, "(whole file)", "tekken JSON", error.what());
  }
}

TokenizerParts read_tekken(const std::string& file) {
  const MappedFile mapped(file);
  const auto bytes = mapped.bytes();
  return parse_tekken({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, file);
}

}  // namespace rbee
