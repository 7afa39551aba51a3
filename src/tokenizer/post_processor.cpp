#include "tokenizer/post_processor.hpp"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>

namespace rbee {
namespace {

constexpr int kDeepest = 8;
constexpr std::size_t kMostIds = 64;

TokenId id_of(const JsonSpec& spec, const Json& value) {
  if (!value.is_number_integer() || value.get<std::int64_t>() < 0 ||
      value.get<std::int64_t>() > std::numeric_limits<TokenId>::max()) {
    spec.refuse("token ids", value.dump());
  }
  return value.get<TokenId>();
}

// Puts ids outside those that are there already.
void wrap(const JsonSpec& spec, Framing& framing, std::vector<TokenId> before,
          const std::vector<TokenId>& after) {
  before.insert(before.end(), framing.before.begin(), framing.before.end());
  framing.before = std::move(before);
  framing.after.insert(framing.after.end(), after.begin(), after.end());
  if (framing.before.size() > kMostIds || framing.after.size() > kMostIds) {
    spec.refuse(fmt::format("at most {} ids around a text", kMostIds), "more");
  }
}

void add_template(const JsonSpec& spec, Framing& framing) {
  std::vector<TokenId> before;
  std::vector<TokenId> after;
  bool passed_text = false;
  for (const JsonSpec& piece : spec.array("single")) {
    if (piece.has("Sequence")) {
      if (passed_text) piece.refuse("the text once", "it again");
      passed_text = true;
      continue;
    }
    const std::string name = piece.member("SpecialToken").string("id");
    const JsonSpec token = spec.member("special_tokens").member(name);
    const JsonSpec ids = token.member("ids");
    for (const JsonSpec& id : ids.elements()) {
      (passed_text ? after : before).push_back(id_of(ids, id.json()));
    }
  }
  if (!passed_text) spec.refuse("single", "a template with the text in it", "one without");
  wrap(spec, framing, std::move(before), after);
}

// {"sep": ["</s>", 2], "cls": ["<s>", 0]}
void add_classifier_tokens(const JsonSpec& spec, Framing& framing) {
  const auto id = [&](std::string_view key) {
    const JsonSpec pair = spec.member(key);
    if (!pair.json().is_array() || pair.json().size() != 2)
      pair.refuse("a token and an id", "other");
    return id_of(pair, pair.json()[1]);
  };
  wrap(spec, framing, {id("cls")}, {id("sep")});
}

void add(const JsonSpec& spec, int depth, Framing& framing) {
  const std::string type = spec.string("type");
  if (type == "Sequence") {
    if (depth == kDeepest) spec.refuse("sequences nested at most 8 deep", "more");
    for (const JsonSpec& one : spec.array("processors")) add(one, depth + 1, framing);
  } else if (type == "TemplateProcessing") {
    add_template(spec, framing);
  } else if (type == "RobertaProcessing" || type == "BertProcessing") {
    add_classifier_tokens(spec, framing);
  } else if (type != "ByteLevel") {  // which only adjusts offsets
    spec.refuse("type",
                "TemplateProcessing, ByteLevel, RobertaProcessing, BertProcessing or Sequence",
                type);
  }
}

}  // namespace

Framing read_post_processor(const JsonSpec& spec) {
  Framing framing;
  if (!spec.is_null()) add(spec, 0, framing);
  return framing;
}

}  // namespace rbee
