#include "fixture.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.hpp"
#include "base/load_error.hpp"
#include "checkpoint/checkpoint.hpp"
#include "model/family.hpp"
#include "model/loader.hpp"
#include "model/make_backend.hpp"

namespace rbee::conformance {
namespace {

const std::filesystem::path kFixtures = std::filesystem::path(RBEE_TEST_DATA) / "fixtures";

// Folders in order of their names, so that tests keep theirs.
std::vector<std::filesystem::path> folders() {
  if (const char* only = std::getenv("RBEE_FIXTURE"); only != nullptr) return {kFixtures / only};
  std::vector<std::filesystem::path> all;
  for (const auto& entry : std::filesystem::directory_iterator(kFixtures)) {
    if (entry.is_directory()) all.push_back(entry.path());
  }
  std::sort(all.begin(), all.end());
  return all;
}

// model-<TYPE>.gguf and golden-<TYPE>.json.
std::vector<Fixture> quantised_variants(const std::filesystem::path& folder) {
  constexpr std::string_view kPrefix = "golden-";
  std::vector<Fixture> all;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string stem = entry.path().stem();
    if (!stem.starts_with(kPrefix)) continue;
    const std::string type = stem.substr(kPrefix.size());
    all.push_back({folder.filename().string() + "_" + type, folder / ("model-" + type + ".gguf"),
                   entry.path()});
  }
  std::sort(all.begin(), all.end(),
            [](const Fixture& a, const Fixture& b) { return a.name < b.name; });
  return all;
}

void look_into(Fixture& fixture) {
  constexpr Key kExperts{"num_local_experts|num_experts|n_routed_experts", "expert_count"};
  const auto checkpoint = Checkpoint::open(fixture.model);
  fixture.experts = checkpoint->integer(kExperts).value_or(0) > 0;
  fixture.quantised = std::ranges::any_of(
      checkpoint->tensors(), [](const TensorInfo& tensor) { return info(tensor.type).quantised; });
}

std::vector<Fixture> list_fixtures() {
  std::vector<Fixture> all;
  for (const auto& folder : folders()) {
    const std::string name = folder.filename();
    all.push_back({name + "_safetensors", folder, folder / "golden.json"});
    if (exists(folder / "model.gguf")) {
      const bool own_golden = exists(folder / "golden_gguf.json");
      all.push_back({name + "_gguf", folder / "model.gguf",
                     folder / (own_golden ? "golden_gguf.json" : "golden.json")});
    }
    for (Fixture& variant : quantised_variants(folder)) all.push_back(std::move(variant));
  }
  for (Fixture& fixture : all) look_into(fixture);
  return all;
}

bool can_run(const Device& device) {
  try {
    return make_backend(device.device, device.options) != nullptr;
  } catch (const LoadError&) {
    return false;
  }
}

std::vector<Device> list_devices() {
  std::vector<Device> all{{"ref", "ref", {}}};
  for (const char* isa : {"base", "avx2", "avx512"}) {
    const Device device{"cpu_" + std::string(isa), "cpu", {.threads = 2, .cpu_isa = isa}};
    if (can_run(device)) all.push_back(device);
  }
  // The reference backend has one thread: nothing for the thread sanitizer.
  if (kSanitized) all.erase(all.begin() + (kThreadSanitized ? 0 : 1), all.end() - 1);
  return all;
}

}  // namespace

Golden Golden::read(const std::filesystem::path& path) {
  std::ifstream in(path);
  const Json json = parse_json(std::string(std::istreambuf_iterator<char>(in), {}));
  Golden golden;
  json.at("prompt").get_to(golden.prompt);
  json.at("last_logits").get_to(golden.last_logits);
  for (const Json& top : json.at("top5")) {
    golden.top.push_back({top.at("ids").get<std::vector<std::int32_t>>(),
                          top.at("logits").get<std::vector<float>>()});
  }
  const Json& greedy = json.at("greedy");
  greedy.at("tokens").get_to(golden.greedy);
  greedy.at("margins").get_to(golden.margins);
  greedy.at("top_logits").get_to(golden.top_logits);
  const Json& tolerance = json.at("tolerance");
  golden.tolerance_f32 = tolerance.at("f32").get<float>();
  golden.tolerance_bf16 = tolerance.value("bf16", 0.0F);
  golden.tolerance_quantised = tolerance.value("quantised_activations", 0.0F);
  return golden;
}

const std::vector<Fixture>& fixtures() {
  static const std::vector<Fixture> all = list_fixtures();
  return all;
}

const std::vector<Device>& devices() {
  static const std::vector<Device> all = list_devices();
  return all;
}

int may_tip(const Golden& golden, const Fixture& fixture, const Device& device) {
  return fixture.experts && tolerance(golden, fixture, device) > golden.tolerance_f32 ? 1 : 0;
}

float tolerance(const Golden& golden, const Fixture& fixture, const Device& device) {
  if (device.device == "ref") return golden.tolerance_f32;
  // Golden files that were made for no quantised variant allow what rounding to bf16 changes.
  if (fixture.quantised) {
    return golden.tolerance_quantised != 0 ? golden.tolerance_quantised : golden.tolerance_bf16;
  }
  // Only AVX-512 has products of bf16 pairs, for which activations are rounded.
  return device.options.cpu_isa == "avx512" ? golden.tolerance_bf16 : golden.tolerance_f32;
}

namespace {

constexpr int kPages = 16;

}  // namespace

std::unique_ptr<Model> load(const std::filesystem::path& path, Backend& backend, int context) {
  const auto checkpoint = Checkpoint::open(path);
  Loader loader(*checkpoint, &backend, context);
  auto model = find_family(*checkpoint, all_families()).build(loader);
  loader.check_all_used();
  return model;
}

Running::Running(const std::filesystem::path& path, const Device& device, int context)
    : backend(make_backend(device.device, device.options)),
      model(load(path, *backend, context)),
      stepper(std::make_unique<testing::Stepper>(*backend, *model, kPages)) {}

}  // namespace rbee::conformance
