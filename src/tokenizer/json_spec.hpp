// JsonSpec: one object of tokenizer.json (or a file beside it), read with errors that name the file
// and the place in it.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"

namespace rbee {

class JsonSpec {
 public:
  // value and file must outlive this.
  JsonSpec(const Json& value, const std::string& file, std::string path)
      : value_(&value), file_(&file), path_(std::move(path)) {}

  bool is_null() const;
  const Json& json() const { return *value_; }
  const std::string& file() const { return *file_; }
  const std::string& path() const { return path_; }  // "normalizer.normalizers[1]"

  bool has(std::string_view key) const;  // present and not null
  // The member of that name. Throws LoadError when it is missing or of another type.
  JsonSpec member(std::string_view key) const;
  std::string string(std::string_view key) const;
  bool boolean(std::string_view key) const;
  bool boolean(std::string_view key, bool otherwise) const;  // otherwise: when missing or null
  std::int64_t integer(std::string_view key) const;
  std::vector<JsonSpec> array(std::string_view key) const;
  std::vector<JsonSpec> elements() const;  // of this array

  [[noreturn]] void refuse(std::string expected, std::string found) const;
  [[noreturn]] void refuse(std::string_view key, std::string expected, std::string found) const;

 private:
  const Json* value_;
  const std::string* file_;
  std::string path_;
};

// Reads a JSON file: nullopt when there is none; LoadError when it is not JSON.
std::optional<Json> read_json_file(const std::string& file);

}  // namespace rbee
