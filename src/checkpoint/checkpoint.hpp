// Checkpoint: an opened model of either format, memory-mapped. Answers config keys and tensor names
// in the spelling of its format; knows nothing of families, backends or layouts.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "core/dtype.hpp"

namespace rbee {

enum class Format : std::uint8_t { safetensors, gguf };

// A configuration key in both spellings. hf: a dotted path in config.json ("rope_scaling.factor");
// several spellings are separated by '|' and the first present one counts. gguf: a metadata key
// without the
// "<architecture>." prefix; a key starting with "general." or "tokenizer." is taken as it is. An
// empty spelling means that the format has no such key.
struct Key {
  std::string_view hf;
  std::string_view gguf;
};

// One tensor of the checkpoint, in file layout.
struct TensorInfo {
  std::string name;
  DType type = DType::f32;
  std::vector<std::int64_t> shape;   // torch order: rows before columns (GGUF's ne reversed)
  std::span<const std::byte> bytes;  // exactly the tensor; no alignment promised
  std::string file;                  // for error messages
};

class GgufMetadata;  // checkpoint/gguf.hpp: typed access to all keys, arrays included

class Checkpoint {
 public:
  // path: a .gguf file (the first one of a split set), or a directory with config.json and
  // *.safetensors (single, or sharded with model.safetensors.index.json), or one .safetensors file
  // with a config.json beside it. Throws LoadError.
  static std::unique_ptr<Checkpoint> open(const std::filesystem::path& path);
  virtual ~Checkpoint() = default;

  virtual Format format() const = 0;
  // The file or directory it was opened from.
  virtual const std::filesystem::path& path() const = 0;
  // architectures[0] of config.json (or model_type where that is missing); general.architecture of
  // GGUF.
  virtual const std::string& architecture() const = 0;

  // Nullptr when there is none of that name.
  virtual const TensorInfo* find(std::string_view name) const = 0;
  // All tensors, sorted by name.
  virtual std::span<const TensorInfo> tensors() const = 0;

  // Nullopt when the key is absent or null; LoadError when it is present with another type or out
  // of range. Integers are read from any integer width, reals from integers too. integers() also
  // accepts a single number.
  std::optional<std::int64_t> integer(const Key& key) const;
  std::optional<double> real(const Key& key) const;
  std::optional<bool> boolean(const Key& key) const;
  std::optional<std::string> string(const Key& key) const;
  std::optional<std::vector<std::int64_t>> integers(const Key& key) const;

  // Nullptr for the other format. config is the root of config.json (text_config already merged
  // over it).
  virtual const GgufMetadata* gguf() const { return nullptr; }
  virtual const Json* config() const { return nullptr; }
};

}  // namespace rbee
