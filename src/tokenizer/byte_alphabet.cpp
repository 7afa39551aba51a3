#include "tokenizer/byte_alphabet.hpp"

#include <array>
#include <charconv>
#include <cstdint>
#include <vector>

#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

constexpr std::size_t kHighest = 0x143;  // 0x100 + 68 - 1

struct Alphabet {
  std::array<char32_t, 256> character{};
  std::array<std::int16_t, kHighest + 1> byte{};
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  for (auto& byte : alphabet.byte) byte = -1;
  char32_t next = 0x100;
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    const char32_t character = printable ? static_cast<char32_t>(byte) : next++;
    alphabet.character[byte] = character;
    alphabet.byte[character] = static_cast<std::int16_t>(byte);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

std::string to_byte_alphabet(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char byte : bytes) {
    append_utf8(out, kAlphabet.character[static_cast<unsigned char>(byte)]);
  }
  return out;
}

std::optional<std::string> from_byte_alphabet(std::string_view text) {
  if (!is_valid_utf8(text)) return std::nullopt;
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = code_point_at(text, at);
    at += point.size;
    if (point.value > kHighest || kAlphabet.byte[point.value] < 0) return std::nullopt;
    out.push_back(static_cast<char>(kAlphabet.byte[point.value]));
  }
  return out;
}

std::optional<char> byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, value, 16);
  if (error != std::errc() || end != token.data() + 5) return std::nullopt;
  return static_cast<char>(value);
}

TextTable raw_vocabulary(const TextTable& vocabulary) {
  std::string block;
  struct Span {
    std::int32_t id;
    std::size_t begin;
  };
  std::vector<Span> spans;
  for (std::int32_t id = 0; id < vocabulary.size(); ++id) {
    if (!vocabulary.contains(id)) continue;
    if (const auto bytes = from_byte_alphabet(vocabulary.text(id))) {
      spans.push_back({id, block.size()});
      block += *bytes;
    }
  }
  std::vector<TextTable::Entry> entries;
  entries.reserve(spans.size());
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const std::size_t end = i + 1 < spans.size() ? spans[i + 1].begin : block.size();
    entries.push_back(
        {spans[i].id, std::string_view(block).substr(spans[i].begin, end - spans[i].begin)});
  }
  return TextTable(entries);
}

}  // namespace rbee
