// config.json of a Hugging Face model folder.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

#include "base/json.hpp"

namespace rbee {

// The text of a JSON file written by Python, its bare words Infinity, -Infinity and NaN in quotes.
std::string quote_number_words(std::string_view text);

// Parses config.json: the members of a text_config object replace those of the root (unless null).
// The bare words Infinity, -Infinity and NaN, which Python writes, become strings. Throws
// LoadError; file is for error messages.
Json parse_hf_config(const std::string& file, std::string_view text);
Json read_hf_config(const std::filesystem::path& path);

// architectures[0], or model_type where that is missing. Throws LoadError when there is neither.
std::string hf_architecture(const std::string& file, const Json& config);

// The value at a dotted path ("rope_scaling.factor"); nullptr when it is absent or null.
const Json* find_hf_value(const Json& config, std::string_view path);

}  // namespace rbee
