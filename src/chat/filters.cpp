#include <algorithm>

#include "chat/builtins.hpp"

namespace rbee::jinja {

const FilterEntry* find_filter(std::string_view name) {
  for (const auto group : {text_filters(), layout_filters(), number_filters(), sequence_filters(),
                           selection_filters()}) {
    const auto it = std::find_if(group.begin(), group.end(),
                                 [&](const FilterEntry& entry) { return entry.name == name; });
    if (it != group.end()) return &*it;
  }
  return nullptr;
}

}  // namespace rbee::jinja
