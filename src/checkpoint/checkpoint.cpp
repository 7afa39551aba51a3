#include "checkpoint/checkpoint.hpp"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/load_error.hpp"
#include "base/mapped_file.hpp"
#include "checkpoint/describe.hpp"
#include "checkpoint/gguf.hpp"
#include "checkpoint/gguf_checkpoint.hpp"
#include "checkpoint/hf_config.hpp"
#include "checkpoint/safetensors_checkpoint.hpp"

namespace rbee {
namespace {

bool begins_as_gguf(const std::filesystem::path& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size())
      .starts_with("GGUF");
}

// Calls visit(spelling) for each of the spellings until one gives a value.
template <class Visit>
auto first_present(std::string_view spellings, Visit visit) -> decltype(visit(spellings)) {
  while (!spellings.empty()) {
    const std::size_t bar = spellings.find('|');
    if (auto value = visit(spellings.substr(0, bar))) return value;
    if (bar == std::string_view::npos) break;
    spellings.remove_prefix(bar + 1);
  }
  return {};
}

std::string full_gguf_key(const Checkpoint& checkpoint, std::string_view key) {
  if (key.starts_with("general.") || key.starts_with("tokenizer.")) return std::string(key);
  return checkpoint.architecture() + "." + std::string(key);
}

std::optional<std::int64_t> json_integer(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    if (number > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
    return static_cast<std::int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number_float()) {
    constexpr double kExact = 9007199254740992.0;  // 2^53
    const auto number = value.get<double>();
    if (std::fabs(number) <= kExact && std::trunc(number) == number) {
      return static_cast<std::int64_t>(number);
    }
  }
  return std::nullopt;
}

std::optional<double> json_real(const Json& value) {
  if (value.is_number()) return value.get<double>();
  if (value == "Infinity") return std::numeric_limits<double>::infinity();
  if (value == "-Infinity") return -std::numeric_limits<double>::infinity();
  if (value == "NaN") return std::numeric_limits<double>::quiet_NaN();
  return std::nullopt;
}

std::optional<bool> json_boolean(const Json& value) {
  if (!value.is_boolean()) return std::nullopt;
  return value.get<bool>();
}

std::optional<std::string> json_string(const Json& value) {
  if (!value.is_string()) return std::nullopt;
  return value.get<std::string>();
}

std::optional<std::vector<std::int64_t>> json_integers(const Json& value) {
  std::vector<std::int64_t> out;
  if (!value.is_array()) {
    const auto single = json_integer(value);
    if (!single) return std::nullopt;
    return std::vector{*single};
  }
  for (const Json& element : value) {
    const auto number = element.is_boolean() ? element.get<bool>() : json_integer(element);
    if (!number) return std::nullopt;
    out.push_back(*number);
  }
  return out;
}

std::optional<std::vector<float>> json_reals(const Json& value) {
  if (!value.is_array()) return std::nullopt;
  std::vector<float> out;
  for (const Json& element : value) {
    const auto number = json_real(element);
    if (!number) return std::nullopt;
    out.push_back(static_cast<float>(*number));
  }
  return out;
}

// The first present value of key, converted. From GGUF: (metadata.*from_gguf)(full key), whose
// errors name the key; from config.json: from_json, which gives nullopt for a value of another
// type.
template <class T, class FromGguf, class FromJson>
std::optional<T> read_value(const Checkpoint& checkpoint, const Key& key, std::string_view expected,
                            FromGguf from_gguf, FromJson from_json) {
  if (const GgufMetadata* metadata = checkpoint.gguf()) {
    return first_present(key.gguf, [&](std::string_view spelling) -> std::optional<T> {
      auto value = (metadata->*from_gguf)(full_gguf_key(checkpoint, spelling));
      if (!value) return std::nullopt;
      return T(std::move(*value));
    });
  }
  return first_present(key.hf, [&](std::string_view spelling) -> std::optional<T> {
    const Json* json = find_hf_value(*checkpoint.config(), spelling);
    if (json == nullptr) return std::nullopt;
    auto value = from_json(*json);
    if (!value) {
      throw LoadError(config_path(checkpoint.path()).string(), "key " + in_quotes(spelling),
                      std::string(expected),
                      in_quotes(json->dump(-1, ' ', true, Json::error_handler_t::replace)));
    }
    return value;
  });
}

template <class T, class FromGguf, class FromJson>
std::optional<T> read(const Checkpoint& checkpoint, const Key& key, std::string_view expected,
                      FromGguf from_gguf, FromJson from_json) {
  auto value = read_value<T>(checkpoint, key, expected, from_gguf, from_json);
  if (value) checkpoint.note(key, *value);
  return value;
}

}  // namespace

std::unique_ptr<Checkpoint> Checkpoint::open(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    throw LoadError(path.string(), "file", "a .gguf file or a model folder",
                    error ? error.message() : "nothing of that name");
  }
  if (std::filesystem::is_directory(status)) return std::make_unique<SafetensorsCheckpoint>(path);
  if (path.extension() == ".gguf" || begins_as_gguf(path)) {
    return std::make_unique<GgufCheckpoint>(path);
  }
  if (path.extension() == ".safetensors") return std::make_unique<SafetensorsCheckpoint>(path);
  throw LoadError(path.string(), "file", "a .gguf or .safetensors file", "another kind of file");
}

std::optional<std::int64_t> Checkpoint::integer(const Key& key) const {
  return read<std::int64_t>(*this, key, "an integer below 2^63", &GgufMetadata::integer,
                            json_integer);
}

std::optional<double> Checkpoint::real(const Key& key) const {
  return read<double>(*this, key, "a number", &GgufMetadata::real, json_real);
}

std::optional<bool> Checkpoint::boolean(const Key& key) const {
  return read<bool>(*this, key, "a bool", &GgufMetadata::boolean, json_boolean);
}

std::optional<std::string> Checkpoint::string(const Key& key) const {
  return read<std::string>(*this, key, "a string", &GgufMetadata::string, json_string);
}

std::optional<std::vector<std::int64_t>> Checkpoint::integers(const Key& key) const {
  return read<std::vector<std::int64_t>>(*this, key, "integers below 2^63", &GgufMetadata::integers,
                                         json_integers);
}

std::optional<std::vector<float>> Checkpoint::reals(const Key& key) const {
  return read<std::vector<float>>(*this, key, "an array of numbers", &GgufMetadata::floats,
                                  json_reals);
}

}  // namespace rbee
