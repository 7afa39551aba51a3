// Writes GGUF files (version 3, little-endian).
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/gguf.hpp"
#include "core/dtype.hpp"

namespace rbee {

// The keys of a file to be written. A key that is set again keeps its place.
class GgufKeys {
 public:
  void set(std::string_view key, std::uint16_t value);
  void set(std::string_view key, std::uint32_t value);
  void set(std::string_view key, std::int32_t value);
  void set(std::string_view key, float value);
  void set(std::string_view key, bool value);
  void set(std::string_view key, std::string_view text);
  void set(std::string_view key, const char* text) { set(key, std::string_view(text)); }
  void set(std::string_view key, std::span<const std::int32_t> values);
  void set(std::string_view key, std::span<const float> values);
  void set(std::string_view key, const std::vector<bool>& values);
  void set(std::string_view key, std::span<const std::string> texts);
  void copy(const GgufEntry& entry);  // of another file
  void erase(std::string_view key);
  bool has(std::string_view key) const { return places_.contains(std::string(key)); }

  std::size_t size() const { return places_.size(); }
  // The keys and their values as they stand in a file.
  std::string encoded() const;

 private:
  void put(std::string_view key, std::string value);

  std::map<std::string, std::size_t> places_;
  std::vector<std::string> entries_;  // encoded; erased ones are empty
};

// A tensor to be written.
struct GgufTensorSpec {
  std::string name;
  DType type = DType::f32;
  std::vector<std::int64_t> shape;  // torch order; 1 to 4 extents, the last one whole blocks

  std::int64_t rows() const;  // the product of all extents but the last
  std::size_t row_bytes() const;
  std::size_t bytes() const { return static_cast<std::size_t>(rows()) * row_bytes(); }
};

// A file that is being written under another name (path + ".partial") until it is complete. Tensors
// may be written in pieces, in any order and by several threads at once.
class GgufWriter {
 public:
  // Writes the header and reserves the space. Throws std::system_error, which names the file.
  GgufWriter(std::filesystem::path path, const GgufKeys& keys,
             std::span<const GgufTensorSpec> tensors);
  // Removes the file unless it has its name.
  ~GgufWriter();
  GgufWriter(const GgufWriter&) = delete;
  GgufWriter& operator=(const GgufWriter&) = delete;

  // Bytes of tensor i from offset on. Throws std::system_error.
  void write(std::size_t i, std::size_t offset, std::span<const std::byte> bytes) const;
  // All tensors are written: flushes them to the disk.
  void sync() const;
  // Gives the file its name, in place of any file that has it. Call sync before.
  void publish();

  std::size_t file_bytes() const { return size_; }

 private:
  void write_at(std::size_t offset, std::span<const std::byte> bytes) const;
  [[noreturn]] void fail(const char* what) const;

  std::filesystem::path path_, partial_;
  int file_ = -1;
  std::vector<std::size_t> offsets_;  // of the tensors in the file
  std::size_t size_ = 0;
  bool published_ = false;
};

}  // namespace rbee
