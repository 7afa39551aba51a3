// Reading members of an OpenAI body one by one; each throws OpenAiRefusal naming the member.
#pragma once
#include <cstdint>
#include <exception>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "server/openai_request.hpp"

namespace rbee {

inline constexpr std::int64_t kMaxInt = std::numeric_limits<int>::max();  // of a member read as int

// Caught where parsing begins.
class OpenAiRefusal : public std::exception {
 public:
  explicit OpenAiRefusal(OpenAiError error) : error_(std::move(error)) {}
  const char* what() const noexcept override { return error_.message.c_str(); }
  const OpenAiError& error() const { return error_; }

 private:
  OpenAiError error_;
};

[[noreturn]] void refuse(std::string_view param, std::string message);
// For what other servers do and this one does not.
[[noreturn]] void refuse_unsupported(std::string_view param, std::string_view what);

class OpenAiFields {
 public:
  // body must outlive this, and be an object.
  explicit OpenAiFields(const Json& body) : body_(body) {}

  // Null when absent or null.
  const Json* find(const char* field) const;
  bool boolean(const char* field, bool absent) const;
  std::string string(const char* field) const;  // empty when absent
  std::optional<std::int64_t> integer(const char* field, std::int64_t low, std::int64_t high) const;
  std::optional<float> number(const char* field, double low, double high) const;

 private:
  const Json& body_;
};

// A JSON integer within bounds, or a refusal that names param.
std::int64_t checked_integer(const Json& value, std::string_view param, std::int64_t low,
                             std::int64_t high);
double checked_number(const Json& value, std::string_view param, double low, double high);
std::vector<std::int32_t> token_list(const Json& list, std::string_view param, int vocab_size);

// Fills what chat completions and completions share.
OpenAiRequest read_common(const Json& body, const OpenAiBounds& bounds);

}  // namespace rbee
