#include "tokenizer/text_pattern.hpp"

#include <utility>

namespace rbee {

TextPattern::TextPattern(const JsonSpec& spec) {
  if (spec.has("Regex")) {
    *this = regex(spec.string("Regex"), spec.file(), spec.path());
  } else {
    text_ = spec.string("String");
    if (text_.empty()) spec.refuse("String", "a string to look for", "an empty one");
  }
}

TextPattern TextPattern::literal(std::string text) {
  TextPattern pattern;
  pattern.text_ = std::move(text);
  return pattern;
}

TextPattern TextPattern::regex(std::string_view pattern, const std::string& file,
                               const std::string& field) {
  TextPattern made;
  // Means the same; the plain form searches every suffix of every run of spaces.
  if (pattern == R"(\s+$)") pattern = R"((?<!\s)\s+$)";
  made.regex_ = std::make_shared<const Regex>(pattern, file, field);
  return made;
}

}  // namespace rbee
