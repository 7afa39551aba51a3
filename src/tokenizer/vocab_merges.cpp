#include "tokenizer/vocab_merges.hpp"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/mapped_file.hpp"
#include "tokenizer/gguf_pre_tokenizers.hpp"
#include "tokenizer/json_spec.hpp"
#include "tokenizer/tokenizer_json.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

constexpr std::string_view kEndOfText = "<|endoftext|>";

std::string file_text(const std::filesystem::path& path) {
  const MappedFile mapped(path);
  const auto bytes = mapped.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string model_type(const std::filesystem::path& directory) {
  const std::string file = (directory / "config.json").string();
  const auto config = read_json_file(file);
  if (!config) return {};
  const JsonSpec spec(*config, file, "");
  return spec.has("model_type") ? spec.string("model_type") : std::string();
}

Json merge_lines(std::string_view text) {
  Json lines = Json::array();
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) lines.push_back(repair_utf8(line));
  }
  return lines;
}

GgufPreTokenizer cutting_of(std::string_view model_type) {
  if (model_type == "starcoder2") return *find_gguf_pre_tokenizer("starcoder");
  if (model_type.starts_with("qwen2")) return *find_gguf_pre_tokenizer("qwen2");
  return *find_gguf_pre_tokenizer("gpt-2");
}

Json steps_of(const GgufPreTokenizer& cutting) {
  Json steps = Json::array();
  for (const std::string_view split : cutting.splits) {
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", split}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  }
  steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}});
  return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}

}  // namespace

// The two files say what the model of a tokenizer.json says, so that is what is made of them.
TokenizerParts parse_vocab_merges(std::string_view vocabulary, std::string_view merges,
                                  std::string_view model_type, const std::string& file) {
  const GgufPreTokenizer cutting = cutting_of(model_type);
  Json whole = {{"normalizer", nullptr},
                {"pre_tokenizer", steps_of(cutting)},
                {"decoder", {{"type", "ByteLevel"}}},
                {"added_tokens", Json::array()}};
  if (cutting.composes) whole["normalizer"] = {{"type", "NFC"}};
  std::string text = whole.dump();
  text.pop_back();
  text += R"(,"model":{"type":"BPE","merges":)" + merge_lines(merges).dump() + R"(,"vocab":)";
  text += vocabulary;
  text += "}}";
  TokenizerParts parts = parse_tokenizer_json(text, file);
  // GPT-2's only special token, unless the files beside say more.
  if (const auto id = parts.spellings.find(kEndOfText)) {
    AddedToken token;
    token.id = *id;
    token.content = kEndOfText;
    token.special = true;
    parts.added = AddedTokens({std::move(token)},
                              [](std::string_view content) { return std::string(content); });
    parts.bos_text = parts.eos_text = kEndOfText;
  }
  return parts;
}

TokenizerParts read_vocab_merges(const std::string& file) {
  const std::filesystem::path directory = std::filesystem::path(file).parent_path();
  return parse_vocab_merges(file_text(file), file_text(directory / "merges.txt"),
                            model_type(directory), file);
}

}  // namespace rbee
