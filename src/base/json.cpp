#include "base/json.hpp"

#include <nlohmann/json.hpp>
#include <vector>

namespace rbee {
namespace {

constexpr std::size_t kList = ~std::size_t{0};

void check_limits(std::string_view text, const JsonLimits& limits) {
  std::vector<std::size_t> commas;  // of each object or list that is open; lists do not count
  for (std::size_t i = 0; i < text.size(); ++i) {
    switch (text[i]) {
      case '"':
        for (++i; i < text.size() && text[i] != '"'; ++i) {
          if (text[i] == '\\') ++i;
        }
        break;
      case '[':
      case '{':
        if (commas.size() == limits.max_depth) {
          throw JsonError("nested deeper than " + std::to_string(limits.max_depth) + " levels");
        }
        commas.push_back(text[i] == '{' ? 0 : kList);
        break;
      case ']':
      case '}':
        if (!commas.empty()) commas.pop_back();
        break;
      case ',':
        if (!commas.empty() && commas.back() != kList && ++commas.back() >= limits.max_members) {
          throw JsonError("an object has more than " + std::to_string(limits.max_members) +
                          " members");
        }
        break;
      default:
        break;
    }
  }
}

}  // namespace

Json parse_json(std::string_view text, const JsonLimits& limits) {
  check_limits(text, limits);
  try {
    return Json::parse(text.begin(), text.end());
  } catch (const Json::exception& e) {
    throw JsonError(e.what());
  }
}

std::string dump_json(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace rbee
