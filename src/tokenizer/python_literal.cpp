#include "tokenizer/python_literal.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

enum class Kind : unsigned char { text, bytes };

// The number that `count` digits of a base spell at the start of text; nullopt when there are
// fewer.
std::optional<char32_t> digits(std::string_view text, std::size_t count, int base) {
  if (text.size() < count) return std::nullopt;
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + count, value, base);
  if (error != std::errc() || end != text.data() + count) return std::nullopt;
  return static_cast<char32_t>(value);
}

std::optional<char> simple_escape(char c) {
  constexpr std::string_view kNames = "\\'\"abfnrtv";
  constexpr std::string_view kValues = "\\'\"\a\b\f\n\r\t\v";
  const std::size_t at = kNames.find(c);
  if (at == std::string_view::npos) return std::nullopt;
  return kValues[at];
}

void append(std::string& out, char32_t value, Kind kind) {
  if (kind == Kind::bytes) {
    out += static_cast<char>(value);
  } else {
    append_utf8(out, value);
  }
}

bool is_octal(char c) { return c >= '0' && c <= '7'; }

// Reads the escape after a backslash; gives how many characters it took, 0 for a bad one.
std::size_t read_escape(std::string_view text, Kind kind, std::string& out) {
  if (text.empty()) return 0;
  if (const auto simple = simple_escape(text[0])) {
    out += *simple;
    return 1;
  }
  std::size_t count = 0;
  if (is_octal(text[0])) {
    count = 1;
    while (count < 3 && count < text.size() && is_octal(text[count])) ++count;
    append(out, *digits(text, count, 8), kind);
    return count;
  }
  if (text[0] == 'x') count = 2;
  if (kind == Kind::text && text[0] == 'u') count = 4;
  if (kind == Kind::text && text[0] == 'U') count = 8;
  if (count == 0) {
    // Python leaves an unknown escape as it is, but \N{...} means a character.
    if (text[0] == 'N' && kind == Kind::text) return 0;
    out += '\\';
    out += text[0];
    return 1;
  }
  const auto value = digits(text.substr(1), count, 16);
  const bool surrogate = value && *value >= 0xD800 && *value < 0xE000;
  if (!value || *value > 0x10FFFF || surrogate) return 0;
  append(out, *value, kind);
  return 1 + count;
}

// quote: a character that may not stand in the body unescaped; 0 for none.
std::optional<std::string> unescape(std::string_view body, Kind kind, char quote) {
  std::string out;
  out.reserve(body.size());
  for (std::size_t at = 0; at < body.size();) {
    if (body[at] == quote && quote != 0) return std::nullopt;
    if (body[at] != '\\') {
      out += body[at++];
      continue;
    }
    const std::size_t size = read_escape(body.substr(at + 1), kind, out);
    if (size == 0) return std::nullopt;
    at += 1 + size;
  }
  return out;
}

}  // namespace

std::optional<std::string> parse_python_literal(std::string_view literal) {
  const Kind kind = literal.starts_with('b') ? Kind::bytes : Kind::text;
  if (kind == Kind::bytes) literal.remove_prefix(1);
  if (literal.size() < 2) return std::nullopt;
  const char quote = literal[0];
  if ((quote != '\'' && quote != '"') || literal.back() != quote) return std::nullopt;
  return unescape(literal.substr(1, literal.size() - 2), kind, quote);
}

std::optional<std::string> unescape_python_bytes(std::string_view body) {
  return unescape(body, Kind::bytes, 0);
}

std::string escape_python_bytes(std::string_view bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size());
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte >= 0x7F) {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace rbee
