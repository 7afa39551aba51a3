// ByteReader: a cursor over the bytes of an untrusted little-endian file.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "base/load_error.hpp"

namespace rbee {

static_assert(std::endian::native == std::endian::little, "model files are little-endian");

class ByteReader {
 public:
  // file is for error messages and must outlive the reader, as must the bytes.
  ByteReader(const std::string& file, std::span<const std::byte> bytes)
      : file_(file), bytes_(bytes) {}

  std::size_t position() const noexcept { return position_; }
  std::size_t remaining() const noexcept { return bytes_.size() - position_; }

  // The next count bytes. Throws LoadError(file, field) when the file ends before.
  std::span<const std::byte> take(std::uint64_t count, std::string_view field) {
    if (count > remaining()) end_of_file(count, field);
    const auto out = bytes_.subspan(position_, count);
    position_ += count;
    return out;
  }

  template <class T>
  T number(std::string_view field) {
    T value;
    std::memcpy(&value, take(sizeof value, field).data(), sizeof value);
    return value;
  }

 private:
  [[noreturn]] void end_of_file(std::uint64_t count, std::string_view field) const {
    throw LoadError(file_, std::string(field),
                    std::to_string(count) + " bytes at offset " + std::to_string(position_),
                    "the end of the file after " + std::to_string(remaining()));
  }

  const std::string& file_;
  std::span<const std::byte> bytes_;
  std::size_t position_ = 0;
};

}  // namespace rbee
