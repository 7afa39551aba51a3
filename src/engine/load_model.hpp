// load_model: from a path to everything that generates text.
#pragma once
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "backend/backend.hpp"
#include "checkpoint/checkpoint.hpp"
#include "model/family.hpp"
#include "model/model.hpp"
#include "tokenizer/tokenizer.hpp"

namespace rbee {

struct LoadOptions {
  std::string device = "cpu";
  BackendOptions backend;
  std::function<void(std::size_t bytes_done, std::size_t bytes_total)> progress;
  bool with_tokenizer = true;
  int context = 0;      // tokens of the longest sequence to come; 0: the model's own limit
  int step_tokens = 0;  // see plan_model
  std::size_t available_memory = 0;  // 0: what the system says is free
};

// Members are destroyed in reverse order: the model before the backend that holds its weights.
struct LoadedModel {
  std::string family;
  std::string architecture;
  Format format = Format::gguf;
  std::size_t parameters = 0;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Model> model;
};

// Throws LoadError, before it takes any memory, for a model that does not fit (require_memory).
LoadedModel load_model(const std::filesystem::path& path, const LoadOptions& options);

}  // namespace rbee
