// load_model: from a path to everything that generates text.
#pragma once
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "backend/backend.hpp"
#include "checkpoint/checkpoint.hpp"
#include "model/family.hpp"
#include "model/loader.hpp"
#include "model/model.hpp"
#include "model/quantize_on_load.hpp"
#include "tokenizer/tokenizer.hpp"

namespace rbee {

struct LoadOptions {
  std::string device = "cpu";
  BackendOptions backend;
  std::function<void(std::size_t bytes_done, std::size_t bytes_total)> progress;
  bool with_tokenizer = true;
  int context = 0;  // tokens of the longest sequence to come; 0: the model's own limit
  // Of an engine, which drops keys that no window reaches; 0: all keys are kept.
  int step_tokens = 0;
  std::size_t available_memory = 0;        // 0: what the system says is free
  std::optional<Quantization> quantize{};  // the types that matrices are given
  LoadObserver* observer = nullptr;        // sees the matrices in the types they have then
};

// Members are destroyed in reverse order: the model before the backend that holds its weights, and
// that before the files that weights may still be in.
struct LoadedModel {
  std::string family;
  std::string architecture;
  Format format = Format::gguf;
  std::size_t parameters = 0;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<const Checkpoint> checkpoint;  // with BackendOptions::repack off, else none
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Model> model;
};

// Builds the model of the loader's checkpoint, in the types that the options ask for. Throws
// LoadError.
std::unique_ptr<Model> build_model(const Family& family, Loader& loader,
                                   const LoadOptions& options);

// Throws LoadError, before it takes any memory, for a model that does not fit (require_memory).
LoadedModel load_model(const std::filesystem::path& path, const LoadOptions& options);

}  // namespace rbee
