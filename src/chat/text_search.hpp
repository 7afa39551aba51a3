// Finding text in linear time: std::string_view::find takes quadratic time on hostile input.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

#include "chat/runtime.hpp"

namespace rbee::jinja {

// Byte offset of the first occurrence at or after `from`, or npos.
std::size_t find_text(std::string_view text, std::string_view needle, std::size_t from = 0);
// Byte offset of the last occurrence, or npos.
std::size_t find_last_text(std::string_view text, std::string_view needle);
std::string reversed_bytes(std::string_view text);
// Counts the work of searching all of `text`.
void spend_search(Runtime& runtime, std::string_view text, std::string_view needle);

}  // namespace rbee::jinja
