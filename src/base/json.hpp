// JSON for requests, replies and small configuration files. Key order is kept.
// Large or untrusted model files (tokenizer.json, safetensors headers) are read with simdjson where
// they are parsed.
#pragma once
#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

namespace rbee {

using Json = nlohmann::ordered_json;  // include <nlohmann/json.hpp> where its members are used

class JsonError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Checked before parsing: the library's own parser recurses when it destroys a value, and looks
// through all members of an object for each one it adds.
struct JsonLimits {
  std::size_t max_depth = 64;
  std::size_t max_members = 2000;  // of one object
};

// Throws JsonError for malformed text, invalid UTF-8, or what goes over a limit.
Json parse_json(std::string_view text, const JsonLimits& limits = {});

// Compact text. Invalid UTF-8 in strings becomes U+FFFD, so that this never throws.
std::string dump_json(const Json& value);

}  // namespace rbee
