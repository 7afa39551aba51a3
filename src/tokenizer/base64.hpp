// Base64, in which vocabulary files spell bytes.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace rbee {

// Bytes of base64 (RFC 4648, section 4, with padding); nullopt when the text is none.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace rbee
