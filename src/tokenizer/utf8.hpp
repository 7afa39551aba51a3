// UTF-8 helpers of the tokenizer: stepping through code points, repairing broken text.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace rbee {

struct CodePoint {
  char32_t value;
  std::size_t size;  // bytes it takes
};

// The code point at text[at]. Precondition: text is valid UTF-8 and `at` is the start of one.
inline CodePoint code_point_at(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[at + i]));
  };
  const char32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first < 0xE0) return {(first & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (first < 0xF0) return {(first & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(first & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F),
          4};
}

// The code point that ends at text[end - 1]. Precondition: as above, and end > 0.
inline CodePoint code_point_before(std::string_view text, std::size_t end) noexcept {
  std::size_t at = end - 1;
  while ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return code_point_at(text, at);
}

void append_utf8(std::string& out, char32_t value);

// What stands for one broken sequence.
enum class Repair : unsigned char {
  per_sequence,  // one U+FFFD for a longest possible prefix of a character (Unicode 3.9, WHATWG)
  per_byte,      // one U+FFFD for each byte of it, as SentencePiece-style vocabularies do
};

bool is_valid_utf8(std::string_view text) noexcept;

// Text with every broken sequence replaced by U+FFFD.
std::string repair_utf8(std::string_view text, Repair repair = Repair::per_sequence);

// How many bytes at the end of text begin a character that more bytes could complete (0 to 3).
std::size_t unfinished_utf8(std::string_view text) noexcept;

}  // namespace rbee
