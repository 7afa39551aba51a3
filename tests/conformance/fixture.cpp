#include "fixture.hpp"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "base/load_error.hpp"
#include "checkpoint/checkpoint.hpp"
#include "model/family.hpp"
#include "model/loader.hpp"
#include "model/make_backend.hpp"

namespace rbee::conformance {
namespace {

const std::filesystem::path kFixtures = std::filesystem::path(RBEE_TEST_DATA) / "fixtures";

std::vector<Fixture> list_fixtures() {
  std::vector<Fixture> all;
  for (const char* name : {"llama2", "llama3", "smollm", "yi", "mistral", "llama_k256"}) {
    const auto folder = kFixtures / name;
    all.push_back({std::string(name) + "_safetensors", folder, folder / "golden.json"});
    if (!exists(folder / "model.gguf")) continue;
    const bool own_golden = exists(folder / "golden_gguf.json");
    all.push_back({std::string(name) + "_gguf", folder / "model.gguf",
                   folder / (own_golden ? "golden_gguf.json" : "golden.json")});
  }
  for (const char* type :
       {"Q2_K", "Q3_K_M", "Q4_0", "Q4_1", "Q4_K_M", "Q5_0", "Q5_1", "Q5_K_M", "Q6_K", "Q8_0"}) {
    const auto folder = kFixtures / "llama_k256";
    all.push_back({std::string("llama_k256_") + type,
                   folder / ("model-" + std::string(type) + ".gguf"),
                   folder / ("golden-" + std::string(type) + ".json"), true});
  }
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

float tolerance(const Golden& golden, const Fixture& fixture, const Device& device) {
  if (device.device == "ref") return golden.tolerance_f32;
  if (fixture.quantised) return golden.tolerance_quantised;
  // Only AVX-512 has products of bf16 pairs, for which activations are rounded.
  return device.options.cpu_isa == "avx512" ? golden.tolerance_bf16 : golden.tolerance_f32;
}

Running::Running(const std::filesystem::path& path, const Device& device, int n_pages)
    : backend(make_backend(device.device, device.options)) {
  const auto checkpoint = Checkpoint::open(path);
  Loader loader(*checkpoint, backend.get());
  model = find_family(*checkpoint, all_families()).build(loader);
  loader.check_all_used();
  stepper = std::make_unique<testing::Stepper>(*backend, *model, n_pages);
}

}  // namespace rbee::conformance
