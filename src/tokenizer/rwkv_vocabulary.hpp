// The vocabularies of RWKV World models: rwkv_vocab_v20230424.txt and its form in GGUF files.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/bpe_tokenizer.hpp"

namespace rbee {

// A text file with a line `id literal length` for each token; the literal is Python's ('a\n',
// b'\xff'), the length that of its bytes. Id 0 is not in the file: it begins and ends texts. Throws
// LoadError, naming the line.
TokenizerParts read_rwkv_vocabulary(const std::string& file);
// The same from memory; file is for messages.
TokenizerParts parse_rwkv_vocabulary(std::string_view text, const std::string& file);

// From tokens spelled as Python bytes literals without their quotes; boundary is the text of id 0,
// which is not among them. Throws LoadError(file, field[id], ...).
TokenizerParts rwkv_parts(const std::vector<TextTable::Entry>& spellings, std::string_view boundary,
                          const std::string& file, const std::string& field);

}  // namespace rbee
