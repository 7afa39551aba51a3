#include "chat/string_literal.hpp"

#include <cstdio>

#include "chat/unicode.hpp"

namespace rbee::jinja {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

char simple_escape(char c) {
  switch (c) {
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'v':
      return '\v';
    case '\\':
    case '\'':
    case '"':
      return c;
    default:
      return '\0';
  }
}

class Unescaper {
 public:
  Unescaper(std::string_view text, std::string& error) : rest_(text), error_(error) {}

  std::string run() {
    while (!rest_.empty() && error_.empty()) {
      const std::size_t plain = std::min(rest_.find('\\'), rest_.size());
      out_.append(rest_.substr(0, plain));
      rest_.remove_prefix(plain);
      if (!rest_.empty()) read_escape();
    }
    return std::move(out_);
  }

 private:
  void read_escape() {
    rest_.remove_prefix(1);
    if (rest_.empty()) {
      error_ = "\\ at end of string";
      return;
    }
    const CodePoint c = first_code_point(rest_);
    const char ch = rest_[0];
    if (c.bytes > 1) {
      read_non_ascii(c);
    } else if (ch >= '0' && ch <= '7') {
      read_octal();
    } else if (ch == 'x' || ch == 'u' || ch == 'U') {
      read_hex(ch == 'x' ? 2 : ch == 'u' ? 4 : 8);
    } else if (ch == 'N') {
      error_ = "character names (\\N{...}) are not supported";
    } else {
      rest_.remove_prefix(1);
      if (ch == '\n') return;
      const char simple = simple_escape(ch);
      if (simple == '\0') out_ += '\\';
      out_ += simple == '\0' ? ch : simple;
    }
  }

  // The character is spelt as an escape before the codec sees it, and the backslash before it then
  // makes that spelling the text.
  void read_non_ascii(CodePoint c) {
    const auto value = static_cast<unsigned>(c.value);
    char buffer[16];
    std::snprintf(buffer, sizeof buffer,
                  value < 0x100     ? "\\x%02x"
                  : value < 0x10000 ? "\\u%04x"
                                    : "\\U%08x",
                  value);
    out_ += buffer;
    rest_.remove_prefix(c.bytes);
  }

  void read_octal() {
    char32_t value = 0;
    for (int i = 0; i < 3 && !rest_.empty() && rest_[0] >= '0' && rest_[0] <= '7'; ++i) {
      value = value * 8 + static_cast<char32_t>(rest_[0] - '0');
      rest_.remove_prefix(1);
    }
    append_utf8(out_, value);
  }

  void read_hex(std::size_t digits) {
    char32_t value = 0;
    for (std::size_t i = 1; i <= digits; ++i) {
      const int digit = i < rest_.size() ? hex_digit(rest_[i]) : -1;
      if (digit < 0) {
        error_ = std::string("truncated \\") + rest_[0] + " escape";
        return;
      }
      value = value << 4 | static_cast<char32_t>(digit);
    }
    if (value > 0x10FFFF) {
      error_ = "illegal Unicode character";
      return;
    }
    append_utf8(out_, value);
    rest_.remove_prefix(digits + 1);
  }

  std::string_view rest_;
  std::string& error_;
  std::string out_;
};

}  // namespace

std::string unescape_string(std::string_view text, std::string& error) {
  return Unescaper(text, error).run();
}

}  // namespace rbee::jinja
