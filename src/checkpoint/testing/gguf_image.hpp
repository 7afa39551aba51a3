// GgufImage: a small GGUF file built field by field, for tests. What set and add_tensor build is
// valid; the fields are open so that a test can then spoil them.
#pragma once
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "checkpoint/gguf.hpp"
#include "core/dtype.hpp"

namespace rbee::testing {

// The bytes of a plain value, little-endian.
template <class T>
std::string raw(T value) {
  static_assert(std::is_arithmetic_v<T>);
  std::string out(sizeof value, '\0');
  std::memcpy(out.data(), &value, sizeof value);
  return out;
}
std::string raw_string(std::string_view text);  // a u64 length and the text

template <class T>
constexpr GgufType gguf_type_of() {
  if constexpr (std::is_same_v<T, bool>) return GgufType::boolean;
  if constexpr (std::is_same_v<T, float>) return GgufType::f32;
  if constexpr (std::is_same_v<T, double>) return GgufType::f64;
  if constexpr (std::is_same_v<T, std::uint8_t>) return GgufType::u8;
  if constexpr (std::is_same_v<T, std::int8_t>) return GgufType::i8;
  if constexpr (std::is_same_v<T, std::uint16_t>) return GgufType::u16;
  if constexpr (std::is_same_v<T, std::int16_t>) return GgufType::i16;
  if constexpr (std::is_same_v<T, std::uint32_t>) return GgufType::u32;
  if constexpr (std::is_same_v<T, std::int32_t>) return GgufType::i32;
  if constexpr (std::is_same_v<T, std::uint64_t>) return GgufType::u64;
  if constexpr (std::is_same_v<T, std::int64_t>) return GgufType::i64;
}

struct GgufImage {
  struct Entry {
    std::string key;
    std::uint32_t type = 0;
    std::string value;                        // encoded; of an array with its type and count
    std::optional<std::uint64_t> key_length;  // as written, when it is to differ
  };
  struct Tensor {
    std::string name;
    std::vector<std::uint64_t> ne;  // columns first
    std::uint32_t type = 0;
    std::uint64_t offset = 0;
    std::optional<std::uint64_t> name_length;
    std::optional<std::uint32_t> n_dims;
  };

  std::string magic = "GGUF";
  std::uint32_t version = 3;
  std::uint64_t alignment = 32;  // of the data; not written as a key
  std::vector<Entry> entries;
  std::vector<Tensor> tensors;
  std::string data;
  std::optional<std::uint64_t> tensor_count;  // as written, when they are to differ
  std::optional<std::uint64_t> entry_count;

  // Add a key. The type is that of the C++ value.
  template <class T>
  GgufImage& set(std::string_view key, T value) {
    return set_raw(key, gguf_type_of<T>(), raw(value));
  }
  GgufImage& set(std::string_view key, const char* text);
  template <class T>
  GgufImage& set_array(std::string_view key, const std::vector<T>& values) {
    std::string bytes;
    for (const T value : values) bytes += raw(value);
    return set_array_raw(key, gguf_type_of<T>(), values.size(), bytes);
  }
  GgufImage& set_strings(std::string_view key, const std::vector<std::string>& texts);
  GgufImage& set_raw(std::string_view key, GgufType type, std::string value);
  GgufImage& set_array_raw(std::string_view key, GgufType element, std::uint64_t count,
                           std::string_view values);

  // Adds a tensor after those before it. shape in torch order; contents: its encoded bytes.
  GgufImage& add_tensor(std::string_view name, std::uint32_t type,
                        std::span<const std::int64_t> shape, std::string_view contents);
  GgufImage& add_tensor(std::string_view name, DType type, std::vector<std::int64_t> shape,
                        std::string_view contents);
  GgufImage& add_tensor(std::string_view name, std::vector<std::int64_t> shape,
                        std::span<const float> values);

  Entry& entry(std::string_view key);  // which must be there

  std::string header() const;  // all before the padding of the data section
  std::string bytes() const;   // the whole file
};

}  // namespace rbee::testing
