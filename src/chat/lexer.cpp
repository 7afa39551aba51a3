#include "chat/lexer.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <optional>

#include "chat/string_literal.hpp"
#include "chat/unicode.hpp"

namespace rbee::jinja {
namespace {

bool is_digit_char(char c) { return c >= '0' && c <= '9'; }

// Line ends become \n; one at the very end is dropped.
std::string normalize(std::string_view source) {
  std::string out = sanitize_utf8(source);
  std::size_t to = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i] == '\r') {
      if (i + 1 < out.size() && out[i + 1] == '\n') ++i;
      out[to++] = '\n';
    } else {
      out[to++] = out[i];
    }
  }
  out.resize(to);
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalize(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) read_text();
    add(TokenKind::end);
    return std::move(tokens_);
  }

 private:
  std::string_view rest() const { return std::string_view(source_).substr(at_); }
  char peek(std::size_t offset = 0) const {
    return at_ + offset < source_.size() ? source_[at_ + offset] : '\0';
  }
  [[noreturn]] void fail(std::string message) const {
    throw SyntaxFailure{line_, std::move(message)};
  }

  void add(TokenKind kind, std::string text = {}) {
    tokens_.push_back({kind, line_, std::move(text)});
  }

  // Moves on over `bytes` bytes. line_starting_ is about what was consumed last.
  void consume(std::size_t bytes) {
    if (bytes == 0) return;
    const std::string_view text = rest().substr(0, bytes);
    line_ += static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    line_starting_ = text.back() == '\n';
    at_ += bytes;
  }

  void consume_spaces() {
    const std::string_view text = rest();
    consume(text.size() - strip(text, Side::left).size());
  }

  // Start of the next tag at or after at_: {{, {% or {#.
  std::size_t find_tag() const {
    for (std::size_t i = at_;; ++i) {
      i = source_.find('{', i);
      if (i == std::string::npos || i + 1 >= source_.size()) return std::string::npos;
      const char c = source_[i + 1];
      if (c == '{' || c == '%' || c == '#') return i;
    }
  }

  // Text up to a tag, then the tag.
  void read_text() {
    const std::size_t tag = find_tag();
    if (tag == std::string::npos) {
      const std::string text(rest());
      add(TokenKind::data, text);
      consume(text.size());
      return;
    }
    const char type = source_[tag + 1];
    const char sign = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    const bool signed_tag = sign == '-' || sign == '+';
    add_text(tag - at_, signed_tag ? sign : '\0', type == '{');
    consume(signed_tag ? 3 : 2);
    line_starting_ = false;
    if (type == '#') {
      skip_comment();
    } else if (type == '{') {
      add(TokenKind::variable_begin);
      read_expression(true);
    } else if (!read_raw()) {
      add(TokenKind::block_begin);
      read_expression(false);
    }
  }

  // Adds the next `bytes` bytes as data, stripped as the tag after them asks.
  void add_text(std::size_t bytes, char sign, bool is_variable) {
    std::string_view text = rest().substr(0, bytes);
    if (sign == '-') {
      text = strip(text, Side::right);
    } else if (sign != '+' && !is_variable) {
      const std::size_t newline = text.rfind('\n');
      const std::size_t line_start = newline == std::string_view::npos ? 0 : newline + 1;
      const bool whole_line = line_start > 0 || line_starting_;
      if (whole_line && strip(text.substr(line_start)).empty()) text = text.substr(0, line_start);
    }
    if (!text.empty()) add(TokenKind::data, std::string(text));
    consume(bytes);
  }

  // After the end of a tag whose sign was `sign`: trims what follows. trim_newline is for blocks
  // and comments.
  void finish_tag(char sign, bool trim_newline) {
    if (sign == '-') {
      consume_spaces();
    } else if (sign != '+' && trim_newline && peek() == '\n') {
      consume(1);
    }
  }

  void skip_comment() {
    const std::size_t end = source_.find("#}", at_);
    if (end == std::string::npos) {
      if (at_ < source_.size()) fail("Missing end of comment tag");
      return;
    }
    const char sign = end > at_ ? source_[end - 1] : '\0';
    consume(end + 2 - at_);
    finish_tag(sign, true);
  }

  // Bytes of a tag that starts at `from`, after its "{%" and sign, and says just `word`. Sets the
  // sign before its "%}".
  std::optional<std::size_t> match_word_tag(std::size_t from, std::string_view word,
                                            char& sign) const {
    std::string_view text = strip(std::string_view(source_).substr(from), Side::left);
    if (text.substr(0, word.size()) != word) return std::nullopt;
    text = strip(text.substr(word.size()), Side::left);
    sign = !text.empty() && (text[0] == '-' || text[0] == '+') ? text[0] : '\0';
    if (sign != '\0') text.remove_prefix(1);
    if (text.substr(0, 2) != "%}") return std::nullopt;
    return source_.size() - from - text.size() + 2;
  }

  // After "{%": a raw block as a whole, if it is one.
  bool read_raw() {
    char sign = '\0';
    const auto begin = match_word_tag(at_, "raw", sign);
    if (!begin || sign == '+') return false;
    consume(*begin);
    if (sign == '-') consume_spaces();
    for (std::size_t i = at_; (i = source_.find("{%", i)) != std::string::npos; i += 2) {
      const char before = i + 2 < source_.size() ? source_[i + 2] : '\0';
      const std::size_t word = i + (before == '-' || before == '+' ? 3 : 2);
      const auto end = match_word_tag(word, "endraw", sign);
      if (!end) continue;
      add_text(i - at_, word == i + 3 ? before : '\0', false);
      consume(word + *end - at_);
      finish_tag(sign, true);
      return true;
    }
    if (at_ < source_.size()) fail("Missing end of raw directive");
    return true;
  }

  // Tokens up to the end of the tag.
  void read_expression(bool is_variable) {
    const std::string_view close = is_variable ? "}}" : "%}";
    while (true) {
      consume_spaces();
      if (at_ >= source_.size()) return;
      if (brackets_.empty() && read_tag_end(close, is_variable)) return;
      const char c = peek();
      if (c == '\'' || c == '"') {
        read_string();
      } else if (is_digit_char(c)) {
        read_number();
      } else if (is_identifier_part(first_code_point(rest()).value)) {
        read_name();
      } else {
        read_operator();
      }
    }
  }

  bool read_tag_end(std::string_view close, bool is_variable) {
    const char c = peek();
    const bool has_sign = c == '-' || (c == '+' && !is_variable);
    if (rest().substr(has_sign ? 1 : 0, 2) != close) return false;
    add(is_variable ? TokenKind::variable_end : TokenKind::block_end);
    consume(has_sign ? 3 : 2);
    finish_tag(has_sign ? c : '\0', !is_variable);
    return true;
  }

  void read_string() {
    const char quote = peek();
    std::size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) fail(std::string("unexpected char ") + quote);
    std::string error;
    std::string text = unescape_string(rest().substr(1, end - at_ - 1), error);
    if (!error.empty()) fail(error);
    add(TokenKind::string, std::move(text));
    consume(end + 1 - at_);
  }

  // Digits from byte `from` on, with single underscores between them; returns the end.
  std::size_t digits_end(std::size_t from, int base) const {
    const auto is_digit_of = [&](std::size_t i) {
      if (i >= source_.size()) return false;
      const char c = source_[i];
      if (base <= 10) return c >= '0' && c < '0' + base;
      return is_digit_char(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    };
    std::size_t end = from;
    while (is_digit_of(end) || (end > from && source_[end - 1] != '_' && end < source_.size() &&
                                source_[end] == '_' && is_digit_of(end + 1))) {
      ++end;
    }
    return end;
  }

  void read_number() {
    const std::size_t whole = digits_end(at_, 10);
    std::size_t end = whole;
    const auto at = [&](std::size_t i) { return i < source_.size() ? source_[i] : '\0'; };
    if (at_ == 0 || source_[at_ - 1] != '.') {
      if (at(end) == '.' && is_digit_char(at(end + 1))) end = digits_end(end + 1, 10);
      if (at(end) == 'e' || at(end) == 'E') {
        const std::size_t sign = at(end + 1) == '+' || at(end + 1) == '-' ? 1 : 0;
        if (is_digit_char(at(end + 1 + sign))) end = digits_end(end + 1 + sign, 10);
      }
    }
    if (end > whole) {
      std::string text(rest().substr(0, end - at_));
      std::erase(text, '_');
      add(TokenKind::real, text);
      tokens_.back().real = std::strtod(text.c_str(), nullptr);
      consume(end - at_);
    } else {
      read_integer(whole);
    }
  }

  void read_integer(std::size_t end) {
    int base = 10;
    std::size_t first = at_;
    if (peek() == '0') {
      const char c = static_cast<char>(peek(1) | 0x20);
      const int prefixed = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 10;
      const std::size_t from = at_ + (peek(2) == '_' ? 3 : 2);
      if (prefixed != 10 && digits_end(from, prefixed) > from) {
        base = prefixed;
        first = from;
        end = digits_end(from, prefixed);
      } else {
        while (end > at_ + 1 && source_[end - 1] != '0') --end;  // only zeros follow a zero
        end = std::max(at_ + 1, std::min(end, source_.find_first_not_of("0_", at_)));
        if (source_[end - 1] == '_') --end;
      }
    }
    std::string digits = source_.substr(first, end - first);
    std::erase(digits, '_');
    add(TokenKind::integer, digits);
    const auto result =
        std::from_chars(digits.data(), digits.data() + digits.size(), tokens_.back().integer, base);
    if (result.ec != std::errc()) fail("the integer " + digits + " does not fit 64 bits");
    consume(end - at_);
  }

  void read_name() {
    std::size_t end = at_;
    while (end < source_.size()) {
      const CodePoint c = first_code_point(std::string_view(source_).substr(end));
      if (!is_identifier_part(c.value)) break;
      end += c.bytes;
    }
    add(TokenKind::name, std::string(rest().substr(0, end - at_)));
    consume(end - at_);
  }

  void read_operator() {
    static constexpr std::array<std::string_view, 6> kPairs = {"//", "**", "==", "!=", ">=", "<="};
    const std::string_view text = rest();
    const bool pair = std::find(kPairs.begin(), kPairs.end(), text.substr(0, 2)) != kPairs.end();
    const std::string op(text.substr(0, pair ? 2 : 1));
    if (!pair && std::string_view("+-/*%~[](){}><=.:|,;").find(op[0]) == std::string_view::npos) {
      fail("unexpected char " + std::string(text.substr(0, first_code_point(text).bytes)));
    }
    if (op == "(" || op == "[" || op == "{") {
      brackets_ += op == "(" ? ')' : op == "[" ? ']' : '}';
    } else if (op == ")" || op == "]" || op == "}") {
      if (brackets_.empty()) fail("unexpected '" + op + "'");
      if (brackets_.back() != op[0]) {
        fail("unexpected '" + op + "', expected '" + brackets_.back() + "'");
      }
      brackets_.pop_back();
    }
    add(TokenKind::op, op);
    consume(op.size());
  }

  std::string source_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  bool line_starting_ = true;
  std::string brackets_;  // the closing brackets that are due
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace rbee::jinja
