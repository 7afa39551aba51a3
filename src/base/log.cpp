#include "base/log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace rbee::log {
namespace {

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warn:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
    case Level::off:
      break;
  }
  return spdlog::level::off;
}

// The one exception to "no globals": a log is process-wide by nature.
struct Sink {
  std::shared_ptr<spdlog::logger> logger = spdlog::stderr_color_mt("rbee");
  Style style = Style::text;
};

Sink& sink() {
  static Sink instance;
  return instance;
}

}  // namespace

void configure(Level level, Style style) {
  sink().style = style;
  sink().logger->set_level(to_spdlog(level));
  sink().logger->set_pattern(style == Style::json ? "%v" : "%H:%M:%S.%e %^%-5l%$ %v");
}

bool enabled(Level level) noexcept { return sink().logger->should_log(to_spdlog(level)); }

void write(Level level, std::string_view message) {
  Sink& out = sink();
  if (out.style == Style::text) {
    out.logger->log(to_spdlog(level), message);
    return;
  }
  const auto now = std::chrono::system_clock::now();
  const auto micros =
      std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
  const auto name = spdlog::level::to_string_view(to_spdlog(level));
  nlohmann::ordered_json line{{"timestamp_us", micros},
                              {"level", std::string(name.data(), name.size())},
                              {"fields", {{"message", message}}}};
  out.logger->log(to_spdlog(level),
                  line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

}  // namespace rbee::log
