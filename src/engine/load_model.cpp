#include "engine/load_model.hpp"

#include <chrono>
#include <utility>

#include "backend/cpu/cpu_count.hpp"
#include "base/byte_units.hpp"
#include "base/log.hpp"
#include "engine/memory_fit.hpp"
#include "model/loader.hpp"
#include "model/make_backend.hpp"
#include "state/free_memory.hpp"

namespace rbee {
namespace {

void require_fit(const Checkpoint& checkpoint, const Family& family, const LoadOptions& options) {
  LoadOptions dry = options;
  dry.backend.dry_run = true;
  dry.observer = nullptr;  // sees the model that is loaded, once
  const auto backend = make_backend(options.device, dry.backend);
  const ModelPlan plan = plan_model(checkpoint, family, *backend, dry);
  const std::size_t available =
      options.available_memory > 0 ? options.available_memory : free_memory();
  require_memory(checkpoint.path().string(), plan, least_memory(plan, options.context), available);
}

}  // namespace

std::unique_ptr<Model> build_model(const Family& family, Loader& loader,
                                   const LoadOptions& options) {
  std::optional<QuantizeOnLoad> quantizer;
  if (options.quantize) {
    const int threads = options.backend.threads > 0 ? options.backend.threads : cpu::usable_cores();
    loader.observe(quantizer.emplace(*options.quantize, loader.checkpoint(), threads));
  }
  if (options.observer != nullptr) loader.observe(*options.observer);
  auto model = family.build(loader);
  loader.check_all_used();
  return model;
}

LoadedModel load_model(const std::filesystem::path& path, const LoadOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const std::shared_ptr<const Checkpoint> checkpoint = Checkpoint::open(path);
  const Family& family = find_family(*checkpoint, all_families());
  require_fit(*checkpoint, family, options);

  LoadedModel loaded;
  loaded.family = family.id;
  loaded.architecture = checkpoint->architecture();
  loaded.format = checkpoint->format();
  if (options.with_tokenizer) loaded.tokenizer = Tokenizer::load(*checkpoint);
  if (!options.backend.repack) loaded.checkpoint = checkpoint;
  loaded.backend = make_backend(options.device, options.backend);

  Loader loader(*checkpoint, loaded.backend.get(), options.context);
  loader.on_progress(options.progress);
  loaded.model = build_model(family, loader, options);
  loaded.parameters = loader.parameters();

  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const ModelInfo& info = loaded.model->info();
  const MemoryUse memory = loaded.backend->memory();
  log::info(
      "loaded {}: {} ({}), {:.1f}M parameters, {} layers, context {}, {:.1f} MiB on {}, {:.2f} s",
      path.string(), loaded.family, loaded.architecture,
      static_cast<double>(loaded.parameters) / 1e6, info.n_layers, info.max_context,
      in_mib(memory.weights + memory.in_file), loaded.backend->name(), seconds.count());
  return loaded;
}

}  // namespace rbee
