// Text as Python's str sees it: UTF-8 bytes read as a sequence of code points.
// Every function takes valid UTF-8 (see sanitize_utf8).
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace rbee::jinja {

struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 0;
};

// The code point that starts at text[0]. Precondition: !text.empty().
CodePoint first_code_point(std::string_view text);
CodePoint last_code_point(std::string_view text);
void append_utf8(std::string& out, char32_t code_point);  // a surrogate becomes U+FFFD

std::size_t count_code_points(std::string_view text);
// Bytes before code point `index`; text.size() when there are fewer.
std::size_t byte_offset(std::string_view text, std::size_t index);
bool is_valid_utf8(std::string_view text);
std::string sanitize_utf8(std::string_view text);  // invalid bytes become U+FFFD

// Python's str predicates for one character.
bool is_space(char32_t c);
bool is_line_break(char32_t c);  // what str.splitlines() splits at
bool is_alpha(char32_t c);
bool is_decimal(char32_t c);
bool is_digit(char32_t c);
bool is_numeric(char32_t c);
bool is_upper(char32_t c);
bool is_lower(char32_t c);
bool is_title(char32_t c);
bool is_printable(char32_t c);
bool is_identifier_part(char32_t c);

// Full case mapping (one character may become three).
void append_upper(std::string& out, char32_t c);
void append_title(std::string& out, char32_t c);
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string capitalize(std::string_view text);
std::string to_title(std::string_view text);
std::string swap_case(std::string_view text);

enum class Side { both, left, right };
std::string_view strip(std::string_view text, Side side = Side::both);
// Strips the characters that `set` holds.
std::string_view strip(std::string_view text, std::string_view set, Side side);

}  // namespace rbee::jinja
