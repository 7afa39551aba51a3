// ChatTemplate: messages to prompt text, through the model's own Jinja template.
//
// The language is jinja2's as Hugging Face transformers sets it up for chat templates: immutable
// sandbox, trim_blocks, lstrip_blocks, loop controls, the `generation` tag, tojson as json.dumps,
// raise_exception and strftime_now. Left out, with a clear error: include, import, extends, block,
// autoescape, the random filter, and integers beyond 64 bits.
#pragma once
#include <cstddef>
#include <ctime>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/json.hpp"

namespace rbee {

// A template that does not parse, uses what is not supported, raises an exception by itself
// (raise_exception), or goes over a limit. what() says the line.
class TemplateError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  TemplateError(std::size_t line, const std::string& message, bool raised_by_template);

  std::size_t line() const noexcept { return line_; }  // 0 when it is not known
  // True when the template itself rejected its input; what() then ends with its message.
  bool raised_by_template() const noexcept { return raised_; }

 private:
  std::size_t line_ = 0;
  bool raised_ = false;
};

// A render that takes more than this is stopped with a TemplateError.
struct TemplateLimits {
  std::size_t max_steps = 10'000'000;  // statements and expressions evaluated
  // Text and values that the template makes, alive at one time. The input is not counted.
  std::size_t max_output_bytes = 64u << 20;
  // Nesting of expressions and blocks in the source, of macro calls, and of lists and dicts.
  // Values above 400 are taken as 400, which the stack of an ordinary thread holds.
  std::size_t max_depth = 200;
};

struct TemplateTime {
  std::tm local{};  // broken-down local time
  int microsecond = 0;
};
using TemplateClock = std::function<TemplateTime()>;
TemplateTime system_local_time();

class ChatTemplate {
 public:
  // Throws TemplateError. The clock is what strftime_now reads.
  explicit ChatTemplate(std::string_view source, const TemplateLimits& limits = {},
                        TemplateClock clock = system_local_time);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  // variables is an object; its members are the template's globals, as transformers passes them:
  // messages, tools, documents, add_generation_prompt, bos_token, eos_token, and any
  // chat_template_kwargs. Rendering has no access to anything else but the clock (strftime_now).
  // Const and safe to call from several threads at once. Throws TemplateError.
  std::string render(const Json& variables) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rbee
