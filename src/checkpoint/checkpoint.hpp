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
#include <variant>
#include <vector>

#include "base/json.hpp"
#include "core/dtype.hpp"

namespace rbee {

enum class Format : std::uint8_t { safetensors, gguf };

// A configuration key in both spellings. hf: a dotted path in config.json ("rope_scaling.factor").
// gguf: a metadata key without the "<architecture>." prefix; a key starting with "general." or
// "tokenizer." is taken as it is. Several spellings are separated by '|' and the first present one
// counts. An empty spelling means that the format has no such key.
struct Key {
  std::string_view hf;
  std::string_view gguf;
};

// What was made of a key.
using KeyValue = std::variant<bool, std::int64_t, double, std::string, std::vector<std::int64_t>,
                              std::vector<float>>;

class EncodedMatrix;  // checkpoint/encoded_matrix.hpp

// One tensor of the checkpoint, in file layout.
struct TensorInfo {
  std::string name;
  DType type = DType::f32;
  std::vector<std::int64_t> shape;   // torch order: rows before columns (GGUF's ne reversed)
  std::span<const std::byte> bytes;  // exactly the tensor; no alignment promised. Empty if encoded
  std::string file;                  // for error messages
  // Where the files hold it in another layout than that of type: makes it (see TensorData).
  std::shared_ptr<const EncodedMatrix> encoded{};
  std::size_t encoded_bytes = 0;  // that the files spend on it then
  // The values are these times what bytes hold: one for all, or one for each matrix of a stack.
  // None: 1. NVFP4's blocks have scales of 8 bits that reach far with one more.
  std::vector<float> scales{};

  float scale(std::size_t matrix) const noexcept {
    return scales.empty() ? 1 : scales[scales.size() == 1 ? 0 : matrix];
  }
  std::size_t file_bytes() const noexcept { return encoded ? encoded_bytes : bytes.size(); }
};

// A tensor that is there, but of a type that nothing here computes with (integer position ids,
// masks, doubles).
struct OpaqueTensor {
  std::string name;
  std::string type;  // in the file's own spelling
  std::vector<std::int64_t> shape;
  std::size_t bytes = 0;
  std::string file;
};

class GgufMetadata;  // checkpoint/gguf.hpp: typed access to all keys, arrays included

class Checkpoint {
 public:
  // path: a .gguf file (the first one of a split set), or a directory with config.json and
  // *.safetensors (single, sharded with model.safetensors.index.json, or several without one), or
  // one .safetensors file with a config.json beside it. Maps the files and reads their headers, not
  // the tensor data. Throws LoadError.
  static std::unique_ptr<Checkpoint> open(const std::filesystem::path& path);
  virtual ~Checkpoint() = default;

  virtual Format format() const = 0;
  // The file or directory it was opened from.
  virtual const std::filesystem::path& path() const = 0;
  // architectures[0] of config.json (or model_type where that is missing); general.architecture of
  // GGUF.
  virtual const std::string& architecture() const = 0;

  // Nullptr when there is none of that name. Throws LoadError, naming the type, when it is one of
  // opaque_tensors().
  virtual const TensorInfo* find(std::string_view name) const = 0;
  // All tensors but the opaque ones, sorted by name. GGUF: none in a vocabulary-only file.
  virtual std::span<const TensorInfo> tensors() const = 0;
  virtual std::span<const OpaqueTensor> opaque_tensors() const { return {}; }

  // Nullopt when the key is absent or null; LoadError when it is present with another type or out
  // of range. Integers are read from any integer width and, in config.json, from a whole real
  // (8192.0); reals from integers too. integers() also accepts a single number, and booleans in an
  // array as 0 and 1.
  std::optional<std::int64_t> integer(const Key& key) const;
  std::optional<double> real(const Key& key) const;
  std::optional<bool> boolean(const Key& key) const;
  std::optional<std::string> string(const Key& key) const;
  std::optional<std::vector<std::int64_t>> integers(const Key& key) const;
  std::optional<std::vector<float>> reals(const Key& key) const;  // arrays only

  // Called with every value that is read by the above, and by readers that have a default for a key
  // which the file lacks: the last call says what the model is built with. A converter listens.
  virtual void note(const Key& /*key*/, const KeyValue& /*value*/) const {}

  // Nullptr for the other format. config is the root of config.json, text_config already merged
  // over it and rope_parameters.full_attention over rope_parameters; the bare words Infinity,
  // -Infinity and NaN appear in it as strings, which real() reads as numbers. Both live as long as
  // the Checkpoint.
  virtual const GgufMetadata* gguf() const { return nullptr; }
  virtual const Json* config() const { return nullptr; }
};

}  // namespace rbee
