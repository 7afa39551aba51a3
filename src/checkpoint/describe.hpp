// Wording shared by the loaders' error messages.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace rbee {

// 'text' for an error message: text from a file is untrusted, so anything but printable ASCII is
// escaped, and a long text is cut.
std::string in_quotes(std::string_view text);

// "[2, 3]"
std::string shape_text(std::span<const std::int64_t> shape);

}  // namespace rbee
