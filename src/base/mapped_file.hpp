// MappedFile: a read-only memory mapping of a whole regular file.
#pragma once
#include <cstddef>
#include <filesystem>
#include <span>

namespace rbee {

class MappedFile {
 public:
  // Throws LoadError when the path is not a readable regular file.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&&) noexcept;
  MappedFile& operator=(MappedFile&&) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // Empty for a file of no bytes.
  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }

  // Tells the kernel that these bytes (a subspan of bytes()) are no longer needed in memory. They
  // stay readable.
  static void release(std::span<const std::byte> bytes) noexcept;

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace rbee
