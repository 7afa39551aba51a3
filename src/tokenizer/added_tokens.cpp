#include "tokenizer/added_tokens.hpp"

#include <algorithm>
#include <utility>

#include "tokenizer/unicode.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

std::uint64_t edge(std::uint32_t node, unsigned char byte) {
  return static_cast<std::uint64_t>(node) << 8 | byte;
}

bool word_before(std::string_view text, std::size_t at) {
  return at > 0 && is_word(code_point_before(text, at).value);
}

bool word_at(std::string_view text, std::size_t at) {
  return at < text.size() && is_word(code_point_at(text, at).value);
}

std::size_t skip_space_left(std::string_view text, std::size_t at, std::size_t stop) {
  while (at > stop) {
    const CodePoint point = code_point_before(text, at);
    if (!is_whitespace(point.value)) break;
    at -= point.size;
  }
  return at;
}

std::size_t skip_space_right(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    const CodePoint point = code_point_at(text, at);
    if (!is_whitespace(point.value)) break;
    at += point.size;
  }
  return at;
}

}  // namespace

std::uint32_t ByteTrie::child(std::uint32_t node, unsigned char byte) const {
  const auto found = children_.find(edge(node, byte));
  return found == children_.end() ? kNone : found->second;
}

void ByteTrie::insert(std::string_view text, std::uint32_t value) {
  std::uint32_t node = kNone;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    std::uint32_t next = i == 0 ? first_[byte] : child(node, byte);
    if (next == kNone) {
      next = static_cast<std::uint32_t>(values_.size());
      values_.push_back(kNone);
      if (i == 0) {
        first_[byte] = next;
      } else {
        children_.emplace(edge(node, byte), next);
      }
    }
    node = next;
  }
  if (node != kNone) values_[node] = value;
}

ByteTrie::Found ByteTrie::find(std::string_view text, std::size_t from) const {
  if (values_.empty()) return {text.size(), text.size(), kNone};
  for (std::size_t begin = from; begin < text.size(); ++begin) {
    std::uint32_t node = first_[static_cast<unsigned char>(text[begin])];
    if (node == kNone) continue;
    Found longest{begin, 0, values_[node]};
    if (longest.value != kNone) longest.end = begin + 1;
    for (std::size_t at = begin + 1; at < text.size(); ++at) {
      node = child(node, static_cast<unsigned char>(text[at]));
      if (node == kNone) break;
      if (values_[node] != kNone) longest = {begin, at + 1, values_[node]};
    }
    if (longest.value != kNone) return longest;
  }
  return {text.size(), text.size(), kNone};
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens,
                         const std::function<std::string(std::string_view)>& normalize)
    : tokens_(std::move(tokens)), normalized_contents_(tokens_.size()) {
  for (std::uint32_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i];
    by_id_[token.id] = i;
    if (!token.normalized) {
      raw_.insert(token.content, i);
      continue;
    }
    std::string form = normalize(token.content);
    normalized_.insert(form, i);
    if (form != token.content) normalized_contents_[i] = std::move(form);
  }
}

const AddedToken* AddedTokens::find(std::int32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &tokens_[found->second];
}

std::string_view AddedTokens::decoded_content(const AddedToken& token) const {
  const std::string& form = normalized_contents_[static_cast<std::size_t>(&token - tokens_.data())];
  return form.empty() ? token.content : form;
}

std::vector<AddedTokens::Part> AddedTokens::split(std::string_view text, bool normalized,
                                                  bool with_special) const {
  std::vector<Part> parts;
  const ByteTrie& trie = normalized ? normalized_ : raw_;
  std::size_t done = 0;
  for (std::size_t from = 0; from < text.size();) {
    const ByteTrie::Found found = trie.find(text, from);
    if (found.begin == text.size()) break;
    from = found.end;
    const AddedToken& token = tokens_[found.value];
    if (token.special && !with_special) continue;
    if (token.single_word && (word_before(text, found.begin) || word_at(text, found.end))) continue;
    // The token before may have taken white space that this one begins with.
    std::size_t begin = std::max(found.begin, done);
    if (token.lstrip) begin = skip_space_left(text, begin, done);
    std::size_t end = std::max(found.end, done);
    if (token.rstrip && found.end >= done) end = skip_space_right(text, found.end);
    if (begin > done) parts.push_back({text.substr(done, begin - done), nullptr});
    parts.push_back({text.substr(begin, std::max(end, begin) - begin), &token});
    done = std::max(end, done);
  }
  if (done < text.size()) parts.push_back({text.substr(done), nullptr});
  return parts;
}

}  // namespace rbee
