// The escapes of string literals, as Python's unicode-escape codec reads them.
#pragma once
#include <string>
#include <string_view>

namespace rbee::jinja {

// `text` is what stands between the quotes. A mistake is told in `error`. \N{...} is one.
std::string unescape_string(std::string_view text, std::string& error);

}  // namespace rbee::jinja
