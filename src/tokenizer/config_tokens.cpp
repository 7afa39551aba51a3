#include "tokenizer/config_tokens.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/load_error.hpp"

namespace rbee {
namespace {

using TokensById = std::map<TokenId, AddedToken>;

std::int64_t id_of_key(const JsonSpec& spec, std::string_view key) {
  std::int64_t id = -1;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
  if (error != std::errc() || end != key.data() + key.size()) {
    spec.refuse("ids as keys", std::string(key));
  }
  return id;
}

// {"32000": {"content": "<|end|>", ...}}
void read_decoder(const JsonSpec& spec, TokensById& tokens) {
  if (!spec.json().is_object()) spec.refuse("an object", spec.json().type_name());
  for (const auto& [key, value] : spec.json().items()) {
    AddedToken token = read_added_token(spec.member(key), id_of_key(spec, key));
    token.normalized = false;
    if (!token.content.empty()) tokens[token.id] = std::move(token);
  }
}

// {"<|end|>": 32000}: says nothing else, so the tokens are special where the other file says so.
void read_added(const JsonSpec& spec, TokensById& tokens) {
  if (!spec.json().is_object()) spec.refuse("an object", spec.json().type_name());
  for (const auto& [key, value] : spec.json().items()) {
    const std::int64_t id = spec.integer(key);
    if (id < 0 || id > kHighestTokenId) {
      spec.refuse(key, fmt::format("an id from 0 to {}", kHighestTokenId), std::to_string(id));
    }
    if (key.empty() || key.size() > AddedTokens::kLongest) continue;
    AddedToken token;
    token.id = static_cast<TokenId>(id);
    token.content = key;
    tokens.emplace(token.id, std::move(token));
  }
}

// Tokens that have a role are special ones.
void read_roles(const JsonSpec& spec, const TextTable& spellings, TokensById& tokens) {
  const auto mark = [&](const JsonSpec& value) {
    const Json& json = value.json();
    std::string text;
    if (json.is_string()) text = json.get<std::string>();
    if (json.is_object() && value.has("content")) text = value.string("content");
    if (text.empty() || text.size() > AddedTokens::kLongest) return;
    for (auto& [id, token] : tokens) {
      if (token.content == text) token.special = true;
    }
    const auto id = spellings.find(text);
    if (!id) return;
    AddedToken token;
    token.id = *id;
    token.content = text;
    token.special = true;
    tokens.emplace(*id, std::move(token));
  };
  for (const char* role : {"bos_token", "eos_token", "unk_token", "pad_token", "sep_token",
                           "cls_token", "mask_token"}) {
    if (spec.has(role)) mark(spec.member(role));
  }
  if (!spec.has("additional_special_tokens")) return;
  for (const JsonSpec& one : spec.array("additional_special_tokens")) mark(one);
}

void check_gaps(const TokensById& tokens, const TextTable& spellings, const std::string& file) {
  constexpr std::size_t kSpare = 65536;
  const auto highest = static_cast<std::size_t>(tokens.rbegin()->first);
  const auto count = static_cast<std::size_t>(spellings.size()) + tokens.size();
  if (highest > kSpare + 8 * count) {
    throw LoadError(file, "added tokens", "ids without wide gaps",
                    fmt::format("the id {} with {} tokens", highest, count));
  }
}

void merge(TokensById tokens, TokenizerParts& parts) {
  std::vector<TextTable::Entry> entries;
  for (TokenId id = 0; id < parts.spellings.size(); ++id) {
    if (parts.spellings.contains(id)) entries.push_back({id, parts.spellings.text(id)});
  }
  for (const auto& [id, token] : tokens) entries.push_back({id, token.content});
  TextTable spellings(entries);
  for (const AddedToken& known : parts.added.tokens()) tokens.emplace(known.id, known);
  std::vector<AddedToken> all;
  for (auto& [id, token] : tokens) all.push_back(std::move(token));
  parts.added =
      AddedTokens(std::move(all), [](std::string_view text) { return std::string(text); });
  parts.spellings = std::move(spellings);
}

}  // namespace

AddedToken read_added_token(const JsonSpec& spec, std::int64_t id) {
  if (id < 0 || id > kHighestTokenId) {
    spec.refuse("id", fmt::format("an id from 0 to {}", kHighestTokenId), std::to_string(id));
  }
  AddedToken token;
  token.id = static_cast<TokenId>(id);
  token.content = spec.string("content");
  token.special = spec.boolean("special", false);
  token.single_word = spec.boolean("single_word", false);
  token.lstrip = spec.boolean("lstrip", false);
  token.rstrip = spec.boolean("rstrip", false);
  token.normalized = spec.boolean("normalized", !token.special);
  if (token.content.size() > AddedTokens::kLongest) {
    spec.refuse("content", fmt::format("at most {} bytes", AddedTokens::kLongest),
                fmt::format("{} bytes", token.content.size()));
  }
  return token;
}

void add_config_tokens(const std::filesystem::path& directory, TokenizerParts& parts) {
  TokensById tokens;
  const std::string config_file = (directory / "tokenizer_config.json").string();
  const auto config = read_json_file(config_file);
  if (config) {
    parts.finds_special_in_text = true;
    const JsonSpec spec(*config, config_file, "");
    if (spec.has("added_tokens_decoder")) read_decoder(spec.member("added_tokens_decoder"), tokens);
  }
  const std::string added_file = (directory / "added_tokens.json").string();
  if (const auto added = read_json_file(added_file)) {
    read_added(JsonSpec(*added, added_file, ""), tokens);
  }
  if (config) read_roles(JsonSpec(*config, config_file, ""), parts.spellings, tokens);
  const std::string map_file = (directory / "special_tokens_map.json").string();
  if (const auto map = read_json_file(map_file)) {
    read_roles(JsonSpec(*map, map_file, ""), parts.spellings, tokens);
  }
  if (tokens.empty()) return;
  check_gaps(tokens, parts.spellings, directory.string());
  merge(std::move(tokens), parts);
}

}  // namespace rbee
