// Lexer: template source to tokens, by jinja2's rules with trim_blocks and lstrip_blocks on and
// keep_trailing_newline off.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rbee::jinja {

enum class TokenKind : std::uint8_t {
  data,            // text between tags
  variable_begin,  // {{
  variable_end,    // }}
  block_begin,     // {%
  block_end,       // %}
  name,
  string,  // its text is unescaped
  integer,
  real,
  op,  // punctuation; its text says which
  end,
};

struct Token {
  TokenKind kind = TokenKind::end;
  std::size_t line = 1;
  std::string text;
  std::int64_t integer = 0;
  double real = 0;
};

// Throws SyntaxFailure. The last token is of kind `end`. Linear time.
std::vector<Token> tokenize(std::string_view source);

// A mistake in the source, with its line.
struct SyntaxFailure {
  std::size_t line = 0;
  std::string message;
};

}  // namespace rbee::jinja
