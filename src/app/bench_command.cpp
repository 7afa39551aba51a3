// bench: prefill and decode speed of a model, and the share of the machine's read bandwidth that
// decoding reaches.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "app/commands.hpp"
#include "app/model_path.hpp"
#include "app/session.hpp"
#include "backend/cpu/memory_bandwidth.hpp"
#include "base/json.hpp"

namespace rbee {
namespace {

struct BenchOptions {
  ModelOptions model;
  int prompt = 512;
  int generate = 128;
  int depth = 0;
  int batch = 1;
  int repetitions = 5;
  bool json = false;
};

constexpr int kChunk = 512;  // tokens of a prefill step, as in the engine

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

class Bench {
 public:
  Bench(const BenchOptions& options, LoadedModel& model)
      : options_(options),
        session_(*model.backend, *model.model, options.batch,
                 options.depth + std::max(options.prompt, options.generate)),
        vocab_size_(model.model->info().vocab_size) {
    feed(options.depth);  // later repetitions rewind to it
  }

  // Tokens per second over all sequences.
  double prefill() {
    session_.rewind(options_.depth);
    return timed(options_.prompt, [&] { feed(options_.prompt); });
  }
  double decode() {
    session_.rewind(options_.depth);
    return timed(options_.generate, [&] {
      for (int i = 0; i < options_.generate; ++i) session_.feed(tokens(1), LogitRows::last);
    });
  }

 private:
  template <class Work>
  double timed(int n, const Work& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    return static_cast<double>(n) * options_.batch / seconds.count();
  }

  void feed(int n) {
    for (int begin = 0; begin < n; begin += kChunk) {
      const int count = std::min(kChunk, n - begin);
      session_.feed(tokens(count), begin + count == n ? LogitRows::last : LogitRows::none);
    }
  }

  // Arbitrary ids, the same on every run.
  std::span<const std::int32_t> tokens(int n) {
    tokens_.resize(static_cast<std::size_t>(n) * static_cast<std::size_t>(options_.batch));
    for (std::int32_t& token : tokens_) {
      state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
      token = static_cast<std::int32_t>((state_ >> 33) % static_cast<std::uint64_t>(vocab_size_));
    }
    return tokens_;
  }

  const BenchOptions& options_;
  Session session_;
  int vocab_size_;
  std::uint64_t state_ = 1;
  std::vector<std::int32_t> tokens_;
};

// Adds up the matrices of experts.
class ExpertBytes final : public LoadObserver {
 public:
  void packed(const Weight& weight, const TensorRequest& request, int index) override {
    const int expert = request.expert >= 0 ? request.expert : request.heads.heads > 0 ? -1 : index;
    if (expert < 0) return;
    n_experts_ = std::max(n_experts_, expert + 1);
    bytes_ += static_cast<double>(weight.rows) *
              static_cast<double>(row_bytes(weight.type, static_cast<std::size_t>(weight.cols)));
  }

  // What of them a step of so many sequences leaves out, if each chooses top_k at random.
  double unread(int top_k, int sequences) const {
    if (n_experts_ == 0 || top_k <= 0) return 0;
    return bytes_ * std::pow(1 - std::min(1.0, static_cast<double>(top_k) / n_experts_), sequences);
  }

 private:
  int n_experts_ = 0;
  double bytes_ = 0;
};

// Bytes of weights one step reads: all, but of an embedding table that is not the head too, only a
// row, and of experts only those that are chosen.
double weight_bytes_read(const BenchOptions& options, const LoadedModel& model,
                         const ExpertBytes& experts) {
  constexpr Key kTopK{"num_experts_per_tok|num_experts_per_token|experts_per_token",
                      "expert_used_count"};
  const auto checkpoint =
      Checkpoint::open(resolve_model(options.model.model, cache_roots_from_environment()));
  const MemoryUse memory = model.backend->memory();
  auto bytes = static_cast<double>(memory.weights + memory.in_file);
  const bool gguf = checkpoint->format() == Format::gguf;
  const TensorInfo* head = checkpoint->find(gguf ? "output.weight" : "lm_head.weight");
  const TensorInfo* table =
      checkpoint->find(gguf ? "token_embd.weight" : "model.embed_tokens.weight");
  if (head != nullptr && table != nullptr) {
    bytes -= static_cast<double>(model.backend->packed_bytes(
        table->type, static_cast<int>(table->shape[0]), static_cast<int>(table->shape[1])));
  }
  const auto top_k = static_cast<int>(checkpoint->integer(kTopK).value_or(0));
  return bytes - experts.unread(top_k, options.batch);
}

Json series(int n, const std::vector<double>& rates) {
  return {{"n", n}, {"tok_s", rates}, {"median", median(rates)}};
}

Json measure(const BenchOptions& options) {
  if (options.prompt == 0 && options.generate == 0) throw UsageError("nothing to measure");
  ExpertBytes experts;
  LoadOptions load_as = load_options(options.model);
  load_as.with_tokenizer = false;
  load_as.observer = &experts;
  LoadedModel model = load(options.model, std::move(load_as));
  const ModelInfo& info = model.model->info();
  const double state_per_token =
      static_cast<double>(model.backend->page_bytes(info.state)) / kPageTokens;
  const double bytes = weight_bytes_read(options, model, experts) +
                       state_per_token * options.batch * (options.depth + options.generate / 2.0);
  Bench bench(options, model);
  ReadBandwidth bandwidth(options.model.threads, static_cast<std::size_t>(bytes));
  std::vector<double> prefill, decode;
  bench.prefill();  // warms caches and threads
  // Measured between all runs, so that a slow moment of the machine does not make it look slow.
  double read_gb_s = bandwidth.measure();
  for (int i = 0; i < options.repetitions; ++i) {
    if (options.prompt > 0) prefill.push_back(bench.prefill());
    read_gb_s = std::max(read_gb_s, bandwidth.measure());
    if (options.generate > 0) decode.push_back(bench.decode());
    read_gb_s = std::max(read_gb_s, bandwidth.measure());
  }
  Json json{{"model", options.model.model},
            {"device", model.backend->name()},
            {"batch", options.batch},
            {"depth", options.depth},
            {"weights_bytes", model.backend->memory().weights},
            {"read_gb_s", read_gb_s}};
  if (!prefill.empty()) json["prefill"] = series(options.prompt, prefill);
  if (!decode.empty()) {
    json["decode"] = series(options.generate, decode);
    const double steps_per_second = median(decode) / options.batch;
    json["decode"]["bytes_per_step"] = bytes;
    json["decode"]["gb_s"] = bytes * steps_per_second / 1e9;
    json["decode"]["share_of_read_bandwidth"] = bytes * steps_per_second / 1e9 / read_gb_s;
  }
  return json;
}

void print_series(const char* name, const Json& series) {
  const auto rates = series["tok_s"].get<std::vector<double>>();
  const auto [low, high] = std::minmax_element(rates.begin(), rates.end());
  fmt::print("{:<8} {:>6} tokens  {:9.1f} tokens/s  (min {:.1f}, max {:.1f}, {} runs)\n", name,
             series["n"].get<int>(), series["median"].get<double>(), *low, *high, rates.size());
}

int run_bench(const BenchOptions& options) {
  const Json json = measure(options);
  if (options.json) {
    fmt::print("{}\n", dump_json(json));
    return 0;
  }
  fmt::print("{} on {}, batch {}, depth {}\n", json["model"].get<std::string>(),
             json["device"].get<std::string>(), options.batch, options.depth);
  if (json.contains("prefill")) print_series("prefill", json["prefill"]);
  if (json.contains("decode")) {
    const Json& decode = json["decode"];
    print_series("decode", decode);
    fmt::print(
        "{:<8} {:.1f} MB read per step, {:.1f} GB/s, {:.0f} % of the {:.1f} GB/s this machine "
        "reads\n",
        "", decode["bytes_per_step"].get<double>() / 1e6, decode["gb_s"].get<double>(),
        100 * decode["share_of_read_bandwidth"].get<double>(), json["read_gb_s"].get<double>());
  }
  return 0;
}

}  // namespace

void add_bench(CLI::App& app, Command& selected) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command = app.add_subcommand("bench", "Measure prefill and decode speed");
  add_model_options(*command, options->model, ModelFlag::option);
  command->add_option("-p,--prompt", options->prompt, "tokens of prefill; 0: none")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  command->add_option("-n,--generate", options->generate, "tokens to decode; 0: none")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  command->add_option("-d,--depth", options->depth, "tokens already in the cache")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  command->add_option("-b,--batch", options->batch, "sequences at once")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->add_option("-r,--repetitions", options->repetitions, "runs of each")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_flag("--json", options->json, "print a JSON report");
  command->callback([options, &selected] { selected = [options] { return run_bench(*options); }; });
}

}  // namespace rbee
