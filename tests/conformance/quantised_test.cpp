// Every model with its matrices quantised while it is loaded.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/load_model.hpp"
#include "fixture.hpp"
#include "sampling/logits.hpp"

namespace rbee::conformance {
namespace {

using testing::Logits;
using testing::Stepper;

struct Result {
  Logits logits;
  std::size_t weight_bytes = 0;
};

class QuantisedTest : public ::testing::TestWithParam<std::tuple<Fixture, Mixture>> {
 protected:
  const Fixture fixture_ = std::get<0>(GetParam());
  const Golden golden_ = Golden::read(fixture_.golden);

  Result run(const Device& device, std::optional<Quantization> quantize) const {
    LoadOptions options;
    options.device = device.device;
    options.backend = device.options;
    options.with_tokenizer = false;
    options.context = golden_.length();
    options.quantize = std::move(quantize);
    const LoadedModel loaded = load_model(fixture_.model, options);
    Stepper stepper(*loaded.backend, *loaded.model, 8);
    Stepper::Sequence sequence;
    return {stepper.feed(sequence, golden_.prompt), loaded.backend->memory().weights};
  }

  // Of the middle position, or, as a router may choose another expert at many, the lower quartile.
  double typical_divergence(const Result& p, const Result& q) const {
    std::vector<double> all;
    for (std::size_t t = 0; t < p.logits.size(); ++t) {
      all.push_back(divergence(p.logits[t], q.logits[t]));
    }
    std::ranges::sort(all);
    return all[all.size() / (fixture_.experts ? 4 : 2)];
  }
};

TEST_P(QuantisedTest, QuantisedOnLoad) {
  const Quantization type{std::get<1>(GetParam())};
  const Device ref = reference();
  const Result whole = run(ref, {});
  const Result quantised = run(ref, type);
  const double kl = typical_divergence(whole, quantised);
  const double kl_of_8_bits = typical_divergence(whole, run(ref, Quantization{Mixture::q8_0}));
  double of_devices = 0;
  for (const Device& device : devices()) {
    const double from_ref = typical_divergence(quantised, run(device, type));
    // Rounding activations to 8 bits costs about what it does for weights, or little beside the
    // type.
    EXPECT_LE(from_ref, std::max({0.02, 4 * kl_of_8_bits, 0.1 * kl})) << device.name;
    of_devices = std::max(of_devices, from_ref);
  }
  RecordProperty("kl", fmt::format("{:.3e}", kl));
  RecordProperty("divergence", fmt::format("{:.3e}", of_devices));

  // Blocks of 32 fill no row of some fixtures: all matrices stay at 16 bits.
  if (quantised.weight_bytes == whole.weight_bytes) {
    EXPECT_EQ(kl, 0);
    RecordProperty("unchanged", "true");
  } else {
    EXPECT_GT(kl, 0);
  }
  // A wrong scale, or blocks in the wrong order, cost several nats. Four bits less make errors 16
  // times as large and divergences 256 times.
  EXPECT_LT(kl_of_8_bits, 0.05);
  EXPECT_LE(kl, 1000 * kl_of_8_bits);
}

std::vector<std::tuple<Fixture, Mixture>> all_runs() {
  std::vector mixtures{Mixture::q4_0, Mixture::q4_k_m};
  if (!kSanitized) {
    mixtures.insert(mixtures.end(), {Mixture::q5_0, Mixture::q8_0, Mixture::q5_k_m, Mixture::q6_k});
  }
  std::vector<std::tuple<Fixture, Mixture>> runs;
  for (const Fixture& fixture : fixtures()) {
    if (!fixture.name.ends_with("_safetensors")) continue;
    for (const Mixture mixture : mixtures) runs.emplace_back(fixture, mixture);
  }
  return runs;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, QuantisedTest, ::testing::ValuesIn(all_runs()),
                         [](const auto& run) {
                           return std::get<0>(run.param).name + "__" +
                                  std::string(rbee::info(std::get<1>(run.param)).name);
                         });

}  // namespace
}  // namespace rbee::conformance
