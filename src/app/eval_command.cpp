// eval: feeds tokens, writes logits. What conformance tests and other people's oracles use.
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "app/commands.hpp"
#include "app/model_path.hpp"
#include "app/npy.hpp"
#include "app/session.hpp"
#include "app/text_file.hpp"
#include "base/json.hpp"

namespace rbee {
namespace {

struct EvalOptions {
  ModelOptions model;
  std::vector<std::int32_t> tokens;
  std::string tokens_file;
  std::string text;
  std::string logits_file;
  int chunk = 0;
  int greedy = 0;
  bool last = false;
  bool json = true;
};

// A JSON array of ids, or an object with one under "tokens" or "prompt".
std::vector<std::int32_t> tokens_from_file(const std::string& path) {
  try {
    const Json json = parse_json(read_text_file(path));
    const Json& list = json.is_array()           ? json
                       : json.contains("tokens") ? json["tokens"]
                                                 : json.at("prompt");
    return list.get<std::vector<std::int32_t>>();
  } catch (const Json::exception& e) {
    throw UsageError(path + ": expected a JSON array of token ids: " + e.what());
  } catch (const JsonError& e) {
    throw UsageError(path + ": " + e.what());
  }
}

std::vector<std::int32_t> prompt_tokens(const EvalOptions& options) {
  if (!options.tokens_file.empty()) return tokens_from_file(options.tokens_file);
  if (!options.tokens.empty()) return options.tokens;
  const auto path = resolve_model(options.model.model, cache_roots_from_environment());
  return Tokenizer::load(*Checkpoint::open(path))->encode(options.text);
}

void check_tokens(std::span<const std::int32_t> tokens, int vocab_size) {
  if (tokens.empty()) throw UsageError("no tokens to feed");
  for (const std::int32_t id : tokens) {
    if (id < 0 || id >= vocab_size) {
      throw UsageError(fmt::format("token id {} is outside 0..{}", id, vocab_size - 1));
    }
  }
}

Json top_five(int position, std::span<const float> logits) {
  std::vector<std::int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto n = std::min<std::size_t>(5, ids.size());
  std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(n), ids.end(),
                    [&](std::int32_t a, std::int32_t b) {
                      const auto la = logits[static_cast<std::size_t>(a)],
                                 lb = logits[static_cast<std::size_t>(b)];
                      return la != lb ? la > lb : a < b;
                    });
  Json top = Json::array();
  for (std::size_t i = 0; i < n; ++i)
    top.push_back({ids[i], logits[static_cast<std::size_t>(ids[i])]});
  return {{"pos", position}, {"top", std::move(top)}};
}

class Evaluation {
 public:
  Evaluation(const EvalOptions& options, LoadedModel& model, std::vector<std::int32_t> tokens)
      : options_(options),
        tokens_(std::move(tokens)),
        session_(*model.backend, *model.model, 1,
                 static_cast<int>(tokens_.size()) + options.greedy) {}

  Json run() {
    open_output();
    feed_prompt();
    if (output_) output_->close();
    Json greedy = Json::array();
    for (int i = 0; i < options_.greedy; ++i) {
      greedy.push_back(next_);
      if (i + 1 < options_.greedy) next_ = argmax(session_.feed({&next_, 1}, LogitRows::last));
    }
    return {
        {"tokens", tokens_}, {"positions", std::move(positions_)}, {"greedy", std::move(greedy)}};
  }

 private:
  void open_output() {
    if (options_.logits_file.empty()) return;
    const std::int64_t rows = options_.last ? 1 : static_cast<std::int64_t>(tokens_.size());
    output_.emplace(options_.logits_file, rows, session_.vocab_size());
  }

  void feed_prompt() {
    const std::size_t n = tokens_.size();
    const std::size_t chunk = options_.chunk > 0 ? static_cast<std::size_t>(options_.chunk) : n;
    const auto vocab = static_cast<std::size_t>(session_.vocab_size());
    for (std::size_t begin = 0; begin < n; begin += chunk) {
      const std::size_t count = std::min(chunk, n - begin);
      const bool final_chunk = begin + count == n;
      const LogitRows rows = !options_.last ? LogitRows::all
                             : final_chunk  ? LogitRows::last
                                            : LogitRows::none;
      const auto logits = session_.feed(std::span(tokens_).subspan(begin, count), rows);
      if (output_) output_->write(logits);
      for (std::size_t row = 0; row * vocab < logits.size(); ++row) {
        const auto values = logits.subspan(row * vocab, vocab);
        const std::size_t position = options_.last ? n - 1 : begin + row;
        positions_.push_back(top_five(static_cast<int>(position), values));
        if (position + 1 == n) next_ = argmax(values);
      }
    }
  }

  const EvalOptions& options_;
  std::vector<std::int32_t> tokens_;
  Session session_;
  std::optional<NpyWriter> output_;
  Json positions_ = Json::array();
  std::int32_t next_ = 0;
};

// The context of the model is that of the prompt, for which the reference computes its logits; what
// is generated after it stays with that choice.
int run_eval(const EvalOptions& options) {
  auto tokens = prompt_tokens(options);
  LoadedModel model = load(options.model, false, static_cast<int>(tokens.size()));
  check_tokens(tokens, model.model->info().vocab_size);
  fmt::print("{}\n", dump_json(Evaluation(options, model, std::move(tokens)).run()));
  return 0;
}

}  // namespace

void add_eval(CLI::App& app, Command& selected) {
  auto options = std::make_shared<EvalOptions>();
  CLI::App* command =
      app.add_subcommand("eval", "Feed tokens and print or write the logits (JSON on stdout)");
  add_model_options(*command, options->model, ModelFlag::option);
  auto* input = command->add_option_group("input");
  input->add_option("--tokens", options->tokens, "token ids, separated by commas")->delimiter(',');
  input->add_option(
      "--tokens-file", options->tokens_file,
      "JSON file: an array of ids, or an object with one under \"tokens\" or \"prompt\"");
  input->add_option("--text", options->text, "text, tokenized with special tokens added");
  input->require_option(1);
  command->add_option("--chunk", options->chunk, "tokens fed at a time; 0: all at once")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  command
      ->add_option("--greedy", options->greedy,
                   "tokens to generate greedily afterwards; end-of-text ids do not stop it")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  command->add_option("--logits", options->logits_file,
                      "write float32 logits [positions, vocab] to this .npy file");
  command->add_flag("--last", options->last, "only the last position");
  command->add_flag("--json", options->json, "accepted for symmetry: the report is always JSON");
  command->callback([options, &selected] { selected = [options] { return run_eval(*options); }; });
}

}  // namespace rbee
