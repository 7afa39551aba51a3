// GgufLayout: what GGUF files of an architecture hold in another form than safetensors, beyond what
// the family says when it asks for a tensor.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "convert/request_log.hpp"
#include "model/family.hpp"

namespace rbee {

class GgufLayout {
 public:
  GgufLayout(const Family& family, std::string architecture, const NotingCheckpoint& checkpoint);

  // What becomes of each value; none: nothing.
  std::function<float(float)> value_change(const std::string& name) const;
  // The row of the file that row r is; none: r. Where adjacent elements of a head are rotated
  // together, the rows of its two halves alternate.
  std::function<std::int64_t(std::int64_t)> row_place(const std::string& name) const;
  // The shape that the tensor has in GGUF, of as many elements.
  std::vector<std::int64_t> shape(const std::string& name, std::vector<std::int64_t> shape) const;
  // Whether each of a tensor's matrices is transposed.
  bool swaps_last_two(const std::string& name, const std::vector<std::int64_t>& shape) const;

 private:
  bool is(std::string_view architecture) const { return architecture_ == architecture; }

  std::string architecture_;
  bool pairs_rows_;
  std::int64_t heads_, kv_heads_, head_dim_, groups_;
};

}  // namespace rbee
