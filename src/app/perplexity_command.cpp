// perplexity: exp of the mean negative log-likelihood of a text, by the definition that llama.cpp's
// tool uses; and how far the distributions of a model are from those of another.
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/commands.hpp"
#include "app/session.hpp"
#include "app/text_file.hpp"
#include "base/json.hpp"
#include "sampling/logits.hpp"

namespace rbee {
namespace {

struct PerplexityOptions {
  ModelOptions model;
  std::string file;
  int context = 512;
  int stride = 0;
  std::string reference;
  bool json = false;
};

// Sums -log softmax(logits)[target] and its square, for the error of the mean.
class Likelihood {
 public:
  void add(std::span<const float> logits, std::int32_t target) {
    const double nll =
        log_sum_exp(logits) - static_cast<double>(logits[static_cast<std::size_t>(target)]);
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

// The mean divergence of distributions from those of a reference, and how often both have the same
// likeliest token.
class Divergence {
 public:
  void add(std::span<const float> reference, std::span<const float> logits) {
    sum_ += divergence(reference, logits), ++count_;
    same_ += argmax(reference) == argmax(logits) ? 1 : 0;
  }
  double mean() const { return sum_ / count_; }
  double same_share() const { return static_cast<double>(same_) / count_; }

 private:
  double sum_ = 0;
  int same_ = 0, count_ = 0;
};

// The model that others are compared with, in its own types and with nothing of its state rounded.
struct Reference {
  Reference(ModelOptions options, const std::string& path, int window) {
    options.model = path;
    options.quantize.clear(), options.importance_matrix.clear();
    options.kv_type = KvType::f32;
    model = load(options, false, window);
    session.emplace(*model.backend, *model.model, 1, window);
  }
  LoadedModel model;
  std::optional<Session> session;
  Divergence divergence;
};

// Scores one window: of `tokens`, those after position `first`. The window starts with BOS where
// the vocabulary adds one, as every window of the definition does.
void score_window(Session& session, std::vector<std::int32_t> tokens, int first,
                  std::optional<TokenId> bos, Likelihood& likelihood, Reference* reference) {
  const std::vector<std::int32_t> targets = tokens;
  if (bos) tokens.front() = *bos;
  session.reset();
  const auto logits = session.feed_from(tokens, first);
  std::span<const float> others;
  if (reference != nullptr) {
    reference->session->reset();
    others = reference->session->feed_from(tokens, first);
  }
  const auto vocab = static_cast<std::size_t>(session.vocab_size());
  for (std::size_t i = static_cast<std::size_t>(first); i + 1 < targets.size(); ++i) {
    const std::size_t at = (i - static_cast<std::size_t>(first)) * vocab;
    likelihood.add(logits.subspan(at, vocab), targets[i + 1]);
    if (reference != nullptr) {
      reference->divergence.add(others.subspan(at, vocab), logits.subspan(at, vocab));
    }
  }
}

std::optional<Reference> load_reference(const PerplexityOptions& options, int window, int vocab) {
  if (options.reference.empty()) return std::nullopt;
  std::optional<Reference> reference;
  reference.emplace(options.model, options.reference, window);
  if (const int other = reference->session->vocab_size(); other != vocab) {
    throw UsageError(fmt::format("{} has {} tokens, {} has {}: they cannot be compared",
                                 options.reference, other, options.model.model, vocab));
  }
  return reference;
}

void report(const PerplexityOptions& options, const Likelihood& likelihood, int windows, int window,
            const Reference* reference) {
  if (options.json) {
    Json json{{"perplexity", likelihood.perplexity()},
              {"error", likelihood.error()},
              {"tokens", likelihood.count()},
              {"windows", windows},
              {"context", window},
              {"stride", options.stride}};
    if (reference != nullptr) {
      json["kl_divergence"] = reference->divergence.mean();
      json["same_top_token"] = reference->divergence.same_share();
    }
    fmt::print("{}\n", dump_json(json));
    return;
  }
  fmt::print("perplexity {:.4f} +/- {:.4f} ({} tokens scored in {} windows of {})\n",
             likelihood.perplexity(), likelihood.error(), likelihood.count(), windows, window);
  if (reference != nullptr) {
    fmt::print("divergence from {}: {:.6f}, the same likeliest token {:.2f} % of the time\n",
               options.reference, reference->divergence.mean(),
               100 * reference->divergence.same_share());
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
  const auto bos = options.stride == 0 ? leading_bos(*model.tokenizer) : std::nullopt;
  Session session(*model.backend, *model.model, 1, window);
  std::optional<Reference> reference = load_reference(options, window, session.vocab_size());
  Reference* const compared = reference ? &*reference : nullptr;
  Likelihood likelihood;
  for (int i = 0; i < windows; ++i) {
    const auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(i) * step;
    score_window(session, {begin, begin + window}, first, bos, likelihood, compared);
    if (!options.json)
      fmt::print(stderr, "[{}/{}] {:.4f}\n", i + 1, windows, likelihood.perplexity());
  }
  report(options, likelihood, windows, window, compared);
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
  command->add_option(
      "--kl-reference", options->reference,
      "also tell how far the model is from this one, which --quantize leaves alone");
  command->add_flag("--json", options->json, "print a JSON report");
  command->callback(
      [options, &selected] { selected = [options] { return run_perplexity(*options); }; });
}

}  // namespace rbee
