#include "chat/chat_template.hpp"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "chat/interpreter.hpp"
#include "chat/parser.hpp"
#include "chat/runtime.hpp"

namespace rbee {
namespace {

constexpr std::size_t kMaxSafeDepth = 400;

std::string with_line(std::size_t line, const std::string& message) {
  return "chat template, line " + std::to_string(line) + ": " + message;
}

}  // namespace

TemplateError::TemplateError(std::size_t line, const std::string& message, bool raised_by_template)
    : std::runtime_error(with_line(line, message)), line_(line), raised_(raised_by_template) {}

TemplateTime system_local_time() {
  using std::chrono::duration_cast, std::chrono::microseconds, std::chrono::system_clock;
  const auto now = system_clock::now();
  const std::time_t seconds = system_clock::to_time_t(now);
  TemplateTime time;
  localtime_r(&seconds, &time.local);
  const auto since_epoch = duration_cast<microseconds>(now.time_since_epoch()).count();
  time.microsecond = static_cast<int>(since_epoch % 1'000'000);
  return time;
}

struct ChatTemplate::Impl {
  jinja::Template root;
  TemplateLimits limits;
  TemplateClock clock;
};

ChatTemplate::ChatTemplate(std::string_view source, const TemplateLimits& limits,
                           TemplateClock clock) {
  TemplateLimits safe = limits;
  safe.max_depth = std::min(safe.max_depth, kMaxSafeDepth);
  try {
    impl_ = std::make_unique<Impl>(
        Impl{jinja::parse_template(source, safe.max_depth), safe, std::move(clock)});
  } catch (const jinja::SyntaxFailure& failure) {
    throw TemplateError(failure.line, failure.message, false);
  }
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

std::string ChatTemplate::render(const Json& variables) const {
  if (!variables.is_object()) throw TemplateError("the variables of a template are an object");
  jinja::Runtime runtime(impl_->limits, impl_->clock);
  try {
    return jinja::Interpreter(impl_->root, variables, runtime).run();
  } catch (const jinja::Failure& failure) {
    throw TemplateError(runtime.line, failure.what(), failure.raised_by_template());
  }
}

}  // namespace rbee
