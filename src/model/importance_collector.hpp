// ImportanceCollector: sums the squares of what enters each matrix of a model while it reads a
// text, for an importance matrix (quantize/importance_matrix.hpp).
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "backend/product_observer.hpp"
#include "model/loader.hpp"

namespace rbee {

class ImportanceCollector final : public LoadObserver, public ProductObserver {
 public:
  // Matrices of layers that GGUF has names for. Embeddings and the output are left out, as
  // llama-imatrix does; so are routers, which are never rounded.
  void packed(const Weight& weight, const TensorRequest& request, int index) override;
  void inputs(const Weight& weight, const Tensor& rows) override;

  // What was read.
  struct Text {
    std::string name;
    int chunks = 0;
    int chunk_tokens = 0;
  };
  // Writes the GGUF file that llama-imatrix would (general.type "imatrix", NAME.in_sum2 and
  // NAME.counts). Throws LoadError for sums that are not finite, std::system_error for a file that
  // cannot be written.
  void write(const std::filesystem::path& path, const Text& text) const;

  std::size_t size() const noexcept { return entries_.size(); }

 private:
  // Of a tensor: its matrices one after the other.
  struct Entry {
    std::size_t cols = 0;
    std::vector<double> sums;
    std::vector<std::int64_t> counts;
  };
  struct Place {
    Entry* entry = nullptr;
    std::size_t matrix = 0;
  };

  std::map<std::string, Entry> entries_;
  std::unordered_map<const std::byte*, Place> places_;  // of weights
};

}  // namespace rbee
