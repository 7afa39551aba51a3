// StopMatcher: finds the first of several stop strings in a text that comes in pieces.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace rbee {

// Knuth, Morris & Pratt (1977), once for each string: constant amortised time a byte and string.
class StopMatcher {
 public:
  struct Match {
    std::size_t length = 0;  // bytes of the stop string; it ends at the byte just fed
    std::size_t index = 0;   // which one
  };

  // Empty strings never match.
  explicit StopMatcher(const std::vector<std::string>& stop);

  // Takes the next byte. A match when a stop string ends there: the longest if several do. Nothing
  // may be fed after a match.
  std::optional<Match> feed(char byte);

  // Bytes at the end of what was fed that may still turn out to begin a stop string.
  std::size_t n_held() const noexcept { return n_held_; }

 private:
  struct Pattern {
    std::string string;
    std::size_t index = 0;
    std::vector<std::size_t> border;  // [n]: longest proper border of the first n+1 bytes
    std::size_t matched = 0;          // longest prefix that ends what was fed
  };

  std::vector<Pattern> patterns_;
  std::size_t n_held_ = 0;
};

}  // namespace rbee
