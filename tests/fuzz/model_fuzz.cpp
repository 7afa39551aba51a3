// links: rbee_families rbee_model_testing
// A GGUF file, or else the config.json of a fixed model, through everything that reads a
// configuration: finding the family and building the model without a backend.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>

#include "base/load_error.hpp"
#include "model/family.hpp"
#include "model/testing/tiny_llama.hpp"

namespace {

using rbee::testing::TempFolder;
using rbee::testing::TinyLlama;

std::filesystem::path write_config(std::string_view text) {
  static const TempFolder folder;
  static const auto path =
      TinyLlama{.hidden = 8, .ffn = 8, .heads = 2, .kv_heads = 1, .head_dim = 4, .vocab = 8}
          .write_safetensors(folder);
  folder.write("config.json", text);
  return path;
}

std::filesystem::path write_gguf(std::string_view bytes) {
  static const TempFolder folder;
  return folder.write("model.gguf", bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto path = text.starts_with("GGUF") ? write_gguf(text) : write_config(text);
  try {
    const auto checkpoint = rbee::Checkpoint::open(path);
    rbee::Loader loader(*checkpoint, nullptr);
    const auto model = rbee::find_family(*checkpoint, rbee::all_families()).build(loader);
    loader.check_all_used();
  } catch (const rbee::LoadError&) {
    return 0;  // refused, as it may be
  }
  return 0;
}
