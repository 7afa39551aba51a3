// One function for each subcommand: adds it to the parser; parsing it stores what to run.
#pragma once
#include <functional>
#include <string>

#include "engine/engine.hpp"
#include "engine/load_model.hpp"

namespace CLI {
class App;
}

namespace rbee {

using Command = std::function<int()>;  // returns the exit code

void add_serve(CLI::App& app, Command& selected);
void add_run(CLI::App& app, Command& selected);
void add_inspect(CLI::App& app, Command& selected);
void add_eval(CLI::App& app, Command& selected);
void add_tokenize(CLI::App& app, Command& selected);
void add_perplexity(CLI::App& app, Command& selected);
void add_bench(CLI::App& app, Command& selected);
void add_convert(CLI::App& app, Command& selected);
void add_imatrix(CLI::App& app, Command& selected);

// A user's mistake that is found after parsing: exit code 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The flags that every command with a model shares.
struct ModelOptions {
  std::string model = "smollm2:135m";
  std::string device = "cpu";
  int threads = 0;
  std::string cpu_isa;
  KvType kv_type = KvType::automatic;
  bool no_repack = false;
  std::string quantize;
  std::string importance_matrix;
  std::string draft;  // model; none: empty
};

enum class ModelFlag { option, positional, required_option };
void add_model_options(CLI::App& command, ModelOptions& options, ModelFlag flag);

// --speculate and --draft-model, of the commands that have an engine.
void add_speculate_options(CLI::App& command, Speculate& speculate, ModelOptions& options);

LoadOptions load_options(const ModelOptions& options);
// Resolves the model's name or path and loads it, with a progress line on stderr when that is a
// terminal.
LoadedModel load(const ModelOptions& options, LoadOptions load);
// The same with load_options. context and step_tokens: see LoadOptions.
LoadedModel load(const ModelOptions& options, bool with_tokenizer, int context = 0,
                 int step_tokens = 0);
// The draft model that the options name, for an engine over this model; a null model where they
// name none or it would not be asked. It is not rounded: --quantize and --imatrix are the model's.
LoadedModel load_draft(const ModelOptions& options, const LoadedModel& model,
                       const EngineOptions& engine);

}  // namespace rbee
