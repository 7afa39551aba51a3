// The printable spelling of bytes in byte-level vocabularies (GPT-2's bytes_to_unicode): printable
// Latin-1 characters stand for themselves, the other 68 bytes become U+0100 and up, in order.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "tokenizer/text_table.hpp"

namespace rbee {

// Each byte as its character.
std::string to_byte_alphabet(std::string_view bytes);

// The bytes that a text in the alphabet stands for; nullopt when it holds another character or is
// not valid UTF-8.
std::optional<std::string> from_byte_alphabet(std::string_view text);

// The byte of a token spelled <0xXX>, as SentencePiece-style vocabularies do.
std::optional<char> byte_of_token(std::string_view token);

// A vocabulary spelled in the alphabet, by raw bytes; tokens that it cannot spell are left out.
TextTable raw_vocabulary(const TextTable& vocabulary);

}  // namespace rbee
