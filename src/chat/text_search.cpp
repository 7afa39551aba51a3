#include "chat/text_search.hpp"

#include <cstring>

namespace rbee::jinja {

std::size_t find_text(std::string_view text, std::string_view needle, std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (needle.empty()) return from;
  const void* found = memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

std::size_t find_last_text(std::string_view text, std::string_view needle) {
  const std::size_t at = find_text(reversed_bytes(text), reversed_bytes(needle));
  return at == std::string_view::npos ? at : text.size() - at - needle.size();
}

std::string reversed_bytes(std::string_view text) { return {text.rbegin(), text.rend()}; }

void spend_search(Runtime& runtime, std::string_view text, std::string_view needle) {
  // memmem is linear, but the constant grows with needles of up to 256 bytes.
  const std::size_t factor = 1 + (needle.size() < 256 ? needle.size() : 256) / 16;
  runtime.spend_bytes(text.size() * factor);
}

}  // namespace rbee::jinja
