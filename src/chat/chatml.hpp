// The template for models that come without one.
#pragma once
#include <string_view>

namespace rbee {

// ChatML framing: each message between <|im_start|>role and <|im_end|>, content as text or as a
// list of parts of which the text ones are used. A guess: a caller that falls back to it says so,
// since a model that was not trained on ChatML answers poorly.
inline constexpr std::string_view kChatMlTemplate =
    R"({% for message in messages -%}
{{ '<|im_start|>' + message.role + '\n' }}
{%- if message.content is string -%}
{{ message.content }}
{%- else -%}
{%- for part in message.content or [] if part.type == 'text' -%}{{ part.text }}{%- endfor -%}
{%- endif -%}
{{ '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|im_start|>assistant\n' }}
{%- endif -%}
)";

}  // namespace rbee
