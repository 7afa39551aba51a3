#include "tokenizer/bpe.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

constexpr std::size_t kShort = 48;  // up to here rescanning the pair list beats a heap
constexpr std::uint32_t kNone = 0xFFFFFFFF;

std::string byte_token_spelling(unsigned byte) {
  constexpr char kHex[] = "0123456789ABCDEF";
  return {'<', '0', 'x', kHex[byte >> 4], kHex[byte & 15], '>'};
}

}  // namespace

Bpe::Bpe(TextTable vocabulary, const std::vector<Merges::Merge>& merges, const Options& options)
    : vocabulary_(std::move(vocabulary)),
      merges_(merges),
      options_(options),
      merges_to_itself_(static_cast<std::size_t>(vocabulary_.size())) {
  find_single_tokens();
  for (std::int32_t id = 0; id < vocabulary_.size(); ++id) {
    longest_token_ = std::max(longest_token_, vocabulary_.text(id).size());
  }
  if (!options_.bytes) find_safe_cuts(merges);
}

void Bpe::find_single_tokens() {
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char raw = static_cast<char>(byte);
    const auto id =
        options_.bytes ? vocabulary_.find({&raw, 1}) : vocabulary_.find(byte_token_spelling(byte));
    byte_tokens_[byte] = id.value_or(-1);
  }
  for (unsigned code = 0; code < 128; ++code) {
    const char raw = static_cast<char>(code);
    ascii_tokens_[code] = vocabulary_.find({&raw, 1}).value_or(-1);
  }
}

// Cutting needs every symbol to stand for its own text: unknown characters must become byte tokens
// (never one token for several, never nothing), and byte tokens must not take part in merges.
void Bpe::find_safe_cuts(const std::vector<Merges::Merge>& merges) {
  if (!options_.byte_fallback || std::ranges::count(byte_tokens_, -1) > 0) return;
  const auto is_byte = [this](std::int32_t id) {
    return std::ranges::find(byte_tokens_, id) != byte_tokens_.end();
  };
  const auto [low, high] = std::ranges::minmax(byte_tokens_);
  const auto in_range = [low = low, high = high](std::int32_t id) {
    return id >= low && id <= high;
  };
  auto cuts = std::make_unique<SafeCuts>();
  for (const Merges::Merge& merge : merges) {
    for (const std::int32_t id : {merge.left, merge.right}) {
      if (in_range(id) && is_byte(id)) return;
    }
    const std::string_view text = vocabulary_.text(merge.result);
    const std::string_view left = vocabulary_.text(merge.left);
    const std::string_view right = vocabulary_.text(merge.right);
    if (left.empty() || right.empty() || !text.starts_with(left) || !text.ends_with(right) ||
        left.size() + right.size() != text.size() || !is_valid_utf8(left) ||
        !is_valid_utf8(right)) {
      return;
    }
    // The pairs inside each half are forbidden by the merges that made the halves.
    cuts->forbid(code_point_before(left, left.size()).value,
                 code_point_at(text, left.size()).value);
  }
  cuts_ = std::move(cuts);
}

void Bpe::encode(std::string_view piece, Scratch& scratch, std::vector<std::int32_t>& out) const {
  if (piece.empty()) return;
  if (options_.ignore_merges && piece.size() <= longest_token_) {
    if (const auto id = vocabulary_.find(piece)) {
      out.push_back(*id);
      return;
    }
  }
  if (!cuts_) return encode_uncut(piece, scratch, out);
  std::size_t begin = 0;
  CodePoint left = code_point_at(piece, 0);
  for (std::size_t at = left.size; at < piece.size();) {
    const CodePoint right = code_point_at(piece, at);
    if (cuts_->allowed(left.value, right.value)) {
      encode_uncut(piece.substr(begin, at - begin), scratch, out);
      begin = at;
    }
    at += right.size;
    left = right;
  }
  encode_uncut(piece.substr(begin), scratch, out);
}

void Bpe::encode_uncut(std::string_view piece, Scratch& scratch,
                       std::vector<std::int32_t>& out) const {
  const auto token =
      piece.size() <= longest_token_ ? vocabulary_.find(piece) : std::optional<std::int32_t>();
  std::atomic<Known>* known =
      token ? &merges_to_itself_[static_cast<std::size_t>(*token)] : nullptr;
  if (known && known->load(std::memory_order_relaxed) == Known::yes) {
    out.push_back(*token);
    return;
  }
  const std::size_t before = out.size();
  scratch.ids_.clear();
  first_symbols(piece, scratch.ids_);
  if (scratch.ids_.size() <= kShort) {
    merge_short(scratch, out);
  } else {
    merge_long(scratch, out);
  }
  if (known) {
    const bool itself = out.size() == before + 1 && out.back() == *token;
    known->store(itself ? Known::yes : Known::no, std::memory_order_relaxed);
  }
}

void Bpe::first_symbols(std::string_view piece, std::vector<std::int32_t>& ids) const {
  if (!options_.bytes) return first_symbols_of_text(piece, ids);
  for (const char byte : piece) {
    const std::int32_t id = byte_tokens_[static_cast<unsigned char>(byte)];
    if (id >= 0) {
      ids.push_back(id);
    } else if (options_.unknown &&
               (!options_.fuse_unknown || ids.empty() || ids.back() != *options_.unknown)) {
      ids.push_back(*options_.unknown);
    }
  }
}

// An unknown token is held back until the next known character, and so comes after byte tokens
// that follow it: this is the order of the reference implementation.
void Bpe::first_symbols_of_text(std::string_view piece, std::vector<std::int32_t>& ids) const {
  bool held = false;
  for (std::size_t at = 0; at < piece.size();) {
    const std::size_t size = code_point_at(piece, at).size;
    const std::string_view character = piece.substr(at, size);
    at += size;
    const std::int32_t id = size == 1 ? ascii_tokens_[static_cast<unsigned char>(character[0])]
                                      : vocabulary_.find(character).value_or(-1);
    if (id >= 0) {
      if (held) ids.push_back(*options_.unknown);
      held = false;
      ids.push_back(id);
    } else if (!(options_.byte_fallback && append_byte_tokens(character, ids)) &&
               options_.unknown) {
      if (held && !options_.fuse_unknown) ids.push_back(*options_.unknown);
      held = true;
    }
  }
  if (held) ids.push_back(*options_.unknown);
}

bool Bpe::append_byte_tokens(std::string_view character, std::vector<std::int32_t>& ids) const {
  const auto token = [this](char byte) { return byte_tokens_[static_cast<unsigned char>(byte)]; };
  if (std::ranges::any_of(character, [&](char byte) { return token(byte) < 0; })) return false;
  for (const char byte : character) ids.push_back(token(byte));
  return true;
}

void Bpe::merge_short(Scratch& scratch, std::vector<std::int32_t>& out) const {
  auto& ids = scratch.ids_;
  auto& targets = scratch.targets_;  // targets[i]: the merge of ids[i] and ids[i + 1]
  std::size_t count = ids.size();
  targets.resize(count);
  for (std::size_t i = 0; i + 1 < count; ++i) targets[i] = merges_.find(ids[i], ids[i + 1]);
  while (count > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < count; ++i) {
      if (targets[i].rank < targets[best].rank) best = i;
    }
    if (targets[best].rank == Merges::kNoRank) break;
    ids[best] = targets[best].result;
    const auto gap = static_cast<std::ptrdiff_t>(best) + 1;
    const auto end = static_cast<std::ptrdiff_t>(count);
    std::move(ids.begin() + gap + 1, ids.begin() + end, ids.begin() + gap);
    std::move(targets.begin() + gap + 1, targets.begin() + end, targets.begin() + gap);
    --count;
    if (best > 0) targets[best - 1] = merges_.find(ids[best - 1], ids[best]);
    if (best + 1 < count) targets[best] = merges_.find(ids[best], ids[best + 1]);
  }
  out.insert(out.end(), ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count));
}

void Bpe::merge_long(Scratch& scratch, std::vector<std::int32_t>& out) const {
  auto& symbols = scratch.symbols_;
  auto& heap = scratch.heap_;
  const auto count = static_cast<std::uint32_t>(scratch.ids_.size());
  symbols.resize(count);
  heap.clear();
  const auto offer = [&](std::uint32_t at) {
    Scratch::Symbol& symbol = symbols[at];
    symbol.merge =
        symbol.next == kNone ? Merges::Target{} : merges_.find(symbol.id, symbols[symbol.next].id);
    if (symbol.merge.rank == Merges::kNoRank) return false;
    heap.push_back(static_cast<std::uint64_t>(symbol.merge.rank) << 32 | at);
    return true;
  };
  for (std::uint32_t i = 0; i < count; ++i) {
    symbols[i] = {scratch.ids_[i], i - 1, i + 1 < count ? i + 1 : kNone, {}};
    if (i > 0) offer(i - 1);
  }
  std::ranges::make_heap(heap, std::greater<>());
  while (!heap.empty()) {
    std::ranges::pop_heap(heap, std::greater<>());
    const std::uint64_t top = heap.back();
    heap.pop_back();
    const auto at = static_cast<std::uint32_t>(top);
    Scratch::Symbol& symbol = symbols[at];
    if (symbol.merge.rank != top >> 32) continue;  // swallowed, or its neighbour changed
    Scratch::Symbol& right = symbols[symbol.next];
    symbol.id = symbol.merge.result;
    right.merge = {};
    symbol.next = right.next;
    if (symbol.next != kNone) symbols[symbol.next].previous = at;
    if (offer(at)) std::ranges::push_heap(heap, std::greater<>());
    if (symbol.previous != kNone && offer(symbol.previous)) {
      std::ranges::push_heap(heap, std::greater<>());
    }
  }
  for (std::uint32_t at = 0; at != kNone; at = symbols[at].next) out.push_back(symbols[at].id);
}

}  // namespace rbee
