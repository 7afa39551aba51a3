// Regex: a regular expression of a tokenizer file, run by PCRE2 (just-in-time compiled). Patterns
// are in the dialect of Oniguruma's Ruby syntax, which Hugging Face tokenizers uses, with Unicode
// 16.0 properties.
#pragma once
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace rbee {

class Regex {
 public:
  struct Match {
    std::size_t begin;
    std::size_t end;
  };

  // Throws LoadError(file, field, ...) for a pattern that does not compile or is too large.
  Regex(std::string_view pattern, const std::string& file, const std::string& field);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  // Finds matches; holds the working memory, so each caller makes its own. Lives no longer than the
  // Regex.
  class Matcher {
   public:
    explicit Matcher(const Regex& regex);
    ~Matcher();
    Matcher(const Matcher&) = delete;
    Matcher& operator=(const Matcher&) = delete;

    // The first match that starts at or after `from`. There are limits on memory, and on the work
    // of all searches together by the size of the texts: once exceeded, nothing matches any more.
    // Real patterns stay far below. Precondition: text is valid UTF-8.
    std::optional<Match> find(std::string_view text, std::size_t from);

   private:
    struct Data;
    std::unique_ptr<Data> data_;
  };

  // Calls on_match(Match) for each match from left to right. Empty matches are skipped over; one
  // directly after another match is not reported.
  template <class F>
  void for_each(Matcher& matcher, std::string_view text, F&& on_match) const {
    std::size_t from = 0;
    std::optional<std::size_t> last_end;
    while (from <= text.size()) {
      const auto match = matcher.find(text, from);
      if (!match) return;
      if (match->begin == match->end) {
        if (last_end != match->end) on_match(*match);
        from = next_character(text, match->end);
      } else {
        on_match(*match);
        from = match->end;
      }
      last_end = match->end;
    }
  }

 private:
  static std::size_t next_character(std::string_view text, std::size_t at) noexcept;

  struct Code;
  std::unique_ptr<Code> code_;
};

// The same pattern for PCRE2 (with UTF, UCP, MULTILINE and LF newlines), with callouts (?C1) where
// backtracking passes by. Throws std::invalid_argument for syntax that has no equivalent.
std::string to_pcre2(std::string_view pattern);

}  // namespace rbee
