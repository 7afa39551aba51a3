// Published models as the loader sees them: which family, how many parameters, how much memory.
// Nothing of them is here but names, shapes and types.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "backend/backend.hpp"
#include "model/family.hpp"
#include "model/loader.hpp"
#include "model/make_backend.hpp"
#include "sparse.hpp"
#include "state/window_rings.hpp"

namespace rbee::released {
namespace {

// Bits of a weight in the CPU backend's memory, for each element of the file's type
// (docs/architecture.md); none for scales, which are in the blocks there.
double packed_bits(const SparseTensor& tensor) {
  const auto ends = [&](std::string_view end) { return tensor.name.ends_with(end); };
  if (ends(".weight_scale_inv") || ends(".weight_scale") || ends(".weight_shape") ||
      ends("_scales")) {
    return 0;
  }
  if (ends(".weight_packed")) return 8 * 6.0;  // eight of INT4 in a word
  if (ends("_blocks")) return 2 * 4.25;        // two of MXFP4 in a byte
  if (tensor.shape.size() == 1) return 32;
  static const std::map<std::string, double> kBits{{"F32", 32},    {"BF16", 16},  {"F16", 16},
                                                   {"F8_E4M3", 9}, {"Q4_K", 4.5}, {"Q5_0", 5.5}};
  return kBits.at(tensor.type);
}

// Tensors that are not weights of the decoder.
bool is_extra(const SparseTensor& tensor, const Json& config) {
  const auto has = [&](std::string_view part) {
    return tensor.name.find(part) != std::string::npos;
  };
  const bool predicts = config.value("num_nextn_predict_layers", 0) > 0;
  const auto predicting = "layers." + std::to_string(config.value("num_hidden_layers", 0)) + ".";
  return has("vision_tower.") || has("multi_modal_projector.") || has(".indexer.") ||
         tensor.name.ends_with(".attn.bias") || (predicts && has(predicting));
}

double expected_weight_bytes(const Json& rows, const Json& config) {
  double bits = 0;
  for (const SparseTensor& tensor : unfold(rows)) {
    if (!is_extra(tensor, config)) {
      bits += packed_bits(tensor) * static_cast<double>(tensor.elements());
    }
  }
  return bits / 8;
}

std::size_t elements(const Json& rows) {
  std::size_t sum = 0;
  for (const SparseTensor& tensor : unfold(rows)) {
    sum += static_cast<std::size_t>(tensor.elements());
  }
  return sum;
}

class Released : public ::testing::TestWithParam<std::filesystem::path> {
 protected:
  // Opens, finds the family, plans the load on a CPU backend that keeps nothing, and compares.
  void check(const std::filesystem::path& path, const Json& model, const Json& rows) {
    const auto checkpoint = Checkpoint::open(path);
    const Family& family = find_family(*checkpoint, all_families());
    EXPECT_EQ(family.id, model["family"].get<std::string>());
    BackendOptions options;
    options.threads = 1;
    options.kv_type = KvType::bf16;
    options.dry_run = true;
    const auto backend = make_backend("cpu", options);
    Loader loader(*checkpoint, backend.get());
    const auto built = family.build(loader);
    loader.check_all_used();
    check_memory(*backend, built->info(), model, rows);
    parameters_ = loader.parameters();
  }

  std::size_t parameters_ = 0;

 private:
  static void check_memory(const Backend& backend, const ModelInfo& info, const Json& model,
                           const Json& rows) {
    const double weight_bytes = expected_weight_bytes(rows, model["config"]);
    const auto weights = static_cast<double>(backend.memory().weights);
    EXPECT_NEAR(weights / weight_bytes, 1, 0.01) << weights << " bytes";
    const Json& state = model["state_bytes"];
    const auto token = static_cast<double>(backend.page_bytes(info.state)) / kPageTokens;
    EXPECT_EQ(token, state["token"].get<double>());
    EXPECT_EQ(backend.slot_bytes(info.state), state["fixed"].get<std::size_t>());
    // GGUF files cannot always say that there are windows.
    const auto rings = with_rings(info.state, 1 << 30, 512);
    const double unbounded = token - static_cast<double>(backend.page_bytes(rings)) / kPageTokens;
    if (model["safetensors"] == rows) {
      EXPECT_EQ(unbounded, state["windowed"].get<double>());
    }
  }
};

TEST_P(Released, SafetensorsAreWhatIsPublished) {
  const Json model = read_model(GetParam());
  const testing::TempFolder folder;
  check(write_safetensors(model, folder), model, model["safetensors"]);
  EXPECT_EQ(parameters_, model["parameters"].get<std::size_t>());
  if (!model.contains("stated")) return;
  const auto stated = model["stated"].get<std::size_t>();
  EXPECT_EQ(model.contains("stated_with") ? elements(model["safetensors"]) : parameters_, stated);
}

TEST_P(Released, GgufIsTheSameModel) {
  const Json model = read_model(GetParam());
  if (!model.contains("gguf")) GTEST_SKIP() << "no converter knows it";
  const testing::TempFolder folder;
  check(write_gguf(model, folder), model, model["gguf"]["tensors"]);
}

std::string test_name(const ::testing::TestParamInfo<std::filesystem::path>& info) {
  std::string name = info.param.stem();
  std::replace_if(
      name.begin(), name.end(),
      [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, Released, ::testing::ValuesIn(all_models()), test_name);

TEST(ReleasedModels, CoverEveryFamily) {
  std::set<std::string> covered;
  for (const auto& file : all_models()) covered.insert(read_model(file)["family"]);
  for (const Family* family : all_families()) {
    EXPECT_TRUE(covered.contains(std::string(family->id))) << family->id;
  }
}

}  // namespace
}  // namespace rbee::released
