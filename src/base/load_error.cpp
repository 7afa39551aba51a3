#include "base/load_error.hpp"

#include <utility>

namespace rbee {

LoadError::LoadError(std::string file, std::string field, std::string expected, std::string found)
    : std::runtime_error(file + ": " + field + ": expected " + expected + ", found " + found),
      file_(std::move(file)),
      field_(std::move(field)),
      expected_(std::move(expected)),
      found_(std::move(found)) {}

}  // namespace rbee
