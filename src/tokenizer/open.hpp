// The parts of the vocabulary in a model's folder, for those that need more than a Tokenizer tells.
#pragma once
#include <filesystem>

#include "tokenizer/bpe_tokenizer.hpp"

namespace rbee {

// path: the folder, or a model file in it. Throws LoadError, also when there is no vocabulary.
TokenizerParts open_tokenizer_parts(const std::filesystem::path& path);

}  // namespace rbee
