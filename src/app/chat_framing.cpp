#include "app/chat_framing.hpp"

#include <utility>

#include "base/log.hpp"
#include "chat/fallback_templates.hpp"
#include "tokenizer/tokenizer.hpp"

namespace rbee {
namespace {

ChatFraming framing_of(const FallbackTemplate& fallback) {
  return {ChatTemplate(fallback.source), fallback.stop};
}

}  // namespace

ChatFraming chat_framing(const LoadedModel& model) {
  const Tokenizer& tokenizer = *model.tokenizer;
  const std::string_view own = tokenizer.chat_template();
  if (const FallbackTemplate named = named_template(own); !named.source.empty()) {
    return framing_of(named);
  }
  const FallbackTemplate fallback =
      fallback_template(model.architecture, [&](std::string_view text) {
        const auto id = tokenizer.token_to_id(text);
        // Where a text is cut before it reaches a token, the token is none of the framing's.
        return id && tokenizer.encode(text, {.add_special = false}) == std::vector<TokenId>{*id};
      });
  if (own.empty()) {
    log::warn("the model carries no chat template: framing messages as {}", fallback.name);
    return framing_of(fallback);
  }
  try {
    return {ChatTemplate(own), chat_stop_texts(model.architecture)};
  } catch (const TemplateError& e) {
    log::warn("the model's chat template cannot be used ({}): framing messages as {}", e.what(),
              fallback.name);
    return framing_of(fallback);
  }
}

}  // namespace rbee
