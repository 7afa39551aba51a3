// ImportanceMatrix: for each matrix of a model the mean squares of the inputs that meet its
// columns, collected while a text was read. Rounding errors count in proportion to them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rbee {

class ImportanceMatrix {
 public:
  // Reads a file of llama-imatrix, or of our imatrix command: GGUF (general.type "imatrix", tensors
  // NAME.in_sum2 and NAME.counts), or the older .dat. Throws LoadError.
  static ImportanceMatrix load(const std::filesystem::path& path);
  // bytes: the whole file. file is for error messages.
  static ImportanceMatrix read(const std::string& file, std::span<const std::byte> bytes);

  // The mean squares of the columns of a matrix, by its GGUF name; of a tensor of several matrices,
  // those of one. Empty when nothing is known of it. Throws LoadError when the file has another
  // number of columns: it is of another model.
  std::span<const float> columns(std::string_view name, int matrix, std::size_t cols) const;

  std::size_t size() const noexcept { return entries_.size(); }
  const std::string& file() const noexcept { return file_; }
  // The first text it was collected from, and the pieces that were read of all; empty and 0 where
  // the file does not say.
  const std::string& dataset() const noexcept { return dataset_; }
  std::int64_t chunks() const noexcept { return chunks_; }

 private:
  struct Entry {
    std::vector<float> means;  // of matrices one after the other
    std::size_t matrices = 1;
  };

  static ImportanceMatrix read_gguf_entries(const std::string& file,
                                            std::span<const std::byte> bytes);
  static ImportanceMatrix read_old_entries(const std::string& file,
                                           std::span<const std::byte> bytes);

  std::string file_, dataset_;
  std::int64_t chunks_ = 0;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace rbee
