#include <unistd.h>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "app/commands.hpp"
#include "app/model_path.hpp"
#include "engine/load_draft.hpp"

namespace rbee {

void add_model_options(CLI::App& command, ModelOptions& options, ModelFlag flag) {
  const std::map<std::string, KvType> kv_types{{"auto", KvType::automatic}, {"f32", KvType::f32},
                                               {"bf16", KvType::bf16},      {"f16", KvType::f16},
                                               {"q8_0", KvType::q8_0},      {"q4_0", KvType::q4_0}};
  const std::string help = ".gguf file, safetensors directory, or name of a cached model";
  if (flag == ModelFlag::positional) {
    command.add_option("MODEL", options.model, help)->envname("RBEE_MODEL")->capture_default_str();
  } else {
    auto* option = command.add_option("-m,--model", options.model, help)->envname("RBEE_MODEL");
    if (flag == ModelFlag::required_option) {
      option->required();
    } else {
      option->capture_default_str();
    }
  }
  command.add_option("--device", options.device, "cpu, ref (slow, exact) or cuda[:n]")
      ->envname("RBEE_DEVICE")
      ->capture_default_str();
  command.add_option("-t,--threads", options.threads, "CPU threads; 0: one for each core")
      ->envname("RBEE_THREADS")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command
      .add_option("--cpu-isa", options.cpu_isa, "base, avx2 or avx512; default: the best there is")
      ->envname("RBEE_CPU_ISA")
      ->check(CLI::IsMember({"base", "avx2", "avx512"}));
  command
      .add_option("--kv-type", options.kv_type,
                  "type of the key/value cache: auto, f32, bf16, f16, q8_0 or q4_0")
      ->envname("RBEE_KV_TYPE")
      ->transform(CLI::CheckedTransformer(kv_types).description(""))
      ->default_str("auto");
  command
      .add_flag("--no-repack", options.no_repack,
                "compute with weights as they lie in the file, which must not change: starts at "
                "once and takes no memory of its own, decodes slower")
      ->envname("RBEE_NO_REPACK");
  const auto is_mixture = [](const std::string& name) {
    return mixture_from_name(name) ? std::string() : "one of " + mixture_names();
  };
  command
      .add_option("--quantize", options.quantize,
                  "round matrices while loading, as llama-quantize would: q4_k_m, q8_0, ...")
      ->envname("RBEE_QUANTIZE")
      ->check(CLI::Validator(is_mixture, "TYPE"));
  command
      .add_option("--imatrix", options.importance_matrix,
                  "importance matrix that --quantize heeds: a file of the imatrix command")
      ->envname("RBEE_IMATRIX");
}

void add_speculate_options(CLI::App& command, Speculate& speculate, ModelOptions& options) {
  const std::map<std::string, Speculate> names{{"never", Speculate::never},
                                               {"adaptive", Speculate::adaptive},
                                               {"always", Speculate::always}};
  command
      .add_option("--speculate", speculate,
                  "guess tokens from what the text repeats and check several in one step, which "
                  "changes no answer: adaptive (as many as pay), never, always")
      ->envname("RBEE_SPECULATE")
      ->transform(CLI::CheckedTransformer(names).description(""))
      ->default_str("adaptive");
  command
      .add_option("--draft-model", options.draft,
                  "smaller model of the same vocabulary that guesses what the text does not "
                  "repeat: path or name as MODEL")
      ->envname("RBEE_DRAFT_MODEL");
}

namespace {

LoadOptions device_options(const ModelOptions& options) {
  LoadOptions result;
  result.device = options.device;
  result.backend.threads = options.threads;
  result.backend.cpu_isa = options.cpu_isa;
  result.backend.kv_type = options.kv_type;
  result.backend.repack = !options.no_repack;
  return result;
}

}  // namespace

LoadOptions load_options(const ModelOptions& options) {
  LoadOptions result = device_options(options);
  if (!options.quantize.empty()) {
    result.quantize = Quantization{mixture_from_name(options.quantize).value()};
  }
  if (!options.importance_matrix.empty()) {
    if (!result.quantize) throw UsageError("--imatrix is of use with --quantize only");
    result.quantize->importance =
        std::make_shared<const ImportanceMatrix>(ImportanceMatrix::load(options.importance_matrix));
  }
  return result;
}

LoadedModel load_draft(const ModelOptions& options, const LoadedModel& model,
                       const EngineOptions& engine) {
  if (options.draft.empty() || engine.speculate == Speculate::never) return {};
  LoadOptions load = device_options(options);
  load.context = engine.max_context;
  load.step_tokens = Drafter::step_tokens(engine.step_tokens());
  return rbee::load_draft(resolve_model(options.draft, cache_roots_from_environment()), load,
                          model);
}

LoadedModel load(const ModelOptions& options, bool with_tokenizer, int context, int step_tokens) {
  LoadOptions load = load_options(options);
  load.with_tokenizer = with_tokenizer;
  load.context = context;
  load.step_tokens = step_tokens;
  return rbee::load(options, std::move(load));
}

LoadedModel load(const ModelOptions& options, LoadOptions load) {
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  int shown = -1;
  if (terminal) {
    load.progress = [&shown](std::size_t done, std::size_t total) {
      const int percent =
          total == 0
              ? 100
              : static_cast<int>(100.0 * static_cast<double>(done) / static_cast<double>(total));
      if (percent != shown) fmt::print(stderr, "\rloading {:3d} %", percent);
      if (done == total) fmt::print(stderr, "\r\x1b[K");  // before what is logged next
      shown = percent;
      std::fflush(stderr);
    };
  }
  return load_model(resolve_model(options.model, cache_roots_from_environment()), load);
}

}  // namespace rbee
