// Server-sent events: "data: <json>\n\n" and nothing else, since some clients of job streams take
// every other line for a payload.
#pragma once
#include <string>

#include "base/json.hpp"
#include "server/http.hpp"

namespace rbee {

inline constexpr char kSseDone[] = "data: [DONE]\n\n";
inline constexpr char kSseComment[] = ":\n\n";

void append_sse(std::string& out, const Json& event);

// The head of an event stream.
HttpResponse sse_head();

}  // namespace rbee
