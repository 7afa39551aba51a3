// NVFP4 matrices with scales of their own: the same logits as with these inside the blocks.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mapped_file.hpp"
#include "checkpoint/testing/temp_folder.hpp"
#include "convert/convert.hpp"
#include "engine/load_model.hpp"
#include "fixture.hpp"
#include "model/loader.hpp"
#include "model/make_backend.hpp"

namespace rbee::conformance {
namespace {

constexpr std::size_t kBlock = 36;  // four scales of 8 bits, then codes

// E4M3, below 2^8: its first 16 values are equally far apart.
std::byte doubled(std::byte scale) {
  const auto code = std::to_integer<unsigned>(scale);
  return static_cast<std::byte>(code < 8 ? 2 * code : code + 8);
}

// A checkpoint with the blocks of its NVFP4 matrices doubled, in stacks those of every other
// matrix, and a scale of half beside them.
class Doubled final : public Checkpoint {
 public:
  explicit Doubled(const std::filesystem::path& path) : inner_(Checkpoint::open(path)) {
    for (const TensorInfo& tensor : inner_->tensors()) {
      tensors_.push_back(tensor);
      if (tensor.type == DType::nvfp4) change(tensors_.back());
    }
  }

  int changed() const { return static_cast<int>(maps_.size()); }

  Format format() const override { return inner_->format(); }
  const std::filesystem::path& path() const override { return inner_->path(); }
  const std::string& architecture() const override { return inner_->architecture(); }
  const GgufMetadata* gguf() const override { return inner_->gguf(); }
  std::span<const TensorInfo> tensors() const override { return tensors_; }
  const TensorInfo* find(std::string_view name) const override {
    const TensorInfo* found = inner_->find(name);
    return found == nullptr ? nullptr
                            : &tensors_[static_cast<std::size_t>(found - inner_->tensors().data())];
  }

 private:
  void change(TensorInfo& tensor) {
    const bool stack = tensor.shape.size() == 3;
    const auto n = static_cast<std::size_t>(stack ? tensor.shape[0] : 1);
    std::vector<std::byte> bytes(tensor.bytes.begin(), tensor.bytes.end());
    for (std::size_t x = 0; x < n; ++x) {
      const bool whole = x % 2 == 1;
      tensor.scales.push_back(whole ? 1.0F : 0.5F);
      const std::size_t each = bytes.size() / n;
      for (std::size_t block = x * each; !whole && block < (x + 1) * each; block += kBlock) {
        for (std::size_t i = 0; i < 4; ++i) bytes[block + i] = doubled(bytes[block + i]);
      }
    }
    // In a file, as a loader gives pages back to the system.
    const std::string file = std::to_string(maps_.size());
    folder_.write(file, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    maps_.emplace_back(folder_.path() / file);
    tensor.bytes = maps_.back().bytes();
  }

  std::unique_ptr<Checkpoint> inner_;
  std::vector<TensorInfo> tensors_;
  testing::TempFolder folder_;
  std::vector<MappedFile> maps_;
};

testing::Logits logits(const Checkpoint& checkpoint, const Device& device, const Golden& golden,
                       std::optional<Quantization> quantize = {}) {
  const auto backend = make_backend(device.device, device.options);
  Loader loader(checkpoint, backend.get(), golden.length());
  LoadOptions options;
  options.quantize = std::move(quantize);
  const auto model = build_model(find_family(checkpoint, all_families()), loader, options);
  testing::Stepper stepper(*backend, *model, 8);
  testing::Stepper::Sequence sequence;
  return stepper.feed(sequence, golden.prompt);
}

const Fixture& fixture(const std::string& name) {
  return *std::ranges::find(fixtures(), name, &Fixture::name);
}

TEST(OwnScales, GiveTheSameLogits) {
  for (const char* folder : {"llama_k256", "mixtral_k256"}) {
    const Fixture& model = fixture(std::string(folder) + "_safetensors");
    const Golden golden = Golden::read(model.golden);
    const testing::TempFolder temp;
    const auto path = temp.path() / "nvfp4.gguf";
    convert(model.model, path, {.type = "nvfp4", .threads = 2});
    const auto plain = Checkpoint::open(path);
    const Doubled scaled(path);
    EXPECT_GT(scaled.changed(), 5);
    for (const Device& device : devices()) {
      EXPECT_TRUE(logits(scaled, device, golden) == logits(*plain, device, golden))
          << folder << " on " << device.name;
    }
    // The scales become part of what is encoded anew.
    const Quantization smaller{Mixture::q3_k_m};
    const Device ref = reference();
    EXPECT_TRUE(logits(scaled, ref, golden, smaller) == logits(*plain, ref, golden, smaller));
  }
}

}  // namespace
}  // namespace rbee::conformance
