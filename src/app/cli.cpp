#include "app/cli.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "app/commands.hpp"
#include "base/log.hpp"

namespace rbee {
namespace {

constexpr int kFault = 1;
constexpr int kUsage = 2;

// The worker this one replaces had no subcommands: its flags alone mean serve. Flags of all
// commands may stand before the command.
std::vector<std::string> arguments(int argc, const char* const* argv) {
  std::vector<std::string> args(argv + 1, argv + argc);
  if (args.empty()) return {"--help"};
  std::size_t at = 0;
  while (at < args.size() && args[at].starts_with("--log-")) {
    at += args[at].find('=') == std::string::npos ? 2 : 1;
  }
  if (at > 0 && at >= args.size()) at = 0;
  const std::string& first = args[at];
  const bool general = first == "--help" || first == "-h" || first == "--version";
  if (first.starts_with('-') && !general) args.insert(args.begin(), "serve");
  return args;
}

struct LogOptions {
  std::string level = "info";
  std::string format = "text";
};

void add_log_options(CLI::App& app, LogOptions& options) {
  app.add_option("--log-level", options.level, "debug, info, warn, error or off")
      ->envname("RBEE_LOG_LEVEL")
      ->check(CLI::IsMember({"debug", "info", "warn", "error", "off"}))
      ->capture_default_str();
  app.add_option("--log-format", options.format, "json; anything else is text")
      ->envname("LLORCH_LOG_FORMAT")
      ->capture_default_str();
}

void configure_log(const LogOptions& options) {
  using log::Level;
  const Level level = options.level == "debug"   ? Level::debug
                      : options.level == "warn"  ? Level::warn
                      : options.level == "error" ? Level::error
                      : options.level == "off"   ? Level::off
                                                 : Level::info;
  log::configure(level, options.format == "json" ? log::Style::json : log::Style::text);
}

int parse(CLI::App& app, std::vector<std::string> args) {
  std::reverse(args.begin(), args.end());  // CLI11 takes a vector from its end
  try {
    app.parse(args);
    return 0;
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? -1 : kUsage;
  }
}

int run_guarded(const Command& command) {
  try {
    return command();
  } catch (const UsageError& e) {
    fmt::print(stderr, "error: {}\n", e.what());
    return kUsage;
  } catch (const std::exception& e) {
    fmt::print(stderr, "error: {}\n", e.what());
    return kFault;
  }
}

}  // namespace

int run_command_line(int argc, const char* const* argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--build-info") {
    fmt::print("llm-worker-rbee {} ({})\n", RBEE_VERSION, __VERSION__);
    return 0;
  }
  CLI::App app{"llm-worker-rbee: runs language models from safetensors and GGUF files",
               "llm-worker-rbee"};
  app.set_version_flag("--version", "llm-worker-rbee " RBEE_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(
      "MODEL is a .gguf file, a safetensors directory, or the name of a cached model.\n"
      "Flags without a subcommand mean serve. Exit codes: 0 done, 1 a fault, 2 wrong usage.");
  LogOptions log_options;
  add_log_options(app, log_options);
  Command selected;
  for (const auto add : {add_serve, add_run, add_inspect, add_eval, add_tokenize, add_perplexity,
                         add_bench, add_convert, add_imatrix}) {
    add(app, selected);
  }
  if (const int code = parse(app, arguments(argc, argv)); code != 0) return code < 0 ? 0 : code;
  configure_log(log_options);
  return run_guarded(selected);
}

}  // namespace rbee
