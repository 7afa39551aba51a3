// convert: a model of either format as a GGUF file.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/commands.hpp"
#include "app/model_path.hpp"
#include "base/byte_units.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "convert/convert.hpp"
#include "quantize/mixture.hpp"

namespace rbee {
namespace {

struct ConvertFlags {
  std::string source, target;
  ConvertOptions options;
  bool json = false;
};

// A line on stderr that is written over while something is going on.
class ProgressLine {
 public:
  explicit ProgressLine(bool shown) : shown_(shown) {}

  void update(std::size_t done, std::size_t total) {
    const auto now = Clock::now();
    if (!shown_ || total == 0 || now - last_ < std::chrono::milliseconds(200)) return;
    last_ = now;
    const double part = static_cast<double>(done) / static_cast<double>(total);
    const double spent = std::chrono::duration<double>(now - begin_).count();
    const double left = part > 0 ? spent / part * (1 - part) : 0;
    fmt::print(stderr, "\rconverting {:3.0f} %, {:.1f} of {:.1f} GiB, {:.0f} s left \x1b[K",
               100 * part, in_gib(done), in_gib(total), left);
    std::fflush(stderr);
  }
  void clear() const {
    if (shown_) fmt::print(stderr, "\r\x1b[K");
  }
  double seconds() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }

 private:
  using Clock = std::chrono::steady_clock;

  bool shown_;
  Clock::time_point begin_ = Clock::now(), last_{};
};

Json report_json(const ConvertReport& report, double seconds) {
  Json files = Json::array();
  for (const auto& file : report.files) files.push_back(file.string());
  Json types = Json::object();
  for (const auto& [name, count] : report.types) {
    types[name] = {
        {"tensors", count.tensors}, {"parameters", count.parameters}, {"bytes", count.bytes}};
  }
  return {{"architecture", report.architecture},
          {"type", report.type},
          {"files", std::move(files)},
          {"bytes", report.bytes},
          {"types", std::move(types)},
          {"warnings", report.warnings},
          {"seconds", seconds}};
}

void print_report(const ConvertReport& report, double seconds) {
  for (const auto& file : report.files) fmt::print("{}\n", file.string());
  for (const auto& [name, count] : report.types) {
    fmt::print("  {:<8} {:5} tensors, {:.2f} M parameters, {:.1f} MiB\n", name, count.tensors,
               static_cast<double>(count.parameters) / 1e6, in_mib(count.bytes));
  }
  fmt::print("{}, {}, {:.1f} MiB in {:.1f} s\n", report.architecture, report.type,
             in_mib(report.bytes), seconds);
}

int run_convert(ConvertFlags flags) {
  const auto source = resolve_model(flags.source, cache_roots_from_environment());
  ProgressLine line(::isatty(STDERR_FILENO) != 0);
  flags.options.progress = [&](std::size_t done, std::size_t total) { line.update(done, total); };
  const ConvertReport report = convert(source, flags.target, flags.options);
  line.clear();
  for (const std::string& warning : report.warnings) log::warn("{}: {}", source.string(), warning);
  if (flags.json) {
    fmt::print("{}\n", dump_json(report_json(report, line.seconds())));
  } else {
    print_report(report, line.seconds());
  }
  return 0;
}

}  // namespace

void add_convert(CLI::App& app, Command& selected) {
  auto flags = std::make_shared<ConvertFlags>();
  CLI::App* command = app.add_subcommand("convert", "Write a model as a GGUF file");
  command
      ->add_option("SOURCE", flags->source,
                   "safetensors directory, .gguf file, or name of a cached model")
      ->required();
  command->add_option("TARGET", flags->target, "the .gguf file to write")->required();
  command->add_option("--type", flags->options.type,
                      "one of " + mixture_names() + "; default: the type of most of the source");
  command->add_option("--imatrix", flags->options.importance,
                      "importance matrix to round by: a file of the imatrix command");
  command
      ->add_option("--split-size", flags->options.split_bytes,
                   "write files of about this size, \"2GB\" say, named TARGET-00001-of-0000N.gguf")
      ->transform(CLI::AsSizeValue(true));
  command->add_flag("--force", flags->options.overwrite, "replace a file of that name");
  command->add_option("-t,--threads", flags->options.threads, "0: one for each core")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command->add_flag("--json", flags->json, "print a JSON report");
  command->callback([flags, &selected] { selected = [flags] { return run_convert(*flags); }; });
}

}  // namespace rbee
