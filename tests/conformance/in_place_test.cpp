// Models whose matrices stay in the file (BackendOptions::repack off): the same logits, bit for
// bit, as when they are packed.
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "engine/load_model.hpp"
#include "fixture.hpp"

namespace rbee::conformance {
namespace {

using testing::Logits;
using testing::Stepper;

class InPlaceTest : public ::testing::TestWithParam<std::tuple<Fixture, Device>> {
 protected:
  const Fixture fixture_ = std::get<0>(GetParam());
  const Device device_ = std::get<1>(GetParam());
  const Golden golden_ = Golden::read(fixture_.golden);

  struct Result {
    Logits logits;  // of the whole prompt at once, then of its tokens one by one
    MemoryUse memory;
  };

  Result run(bool repack) const {
    LoadOptions options;
    options.device = device_.device;
    options.backend = device_.options;
    options.backend.repack = repack;
    options.with_tokenizer = false;
    options.context = golden_.length();
    const LoadedModel loaded = load_model(fixture_.model, options);
    EXPECT_EQ(loaded.checkpoint != nullptr, !repack);
    Stepper stepper(*loaded.backend, *loaded.model, 8);
    Stepper::Sequence sequence;
    Result result{stepper.feed(sequence, golden_.prompt), loaded.backend->memory()};
    stepper.reset(sequence);
    const Logits one_by_one = stepper.feed(sequence, golden_.prompt, 1);
    result.logits.insert(result.logits.end(), one_by_one.begin(), one_by_one.end());
    return result;
  }
};

TEST_P(InPlaceTest, GivesTheSameLogits) {
  const Result packed = run(true);
  const Result in_place = run(false);
  EXPECT_EQ(in_place.logits, packed.logits);
  EXPECT_EQ(packed.memory.in_file, 0U);
  EXPECT_GT(in_place.memory.in_file, 0U);
  EXPECT_LT(in_place.memory.weights, packed.memory.weights);
}

std::vector<Device> cpu_devices() {
  std::vector<Device> all = devices();
  std::erase_if(all, [](const Device& device) { return device.device != "cpu"; });
  return all;
}

std::string test_name(const ::testing::TestParamInfo<InPlaceTest::ParamType>& info) {
  return std::get<0>(info.param).name + "_" + std::get<1>(info.param).name;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, InPlaceTest,
                         ::testing::Combine(::testing::ValuesIn(fixtures()),
                                            ::testing::ValuesIn(cpu_devices())),
                         test_name);

}  // namespace
}  // namespace rbee::conformance
