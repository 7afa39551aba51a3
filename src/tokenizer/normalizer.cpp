#include "tokenizer/normalizer.hpp"

#include <fmt/format.h>
#include <utf8proc.h>

#include <memory>
#include <utility>

#include "tokenizer/base64.hpp"
#include "tokenizer/byte_alphabet.hpp"
#include "tokenizer/chars_map.hpp"
#include "tokenizer/text_pattern.hpp"
#include "tokenizer/unicode.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

constexpr int kDeepest = 8;
// Bounds that no real vocabulary comes near; they keep a hostile file from filling the memory.
constexpr std::size_t kLongestContent = 256;  // bytes that a match or a prefix becomes
constexpr std::size_t kMostGrowth = 64;       // a step that makes the text longer is not applied

Normalizer::Step form_step(NormalForm form) {
  return [form](std::string& text) { text = normalize(text, form); };
}

void strip(std::string& text, bool left, bool right) {
  std::size_t begin = 0;
  std::size_t end = text.size();
  while (left && begin < end) {
    const CodePoint point = code_point_at(text, begin);
    if (!is_whitespace(point.value)) break;
    begin += point.size;
  }
  while (right && end > begin) {
    const CodePoint point = code_point_before(text, end);
    if (!is_whitespace(point.value)) break;
    end -= point.size;
  }
  text = text.substr(begin, end - begin);
}

// Keeps the characters for which map gives a value, as that value (0: drop it).
template <class F>
Normalizer::Step map_step(F map) {
  return [map](std::string& text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
      const CodePoint point = code_point_at(text, at);
      at += point.size;
      if (const auto mapped = map(point.value)) append_utf8(out, *mapped);
    }
    text = std::move(out);
  };
}

// The rules of SentencePiece's NMT normalisation for controls and odd spaces.
std::optional<char32_t> nmt(char32_t code) {
  if ((code >= 0x01 && code <= 0x08) || code == 0x0B || (code >= 0x0E && code <= 0x1F) ||
      code == 0x7F || code == 0x8F || code == 0x9F) {
    return std::nullopt;
  }
  if (code == 0x09 || code == 0x0A || code == 0x0C || code == 0x0D || code == 0x1680 ||
      (code >= 0x200B && code <= 0x200F) || code == 0x2028 || code == 0x2029 || code == 0x2581 ||
      code == 0xFEFF || code == 0xFFFD) {
    return U' ';
  }
  return code;
}

std::optional<char32_t> without_marks(char32_t code) {
  return is_mark(code) ? std::nullopt : std::optional(code);
}

std::string content_of(const JsonSpec& spec, std::string_view key) {
  std::string content = spec.string(key);
  if (content.size() > kLongestContent) {
    spec.refuse(key, "at most 256 bytes", fmt::format("{} bytes", content.size()));
  }
  return content;
}

// Where the grapheme cluster that begins at `at` ends.
std::size_t grapheme_end(std::string_view text, std::size_t at) {
  utf8proc_int32_t state = 0;
  CodePoint point = code_point_at(text, at);
  for (at += point.size; at < text.size(); at += point.size) {
    const auto before = static_cast<utf8proc_int32_t>(point.value);
    point = code_point_at(text, at);
    const auto after = static_cast<utf8proc_int32_t>(point.value);
    if (utf8proc_grapheme_break_stateful(before, after, &state) != 0) break;
  }
  return at;
}

// Hugging Face tokenizers looks for the rules of SentencePiece in short grapheme clusters, and
// replaces the whole cluster when its start has one; then in each character.
std::string apply_rules(const CharsMap& rules, std::string_view text) {
  constexpr std::size_t kShortCluster = 6;
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = grapheme_end(text, at);
    const auto rule = end - at < kShortCluster ? rules.shortest(text.substr(at, end - at))
                                               : std::optional<CharsMap::Rule>();
    if (rule) {
      out += rule->replacement;
      at = end;
    }
    while (at < end) {
      const std::string_view character = text.substr(at, code_point_at(text, at).size);
      const auto one = rules.shortest(character);
      out += one ? one->replacement : character;
      at += character.size();
    }
  }
  return out;
}

Normalizer::Step precompiled_step(const JsonSpec& spec) {
  const auto blob = decode_base64(spec.string("precompiled_charsmap"));
  if (!blob) spec.refuse("precompiled_charsmap", "base64", "other text");
  auto rules =
      std::make_shared<const CharsMap>(*blob, spec.file(), spec.path() + ".precompiled_charsmap");
  return [rules = std::move(rules)](std::string& text) { text = apply_rules(*rules, text); };
}

}  // namespace

Normalizer::Normalizer(const JsonSpec& spec) {
  if (!spec.is_null()) parse(spec, 0);
}

void Normalizer::parse(const JsonSpec& spec, int depth) {
  const std::string type = spec.string("type");
  if (type == "Sequence") {
    if (depth == kDeepest) spec.refuse("sequences nested at most 8 deep", "more");
    for (const JsonSpec& one : spec.array("normalizers")) parse(one, depth + 1);
  } else if (type == "NFC") {
    add(form_step(NormalForm::nfc));
  } else if (type == "NFD") {
    add(form_step(NormalForm::nfd));
  } else if (type == "NFKC") {
    add(form_step(NormalForm::nfkc));
  } else if (type == "NFKD") {
    add(form_step(NormalForm::nfkd));
  } else if (type == "Lowercase") {
    add([](std::string& text) { text = to_lower(text); });
  } else if (type == "Prepend") {
    add(prepend(content_of(spec, "prepend")));
  } else if (type == "Replace") {
    add([pattern = TextPattern(spec.member("pattern")), content = content_of(spec, "content")](
            std::string& text) { text = pattern.replace(text, content); });
  } else if (type == "Strip") {
    add([left = spec.boolean("strip_left"),
         right = spec.boolean("strip_right")](std::string& text) { strip(text, left, right); });
  } else if (type == "StripAccents") {
    add(map_step(without_marks));
  } else if (type == "Nmt") {
    add(map_step(nmt));
  } else if (type == "Precompiled") {
    add(precompiled_step(spec));
  } else if (type == "ByteLevel") {
    add([](std::string& text) { text = to_byte_alphabet(text); });
  } else {
    spec.refuse("type",
                "NFC, NFD, NFKC, NFKD, Lowercase, Prepend, Replace, Strip, StripAccents, Nmt, "
                "Precompiled, ByteLevel or Sequence",
                type);
  }
}

std::string Normalizer::apply(std::string_view text) const {
  std::string out(text);
  for (const Step& step : steps_) {
    std::string before = out;
    step(out);
    if (out.size() > text.size() * kMostGrowth + kLongestContent) out = std::move(before);
  }
  return out;
}

Normalizer::Step Normalizer::prepend(std::string what) {
  return [what = std::move(what)](std::string& text) {
    if (!text.empty()) text.insert(0, what);
  };
}

Normalizer::Step Normalizer::replace(std::string what, std::string by) {
  return [pattern = TextPattern::literal(std::move(what)), by = std::move(by)](std::string& text) {
    text = pattern.replace(text, by);
  };
}

}  // namespace rbee
