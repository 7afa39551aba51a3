#include "tokenizer/decoder.hpp"

#include <optional>
#include <utility>

#include "tokenizer/byte_alphabet.hpp"
#include "tokenizer/python_literal.hpp"
#include "tokenizer/text_pattern.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

constexpr int kDeepest = 8;
constexpr std::size_t kLongestContent = 256;  // bytes that a match becomes

void byte_level_step(std::string& token) {
  if (auto bytes = from_byte_alphabet(token)) token = std::move(*bytes);
}

Decoder::Step replace_step(TextPattern pattern, std::string content) {
  return [pattern = std::move(pattern), content = std::move(content)](std::string& token) {
    token = pattern.replace(token, content);
  };
}

// Removes up to `start` of a character at the front and up to `stop` of it at the back.
void strip(std::string& token, std::string_view character, std::size_t start, std::size_t stop) {
  std::string_view rest = token;
  for (; start > 0 && rest.starts_with(character); --start) rest.remove_prefix(character.size());
  for (; stop > 0 && rest.ends_with(character); --stop) rest.remove_suffix(character.size());
  token = std::string(rest);
}

}  // namespace

Decoder::Decoder(const JsonSpec& spec) {
  if (spec.is_null()) {
    steps_.emplace_back([](std::string& token) { token.insert(token.begin(), ' '); });
    leading_space_ = LeadingSpace::drop_one;
  } else {
    parse(spec, 0);
  }
}

Decoder Decoder::byte_level() {
  Decoder decoder;
  decoder.steps_.emplace_back(byte_level_step);
  return decoder;
}

Decoder Decoder::sentence_piece(bool strips_leading_space) {
  Decoder decoder;
  decoder.steps_.push_back(replace_step(TextPattern::literal("\u2581"), " "));
  decoder.byte_fallback_ = true;
  if (strips_leading_space) decoder.leading_space_ = LeadingSpace::drop_one;
  return decoder;
}

Decoder Decoder::python_bytes() {
  Decoder decoder;
  decoder.steps_.emplace_back([](std::string& token) {
    if (auto bytes = unescape_python_bytes(token)) token = std::move(*bytes);
  });
  return decoder;
}

void Decoder::parse(const JsonSpec& spec, int depth) {
  const std::string type = spec.string("type");
  if (type == "Sequence") {
    if (depth == kDeepest) spec.refuse("sequences nested at most 8 deep", "more");
    for (const JsonSpec& one : spec.array("decoders")) parse(one, depth + 1);
  } else if (type == "Fuse") {
    fused_ = true;
  } else if (type == "Strip") {
    parse_strip(spec);
  } else if (type == "ByteFallback" && !fused_) {
    byte_fallback_ = true;
  } else if (type == "ByteLevel" && !fused_) {
    steps_.emplace_back(byte_level_step);
    fused_ = true;  // it joins all tokens
  } else if (type == "Replace" && !fused_) {
    std::string content = spec.string("content");
    if (content.size() > kLongestContent) spec.refuse("content", "at most 256 bytes", "more");
    steps_.push_back(replace_step(TextPattern(spec.member("pattern")), std::move(content)));
  } else if (type == "Metaspace" && !fused_) {
    parse_metaspace(spec);
  } else if (fused_) {
    spec.refuse("type", "only Strip after the tokens are joined", type);
  } else {
    spec.refuse("type", "ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace or Sequence",
                type);
  }
}

void Decoder::parse_strip(const JsonSpec& spec) {
  const std::string content = spec.string("content");
  const std::int64_t start = spec.integer("start");
  const std::int64_t stop = spec.integer("stop");
  if (content.empty() || start < 0 || stop < 0) {
    spec.refuse("a character and two counts", "something else");
  }
  if (!fused_) {
    steps_.emplace_back([content, start, stop](std::string& token) {
      strip(token, content, static_cast<std::size_t>(start), static_cast<std::size_t>(stop));
    });
    return;
  }
  if (start == 0 && stop == 0) return;
  if (content != " " || start != 1 || stop != 0) {
    spec.refuse("one space stripped from the start of the text", "another Strip");
  }
  leading_space_ = LeadingSpace::drop_one;
}

void Decoder::parse_metaspace(const JsonSpec& spec) {
  const std::string mark = spec.string("replacement");
  if (mark.empty()) spec.refuse("replacement", "a character", "an empty string");
  const bool prefixed = spec.has("prepend_scheme") ? spec.string("prepend_scheme") != "never"
                                                   : spec.boolean("add_prefix_space", true);
  steps_.push_back(replace_step(TextPattern::literal(mark), " "));
  if (prefixed) leading_space_ = LeadingSpace::drop_in_first_token;
}

std::string Decoder::bytes(std::string_view token) const {
  if (byte_fallback_) {
    if (const auto byte = byte_of_token(token)) return std::string(1, *byte);
  }
  std::string out(token);
  for (const Step& step : steps_) step(out);
  return out;
}

}  // namespace rbee
