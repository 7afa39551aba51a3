// TextTable: strings numbered by token id, with a hash index from string to id. All strings lie in
// one block of memory; ids may have gaps.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rbee {

class TextTable {
 public:
  struct Entry {
    std::int32_t id;
    std::string_view text;
  };

  TextTable() = default;
  // Entries in any order. Where two have the same text, find() gives the later one; where two have
  // the same id, text() gives the later one. Precondition: ids are at least 0.
  explicit TextTable(const std::vector<Entry>& entries);

  int size() const noexcept { return static_cast<int>(spans_.size()); }  // 1 + highest id
  std::string_view text(std::int32_t id) const noexcept;  // empty for a gap or out of range
  bool contains(std::int32_t id) const noexcept;
  std::optional<std::int32_t> find(std::string_view text) const noexcept;

 private:
  struct Span {
    std::uint64_t begin = 0;
    std::uint32_t size = kAbsent;
  };
  struct Slot {
    std::uint32_t hash = 0;
    std::int32_t id = -1;
    Span span;
  };
  static constexpr std::uint32_t kAbsent = 0xFFFFFFFF;

  std::string_view view(Span span) const noexcept {
    return std::string_view(block_).substr(span.begin, span.size);
  }
  void insert(std::int32_t id, Span span);

  std::string block_;
  std::vector<Span> spans_;
  std::vector<Slot> slots_;  // open addressing, a power of two of them, at most half full
};

}  // namespace rbee
