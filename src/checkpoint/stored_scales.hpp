// StoredScales: the scales of an encoded matrix, read from the file when they are asked for. Those
// of a large model take gigabytes, which opening it must neither read nor keep.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "checkpoint/safetensors_encodings.hpp"

namespace rbee {

// Whose bytes those of a matrix are, for errors.
struct StoredName {
  std::string file, tensor;

  explicit StoredName(const StoredTensor& stored) : file(stored.file), tensor(stored.name) {}
  [[noreturn]] void bad(const std::string& expected, const std::string& found) const;
};

class StoredScales {
 public:
  // Throws LoadError for a type that holds no scales: others than F32, F16, BF16 and 8 bits.
  explicit StoredScales(const StoredTensor& tensor, float divisor = 1);

  std::size_t size() const noexcept { return bytes_.size() / width_; }
  // Throws LoadError when it is not finite.
  float operator[](std::size_t i) const;

 private:
  enum class Kind : std::uint8_t { f32, f16, bf16, e4m3, e8m0, u8 };

  StoredName name_;
  std::span<const std::byte> bytes_;
  Kind kind_ = Kind::f32;
  std::size_t width_ = 4;  // of one in bytes
  float divisor_;
};

}  // namespace rbee
