// perplexity: exp of the mean negative log-likelihood of a text, by the definition that llama.cpp's
// tool uses.
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/commands.hpp"
#include "app/session.hpp"
#include "app/text_file.hpp"
#include "base/json.hpp"

namespace rbee {
namespace {

struct PerplexityOptions {
  ModelOptions model;
  std::string file;
  int context = 512;
  int stride = 0;
  bool json = false;
};

// Sums -log softmax(logits)[target] and its square, for the error of the mean.
class Likelihood {
 public:
  void add(std::span<const float> logits, std::int32_t target) {
    float top = logits[0];
    for (const float v : logits) top = std::max(top, v);
    double sum = 0;
    for (const float v : logits) sum += std::exp(static_cast<double>(v - top));
    const double nll =
        std::log(sum) - static_cast<double>(logits[static_cast<std::size_t>(target)] - top);
    sum_ += nll, squares_ += nll * nll, ++count_;
  }
  int count() const { return count_; }
  double perplexity() const { return std::exp(sum_ / count_); }
  // Standard error of the perplexity.
  double error() const {
    const double mean = sum_ / count_;
    const double variance = squares_ / count_ - mean * mean;
    return count_ > 1 && variance > 0 ? std::sqrt(variance / (count_ - 1)) * std::exp(mean) : 0;
  }

 private:
  double sum_ = 0, squares_ = 0;
  int count_ = 0;
};

// Scores one window: of `tokens`, those after position `first`. The window starts with BOS where
// the vocabulary adds one, as every window of the definition does.
void score_window(Session& session, std::vector<std::int32_t> tokens, int first,
                  std::optional<TokenId> bos, Likelihood& likelihood) {
  const std::vector<std::int32_t> targets = tokens;
  if (bos) tokens.front() = *bos;
  session.reset();
  const auto logits = session.feed_from(tokens, first);
  const auto vocab = static_cast<std::size_t>(session.vocab_size());
  for (std::size_t i = static_cast<std::size_t>(first); i + 1 < targets.size(); ++i) {
    likelihood.add(logits.subspan((i - static_cast<std::size_t>(first)) * vocab, vocab),
                   targets[i + 1]);
  }
}

// Without a stride: windows of ctx tokens side by side, the second half of each is scored. With
// one: windows of ctx + stride/2 tokens that start every `stride`, the last `stride` tokens of each
// are scored.
int run_perplexity(const PerplexityOptions& options) {
  const std::string text = read_text_file(options.file);
  const int window = options.stride > 0 ? options.context + options.stride / 2 : options.context;
  LoadedModel model = load(options.model, true, window);
  const auto tokens = model.tokenizer->encode(text);
  const int n = static_cast<int>(tokens.size());
  const int step = options.stride > 0 ? options.stride : window;
  const int first = options.stride > 0 ? window - options.stride - 1 : window / 2;
  const int windows = options.stride > 0 ? (n - window + step - 1) / step : n / window;
  if (n < 2 * window || first < 0) {
    throw UsageError(fmt::format("{} holds {} tokens; a context of {} needs at least {}",
                                 options.file, n, window, 2 * window));
  }
  const auto empty = model.tokenizer->encode("");
  const bool adds_bos = options.stride == 0 && model.tokenizer->bos() && !empty.empty() &&
                        empty.front() == *model.tokenizer->bos();
  Session session(*model.backend, *model.model, 1, window);
  Likelihood likelihood;
  for (int i = 0; i < windows; ++i) {
    const auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(i) * step;
    score_window(session, {begin, begin + window}, first,
                 adds_bos ? model.tokenizer->bos() : std::nullopt, likelihood);
    if (!options.json)
      fmt::print(stderr, "[{}/{}] {:.4f}\n", i + 1, windows, likelihood.perplexity());
  }
  if (options.json) {
    const Json report{{"perplexity", likelihood.perplexity()},
                      {"error", likelihood.error()},
                      {"tokens", likelihood.count()},
                      {"windows", windows},
                      {"context", window},
                      {"stride", options.stride}};
    fmt::print("{}\n", dump_json(report));
  } else {
    fmt::print("perplexity {:.4f} +/- {:.4f} ({} tokens scored in {} windows of {})\n",
               likelihood.perplexity(), likelihood.error(), likelihood.count(), windows, window);
  }
  return 0;
}

}  // namespace

void add_perplexity(CLI::App& app, Command& selected) {
  auto options = std::make_shared<PerplexityOptions>();
  CLI::App* command = app.add_subcommand(
      "perplexity", "Perplexity of a text, by the same definition as llama.cpp's tool");
  add_model_options(*command, options->model, ModelFlag::option);
  command->add_option("-f,--file", options->file, "text file")->required();
  command->add_option("--ctx", options->context, "tokens of a window")
      ->check(CLI::Range(8, 1 << 20))
      ->capture_default_str();
  command
      ->add_option("--stride", options->stride,
                   "0: windows side by side; else overlapping ones, this far apart")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  command->add_flag("--json", options->json, "print a JSON report");
  command->callback(
      [options, &selected] { selected = [options] { return run_perplexity(*options); }; });
}

}  // namespace rbee
