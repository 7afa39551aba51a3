// NpyWriter: a float32 matrix as a NumPy .npy file (format 1.0), written row by row.
#pragma once
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>

namespace rbee {

class NpyWriter {
 public:
  // The shape is written first: exactly rows * cols values must follow. Throws std::runtime_error
  // when the file cannot be written.
  NpyWriter(const std::filesystem::path& path, std::int64_t rows, std::int64_t cols);
  void write(std::span<const float> values);
  void close();

 private:
  std::filesystem::path path_;
  std::ofstream out_;
};

}  // namespace rbee
