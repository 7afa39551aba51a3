// load_fixture: a small model of tests/data/fixtures.
#pragma once
#include <filesystem>
#include <string>

#include "engine/load_model.hpp"

namespace rbee::testing {

// On two threads, without its tokenizer. model: a folder, or a file in one.
inline LoadedModel load_fixture(const std::string& model, const std::string& device) {
  LoadOptions options;
  options.device = device;
  options.backend.threads = 2;
  options.with_tokenizer = false;
  return load_model(std::filesystem::path(RBEE_TEST_DATA) / "fixtures" / model, options);
}

}  // namespace rbee::testing
