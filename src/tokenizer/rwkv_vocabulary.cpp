#include "tokenizer/rwkv_vocabulary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "base/load_error.hpp"
#include "base/mapped_file.hpp"
#include "tokenizer/python_literal.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

constexpr TokenId kHighestId = (1 << 20) - 1;  // real vocabularies end at 65529
constexpr std::size_t kLongest = 1024;         // bytes; real tokens have up to 128
// What Hugging Face's RwkvTokenizer calls id 0.
constexpr std::string_view kBoundary = "<|rwkv_tokenizer_end_of_text|>";

std::optional<std::int32_t> number(std::string_view text) {
  std::int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct Line {
  TokenId id;
  std::string bytes;
};

// nullopt when the line is not what it should be.
std::optional<Line> parse_line(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || last <= first + 1) return std::nullopt;
  const auto id = number(line.substr(0, first));
  const auto size = number(line.substr(last + 1));
  auto bytes = parse_python_literal(line.substr(first + 1, last - first - 1));
  if (!id || *id < 1 || *id > kHighestId || !size || !bytes) return std::nullopt;
  if (bytes->empty() || bytes->size() > kLongest) return std::nullopt;
  if (static_cast<std::size_t>(*size) != bytes->size()) return std::nullopt;
  return Line{*id, std::move(*bytes)};
}

}  // namespace

TokenizerParts rwkv_parts(const std::vector<TextTable::Entry>& spellings, std::string_view boundary,
                          const std::string& file, const std::string& field) {
  std::vector<std::string> texts;
  texts.reserve(spellings.size());
  std::vector<TextTable::Entry> raw;
  std::vector<TextTable::Entry> all{{0, boundary}};
  for (const TextTable::Entry& entry : spellings) {
    auto bytes = unescape_python_bytes(entry.text);
    if (!bytes || bytes->empty() || bytes->size() > kLongest) {
      throw LoadError(file, fmt::format("{}[{}]", field, entry.id),
                      fmt::format("1 to {} bytes with Python's escapes", kLongest),
                      repair_utf8(entry.text.substr(0, 100)));
    }
    texts.push_back(std::move(*bytes));
    raw.push_back({entry.id, texts.back()});
    all.push_back(entry);
  }
  TokenizerParts parts(LongestMatch(TokenTrie(std::move(raw))), Decoder::python_bytes());
  parts.spellings = TextTable(all);
  AddedToken token;
  token.id = 0;
  token.content = boundary;
  token.special = true;
  parts.added =
      AddedTokens({std::move(token)}, [](std::string_view text) { return std::string(text); });
  parts.bos = 0;
  parts.bos_text = boundary;
  parts.eos_text = boundary;
  parts.end_ids = {0};
  parts.description = fmt::format("RWKV World, {} tokens", all.size());
  return parts;
}

TokenizerParts parse_rwkv_vocabulary(std::string_view text, const std::string& file) {
  std::vector<Line> lines;
  std::size_t count = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++count;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    auto parsed = parse_line(line);
    if (!parsed) {
      throw LoadError(file, fmt::format("line {}", count), "an id, a Python literal and its length",
                      repair_utf8(line.substr(0, 100)));
    }
    lines.push_back({parsed->id, escape_python_bytes(parsed->bytes)});
  }
  if (lines.empty()) throw LoadError(file, "(whole file)", "lines with tokens", "none");
  std::vector<TextTable::Entry> entries;
  entries.reserve(lines.size());
  for (const Line& line : lines) entries.push_back({line.id, line.bytes});
  return rwkv_parts(entries, kBoundary, file, "token");
}

TokenizerParts read_rwkv_vocabulary(const std::string& file) {
  const MappedFile mapped(file);
  const auto bytes = mapped.bytes();
  return parse_rwkv_vocabulary({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, file);
}

}  // namespace rbee
