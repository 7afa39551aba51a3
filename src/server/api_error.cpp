#include "server/api_error.hpp"

#include <nlohmann/json.hpp>

namespace rbee {
namespace {

std::string_view error_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    case 500:
      return "server_error";
    case 501:
      return "not_supported_error";
    case 503:
      return "unavailable_error";
    default:
      return "invalid_request_error";
  }
}

}  // namespace

Json openai_error_body(int status, std::string_view message, std::string_view param,
                       std::string_view code) {
  Json error = {
      {"message", message}, {"type", error_type(status)}, {"param", nullptr}, {"code", nullptr}};
  if (!param.empty()) error["param"] = param;
  if (!code.empty()) error["code"] = code;
  Json body = Json::object();
  body["error"] = std::move(error);
  return body;
}

HttpResponse openai_error(int status, std::string_view message, std::string_view param,
                          std::string_view code) {
  HttpResponse response = json_response(status, openai_error_body(status, message, param, code));
  if (status == 429 || status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

HttpResponse rbee_auth_error(std::string_view code, std::string_view message) {
  Json body = Json::object();
  body["error"] = {{"code", code}, {"message", message}};
  return json_response(401, body);
}

}  // namespace rbee
