#include "engine/stop_matcher.hpp"

#include <algorithm>

namespace rbee {
namespace {

// The longest prefix that matches after one more byte, given that matched bytes did before.
std::size_t extend(const std::string& text, const std::vector<std::size_t>& border,
                   std::size_t matched, char byte) {
  while (matched > 0 && text[matched] != byte) matched = border[matched - 1];
  return text[matched] == byte ? matched + 1 : 0;
}

}  // namespace

StopMatcher::StopMatcher(const std::vector<std::string>& stop) {
  for (std::size_t i = 0; i < stop.size(); ++i) {
    if (stop[i].empty()) continue;
    Pattern pattern{.string = stop[i], .index = i, .border = {0}, .matched = 0};
    for (std::size_t n = 1; n < stop[i].size(); ++n) {
      pattern.border.push_back(extend(stop[i], pattern.border, pattern.border.back(), stop[i][n]));
    }
    patterns_.push_back(std::move(pattern));
  }
}

std::optional<StopMatcher::Match> StopMatcher::feed(char byte) {
  std::optional<Match> match;
  n_held_ = 0;
  for (Pattern& p : patterns_) {
    p.matched = extend(p.string, p.border, p.matched, byte);
    n_held_ = std::max(n_held_, p.matched);
    if (p.matched == p.string.size() && (!match || p.matched > match->length)) {
      match = Match{.length = p.matched, .index = p.index};
    }
  }
  return match;
}

}  // namespace rbee
