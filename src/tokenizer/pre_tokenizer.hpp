// PreTokenizer: cuts normalised text into the pieces that the model encodes one by one.
#pragma once
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/json_spec.hpp"
#include "tokenizer/text_pattern.hpp"

namespace rbee {

// A text and the pieces cut from it so far: ranges in order that do not overlap, none empty.
struct Pieces {
  struct Range {
    std::size_t begin;
    std::size_t end;
  };
  std::string text;
  std::vector<Range> ranges;
  bool at_start = true;  // the text begins where the whole input does

  std::string_view view(Range range) const {
    return std::string_view(text).substr(range.begin, range.end - range.begin);
  }
};

// What becomes of the matches of a splitting pattern.
enum class SplitBehavior : unsigned char {
  removed,
  isolated,              // each match is a piece
  merged_with_previous,  // a match ends the piece before it
  merged_with_next,      // a match begins the piece after it
  contiguous,            // neighbouring matches are one piece
};

class PreTokenizer {
 public:
  using Step = std::function<void(Pieces& pieces)>;

  PreTokenizer() = default;
  // The "pre_tokenizer" object of tokenizer.json, or null. model_takes_bytes: whether the last step
  // may leave raw bytes to the model, see ends_in_bytes. Throws LoadError for kinds it does not
  // know.
  explicit PreTokenizer(const JsonSpec& spec, bool model_takes_bytes = true);

  // Cuts at the matches of a regular expression, each match a piece (Split, Isolated).
  void add_split(std::string_view regex, const std::string& file, const std::string& field);

  // Makes each run of punctuation a piece (Punctuation, Contiguous).
  void add_punctuation_runs();

  // The last step makes raw bytes of the pieces: the model has to look tokens up as bytes.
  // (tokenizer.json spells them in the byte alphabet; that is done here only where steps follow.)
  bool ends_in_bytes() const { return ends_in_bytes_; }
  void set_ends_in_bytes() { ends_in_bytes_ = true; }

  void apply(Pieces& pieces) const;

 private:
  void parse(const JsonSpec& spec, bool last, int depth);
  void parse_byte_level(const JsonSpec& spec, bool last);
  void parse_metaspace(const JsonSpec& spec);

  std::vector<Step> steps_;
  bool ends_in_bytes_ = false;
};

}  // namespace rbee
