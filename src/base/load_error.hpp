// LoadError: what every loader throws when a file is not what it should be.
#pragma once
#include <stdexcept>
#include <string>

namespace rbee {

// Says which file, which field or tensor in it, what was expected there and what was found.
// Example: model.gguf: tensor 'blk.0.attn_q.weight': expected shape [576, 576], found [576, 192]
class LoadError : public std::runtime_error {
 public:
  LoadError(std::string file, std::string field, std::string expected, std::string found);

  const std::string& file() const noexcept { return file_; }
  const std::string& field() const noexcept { return field_; }
  const std::string& expected() const noexcept { return expected_; }
  const std::string& found() const noexcept { return found_; }

 private:
  std::string file_, field_, expected_, found_;
};

}  // namespace rbee
