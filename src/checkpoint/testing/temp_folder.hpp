// TempFolder: a folder for the files of one test, removed with all in it at the end of its life.
#pragma once
#include <filesystem>
#include <string_view>

namespace rbee::testing {

class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // Writes a file in the folder, over one that is there, and gives its path.
  std::filesystem::path write(std::string_view name, std::string_view contents) const;

 private:
  std::filesystem::path path_;
};

}  // namespace rbee::testing
