// Bpe: byte-pair encoding of one piece of text (Sennrich et al. 2016, arXiv:1508.07909): start
// from single characters (or bytes) and join the adjacent pair of the lowest rank, leftmost first,
// until no pair can be joined. Ids equal those of Hugging Face tokenizers' BPE model.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "tokenizer/merges.hpp"
#include "tokenizer/text_table.hpp"

namespace rbee {

// Where a piece may be cut without changing its encoding: between two code points that no token
// made by a merge holds side by side.
class SafeCuts {
 public:
  void forbid(char32_t left, char32_t right) { bits_[word(left, right)] |= bit(left, right); }
  // May say no where a cut would be safe (the pairs are hashed), never yes where it is not.
  bool allowed(char32_t left, char32_t right) const noexcept {
    return (bits_[word(left, right)] & bit(left, right)) == 0;
  }

 private:
  static constexpr unsigned kBits = 20;
  static std::uint32_t hash(char32_t left, char32_t right) noexcept {
    return (static_cast<std::uint32_t>(left) * 0x9E3779B1u ^
            static_cast<std::uint32_t>(right) * 0x85EBCA77u) >>
           (32 - kBits);
  }
  static std::size_t word(char32_t left, char32_t right) noexcept { return hash(left, right) / 64; }
  static std::uint64_t bit(char32_t left, char32_t right) noexcept {
    return std::uint64_t{1} << (hash(left, right) % 64);
  }
  std::vector<std::uint64_t> bits_ = std::vector<std::uint64_t>((1u << kBits) / 64);
};

class Bpe {
 public:
  struct Options {
    // Pieces are raw bytes and tokens are looked up as such. Otherwise pieces are valid UTF-8,
    // start from code points, and unknown ones follow byte_fallback and unknown.
    bool bytes = false;
    bool ignore_merges = false;  // a piece that is a token becomes that token without merging
    bool byte_fallback = false;  // an unknown character becomes tokens spelled <0xXX>
    bool fuse_unknown = false;   // neighbouring unknown characters become one unknown token
    std::optional<std::int32_t> unknown;  // else unknown characters vanish
  };

  // vocabulary: by the spelling that pieces have (raw bytes when options.bytes).
  Bpe(TextTable vocabulary, const std::vector<Merges::Merge>& merges, const Options& options);

  // Working memory of one caller, reused from piece to piece.
  class Scratch {
    friend class Bpe;
    struct Symbol {
      std::int32_t id;
      std::uint32_t previous;
      std::uint32_t next;
      Merges::Target merge;  // with the next symbol
    };
    std::vector<Symbol> symbols_;
    std::vector<std::uint64_t> heap_;  // rank in the high half, position in the low one
    std::vector<std::int32_t> ids_;
    std::vector<Merges::Target> targets_;
  };

  // Appends the ids of the piece. Time grows as n log n with the size of the piece.
  void encode(std::string_view piece, Scratch& scratch, std::vector<std::int32_t>& out) const;

  const TextTable& vocabulary() const noexcept { return vocabulary_; }
  const Options& options() const noexcept { return options_; }
  const Merges& merges() const noexcept { return merges_; }
  std::size_t merge_count() const noexcept { return merges_.size(); }

 private:
  enum class Known : std::uint8_t { unknown, yes, no };

  void encode_uncut(std::string_view piece, Scratch& scratch, std::vector<std::int32_t>& out) const;
  void first_symbols(std::string_view piece, std::vector<std::int32_t>& ids) const;
  void first_symbols_of_text(std::string_view piece, std::vector<std::int32_t>& ids) const;
  bool append_byte_tokens(std::string_view character, std::vector<std::int32_t>& ids) const;
  void merge_short(Scratch& scratch, std::vector<std::int32_t>& out) const;
  void merge_long(Scratch& scratch, std::vector<std::int32_t>& out) const;
  void find_single_tokens();
  void find_safe_cuts(const std::vector<Merges::Merge>& merges);

  TextTable vocabulary_;
  Merges merges_;
  Options options_;
  std::array<std::int32_t, 256> byte_tokens_{};   // -1: none; spelled <0xXX> unless bytes
  std::array<std::int32_t, 128> ascii_tokens_{};  // the tokens of single ASCII characters
  std::size_t longest_token_ = 0;                 // bytes
  std::unique_ptr<SafeCuts> cuts_;                // null: pieces are not cut
  // Whether merging a token's text gives the token itself: found out when first needed.
  mutable std::vector<std::atomic<Known>> merges_to_itself_;
};

}  // namespace rbee
