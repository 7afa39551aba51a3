#include "server/request_head.hpp"

#include <algorithm>
#include <string_view>

namespace rbee {
namespace {

namespace http = boost::beast::http;

Method method_of(http::verb verb) {
  switch (verb) {
    case http::verb::get:
      return Method::get;
    case http::verb::head:
      return Method::head;
    case http::verb::post:
      return Method::post;
    case http::verb::delete_:
      return Method::del;
    case http::verb::options:
      return Method::options;
    default:
      return Method::other;
  }
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return result;
}

// "/path?query", or the same after "http://host".
bool read_target(std::string_view target, HttpRequest& request) {
  if (target.starts_with("http://") || target.starts_with("https://")) {
    const std::size_t slash = target.find('/', target.find("://") + 3);
    target = slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
  }
  if (target != "*" && !target.starts_with('/')) return false;
  const std::size_t mark = target.find('?');
  auto path = percent_decode(target.substr(0, mark));
  if (!path) return false;
  request.path = std::move(*path);
  request.query = mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
  return true;
}

}  // namespace

std::string read_head(const http::request_header<>& head, HttpRequest& request) {
  request.method = method_of(head.method());
  int hosts = 0;
  for (const auto& field : head) {
    const auto name = field.name_string();
    const auto value = field.value();
    request.headers.emplace_back(lower({name.data(), name.size()}),
                                 std::string(value.data(), value.size()));
    if (request.headers.back().first == "host") ++hosts;
  }
  const auto target = head.target();
  if (!read_target({target.data(), target.size()}, request))
    return "the request target is malformed";
  if (hosts > 1 || (hosts == 0 && head.version() >= 11)) return "one Host header is required";
  return {};
}

}  // namespace rbee
