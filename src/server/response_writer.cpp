#include "server/response_writer.hpp"

#include <fmt/format.h>

#include <ctime>

namespace rbee {
namespace {

std::string_view reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Payload Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Error";
  }
}

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::string text(64, '\0');
  text.resize(std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts));
  return text;
}

}  // namespace

std::string write_response(const HttpResponse& response, const HttpFraming& framing) {
  std::string out = fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status,
                                reason(response.status), http_date());
  if (!response.content_type.empty()) {
    out += fmt::format("Content-Type: {}\r\nX-Content-Type-Options: nosniff\r\n",
                       response.content_type);
  }
  for (const auto& [name, value] : response.headers) out += fmt::format("{}: {}\r\n", name, value);
  const bool streams = framing.chunked || framing.to_the_end;
  if (framing.chunked) {
    out += "Transfer-Encoding: chunked\r\n";
  } else if (!streams && response.status != 204) {
    out += fmt::format("Content-Length: {}\r\n", response.body.size());
  }
  out += framing.keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  if (!framing.head_request && !streams) out += response.body;
  return out;
}

std::string write_chunk(std::string_view body) {
  return fmt::format("{:x}\r\n{}\r\n", body.size(), body);
}

}  // namespace rbee
