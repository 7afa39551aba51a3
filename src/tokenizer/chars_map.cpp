#include "tokenizer/chars_map.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/load_error.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

constexpr std::size_t kLongestText = 128;
constexpr std::size_t kLongestReplacement = 256;

std::uint32_t u32_at(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  }
  return value;
}

// The parts of a unit.
bool has_leaf(std::uint32_t unit) { return (unit >> 8 & 1) != 0; }
std::uint32_t value(std::uint32_t unit) { return unit & 0x7FFFFFFF; }
std::uint32_t label(std::uint32_t unit) { return unit & 0x800000FF; }
std::uint32_t offset(std::uint32_t unit) { return (unit >> 10) << ((unit & 0x200) >> 6); }

bool starts_character(std::string_view text, std::size_t at) {
  return at == text.size() || (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80;
}

}  // namespace

CharsMap::CharsMap(std::string_view blob, const std::string& file, const std::string& field) {
  if (blob.empty()) return;
  if (blob.size() < 4) throw LoadError(file, field, "a size", fmt::format("{} bytes", blob.size()));
  const std::size_t size = u32_at(blob, 0);
  blob.remove_prefix(4);
  if (size > blob.size() || size % 4 != 0) {
    throw LoadError(file, field, fmt::format("units of 4 bytes in {} bytes", blob.size()),
                    fmt::format("{} bytes of units", size));
  }
  units_.reserve(size / 4);
  for (std::size_t at = 0; at < size; at += 4) units_.push_back(u32_at(blob, at));
  replacements_ = blob.substr(size);
}

std::optional<CharsMap::Rule> CharsMap::find(std::string_view text, bool longest) const {
  std::optional<Rule> found;
  if (units_.empty()) return found;
  std::uint32_t at = offset(units_[0]);
  const std::size_t limit = std::min(text.size(), kLongestText);
  for (std::size_t i = 0; i < limit; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    at ^= byte;
    if (at >= units_.size() || label(units_[at]) != byte) break;
    const std::uint32_t unit = units_[at];
    at ^= offset(unit);
    if (!has_leaf(unit) || at >= units_.size() || !starts_character(text, i + 1)) continue;
    if (const auto by = replacement(value(units_[at]))) {
      found = Rule{i + 1, *by};
      if (!longest) break;
    }
  }
  return found;
}

std::optional<std::string_view> CharsMap::replacement(std::uint32_t offset) const {
  if (offset >= replacements_.size()) return std::nullopt;
  const std::string_view rest =
      std::string_view(replacements_).substr(offset, kLongestReplacement + 1);
  const std::size_t end = rest.find('\0');
  if (end == std::string_view::npos || !is_valid_utf8(rest.substr(0, end))) return std::nullopt;
  return rest.substr(0, end);
}

}  // namespace rbee
