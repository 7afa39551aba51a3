// Rewrites a pattern of Oniguruma's Ruby syntax for PCRE2. The two agree on most of it; this covers
// where they differ: what the classes \s \d \w \h \p{...} hold (by Unicode version too), nested
// classes and intersections, (?m), \u, and quantifiers after {n,m}.
#include <fmt/format.h>

#include <array>
#include <stdexcept>
#include <vector>

#include "tokenizer/regex.hpp"
#include "tokenizer/unicode_history.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

constexpr int kDeepest = 16;  // nesting of classes
constexpr std::size_t kLongest = 1024 * 1024;

// PCRE2's limit on backtracking does not hold for just-in-time compiled patterns: a callout where
// backtracking passes by lets us count instead.
constexpr std::string_view kCheckpoint = "(?C1)";

constexpr std::string_view kSpaces =
    R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

// Members of a class for the general categories whose name starts with `prefix`.
std::string category_members(std::string_view prefix) {
  std::string members = fmt::format("\\p{{{}}}", prefix);
  for (const CategoryRange& range : assigned_since_unicode_14()) {
    if (!name(range.category).starts_with(prefix)) continue;
    members += fmt::format("\\x{{{:x}}}-\\x{{{:x}}}", static_cast<std::uint32_t>(range.first),
                           static_cast<std::uint32_t>(range.last));
  }
  return members;
}

std::string word_members() {
  return category_members("L") + category_members("M") + category_members("Nd") +
         category_members("Nl") + category_members("Pc") +
         R"(\x{24b6}-\x{24e9}\x{1f130}-\x{1f149}\x{1f150}-\x{1f169}\x{1f170}-\x{1f189})";
}
// What \w takes besides where it is not in a class: Latin-1 fractions and superscripts.
constexpr std::string_view kBareWordMembers = R"(\x{b2}\x{b3}\x{b9}\x{bc}-\x{be})";

std::string property_members(std::string_view property) {
  struct Script {
    std::string_view name;
    std::string_view added;  // since Unicode 14
  };
  static constexpr std::array<Script, 3> kScripts = {{
      {"Han", R"(\x{2b739}\x{2ebf0}-\x{2ee5d}\x{31350}-\x{323af})"},
      {"Hiragana", R"(\x{1b132})"},
      {"Katakana", R"(\x{1b155})"},
  }};
  for (const Script& script : kScripts) {
    if (property == script.name) return fmt::format("\\p{{sc:{}}}{}", property, script.added);
  }
  const bool category = property.size() <= 2 && property != "L&";
  return category ? category_members(property) : fmt::format("\\p{{{}}}", property);
}

class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  std::string run() {
    if (pattern_.starts_with("(*")) throw std::invalid_argument("a verb at the start");
    while (at_ < pattern_.size()) {
      step();
      if (out_.size() > kLongest) throw std::invalid_argument("a pattern that is too large");
    }
    return std::move(out_);
  }

 private:
  struct Members {
    std::string text;  // between the brackets of a class
    bool negated = false;
  };

  bool next_is(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }

  void step() {
    const char c = pattern_[at_];
    if (c == '\\') {
      atom_ = out_.size();
      out_ += escape_outside_class();
    } else if (c == '[') {
      atom_ = out_.size();
      out_ += char_class(0);
    } else if (c == '(') {
      groups_.push_back(out_.size());
      open_group();
    } else if (c == ')') {
      atom_ = groups_.empty() ? out_.size() : groups_.back();
      if (!groups_.empty()) groups_.pop_back();
      out_ += pattern_[at_++];
      if (at_ == pattern_.size() ||
          std::string_view("*+?{").find(pattern_[at_]) == std::string_view::npos) {
        out_ += kCheckpoint;
      }
    } else if (c == '{') {
      interval();
    } else if (c == '*' || c == '+' || c == '?') {
      out_ += pattern_[at_++];
      end_quantifier("?+");
    } else {
      if (std::string_view("|^$").find(c) == std::string_view::npos) atom_ = out_.size();
      const std::size_t size = code_point_at(pattern_, at_).size;
      out_ += pattern_.substr(at_, size);
      at_ += size;
    }
  }

  // Ruby's (?m) lets the dot match newlines: PCRE2's (?s).
  void open_group() {
    out_ += pattern_[at_++];
    if (!next_is("?") && !next_is("*")) return;
    out_ += pattern_[at_++];  // what kind of group it is, not a quantifier
    const std::size_t end = pattern_.find_first_not_of("imx-", at_);
    if (end == std::string_view::npos || (pattern_[end] != ':' && pattern_[end] != ')')) return;
    for (; at_ < end; ++at_) out_ += pattern_[at_] == 'm' ? 's' : pattern_[at_];
  }

  // {n,m} with Ruby's {,m}, and with a following + that repeats (in PCRE2 it is possessive).
  void interval() {
    const std::size_t end = pattern_.find('}', at_);
    const std::string_view body = end == std::string_view::npos
                                      ? std::string_view()
                                      : pattern_.substr(at_ + 1, end - at_ - 1);
    if (body.empty() || body == "," ||
        body.find_first_not_of("0123456789,") != std::string_view::npos) {
      atom_ = out_.size();
      out_ += "\\{";
      ++at_;
      return;
    }
    at_ = end + 1;
    out_ += body.front() == ',' ? fmt::format("{{0{}}}", body) : fmt::format("{{{}}}", body);
    if (next_is("+")) {
      const std::string atom = out_.substr(atom_);
      out_.resize(atom_);
      out_ += fmt::format("(?:{})+", atom);
      ++at_;
    }
    end_quantifier("?");
  }

  // Copies a suffix that makes a quantifier lazy or possessive. What was repeated can be tried in
  // other ways from here on: a place to count.
  void end_quantifier(std::string_view suffixes) {
    if (at_ < pattern_.size() && suffixes.find(pattern_[at_]) != std::string_view::npos) {
      out_ += pattern_[at_++];
    }
    out_ += kCheckpoint;
  }

  std::string escape_outside_class() {
    if (at_ + 1 < pattern_.size() && (pattern_[at_ + 1] == 'b' || pattern_[at_ + 1] == 'B')) {
      const bool boundary = pattern_[at_ + 1] == 'b';
      at_ += 2;
      const std::string word = fmt::format("[{}{}]", word_members(), kBareWordMembers);
      const std::string_view form =
          boundary ? "(?:(?<={0})(?!{0})|(?<!{0})(?={0}))" : "(?:(?<={0})(?={0})|(?<!{0})(?!{0}))";
      return fmt::format(fmt::runtime(form), word);
    }
    const bool word = next_is("\\w") || next_is("\\W");
    Members members = escape();
    if (members.text.empty()) return std::move(plain_);
    if (word) members.text += kBareWordMembers;
    return fmt::format("[{}{}]", members.negated ? "^" : "", members.text);
  }

  // An escape sequence: the members of the class it names, or nothing with plain_ set to the text
  // to copy.
  Members escape() {
    if (at_ + 1 >= pattern_.size()) throw std::invalid_argument("a lone backslash at the end");
    const char c = pattern_[at_ + 1];
    at_ += 2;
    switch (c) {
      case 's':
      case 'S':
        return {std::string(kSpaces), c == 'S'};
      case 'd':
      case 'D':
        return {category_members("Nd"), c == 'D'};
      case 'w':
      case 'W':
        return {word_members(), c == 'W'};
      case 'h':
      case 'H':
        return {"0-9a-fA-F", c == 'H'};
      case 'p':
      case 'P':
        return property(c == 'P');
      case 'v':
        plain_ = "\\x0b";
        return {};
      case 'u':
        if (at_ + 4 > pattern_.size()) throw std::invalid_argument("\\u without four digits");
        plain_ = fmt::format("\\x{{{}}}", pattern_.substr(at_, 4));
        at_ += 4;
        return {};
      default:
        plain_.assign(1, '\\');
        const std::size_t size = code_point_at(pattern_, at_ - 1).size;
        plain_ += pattern_.substr(at_ - 1, size);
        at_ += size - 1;
        return {};
    }
  }

  // \p{Name}, \p{^Name} or \pL, after the p.
  Members property(bool negated) {
    std::string_view property;
    if (next_is("{")) {
      const std::size_t end = pattern_.find('}', at_);
      if (end == std::string_view::npos) throw std::invalid_argument("\\p{ without its end");
      property = pattern_.substr(at_ + 1, end - at_ - 1);
      at_ = end + 1;
    } else {
      property = pattern_.substr(at_, 1);
      at_ += property.size();
    }
    if (property.starts_with('^')) {
      negated = !negated;
      property.remove_prefix(1);
    }
    if (property.empty() ||
        property.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop"
                                   "qrstuvwxyz0123456789_ &-") != std::string_view::npos) {
      throw std::invalid_argument("a malformed property name");
    }
    return {property_members(property), negated};
  }

  // A class from its '[' on, as an expression for one character.
  std::string char_class(int depth) {
    if (depth > kDeepest) throw std::invalid_argument("classes nested too deep");
    ++at_;
    const bool negated = next_is("^");
    if (negated) ++at_;
    std::vector<std::string> operands;  // of &&
    std::string items;                  // of the operand being read, between brackets
    std::vector<std::string> nested;    // its members that are classes themselves
    bool first = true;
    for (;; first = false) {
      if (at_ >= pattern_.size()) throw std::invalid_argument("a class without its end");
      if (pattern_[at_] == ']' && !first) break;
      if (items.size() > kLongest || nested.size() > kLongest / 16) {
        throw std::invalid_argument("a class that is too large");
      }
      if (next_is("&&")) {
        operands.push_back(union_of(items, nested));
        items.clear();
        nested.clear();
        at_ += 2;
      } else if (next_is("[:")) {
        items += posix_class();
      } else if (pattern_[at_] == '[') {
        nested.push_back(char_class(depth + 1));
      } else {
        class_item(items, nested);
      }
    }
    ++at_;
    if (operands.empty() && nested.empty()) {
      return fmt::format("[{}{}]", negated ? "^" : "", items);
    }
    operands.push_back(union_of(items, nested));
    std::string all = "(?:";
    for (const std::string& operand : operands) {
      all += fmt::format("(?={})", operand);
    }
    all += "[\\x{0}-\\x{10ffff}])";
    return negated ? fmt::format("(?:(?!{})[\\x{{0}}-\\x{{10ffff}}])", all) : all;
  }

  void class_item(std::string& items, std::vector<std::string>& nested) {
    if (pattern_[at_] == '\\') {
      const Members members = escape();
      if (members.text.empty()) {
        items += plain_;
      } else if (members.negated) {
        nested.push_back(fmt::format("[^{}]", members.text));
      } else {
        items += members.text;
      }
      return;
    }
    const std::size_t size = code_point_at(pattern_, at_).size;
    if (pattern_[at_] == ']') items += '\\';
    items += pattern_.substr(at_, size);
    at_ += size;
  }

  std::string posix_class() {
    const std::size_t end = pattern_.find(":]", at_);
    if (end == std::string_view::npos) throw std::invalid_argument("[: without its end");
    const std::string_view whole = pattern_.substr(at_, end + 2 - at_);
    at_ = end + 2;
    if (whole == "[:space:]") return std::string(kSpaces);
    if (whole == "[:digit:]") return category_members("Nd");
    if (whole == "[:word:]") return word_members();
    if (whole == "[:punct:]") return category_members("P") + category_members("S");
    return std::string(whole);
  }

  static std::string union_of(const std::string& items, const std::vector<std::string>& nested) {
    std::string any = items.empty() ? std::string() : fmt::format("[{}]", items);
    for (const std::string& one : nested) {
      if (!any.empty()) any += '|';
      any += one;
    }
    return any.empty() ? std::string("(?!)") : fmt::format("(?:{})", any);
  }

  std::string_view pattern_;
  std::size_t at_ = 0;
  std::string out_;
  std::string plain_;
  std::size_t atom_ = 0;  // where in out_ the last atom starts
  std::vector<std::size_t> groups_;
};

}  // namespace

std::string to_pcre2(std::string_view pattern) {
  if (!is_valid_utf8(pattern)) throw std::invalid_argument("invalid UTF-8");
  return Translator(pattern).run();
}

}  // namespace rbee
