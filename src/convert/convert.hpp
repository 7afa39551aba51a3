// convert: a model of either format as a GGUF file.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/dtype.hpp"

namespace rbee {

struct ConvertOptions {
  std::string type{};  // "f32", "q8_0", ...; empty: the type that most of the source has
  std::filesystem::path importance{};  // file of an importance matrix; empty: none
  std::uint64_t split_bytes = 0;       // files of about this size; 0: one file
  bool overwrite = false;
  int threads = 0;  // 0: one for each core
  // Called with (bytes written, bytes to be written).
  std::function<void(std::size_t, std::size_t)> progress{};
};

struct ConvertReport {
  struct Count {
    std::size_t tensors = 0;
    std::uint64_t parameters = 0, bytes = 0;
  };
  std::string architecture;                  // general.architecture
  std::string type;                          // of the file
  std::vector<std::filesystem::path> files;  // that were written
  std::uint64_t bytes = 0;                   // of all files
  std::map<std::string, Count> types;        // by the names of tensor types
  std::vector<std::string> warnings;         // what the file cannot say
};

// Writes `target` (.gguf). No file has its name before all is written. Throws LoadError for a
// source that cannot be converted, std::system_error for a file that cannot be written.
ConvertReport convert(const std::filesystem::path& source, const std::filesystem::path& target,
                      const ConvertOptions& options);

}  // namespace rbee
