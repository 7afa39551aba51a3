#include "server/rbee_request.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>

namespace rbee {
namespace {

constexpr std::size_t kMaxPromptChars = 32768;
constexpr std::size_t kMaxStops = 4;
constexpr std::size_t kMaxStopBytes = 100;
constexpr std::uint64_t kMaxU32 = std::numeric_limits<std::uint32_t>::max();

// A float of usual size as Rust's Display writes it: the shortest decimal that reads back.
std::string float_text(float value) {
  std::string buffer(64, '\0');
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed);
  if (end.ec != std::errc{}) return std::to_string(value);
  buffer.resize(static_cast<std::size_t>(end.ptr - buffer.data()));
  return buffer;
}

// Code points; the text is valid UTF-8, since it comes from parse_json.
std::size_t count_chars(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

int clamp_int(std::uint64_t value) {
  return static_cast<int>(
      std::min<std::uint64_t>(value, static_cast<std::uint64_t>(std::numeric_limits<int>::max())));
}

// Reads the members of one body and collects what is wrong with them.
class Fields {
 public:
  Fields(const Json& body, std::vector<FieldError>& errors) : body_(body), errors_(errors) {}

  void fail(std::string_view field, std::string constraint, std::string message,
            std::optional<std::string> value = std::nullopt) {
    errors_.push_back(
        {std::string(field), std::move(constraint), std::move(message), std::move(value)});
  }

  // Null when absent or null.
  const Json* find(const char* field) const {
    const auto found = body_.find(field);
    return found == body_.end() || found->is_null() ? nullptr : &*found;
  }

  const Json* require(const char* field) {
    const Json* value = find(field);
    if (value == nullptr) fail(field, "required", std::string(field) + " is required");
    return value;
  }

  const std::string* string(const char* field, const Json* value) {
    if (value == nullptr) return nullptr;
    const auto* text = value->get_ptr<const Json::string_t*>();
    if (text == nullptr) fail(field, "type(string)", std::string(field) + " must be a string");
    return text;
  }

  std::optional<std::uint64_t> unsigned_integer(const char* field, const Json* value,
                                                std::uint64_t max) {
    if (value == nullptr) return std::nullopt;
    if (value->is_number_unsigned() && value->get<std::uint64_t>() <= max) {
      return value->get<std::uint64_t>();
    }
    fail(field, max == kMaxU32 ? "type(u32)" : "type(u64)",
         std::string(field) + " must be an integer from 0 to " + std::to_string(max),
         value->is_number() ? std::optional(value->dump()) : std::nullopt);
    return std::nullopt;
  }

  // An f32. low and high are given as text too, since that is what the messages say.
  struct Range {
    float low, high;
    const char* low_text;
    const char* high_text;
  };
  float number(const char* field, const Json* value, float absent, const Range& range) {
    if (value == nullptr) return absent;
    const double wide = value->is_number() ? value->get<double>() : NAN;
    if (!(std::abs(wide) <= std::numeric_limits<float>::max())) {
      fail(field, "type(f32)", std::string(field) + " must be a number of 32 bits",
           value->is_number() ? std::optional(value->dump()) : std::nullopt);
      return absent;
    }
    const auto result = static_cast<float>(wide);
    if (result >= range.low && result <= range.high) return result;
    const std::string text = float_text(result);
    const bool low = result < range.low;
    fail(field, std::string("range(") + range.low_text + "..=" + range.high_text + ")",
         std::string(field) + (low ? " must be at least " : " must be at most ") +
             (low ? range.low_text : range.high_text) + " (got " + text + ")",
         text);
    return absent;
  }

  std::vector<std::string> stop_list();

 private:
  const Json& body_;
  std::vector<FieldError>& errors_;
};

constexpr Fields::Range kToOne{0, 1, "0.0", "1.0"};
constexpr Fields::Range kToTwo{0, 2, "0.0", "2.0"};

std::vector<std::string> Fields::stop_list() {
  std::vector<std::string> result;
  const Json* list = find("stop");
  if (list == nullptr) return result;
  if (!list->is_array() ||
      !std::all_of(list->begin(), list->end(), [](const Json& one) { return one.is_string(); })) {
    fail("stop", "type(string[])", "stop must be a list of strings");
    return result;
  }
  if (list->size() > kMaxStops) {
    fail("stop", "max_count(4)",
         "stop must have at most 4 sequences (got " + std::to_string(list->size()) + ")",
         std::to_string(list->size()));
  }
  constexpr std::size_t kMostListed = 64;  // a list of a million entries is not answered in full
  for (std::size_t i = 0; i < std::min(list->size(), kMostListed); ++i) {
    const auto& text = (*list)[i].get_ref<const Json::string_t&>();
    const std::string which = "stop sequence " + std::to_string(i);
    if (text.empty()) {
      fail("stop", "non_empty", which + " must not be empty");
    } else if (text.size() > kMaxStopBytes) {
      fail("stop", "max_length(100)",
           which + " must be at most 100 characters (got " + std::to_string(text.size()) + ")");
    }
    result.push_back(text);
  }
  return result;
}

void read_prompt(Fields& fields, bool bounded, RbeeRequest& request) {
  const std::string* prompt = fields.string("prompt", fields.require("prompt"));
  if (prompt == nullptr) return;
  if (bounded) {
    const std::size_t chars = count_chars(*prompt);
    if (chars == 0) fields.fail("prompt", "length(1..=32768)", "prompt must not be empty");
    if (chars > kMaxPromptChars) {
      fields.fail("prompt", "length(1..=32768)",
                  "prompt must be at most 32768 characters (got " + std::to_string(chars) + ")");
    }
  }
  request.prompt = *prompt;
}

void read_max_tokens(Fields& fields, bool bounded, int max_context, RbeeRequest& request) {
  const auto count = fields.unsigned_integer("max_tokens", fields.require("max_tokens"), kMaxU32);
  if (!count) return;
  const std::string most = std::to_string(max_context);
  const std::string constraint = "range(1..=" + most + ")";
  const std::string got = std::to_string(*count);
  if (bounded && *count < 1) {
    fields.fail("max_tokens", constraint, "max_tokens must be at least 1", got);
  } else if (bounded && *count > static_cast<std::uint64_t>(max_context)) {
    fields.fail("max_tokens", constraint,
                "max_tokens must be at most " + most + " (got " + got + ")", got);
  }
  request.max_tokens = std::min(clamp_int(*count), max_context);
}

// What both generations of bodies have in common, with their own defaults and bounds.
void read_common(Fields& fields, bool tagged, int max_context, RbeeRequest& request) {
  SamplingParams& sampling = request.sampling;
  read_prompt(fields, !tagged, request);
  read_max_tokens(fields, !tagged, max_context, request);
  if (tagged) {
    static constexpr Fields::Range kAny{0, std::numeric_limits<float>::max(), "0.0", "3.4e38"};
    sampling.temperature = fields.number("temperature", fields.require("temperature"), 1, kAny);
    sampling.top_p = std::min(1.0F, fields.number("top_p", fields.find("top_p"), 0.9F, kAny));
  } else {
    sampling.temperature = fields.number("temperature", fields.find("temperature"), 1, kToTwo);
    sampling.top_p = fields.number("top_p", fields.find("top_p"), 1, kToOne);
  }
  sampling.repetition_penalty =
      fields.number("repetition_penalty", fields.find("repetition_penalty"), 1, kToTwo);
  request.stop = fields.stop_list();
  sampling.min_p = fields.number("min_p", fields.find("min_p"), 0, kToOne);
  sampling.top_k = clamp_int(
      fields.unsigned_integer("top_k", fields.find("top_k"), kMaxU32).value_or(tagged ? 50 : 0));
  constexpr std::uint64_t kMaxU64 = std::numeric_limits<std::uint64_t>::max();
  sampling.repeat_last_n =
      clamp_int(fields.unsigned_integer("repeat_last_n", fields.find("repeat_last_n"), kMaxU64)
                    .value_or(128));
  sampling.seed = fields.unsigned_integer("seed", fields.find("seed"), kMaxU64).value_or(42);
}

// The text the original worker gave for a tagged body it could not read.
std::string parse_failure(const std::string& reason) {
  return "Failed to parse operation: " + reason;
}

RbeeErrors whole_body_error(std::string field, std::string constraint, const std::string& message) {
  RbeeErrors errors;
  errors.text = parse_failure(message);
  errors.fields.push_back({std::move(field), std::move(constraint), message, std::nullopt});
  return errors;
}

std::optional<RbeeErrors> check_operation(const Json& operation) {
  if (!operation.is_string()) {
    return whole_body_error("operation", "type(string)", "operation must be a string");
  }
  const auto& name = operation.get_ref<const Json::string_t&>();
  if (name == "infer") return std::nullopt;
  const std::string shown = name.substr(0, 64);
  RbeeErrors errors = whole_body_error("operation", "one_of(infer)",
                                       "operation must be infer: this worker does nothing else");
  errors.fields.front().value = shown;
  errors.text = "Unsupported operation for worker: " + shown;
  return errors;
}

}  // namespace

Result<RbeeRequest, RbeeErrors> parse_rbee_request(std::string_view body, int max_context) {
  Json json;
  try {
    json = parse_json(body);
  } catch (const JsonError& e) {
    return Err{whole_body_error("body", "json", "the body is not JSON: " + json_reason(e))};
  }
  if (!json.is_object()) {
    return Err{whole_body_error("body", "object", "the body must be a JSON object")};
  }
  const auto operation = json.find("operation");
  const bool tagged = operation != json.end();
  if (tagged) {
    if (auto errors = check_operation(*operation)) return Err{std::move(*errors)};
  }
  RbeeErrors errors;
  errors.tagged = tagged;
  RbeeRequest request;
  Fields fields(json, errors.fields);
  if (tagged) {
    fields.string("hive_id", fields.require("hive_id"));
    fields.string("model", fields.require("model"));
  }
  read_common(fields, tagged, max_context, request);
  if (errors.fields.empty()) return request;
  errors.text = parse_failure(errors.fields.front().message);
  return Err{std::move(errors)};
}

HttpResponse field_error_response(const std::vector<FieldError>& errors, int status) {
  Json list = Json::array();
  for (const FieldError& error : errors) {
    Json item = {
        {"field", error.field}, {"constraint", error.constraint}, {"message", error.message}};
    if (error.value) item["value"] = *error.value;
    list.push_back(std::move(item));
  }
  Json body = Json::object();
  body["errors"] = std::move(list);
  return json_response(status, body);
}

HttpResponse rbee_error(int status, std::string field, std::string message) {
  return field_error_response({{std::move(field), "validation_failed", std::move(message), {}}},
                              status);
}

}  // namespace rbee
