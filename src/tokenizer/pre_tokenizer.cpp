#include "tokenizer/pre_tokenizer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "tokenizer/byte_alphabet.hpp"
#include "tokenizer/unicode.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

constexpr int kDeepest = 8;
constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Joins matches and the text between them into pieces. Fed with all parts of one piece, in order.
class Splitter {
 public:
  Splitter(SplitBehavior behavior, bool invert, std::size_t expected)
      : behavior_(behavior), invert_(invert) {
    out_.reserve(expected);
  }

  void start(std::size_t at) {
    previous_match_ = false;
    first_ = out_.size();
    at_ = at;
  }
  void match(std::size_t begin, std::size_t end) {
    if (begin > at_) part(at_, begin, false);
    part(begin, end, true);
    at_ = end;
  }
  void finish(std::size_t end) {
    if (end > at_) part(at_, end, false);
  }
  // The pieces of all ranges, without empty ones.
  std::vector<Pieces::Range> take() {
    std::erase_if(out_, [](const Pieces::Range& range) { return range.begin == range.end; });
    return std::move(out_);
  }

 private:
  void part(std::size_t begin, std::size_t end, bool is_match) {
    is_match = is_match != invert_;
    const bool previous = std::exchange(previous_match_, is_match);
    const bool open = out_.size() > first_ && out_.back().end == begin;
    switch (behavior_) {
      case SplitBehavior::removed:
        if (is_match) return;
        break;
      case SplitBehavior::isolated:
        break;
      case SplitBehavior::contiguous:
        if (open && is_match == previous) return extend(end);
        break;
      case SplitBehavior::merged_with_previous:
        if (open && is_match && !previous) return extend(end);
        break;
      case SplitBehavior::merged_with_next:
        // A match is joined to what follows unless that is a match too.
        if (open && previous && !is_match) return extend(end);
        break;
    }
    out_.push_back({begin, end});  // an empty match too, for what is merged with it
  }
  void extend(std::size_t end) { out_.back().end = end; }

  SplitBehavior behavior_;
  bool invert_;
  std::vector<Pieces::Range> out_;
  bool previous_match_ = false;
  std::size_t first_ = 0;
  std::size_t at_ = 0;
};

PreTokenizer::Step split_at_pattern(TextPattern pattern, SplitBehavior behavior, bool invert) {
  return [pattern = std::move(pattern), behavior, invert](Pieces& pieces) {
    std::optional<Regex::Matcher> matcher;
    if (pattern.as_regex() != nullptr) matcher.emplace(*pattern.as_regex());
    Splitter splitter(behavior, invert, pieces.ranges.size() + pieces.text.size() / 4);
    for (const Pieces::Range range : pieces.ranges) {
      splitter.start(range.begin);
      const auto on_match = [&](std::size_t begin, std::size_t end) {
        splitter.match(range.begin + begin, range.begin + end);
      };
      if (matcher) {
        pattern.for_each(*matcher, pieces.view(range), on_match);
      } else {
        pattern.for_each(pieces.view(range), on_match);
      }
      splitter.finish(range.end);
    }
    pieces.ranges = splitter.take();
  };
}

// Splits where a property of single characters holds.
template <class F>
PreTokenizer::Step split_at_characters(F property, SplitBehavior behavior) {
  return [property, behavior](Pieces& pieces) {
    Splitter splitter(behavior, false, pieces.ranges.size());
    for (const Pieces::Range range : pieces.ranges) {
      splitter.start(range.begin);
      for (std::size_t at = range.begin; at < range.end;) {
        const CodePoint point = code_point_at(pieces.text, at);
        if (property(point.value)) splitter.match(at, at + point.size);
        at += point.size;
      }
      splitter.finish(range.end);
    }
    pieces.ranges = splitter.take();
  };
}

// Splits into runs of word characters and runs of what is neither word nor space.
void split_words(Pieces& pieces) {
  enum class Kind : unsigned char { none, space, word, other };
  const auto kind_of = [](char32_t code) {
    if (is_whitespace(code)) return Kind::space;
    return is_word(code) ? Kind::word : Kind::other;
  };
  std::vector<Pieces::Range> out;
  for (const Pieces::Range range : pieces.ranges) {
    Kind kind = Kind::none;
    for (std::size_t at = range.begin; at < range.end;) {
      const CodePoint point = code_point_at(pieces.text, at);
      const Kind next = kind_of(point.value);
      if (next != Kind::space) {
        if (next != kind) out.push_back({at, at});
        out.back().end = at + point.size;
      }
      kind = next;
      at += point.size;
    }
  }
  pieces.ranges = std::move(out);
}

// Rebuilds the text piece by piece; rewrite(piece, is_first) gives the new text of each. The first
// is the one where the text begins, if it is still there.
template <class F>
void rewrite_pieces(Pieces& pieces, F rewrite) {
  std::string text;
  text.reserve(pieces.text.size() + pieces.ranges.size());
  for (Pieces::Range& range : pieces.ranges) {
    const std::size_t begin = text.size();
    text += rewrite(pieces.view(range), range.begin == 0);
    range = {begin, text.size()};
  }
  pieces.text = std::move(text);
}

void prefix_spaces(Pieces& pieces) {
  rewrite_pieces(pieces, [](std::string_view piece, bool) {
    std::string text(piece);
    if (!piece.starts_with(' ')) text.insert(text.begin(), ' ');
    return text;
  });
}

SplitBehavior behavior_of(const JsonSpec& spec) {
  const std::string behavior = spec.string("behavior");
  if (behavior == "Removed") return SplitBehavior::removed;
  if (behavior == "Isolated") return SplitBehavior::isolated;
  if (behavior == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (behavior == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (behavior == "Contiguous") return SplitBehavior::contiguous;
  spec.refuse("behavior", "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous",
              behavior);
}

char32_t character_of(const JsonSpec& spec, std::string_view key) {
  const std::string text = spec.string(key);
  if (text.empty() || code_point_at(text, 0).size != text.size()) {
    spec.refuse(key, "one character", fmt::format("'{}'", text));
  }
  return code_point_at(text, 0).value;
}

}  // namespace

PreTokenizer::PreTokenizer(const JsonSpec& spec, bool model_takes_bytes) {
  if (!spec.is_null()) parse(spec, model_takes_bytes, 0);
}

void PreTokenizer::add_split(std::string_view regex, const std::string& file,
                             const std::string& field) {
  steps_.push_back(
      split_at_pattern(TextPattern::regex(regex, file, field), SplitBehavior::isolated, false));
}

void PreTokenizer::add_punctuation_runs() {
  steps_.push_back(split_at_characters(is_punctuation, SplitBehavior::contiguous));
}

void PreTokenizer::parse(const JsonSpec& spec, bool last, int depth) {
  const std::string type = spec.string("type");
  if (type == "Sequence") {
    if (depth == kDeepest) spec.refuse("sequences nested at most 8 deep", "more");
    const std::vector<JsonSpec> all = spec.array("pretokenizers");
    for (std::size_t i = 0; i < all.size(); ++i) {
      parse(all[i], last && i + 1 == all.size(), depth + 1);
    }
  } else if (type == "ByteLevel") {
    parse_byte_level(spec, last);
  } else if (type == "Split") {
    steps_.push_back(split_at_pattern(TextPattern(spec.member("pattern")), behavior_of(spec),
                                      spec.boolean("invert", false)));
  } else if (type == "Digits") {
    steps_.push_back(split_at_characters(is_number, spec.boolean("individual_digits", false)
                                                        ? SplitBehavior::isolated
                                                        : SplitBehavior::contiguous));
  } else if (type == "Punctuation") {
    const auto behavior = spec.has("behavior") ? behavior_of(spec) : SplitBehavior::isolated;
    steps_.push_back(split_at_characters(is_punctuation, behavior));
  } else if (type == "Metaspace") {
    parse_metaspace(spec);
  } else if (type == "Whitespace") {
    steps_.emplace_back(split_words);
  } else if (type == "WhitespaceSplit") {
    steps_.push_back(split_at_characters(is_whitespace, SplitBehavior::removed));
  } else if (type == "CharDelimiterSplit") {
    steps_.push_back(split_at_characters(
        [delimiter = character_of(spec, "delimiter")](char32_t code) { return code == delimiter; },
        SplitBehavior::removed));
  } else {
    spec.refuse("type",
                "ByteLevel, Split, Digits, Punctuation, Metaspace, Whitespace, WhitespaceSplit, "
                "CharDelimiterSplit or Sequence",
                type);
  }
}

void PreTokenizer::parse_byte_level(const JsonSpec& spec, bool last) {
  if (spec.boolean("add_prefix_space")) steps_.emplace_back(prefix_spaces);
  if (spec.boolean("use_regex", true)) add_split(kGpt2, spec.file(), spec.path());
  if (last) {
    ends_in_bytes_ = true;
    return;
  }
  steps_.emplace_back([](Pieces& pieces) {
    rewrite_pieces(pieces, [](std::string_view piece, bool) { return to_byte_alphabet(piece); });
  });
}

void PreTokenizer::parse_metaspace(const JsonSpec& spec) {
  std::string mark;
  append_utf8(mark, character_of(spec, "replacement"));
  std::string scheme = spec.has("prepend_scheme") ? spec.string("prepend_scheme") : "always";
  if (!spec.boolean("add_prefix_space", true)) scheme = "never";
  if (scheme != "always" && scheme != "first" && scheme != "never") {
    spec.refuse("prepend_scheme", "always, first or never", scheme);
  }
  steps_.emplace_back([mark, scheme, space = TextPattern::literal(" ")](Pieces& pieces) {
    const bool at_start = pieces.at_start;
    rewrite_pieces(pieces, [&](std::string_view piece, bool first) {
      std::string text = space.replace(piece, mark);
      const bool wanted = scheme == "always" || (scheme == "first" && first && at_start);
      if (wanted && !text.starts_with(mark)) text.insert(0, mark);
      return text;
    });
  });
  if (spec.boolean("split", true)) {
    steps_.push_back(
        split_at_pattern(TextPattern::literal(mark), SplitBehavior::merged_with_next, false));
  }
}

void PreTokenizer::apply(Pieces& pieces) const {
  for (const Step& step : steps_) step(pieces);
}

}  // namespace rbee
