// ChatTemplate: messages to prompt text, through the model's own Jinja template.
#pragma once
#include <cstddef>
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
};

// A render that takes more than this is stopped with a TemplateError.
struct TemplateLimits {
  std::size_t max_steps = 2'000'000;  // statements and expressions evaluated
  std::size_t max_output_bytes =
      16u << 20;                // text produced, intermediate strings and lists counted too
  std::size_t max_depth = 200;  // nesting of expressions, blocks and macro calls
};

class ChatTemplate {
 public:
  // Throws TemplateError.
  explicit ChatTemplate(std::string_view source, const TemplateLimits& limits = {});
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
