// Reads a TokenStream to its end, for tests.
#pragma once
#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "engine/token_stream.hpp"

namespace rbee::testing {

struct Answer {
  std::vector<std::int32_t> ids;
  std::vector<TokenEvent> events;
  Finish finish;
};

// Cancels once cancel_after tokens are there (-1: never), and reads on.
inline Answer collect(TokenStream& stream, int cancel_after = -1) {
  Answer answer;
  for (;;) {
    if (static_cast<int>(answer.ids.size()) == cancel_after) stream.cancel();
    TokenStream::Item item = stream.pop();
    if (auto* finish = std::get_if<Finish>(&item)) {
      answer.finish = std::move(*finish);
      return answer;
    }
    answer.events.push_back(std::get<TokenEvent>(std::move(item)));
    answer.ids.push_back(answer.events.back().id);
  }
}

}  // namespace rbee::testing
