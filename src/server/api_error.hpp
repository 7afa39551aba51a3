// Error envelopes.
#pragma once
#include <string>
#include <string_view>

#include "server/http.hpp"

namespace rbee {

// {"error":{"message","type","param","code"}}; the type follows from the status. Empty param and
// code become null.
Json openai_error_body(int status, std::string_view message, std::string_view param = {},
                       std::string_view code = {});
// The same as a reply, with Retry-After where waiting helps.
HttpResponse openai_error(int status, std::string_view message, std::string_view param = {},
                          std::string_view code = {});

// 401 {"error":{"code","message"}}
HttpResponse rbee_auth_error(std::string_view code, std::string_view message);

}  // namespace rbee
