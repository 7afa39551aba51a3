// HTTP/1.1 replies as bytes.
#pragma once
#include <string>
#include <string_view>

#include "server/http.hpp"

namespace rbee {

struct HttpFraming {
  bool head_request = false;  // no body follows
  bool chunked = false;       // the body follows in chunks
  bool to_the_end = false;    // the body ends with the connection
  bool keep_alive = true;
};

// Status line, headers and, unless it is framed otherwise, the body.
std::string write_response(const HttpResponse& response, const HttpFraming& framing);

std::string write_chunk(std::string_view body);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace rbee
