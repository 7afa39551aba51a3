// Chat templates for models that come without one: the framings that model families were trained
// on, and a plain one. Which one is meant is a guess from the tokens that the vocabulary has and,
// where they do not tell, from the architecture; docs/architecture.md has the order.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace rbee {

struct FallbackTemplate {
  std::string_view name;  // "ChatML"
  std::string source;  // Jinja, for ChatTemplate; content is text or parts, of which text is used
  std::vector<std::string> stop;  // texts that end an answer where no token does
};

// architecture: as Checkpoint::architecture(). has_token: whether a text is an added token of the
// vocabulary.
FallbackTemplate fallback_template(std::string_view architecture,
                                   const std::function<bool(std::string_view)>& has_token);

// GGUF files may name a framing where others have a template ("rwkv-world", "chatml"): the template
// meant by such a name. Has no source when the text is no name of one.
FallbackTemplate named_template(std::string_view name);

// Texts that end an answer of models of this architecture, whatever template they come with.
std::vector<std::string> chat_stop_texts(std::string_view architecture);

}  // namespace rbee
