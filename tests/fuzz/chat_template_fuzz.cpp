// links: rbee_chat rbee_base
// A template, a zero byte, and the variables as JSON: parsed and rendered under small limits.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/json.hpp"
#include "chat/chat_template.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t split = input.find('\0');
  rbee::Json variables = rbee::Json::object();
  if (split != std::string_view::npos) {
    try {
      variables = rbee::parse_json(input.substr(split + 1));
    } catch (const rbee::JsonError&) {
      return 0;
    }
  }
  try {
    const rbee::TemplateLimits limits{20'000, 1u << 20, 200};
    const rbee::ChatTemplate parsed(input.substr(0, split), limits);
    static_cast<void>(parsed.render(variables));
  } catch (const rbee::TemplateError&) {
    // What a bad template is meant to give.
  }
  return 0;
}
