// GGUF metadata: typed access to the key/value section of a GGUF file.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rbee {

// The numbers are those of the file format.
enum class GgufType : std::uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};

std::string_view name(GgufType type) noexcept;

// Bytes of one value; 0 for strings and arrays, whose size varies.
std::size_t size_of(GgufType type) noexcept;

// One key and its value, as views into the mapped file. The reader has checked that every element
// lies in the file and that booleans are 0 or 1.
struct GgufEntry {
  std::string_view key;
  GgufType element = GgufType::u8;  // the type of the value, or of an array's elements; never array
  bool is_array = false;
  std::uint64_t count = 1;           // elements of an array, else 1
  std::span<const std::byte> bytes;  // the encoded elements; a string is a u64 length and its bytes
};

// All keys of a file. Views and string views are valid as long as the Checkpoint they come from.
// The accessors give nullopt for an absent key and throw LoadError for one of another type.
class GgufMetadata {
 public:
  // Throws LoadError when a key occurs twice. file is for error messages.
  GgufMetadata(std::string file, std::vector<GgufEntry> entries);

  std::span<const GgufEntry> entries() const noexcept { return entries_; }  // in file order
  const GgufEntry* find(std::string_view key) const noexcept;               // nullptr when absent
  const std::string& file() const noexcept { return file_; }

  std::optional<std::int64_t> integer(std::string_view key) const;  // any integer type
  std::optional<double> real(std::string_view key) const;           // any number
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::string_view> string(std::string_view key) const;

  // Arrays, read in one pass. integers takes any integer type, booleans as 0 and 1, and a single
  // integer as an array of one; floats takes any number type.
  std::optional<std::vector<std::int64_t>> integers(std::string_view key) const;
  std::optional<std::vector<float>> floats(std::string_view key) const;
  std::optional<std::vector<std::string_view>> strings(std::string_view key) const;

 private:
  [[noreturn]] void refuse(const GgufEntry& entry, std::string_view expected) const;
  const GgufEntry* find_scalar(std::string_view key, std::string_view expected) const;
  const GgufEntry* find_array(std::string_view key, std::string_view expected) const;

  std::string file_;
  std::vector<GgufEntry> entries_;
  std::vector<std::uint32_t> by_key_;  // indices into entries_, sorted by key
};

}  // namespace rbee
