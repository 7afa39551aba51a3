// The fixtures of tests/data/fixtures, what is known about them, and the devices to run them on.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.hpp"
#include "model/model.hpp"
#include "model/testing/stepper.hpp"

namespace rbee::conformance {

// golden.json: what the reference implementation computed.
struct Golden {
  struct Top {
    std::vector<std::int32_t> ids;
    std::vector<float> logits;
  };
  std::vector<std::int32_t> prompt;
  std::vector<float> last_logits;  // all logits of the last prompt position
  std::vector<Top> top;            // the five best of each prompt position
  std::vector<std::int32_t> greedy;
  std::vector<float> margins;     // between the best and the second logit of each greedy step
  std::vector<float> top_logits;  // the best logit of each greedy step
  // How far logits may be away for arithmetic in f32, with activations rounded to bf16, or to 8
  // bits; 0 where the fixture has no such figure.
  float tolerance_f32 = 0, tolerance_bf16 = 0, tolerance_quantised = 0;

  // Tokens it was computed for.
  int length() const { return static_cast<int>(prompt.size() + greedy.size()); }

  static Golden read(const std::filesystem::path& path);
};

struct Fixture {
  std::string name;        // "llama_k256_Q4_0"
  std::string model;       // path of the folder or file
  std::string golden;      // path of the golden file
  bool quantised = false;  // some of its matrices
  bool experts = false;    // it has a router
};
inline void PrintTo(const Fixture& fixture, std::ostream* out) { *out << fixture.name; }

// Every folder of tests/data/fixtures in both formats, and all quantised variants: a new folder is
// tested without a line here. RBEE_FIXTURE in the environment names the only folder to take.
const std::vector<Fixture>& fixtures();

struct Device {
  std::string name;  // "ref", "cpu_avx2"
  std::string device;
  BackendOptions options;
};
inline void PrintTo(const Device& device, std::ostream* out) { *out << device.name; }

// A sanitizer makes everything many times slower: then one chunk size and the best instruction set
// have to do here. The kernels' own tests run all of them.
#ifdef __SANITIZE_THREAD__
inline constexpr bool kThreadSanitized = true;
#else
inline constexpr bool kThreadSanitized = false;
#endif
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = kThreadSanitized;
#endif

// The reference backend, and the CPU backend with each instruction set this machine has; under the
// thread sanitizer the last of these alone.
const std::vector<Device>& devices();
inline Device reference() { return {"ref", "ref", {}}; }

// Tokens of a prompt per step; 0: all.
inline std::vector<int> chunk_sizes() { return kSanitized ? std::vector{3} : std::vector{1, 3, 0}; }

// What the golden allows on a device.
float tolerance(const Golden& golden, const Fixture& fixture, const Device& device);

// How many positions but the last, which alone was measured for the tolerance, may be outside of
// it. Where activations are rounded, a router may send a token to the other of two experts it
// scores nearly the same: in qwen2_moe, position 6, the second and third expert of layer 1 have
// 0.7119 and 0.7107.
int may_tip(const Golden& golden, const Fixture& fixture, const Device& device);

// The model at path with its weights in the backend. context: tokens of the longest sequence; 0: as
// many as it was made for.
std::unique_ptr<Model> load(const std::filesystem::path& path, Backend& backend, int context = 0);

// A model on a device, with some pages to run it.
struct Running {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Model> model;
  std::unique_ptr<testing::Stepper> stepper;

  Running(const std::filesystem::path& path, const Device& device, int context = 0);
};

}  // namespace rbee::conformance
