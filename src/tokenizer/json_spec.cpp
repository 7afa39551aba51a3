#include "tokenizer/json_spec.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/load_error.hpp"
#include "base/mapped_file.hpp"
#include "checkpoint/hf_config.hpp"

namespace rbee {

bool JsonSpec::is_null() const { return value_->is_null(); }

bool JsonSpec::has(std::string_view key) const {
  if (!value_->is_object()) return false;
  const auto found = value_->find(key);
  return found != value_->end() && !found->is_null();
}

JsonSpec JsonSpec::member(std::string_view key) const {
  if (!value_->is_object()) refuse("an object", value_->type_name());
  const auto found = value_->find(key);
  if (found == value_->end()) refuse(key, "a value", "none");
  return {*found, *file_, path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key)};
}

std::string JsonSpec::string(std::string_view key) const {
  const JsonSpec found = member(key);
  if (!found.value_->is_string()) refuse(key, "a string", found.value_->type_name());
  return found.value_->get<std::string>();
}

bool JsonSpec::boolean(std::string_view key) const {
  const JsonSpec found = member(key);
  if (!found.value_->is_boolean()) refuse(key, "true or false", found.value_->type_name());
  return found.value_->get<bool>();
}

bool JsonSpec::boolean(std::string_view key, bool otherwise) const {
  return has(key) ? boolean(key) : otherwise;
}

std::int64_t JsonSpec::integer(std::string_view key) const {
  const JsonSpec found = member(key);
  if (!found.value_->is_number_integer()) refuse(key, "an integer", found.value_->type_name());
  return found.value_->get<std::int64_t>();
}

std::vector<JsonSpec> JsonSpec::array(std::string_view key) const { return member(key).elements(); }

std::vector<JsonSpec> JsonSpec::elements() const {
  if (!value_->is_array()) refuse("an array", value_->type_name());
  std::vector<JsonSpec> out;
  for (std::size_t i = 0; i < value_->size(); ++i) {
    out.emplace_back((*value_)[i], *file_, fmt::format("{}[{}]", path_, i));
  }
  return out;
}

void JsonSpec::refuse(std::string expected, std::string found) const {
  throw LoadError(*file_, path_, std::move(expected), std::move(found));
}

void JsonSpec::refuse(std::string_view key, std::string expected, std::string found) const {
  throw LoadError(*file_, path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key),
                  std::move(expected), std::move(found));
}

std::optional<Json> read_json_file(const std::string& file) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  const MappedFile mapped(file);
  const auto bytes = mapped.bytes();
  try {
    // added_tokens_decoder of tokenizer_config.json has a member for each added token.
    return parse_json(
        quote_number_words({reinterpret_cast<const char*>(bytes.data()), bytes.size()}),
        {.max_members = 20'000});
  } catch (const JsonError& error) {
    throw LoadError(file, "(whole file)", "JSON", error.what());
  }
}

}  // namespace rbee
