#include "chat/fallback_templates.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <initializer_list>
#include <span>

namespace rbee {
namespace {

// What all of them call for the content of a message.
constexpr std::string_view kText = R"({%- macro text(message) -%}
{%- if message.content is string -%}
{{ message.content }}
{%- else -%}
{%- for part in message.content or [] if part.type == 'text' -%}{{ part.text }}{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
)";

// Each message between <|im_start|>role and <|im_end|>.
constexpr std::string_view kChatMl = R"({%- for message in messages -%}
{{ '<|im_start|>' + message.role + '\n' + text(message) + '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%})";

constexpr std::string_view kPhi4 = R"({%- for message in messages -%}
{{ '<|im_start|>' + message.role + '<|im_sep|>' + text(message) + '<|im_end|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant<|im_sep|>' }}{%- endif -%})";

constexpr std::string_view kKimi = R"({%- for message in messages -%}
{{ '<|im_' + message.role + '|>' + message.role + '<|im_middle|>' + text(message) + '<|im_end|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_assistant|>assistant<|im_middle|>' }}{%- endif -%})";

// Instructions come from the developer, answers are in the final channel.
constexpr std::string_view kHarmony = R"({%- for message in messages -%}
{%- if message.role == 'system' -%}
{{ '<|start|>developer<|message|># Instructions\n\n' + text(message) + '<|end|>' }}
{%- elif message.role == 'assistant' -%}
{{ '<|start|>assistant<|channel|>final<|message|>' + text(message) + '<|end|>' }}
{%- else -%}
{{ '<|start|>' + message.role + '<|message|>' + text(message) + '<|end|>' }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|start|>assistant' }}{%- endif -%})";

constexpr std::string_view kLlama3 = R"({{- bos_token -}}
{%- for message in messages -%}
{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' + text(message)|trim
   + '<|eot_id|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif -%})";

constexpr std::string_view kPhi3 = R"({%- for message in messages -%}
{{ '<|' + message.role + '|>\n' + text(message) + '<|end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>\n' }}{%- endif -%})";

constexpr std::string_view kZephyr = R"({%- for message in messages -%}
{{ '<|' + message.role + '|>\n' + text(message) + eos_token + '\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>\n' }}{%- endif -%})";

// A system message goes to the front of the first user's.
constexpr std::string_view kGemma = R"({{- bos_token -}}
{%- set ns = namespace(system='') -%}
{%- for message in messages -%}
{%- if message.role == 'system' -%}
{%- set ns.system = ns.system + text(message)|trim + '\n\n' -%}
{%- else -%}
{{ '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role) + '\n' }}
{%- if message.role == 'user' -%}{{ ns.system }}{%- set ns.system = '' -%}{%- endif -%}
{{ text(message)|trim + '<end_of_turn>\n' }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%})";

constexpr std::string_view kDeepSeek = R"({{- bos_token -}}
{%- for message in messages -%}
{%- if message.role == 'system' -%}{{ text(message) }}
{%- elif message.role == 'assistant' -%}{{ '<｜Assistant｜>' + text(message) + eos_token }}
{%- else -%}{{ '<｜User｜>' + text(message) }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<｜Assistant｜>' }}{%- endif -%})";

constexpr std::string_view kMistral = R"({{- bos_token -}}
{%- set ns = namespace(system='') -%}
{%- for message in messages -%}
{%- if message.role == 'system' -%}
{%- set ns.system = ns.system + text(message) + '\n\n' -%}
{%- elif message.role == 'assistant' -%}
{{ ' ' + text(message)|trim + eos_token }}
{%- else -%}
{{ '[INST] ' + ns.system + text(message) + ' [/INST]' }}
{%- set ns.system = '' -%}
{%- endif -%}
{%- endfor -%})";

constexpr std::string_view kLlama2 = R"({%- set ns = namespace(system='') -%}
{%- for message in messages -%}
{%- if message.role == 'system' -%}
{%- set ns.system = '<<SYS>>\n' + text(message) + '\n<</SYS>>\n\n' -%}
{%- elif message.role == 'assistant' -%}
{{ ' ' + text(message)|trim + ' ' + eos_token }}
{%- else -%}
{{ bos_token + '[INST] ' + ns.system + text(message)|trim + ' [/INST]' }}
{%- set ns.system = '' -%}
{%- endif -%}
{%- endfor -%})";

// Paragraphs that begin with who speaks: what RWKV World models know, and the best guess for base
// models.
constexpr std::string_view kPlain = R"({%- for message in messages -%}
{%- set content = text(message)|trim|replace('\r\n', '\n') -%}
{{ message.role|capitalize + ': ' + content + '\n\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ 'Assistant:' }}{%- endif -%})";

struct Framing {
  std::string_view name;
  std::string_view ggml_name;  // as GGUF files name it
  std::string_view body;
};
constexpr Framing kPlainFraming = {"plain paragraphs", "rwkv-world", kPlain};
constexpr Framing kZephyrFraming = {"Zephyr", "zephyr", kZephyr};
constexpr Framing kMistralFraming = {"Mistral's [INST]", "mistral-v1", kMistral};
constexpr Framing kLlama2Framing = {"Llama 2's [INST]", "llama2-sys", kLlama2};

// A framing that all these tokens together tell of; the more particular ones come first.
struct Evidence {
  Framing framing;
  std::array<std::string_view, 3> tokens;  // empty ones do not count
};
constexpr std::array kByTokens = {
    Evidence{{"harmony", "gpt-oss", kHarmony}, {"<|start|>", "<|message|>", "<|channel|>"}},
    Evidence{{"Llama 3", "llama3", kLlama3}, {"<|start_header_id|>", "<|eot_id|>", ""}},
    Evidence{{"Kimi", "kimi-k2", kKimi}, {"<|im_user|>", "<|im_middle|>", "<|im_end|>"}},
    Evidence{{"phi-4", "phi4", kPhi4}, {"<|im_start|>", "<|im_sep|>", "<|im_end|>"}},
    Evidence{{"ChatML", "chatml", kChatMl}, {"<|im_start|>", "<|im_end|>", ""}},
    Evidence{{"Gemma", "gemma", kGemma}, {"<start_of_turn>", "<end_of_turn>", ""}},
    Evidence{{"DeepSeek", "deepseek3", kDeepSeek}, {"<｜User｜>", "<｜Assistant｜>", ""}},
    Evidence{{"Phi-3", "phi3", kPhi3}, {"<|user|>", "<|assistant|>", "<|end|>"}},
    Evidence{kZephyrFraming, {"<|user|>", "<|assistant|>", ""}},
    Evidence{kMistralFraming, {"[INST]", "[/INST]", ""}},
};

constexpr std::string_view kNextTurn = "\n\nUser:";

FallbackTemplate made(const Framing& framing) {
  FallbackTemplate made{framing.name, std::string(kText) + std::string(framing.body), {}};
  if (framing.name == kPlainFraming.name) made.stop.emplace_back(kNextTurn);
  return made;
}

bool contains(std::string_view architecture, std::initializer_list<std::string_view> names) {
  std::string lower(architecture);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::ranges::any_of(
      names, [&](std::string_view name) { return lower.find(name) != std::string::npos; });
}

}  // namespace

FallbackTemplate fallback_template(std::string_view architecture,
                                   const std::function<bool(std::string_view)>& has_token) {
  for (const Evidence& evidence : kByTokens) {
    const bool all = std::ranges::all_of(
        evidence.tokens, [&](std::string_view token) { return token.empty() || has_token(token); });
    if (all) return made(evidence.framing);
  }
  if (contains(architecture, {"stablelm"})) return made(kZephyrFraming);
  if (contains(architecture, {"mistral", "mixtral"})) return made(kMistralFraming);
  // Both families of that architecture that have none of the tokens above have SentencePiece's.
  if (contains(architecture, {"llama"}) && has_token("<s>")) return made(kLlama2Framing);
  return made(kPlainFraming);
}

FallbackTemplate named_template(std::string_view name) {
  for (const Framing& framing : {kPlainFraming, kLlama2Framing}) {
    if (framing.ggml_name == name) return made(framing);
  }
  for (const Evidence& evidence : kByTokens) {
    if (evidence.framing.ggml_name == name) return made(evidence.framing);
  }
  return {};
}

std::vector<std::string> chat_stop_texts(std::string_view architecture) {
  if (!contains(architecture, {"rwkv"})) return {};
  return {std::string(kNextTurn)};
}

}  // namespace rbee
