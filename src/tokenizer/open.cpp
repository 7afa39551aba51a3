// Finds out which files a tokenizer is made from.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <utility>

#include "base/load_error.hpp"
#include "checkpoint/gguf.hpp"
#include "tokenizer/config_tokens.hpp"
#include "tokenizer/gguf_tokenizer.hpp"
#include "tokenizer/model_files.hpp"
#include "tokenizer/open.hpp"
#include "tokenizer/ranked_bytes.hpp"
#include "tokenizer/rwkv_vocabulary.hpp"
#include "tokenizer/sentence_piece_model.hpp"
#include "tokenizer/tokenizer_json.hpp"
#include "tokenizer/vocab_merges.hpp"

namespace rbee {
namespace {

namespace fs = std::filesystem;

// The kinds of vocabulary files, in the order of preference: tokenizer.json says the most.
struct Kind {
  std::string_view file;
  TokenizerParts (*read)(const std::string& file);
};
constexpr std::array kKinds = {
    Kind{"tokenizer.json", read_tokenizer_json},
    Kind{"tekken.json", read_tekken},
    Kind{"tokenizer.model", read_sentence_piece_model},
    Kind{"vocab.json", read_vocab_merges},
    Kind{"tiktoken.model", read_tiktoken_model},
    Kind{"rwkv_vocab_v20230424.txt", read_rwkv_vocabulary},
};

// nullptr when the directory has none.
const Kind* kind_in(const fs::path& directory) {
  const auto* found = std::ranges::find_if(
      kKinds, [&](const Kind& kind) { return fs::exists(directory / kind.file); });
  return found == kKinds.end() ? nullptr : found;
}

TokenizerParts parts_of(const Kind& kind, const fs::path& directory) {
  TokenizerParts parts = kind.read((directory / kind.file).string());
  const bool complete = &kind == kKinds.data();
  if (!complete) add_config_tokens(directory, parts);
  add_model_files(directory, complete ? Framed::by_vocabulary : Framed::by_config, parts);
  return parts;
}

TokenizerParts parts_in(const fs::path& directory) {
  const Kind* kind = kind_in(directory);
  if (kind == nullptr) {
    std::array<std::string_view, kKinds.size()> names;
    std::ranges::transform(kKinds, names.begin(), &Kind::file);
    throw LoadError(directory.string(), "tokenizer",
                    fmt::format("one of the files {}", fmt::join(names, ", ")), "none");
  }
  return parts_of(*kind, directory);
}

fs::path folder_of(const fs::path& path) {
  return fs::is_directory(path) ? path : path.parent_path();
}

std::shared_ptr<const Tokenizer> made_of(TokenizerParts parts) {
  return std::make_shared<BpeTokenizer>(std::move(parts));
}

}  // namespace

TokenizerParts open_tokenizer_parts(const fs::path& path) { return parts_in(folder_of(path)); }

std::shared_ptr<const Tokenizer> Tokenizer::load(const Checkpoint& checkpoint) {
  if (const GgufMetadata* metadata = checkpoint.gguf()) {
    return made_of(read_gguf_tokenizer(*metadata));
  }
  return made_of(parts_in(folder_of(checkpoint.path())));
}

std::shared_ptr<const Tokenizer> Tokenizer::open(const fs::path& path) {
  if (fs::is_directory(path)) {
    if (kind_in(path) != nullptr) return made_of(parts_in(path));
    return load(*Checkpoint::open(path));
  }
  for (const Kind& kind : kKinds) {
    if (path.filename() == kind.file) return made_of(parts_of(kind, path.parent_path()));
  }
  return load(*Checkpoint::open(path));
}

}  // namespace rbee
