// TinyCheckpoint: writes a model folder of the hub's layout (config.json and model.safetensors, all
// F32) for tests, with any tensors.
#pragma once
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace rbee::testing {

class TinyCheckpoint {
 public:
  struct Matrix {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
  };

  std::string config;  // JSON text
  std::map<std::string, Matrix> tensors;

  void add(const std::string& name, std::vector<std::int64_t> shape, std::vector<float> values) {
    tensors[name] = {std::move(shape), std::move(values)};
  }

  // Normally distributed values around `mean`, the same for the same name.
  void add_random(const std::string& name, std::vector<std::int64_t> shape, float deviation,
                  float mean = 0) {
    std::seed_seq seeds(name.begin(), name.end());
    std::mt19937 generator(seeds);
    std::normal_distribution<float> normal(mean, deviation);
    std::size_t count = 1;
    for (const std::int64_t extent : shape) count *= static_cast<std::size_t>(extent);
    std::vector<float> values(count);
    for (float& value : values) value = normal(generator);
    add(name, std::move(shape), std::move(values));
  }

  // Writes the folder; it is removed with the returned guard.
  class Folder {
   public:
    explicit Folder(std::filesystem::path path) : path_(std::move(path)) {}
    ~Folder() {
      std::error_code ignored;
      std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    const std::filesystem::path& path() const { return path_; }

   private:
    std::filesystem::path path_;
  };

  Folder write() const {
    static int counter = 0;
    const auto path = std::filesystem::temp_directory_path() /
                      ("rbee_tiny_" + std::to_string(::getpid()) + "_" + std::to_string(counter++));
    std::filesystem::create_directories(path);
    std::ofstream(path / "config.json") << config;
    std::ofstream out(path / "model.safetensors", std::ios::binary);
    const std::string header = header_text();
    const std::uint64_t length = header.size();
    out.write(reinterpret_cast<const char*>(&length), sizeof length);
    out << header;
    for (const auto& [name, matrix] : tensors) {
      out.write(reinterpret_cast<const char*>(matrix.values.data()),
                static_cast<std::streamsize>(matrix.values.size() * sizeof(float)));
    }
    return Folder(path);
  }

 private:
  std::string header_text() const {
    std::string text = "{";
    std::size_t begin = 0;
    for (const auto& [name, matrix] : tensors) {
      std::string shape;
      for (const std::int64_t extent : matrix.shape) {
        shape += (shape.empty() ? "" : ",") + std::to_string(extent);
      }
      const std::size_t end = begin + matrix.values.size() * sizeof(float);
      text += (begin == 0 ? "" : ",");
      text += "\"" + name + R"(":{"dtype":"F32","shape":[)" + shape + R"(],"data_offsets":[)" +
              std::to_string(begin) + "," + std::to_string(end) + "]}";
      begin = end;
    }
    text += "}";
    return text + std::string((8 - text.size() % 8) % 8, ' ');
  }
};

}  // namespace rbee::testing
