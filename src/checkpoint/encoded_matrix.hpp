// EncodedMatrix: a matrix that the files hold in another layout than that of any DType (FP8 with
// its scales in a second tensor, GPTQ's transposed codes, ...). Rows are made when they are asked
// for.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace rbee {

class EncodedMatrix {
 public:
  virtual ~EncodedMatrix() = default;
  // Writes rows [begin, begin + n) in the layout of the tensor's type: out holds n whole rows of
  // it. Throws LoadError for codes or scales that are no finite numbers.
  virtual void rows(std::int64_t begin, std::int64_t n, std::span<std::byte> out) const = 0;
};

}  // namespace rbee
