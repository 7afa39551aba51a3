// Finds out which files a tokenizer is made from.
#include <filesystem>
#include <utility>

#include "base/load_error.hpp"
#include "checkpoint/gguf.hpp"
#include "tokenizer/gguf_tokenizer.hpp"
#include "tokenizer/model_files.hpp"
#include "tokenizer/tokenizer_json.hpp"

namespace rbee {
namespace {

namespace fs = std::filesystem;

std::shared_ptr<const Tokenizer> open_directory(const fs::path& directory) {
  const fs::path file = directory / "tokenizer.json";
  if (!fs::exists(file)) {
    throw LoadError(directory.string(), "tokenizer.json", "the file", "none");
  }
  TokenizerParts parts = read_tokenizer_json(file.string());
  add_model_files(directory, parts);
  return std::make_shared<BpeTokenizer>(std::move(parts));
}

}  // namespace

std::shared_ptr<const Tokenizer> Tokenizer::load(const Checkpoint& checkpoint) {
  if (const GgufMetadata* metadata = checkpoint.gguf()) {
    return std::make_shared<BpeTokenizer>(read_gguf_tokenizer(*metadata));
  }
  const fs::path& path = checkpoint.path();
  return open_directory(fs::is_directory(path) ? path : path.parent_path());
}

std::shared_ptr<const Tokenizer> Tokenizer::open(const fs::path& path) {
  if (fs::is_directory(path)) {
    if (fs::exists(path / "tokenizer.json")) return open_directory(path);
    return load(*Checkpoint::open(path));
  }
  if (path.filename() == "tokenizer.json") return open_directory(path.parent_path());
  return load(*Checkpoint::open(path));
}

}  // namespace rbee
