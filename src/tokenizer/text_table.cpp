#include "tokenizer/text_table.hpp"

#include <algorithm>
#include <bit>
#include <functional>

namespace rbee {

TextTable::TextTable(const std::vector<Entry>& entries) {
  std::size_t bytes = 0;
  std::int32_t highest = 0;
  for (const Entry& entry : entries) {
    bytes += entry.text.size();
    highest = std::max(highest, entry.id);
  }
  block_.reserve(bytes);
  spans_.resize(entries.empty() ? 0 : static_cast<std::size_t>(highest) + 1);
  slots_.resize(std::bit_ceil(entries.size() * 2 + 2));
  for (const Entry& entry : entries) {
    const Span span{block_.size(), static_cast<std::uint32_t>(entry.text.size())};
    block_.append(entry.text);
    spans_[static_cast<std::size_t>(entry.id)] = span;
    insert(entry.id, span);
  }
}

void TextTable::insert(std::int32_t id, Span span) {
  const std::string_view text = view(span);
  const std::size_t hash = std::hash<std::string_view>{}(text);
  const auto short_hash = static_cast<std::uint32_t>(hash >> 32);
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    Slot& slot = slots_[at];
    if (slot.id < 0 || (slot.hash == short_hash && view(slot.span) == text)) {
      slot = {short_hash, id, span};
      return;
    }
  }
}

std::string_view TextTable::text(std::int32_t id) const noexcept {
  return contains(id) ? view(spans_[static_cast<std::size_t>(id)]) : std::string_view();
}

bool TextTable::contains(std::int32_t id) const noexcept {
  return id >= 0 && id < size() && spans_[static_cast<std::size_t>(id)].size != kAbsent;
}

std::optional<std::int32_t> TextTable::find(std::string_view text) const noexcept {
  if (slots_.empty()) return std::nullopt;
  const std::size_t hash = std::hash<std::string_view>{}(text);
  const auto short_hash = static_cast<std::uint32_t>(hash >> 32);
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.id < 0) return std::nullopt;
    if (slot.hash == short_hash && view(slot.span) == text) return slot.id;
  }
}

}  // namespace rbee
