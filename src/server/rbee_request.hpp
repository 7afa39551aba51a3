// The body of POST /v1/jobs: the tagged operation or the older flat object, to one request.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sampling/sampling_params.hpp"
#include "server/http.hpp"

namespace rbee {

struct RbeeRequest {
  std::string prompt;
  int max_tokens = 0;  // 0: an empty answer; never more than the context
  SamplingParams sampling;
  std::vector<std::string> stop;
};

// One violation, as the original worker's validation listed them.
struct FieldError {
  std::string field;
  std::string constraint;
  std::string message;
  std::optional<std::string> value;  // as text; never the prompt
};

struct RbeeErrors {
  std::vector<FieldError> fields;  // all violations: in the order of the fields' validation
  bool tagged = true;              // the body is a tagged operation, or cannot be read at all
  std::string text;                // what the original worker said of a tagged body
};

// max_context: the most tokens a flat body may ask for. Tagged bodies may ask for more than fits.
Result<RbeeRequest, RbeeErrors> parse_rbee_request(std::string_view body, int max_context);

// 400 {"errors":[...]}, or another status.
HttpResponse field_error_response(const std::vector<FieldError>& errors, int status = 400);
// One error that is about no field of the body, with field "queue" say.
HttpResponse rbee_error(int status, std::string field, std::string message);

}  // namespace rbee
