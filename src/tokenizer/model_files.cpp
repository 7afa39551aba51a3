#include "tokenizer/model_files.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>

#include "base/mapped_file.hpp"
#include "tokenizer/end_tokens.hpp"
#include "tokenizer/json_spec.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

// A JSON file that may be missing, in which case it reads as an empty object.
class OptionalFile {
 public:
  OptionalFile(const std::filesystem::path& directory, const char* name)
      : file_((directory / name).string()),
        json_(read_json_file(file_).value_or(Json(Json::object()))) {
    if (!json_.is_object()) spec().refuse("an object", json_.type_name());
  }
  JsonSpec spec() const { return {json_, file_, ""}; }

 private:
  std::string file_;
  Json json_;
};

// A token as a string or as {"content": "..."}.
std::optional<std::string> token_text(const JsonSpec& spec, std::string_view key) {
  if (!spec.has(key)) return std::nullopt;
  const JsonSpec token = spec.member(key);
  return token.json().is_object() ? token.string("content") : spec.string(key);
}

// An id or a list of ids. Models without such a token may have -1 or other odd values: left out.
std::vector<TokenId> token_ids(const JsonSpec& spec, std::string_view key) {
  std::vector<TokenId> ids;
  const auto add = [&ids](const Json& value) {
    if (!value.is_number_integer()) return;
    const auto id = value.get<std::int64_t>();
    if (id >= 0 && id <= std::numeric_limits<TokenId>::max()) {
      ids.push_back(static_cast<TokenId>(id));
    }
  };
  if (!spec.has(key)) return ids;
  const Json& value = spec.member(key).json();
  if (value.is_array()) {
    for (const Json& one : value) add(one);
  } else {
    add(value);
  }
  return ids;
}

std::string file_text(const std::filesystem::path& path) {
  const MappedFile mapped(path);
  const auto bytes = mapped.bytes();
  return repair_utf8({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

// A template, or a list of named ones of which "default" is meant.
std::string template_of(const JsonSpec& spec) {
  if (!spec.has("chat_template")) return {};
  const JsonSpec found = spec.member("chat_template");
  if (found.json().is_string()) return spec.string("chat_template");
  std::string first;
  for (const JsonSpec& one : found.elements()) {
    std::string text = one.string("template");
    if (one.string("name") == "default") return text;
    if (first.empty()) first = std::move(text);
  }
  return first;
}

// Templates for other purposes lie in a folder of their own: the first by name, where there is no
// default one.
std::string additional_template(const std::filesystem::path& directory) {
  std::error_code none;
  std::optional<std::filesystem::path> first;
  for (const auto& entry :
       std::filesystem::directory_iterator(directory / "additional_chat_templates", none)) {
    if (entry.path().extension() != ".jinja") continue;
    if (!first || entry.path() < *first) first = entry.path();
  }
  return first ? file_text(*first) : std::string();
}

std::string find_template(const std::filesystem::path& directory, const JsonSpec& config) {
  if (std::filesystem::exists(directory / "chat_template.jinja")) {
    return file_text(directory / "chat_template.jinja");
  }
  const OptionalFile file(directory, "chat_template.json");
  std::string text = template_of(file.spec());
  if (text.empty()) text = template_of(config);
  return text.empty() ? additional_template(directory) : text;
}

// Puts the id where it is wanted, at the front or the back, once.
void frame(std::vector<TokenId>& ids, std::vector<TokenId>::iterator at, TokenId id) {
  if (std::ranges::find(ids, id) == ids.end()) ids.insert(at, id);
}

void add_config_framing(const JsonSpec& config, std::optional<TokenId> eos, Framed framed,
                        TokenizerParts& parts) {
  auto& [before, after] = parts.config_framing;
  if (framed == Framed::by_config && !before.empty()) {
    const bool wanted = parts.bos && config.boolean("add_bos_token", true);
    before = wanted ? std::vector<TokenId>{*parts.bos} : std::vector<TokenId>{};
  }
  if (parts.bos && config.boolean("add_bos_token", false))
    frame(before, before.begin(), *parts.bos);
  if (eos && config.boolean("add_eos_token", false)) frame(after, after.end(), *eos);
  if (framed == Framed::by_config) parts.framing = parts.config_framing;
}

}  // namespace

void add_model_files(const std::filesystem::path& directory, Framed framed, TokenizerParts& parts) {
  const OptionalFile tokenizer_config(directory, "tokenizer_config.json");
  const OptionalFile special_tokens(directory, "special_tokens_map.json");
  const OptionalFile config(directory, "config.json");
  const OptionalFile generation_config(directory, "generation_config.json");

  // The id and text of BOS or EOS: by text where one is given, else by the first id, else as the
  // vocabulary says.
  const auto boundary = [&](const char* text_key, const char* id_key, std::string& text_out) {
    std::optional<TokenId> id;
    auto text = token_text(tokenizer_config.spec(), text_key);
    if (!text) text = token_text(special_tokens.spec(), text_key);
    if (text) {
      id = parts.spellings.find(*text);
      text_out = *text;
    }
    for (const OptionalFile* file : {&generation_config, &config}) {
      const std::vector<TokenId> ids = token_ids(file->spec(), id_key);
      if (!text && !id && !ids.empty() && parts.spellings.contains(ids.front())) {
        id = ids.front();
        text_out = std::string(parts.spellings.text(*id));
      }
    }
    if (!text && !id && !text_out.empty()) id = parts.spellings.find(text_out);
    return id;
  };
  parts.bos = boundary("bos_token", "bos_token_id", parts.bos_text);
  const auto eos = boundary("eos_token", "eos_token_id", parts.eos_text);

  const auto named = [&](const char* text_key) -> std::optional<TokenId> {
    auto text = token_text(tokenizer_config.spec(), text_key);
    if (!text) text = token_text(special_tokens.spec(), text_key);
    return text ? parts.spellings.find(*text) : std::nullopt;
  };
  parts.unknown = named("unk_token");
  parts.padding = named("pad_token");
  for (const OptionalFile* file : {&generation_config, &config}) {
    const std::vector<TokenId> ids = token_ids(file->spec(), "pad_token_id");
    if (!parts.padding && !ids.empty()) parts.padding = ids.front();
  }

  std::vector<TokenId> ends = parts.end_ids;
  if (eos) ends.push_back(*eos);
  const auto add_ends = [&ends](const JsonSpec& spec) {
    const std::vector<TokenId> ids = token_ids(spec, "eos_token_id");
    ends.insert(ends.end(), ids.begin(), ids.end());
  };
  add_ends(generation_config.spec());
  add_ends(config.spec());
  if (config.spec().has("text_config")) add_ends(config.spec().member("text_config"));
  parts.end_ids = end_ids(std::move(ends), [&parts](std::string_view text) {
    const auto id = parts.spellings.find(text);
    return id ? parts.added.find(*id) : nullptr;
  });

  parts.chat_template = find_template(directory, tokenizer_config.spec());
  add_config_framing(tokenizer_config.spec(), eos, framed, parts);
}

}  // namespace rbee
