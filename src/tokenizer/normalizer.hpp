// Normalizer: what a vocabulary does to text before splitting it: Unicode forms, case,
// replacements. Steps run in order; each is a function from text to text.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/json_spec.hpp"

namespace rbee {

class Normalizer {
 public:
  using Step = std::function<void(std::string& text)>;

  Normalizer() = default;
  // The "normalizer" object of tokenizer.json, or null. Throws LoadError for kinds it does not
  // know.
  explicit Normalizer(const JsonSpec& spec);

  void add(Step step) { steps_.push_back(std::move(step)); }
  bool empty() const { return steps_.empty(); }
  // text must be valid UTF-8, and so is the result. A step that would make the text more than 64
  // times as long is left out.
  std::string apply(std::string_view text) const;

  // The steps of SentencePiece-style vocabularies.
  static Step prepend(std::string what);  // unless the text is empty
  static Step replace(std::string what, std::string by);

 private:
  void parse(const JsonSpec& spec, int depth);

  std::vector<Step> steps_;
};

}  // namespace rbee
