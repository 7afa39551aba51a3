// imatrix: what enters each matrix of a model while it reads a text, for rounding by importance.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/commands.hpp"
#include "app/session.hpp"
#include "app/text_file.hpp"
#include "base/json.hpp"
#include "model/importance_collector.hpp"

namespace rbee {
namespace {

struct ImatrixOptions {
  ModelOptions model;
  std::string file, output;
  int context = 512;
  int chunks = 0;
  bool overwrite = false;
  bool json = false;
};

// Windows of ctx tokens side by side, each read afresh.
int run_imatrix(const ImatrixOptions& options) {
  const std::string text = read_text_file(options.file);
  if (!options.overwrite && std::filesystem::exists(options.output)) {
    throw UsageError(options.output + " exists; --force replaces it");
  }
  ImportanceCollector collector;
  LoadOptions load_as = load_options(options.model);
  load_as.context = options.context;
  load_as.observer = &collector;
  load_as.backend.observer = &collector;
  const LoadedModel model = load(options.model, load_as);
  auto tokens = model.tokenizer->encode(text);
  const int all = static_cast<int>(tokens.size()) / options.context;
  const int chunks = options.chunks > 0 ? std::min(options.chunks, all) : all;
  if (chunks == 0) {
    throw UsageError(fmt::format("{} holds {} tokens, fewer than one chunk of {}", options.file,
                                 tokens.size(), options.context));
  }
  const auto bos = leading_bos(*model.tokenizer);
  Session session(*model.backend, *model.model, 1, options.context);
  for (int i = 0; i < chunks; ++i) {
    const auto chunk =
        std::span(tokens).subspan(static_cast<std::size_t>(i) * options.context, options.context);
    if (bos) chunk.front() = *bos;
    session.reset();
    session.feed(chunk, LogitRows::none);
    if (!options.json) fmt::print(stderr, "[{}/{}]\n", i + 1, chunks);
  }
  collector.write(options.output, {options.file, chunks, options.context});
  if (options.json) {
    fmt::print("{}\n", dump_json({{"file", options.output},
                                  {"matrices", collector.size()},
                                  {"chunks", chunks},
                                  {"context", options.context}}));
  } else {
    fmt::print("{}: {} matrices, {} chunks of {} tokens\n", options.output, collector.size(),
               chunks, options.context);
  }
  return 0;
}

}  // namespace

void add_imatrix(CLI::App& app, Command& selected) {
  auto options = std::make_shared<ImatrixOptions>();
  CLI::App* command = app.add_subcommand(
      "imatrix", "Collect from a text how much each column of a model's matrices matters");
  add_model_options(*command, options->model, ModelFlag::option);
  command->add_option("-f,--file", options->file, "text file")->required();
  command->add_option("-o,--output", options->output, "the .gguf file to write")->required();
  command->add_option("--ctx", options->context, "tokens of a chunk")
      ->check(CLI::Range(8, 1 << 20))
      ->capture_default_str();
  command->add_option("--chunks", options->chunks, "at most so many; 0: all of the text")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  command->add_flag("--force", options->overwrite, "replace a file of that name");
  command->add_flag("--json", options->json, "print a JSON report");
  command->callback(
      [options, &selected] { selected = [options] { return run_imatrix(*options); }; });
}

}  // namespace rbee
