// Logging: one process-wide logger on stderr, as text or JSON lines, set up once by main.
// Use as log::info("loaded {} tensors", n). Prompts, answers and tokens are never logged.
#pragma once
#include <fmt/format.h>

#include <string_view>

namespace rbee::log {

enum class Level { debug, info, warn, error, off };
enum class Style { text, json };

void configure(Level level, Style style);  // call before other threads start
bool enabled(Level level) noexcept;
void write(Level level, std::string_view message);

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::debug)) write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::info)) write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::warn)) write(Level::warn, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::error)) write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace rbee::log
