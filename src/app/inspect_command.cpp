// inspect: what a model is and what it needs, without loading it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/commands.hpp"
#include "app/model_path.hpp"
#include "base/json.hpp"
#include "base/load_error.hpp"
#include "engine/engine.hpp"
#include "engine/memory_fit.hpp"
#include "model/family.hpp"
#include "model/make_backend.hpp"
#include "state/free_memory.hpp"
#include "state/state_cache.hpp"

namespace rbee {
namespace {

struct InspectOptions {
  ModelOptions model;
  bool json = false;
};

struct TypeCount {
  std::int64_t tensors = 0, parameters = 0, bytes = 0;
};

using TypeCounts = std::map<std::string, TypeCount>;

Json as_json(const TypeCounts& counts) {
  Json json = Json::object();
  for (const auto& [name, c] : counts)
    json[name] = {{"tensors", c.tensors}, {"parameters", c.parameters}, {"bytes", c.bytes}};
  return json;
}

Json type_histogram(const Checkpoint& checkpoint) {
  TypeCounts counts;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    TypeCount& count = counts[std::string(info(tensor.type).name)];
    ++count.tensors, count.parameters += element_count(tensor.shape);
    count.bytes += static_cast<std::int64_t>(tensor.file_bytes());
  }
  return as_json(counts);
}

// The types that matrices are given with --quantize.
class PackedTypes final : public LoadObserver {
 public:
  void packed(const Weight& weight, const TensorRequest& /*request*/, int /*index*/) override {
    TypeCount& count = counts_[std::string(info(weight.type).name)];
    ++count.tensors, count.parameters += std::int64_t{weight.rows} * weight.cols;
    count.bytes += weight.rows * static_cast<std::int64_t>(
                                     row_bytes(weight.type, static_cast<std::size_t>(weight.cols)));
  }
  Json json() const { return as_json(counts_); }

 private:
  TypeCounts counts_;
};

Json inspect_tokenizer(const std::filesystem::path& path) {
  try {
    const auto tokenizer = Tokenizer::open(path);
    Json ends = Json::array();
    for (const TokenId id : tokenizer->end_ids()) ends.push_back({id, tokenizer->id_to_token(id)});
    return {{"description", tokenizer->description()},
            {"vocab_size", tokenizer->vocab_size()},
            {"end_tokens", std::move(ends)},
            {"chat_template", tokenizer->chat_template()}};
  } catch (const LoadError& e) {
    return {{"error", e.what()}};
  }
}

Json inspect_memory(const ModelPlan& plan) {
  const MemoryNeed least = least_memory(plan, 0);
  const std::size_t sequence = plan.state_bytes(plan.info.max_context);
  const std::size_t available = free_memory();
  return {{"device", plan.device},
          {"weights_bytes", plan.weight_bytes},
          {"state_bytes_per_token", static_cast<double>(plan.page_bytes) / kPageTokens},
          {"state_bytes_per_sequence", plan.slot_bytes},
          {"state_bytes_of_full_context", sequence},
          {"total_bytes", plan.weight_bytes + sequence},
          {"least_bytes", least.total()},
          {"available_bytes", available},
          {"fits", least.total() <= available}};
}

Json inspect_model(const Checkpoint& checkpoint, Backend& dry, LoadOptions options) {
  PackedTypes types;
  options.observer = &types;
  options.step_tokens = EngineOptions{}.step_tokens();
  const Family& family = find_family(checkpoint, all_families());
  const ModelPlan plan = plan_model(checkpoint, family, dry, options);
  const ModelInfo& info = plan.info;
  Json json{{"family", family.id},           {"parameters", plan.parameters},
            {"layers", info.n_layers},       {"hidden_size", info.hidden_size},
            {"vocab_size", info.vocab_size}, {"context", info.max_context},
            {"memory", inspect_memory(plan)}};
  if (options.quantize) json["matrices_loaded_as"] = types.json();
  return json;
}

Json inspect(const InspectOptions& options) {
  const auto path = resolve_model(options.model.model, cache_roots_from_environment());
  const auto checkpoint = Checkpoint::open(path);
  LoadOptions load = load_options(options.model);
  load.backend.dry_run = true;
  const auto backend = make_backend(load.device, load.backend);
  Json json{{"path", path.string()},
            {"format", checkpoint->format() == Format::gguf ? "gguf" : "safetensors"},
            {"architecture", checkpoint->architecture()},
            {"tensors", checkpoint->tensors().size()},
            {"types", type_histogram(*checkpoint)}};
  try {
    json.update(inspect_model(*checkpoint, *backend, load));
  } catch (const LoadError& e) {
    json["unsupported"] = e.what();
  }
  json["tokenizer"] = inspect_tokenizer(path);
  return json;
}

std::string human_bytes(double bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  for (; bytes >= 1024 && unit < 4; ++unit) bytes /= 1024;
  return fmt::format("{:.{}f} {}", bytes, unit == 0 ? 0 : 1, units[unit]);
}

void print_line(std::string_view label, const std::string& text) {
  fmt::print("{:<16}{}\n", label, text);
}

void print_model(const Json& json) {
  if (json.contains("unsupported")) {
    print_line("not supported", json["unsupported"].get<std::string>());
    return;
  }
  print_line("family", json["family"].get<std::string>());
  print_line(
      "parameters",
      fmt::format("{:.2f} M", static_cast<double>(json["parameters"].get<std::int64_t>()) / 1e6));
  print_line("shape",
             fmt::format("{} layers, hidden size {}, vocabulary {}", json["layers"].get<int>(),
                         json["hidden_size"].get<int>(), json["vocab_size"].get<int>()));
  print_line("context", fmt::format("{} tokens", json["context"].get<int>()));
  const Json& memory = json["memory"];
  const auto bytes = [&memory](const char* key) { return human_bytes(memory[key].get<double>()); };
  print_line("memory",
             fmt::format("{} for weights, {} of state per token ({})", bytes("weights_bytes"),
                         bytes("state_bytes_per_token"), memory["device"].get<std::string>()));
  print_line("", fmt::format("{} with a sequence as long as the context", bytes("total_bytes")));
  print_line("", fmt::format("{} at least, {} are available{}", bytes("least_bytes"),
                             bytes("available_bytes"),
                             memory["fits"].get<bool>() ? "" : ": does not fit"));
}

void print_types(const Json& types) {
  for (const auto& [name, count] : types.items()) {
    print_line("  " + name,
               fmt::format("{} tensors, {:.2f} M parameters, {}", count["tensors"].get<int>(),
                           count["parameters"].get<double>() / 1e6,
                           human_bytes(count["bytes"].get<double>())));
  }
}

void print_report(const Json& json) {
  print_line("path", json["path"].get<std::string>());
  print_line("format", json["format"].get<std::string>());
  print_line("architecture", json["architecture"].get<std::string>());
  print_model(json);
  print_types(json["types"]);
  if (json.contains("matrices_loaded_as")) {
    print_line("loaded as", "");
    print_types(json["matrices_loaded_as"]);
  }
  const Json& tokenizer = json["tokenizer"];
  if (tokenizer.contains("error")) {
    print_line("tokenizer", tokenizer["error"].get<std::string>());
    return;
  }
  print_line("tokenizer", tokenizer["description"].get<std::string>());
  std::string ends;
  for (const Json& end : tokenizer["end_tokens"])
    ends += fmt::format("{} ({}) ", end[1].get<std::string>(), end[0].get<int>());
  print_line("end tokens", ends);
  const auto& chat = tokenizer["chat_template"].get_ref<const std::string&>();
  print_line("chat template", chat.empty() ? "none" : fmt::format("{} bytes", chat.size()));
}

int run_inspect(const InspectOptions& options) {
  const Json json = inspect(options);
  if (options.json) {
    fmt::print("{}\n", dump_json(json));
  } else {
    print_report(json);
  }
  return 0;
}

}  // namespace

void add_inspect(CLI::App& app, Command& selected) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* command =
      app.add_subcommand("inspect", "Say what a model is and what it needs; loads nothing");
  add_model_options(*command, options->model, ModelFlag::positional);
  command->add_flag("--json", options->json, "print a JSON report");
  command->callback(
      [options, &selected] { selected = [options] { return run_inspect(*options); }; });
}

}  // namespace rbee
