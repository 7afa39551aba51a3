// TextPattern: what a tokenizer.json step looks for: a string or a regular expression.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "tokenizer/json_spec.hpp"
#include "tokenizer/regex.hpp"

namespace rbee {

class TextPattern {
 public:
  // {"String": "..."} or {"Regex": "..."}. Throws LoadError.
  explicit TextPattern(const JsonSpec& spec);
  static TextPattern literal(std::string text);
  static TextPattern regex(std::string_view pattern, const std::string& file,
                           const std::string& field);

  // Calls on_match(begin, end) for each match from left to right.
  template <class F>
  void for_each(std::string_view text, F&& on_match) const {
    if (regex_) {
      Regex::Matcher matcher(*regex_);
      for_each(matcher, text, on_match);
      return;
    }
    for (std::size_t at = text.find(text_); at != std::string_view::npos;
         at = text.find(text_, at + text_.size())) {
      on_match(at, at + text_.size());
    }
  }

  // Every match replaced.
  std::string replace(std::string_view text, std::string_view content) const {
    std::string out;
    std::size_t copied = 0;
    for_each(text, [&](std::size_t begin, std::size_t end) {
      out += text.substr(copied, begin - copied);
      out += content;
      copied = end;
    });
    out += text.substr(copied);
    return out;
  }

  // Runs of for_each over many short texts share one matcher.
  const Regex* as_regex() const { return regex_.get(); }
  template <class F>
  void for_each(Regex::Matcher& matcher, std::string_view text, F&& on_match) const {
    regex_->for_each(matcher, text, [&](Regex::Match m) { on_match(m.begin, m.end); });
  }

 private:
  TextPattern() = default;
  std::string text_;                    // not empty, unless regex_ is set
  std::shared_ptr<const Regex> regex_;  // shared: steps are copyable functions
};

}  // namespace rbee
