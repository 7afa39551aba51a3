#include "server/router.hpp"

#include <array>
#include <span>
#include <utility>

#include "server/api_error.hpp"
#include "server/openai_api.hpp"
#include "server/rbee_api.hpp"
#include "server/status_api.hpp"

namespace rbee {
namespace {

template <auto Handler>
Reply plain(Service& service, const HttpRequest& request, const std::string& /*id*/) {
  return Handler(service, request);
}

constexpr Route kRoutes[] = {
    {Method::get, "/", Surface::open, false, plain<get_health>},
    {Method::get, "/health", Surface::open, false, plain<get_health>},
    {Method::get, "/info", Surface::rbee, false, plain<get_info>},
    {Method::get, "/metrics", Surface::rbee, false, plain<get_metrics>},
    {Method::get, "/v1/ready", Surface::rbee, false, plain<get_ready>},
    {Method::get, "/v1/loading/progress", Surface::rbee, false, plain<stream_progress>},
    {Method::post, "/v1/jobs", Surface::rbee, true, plain<create_job>},
    {Method::post, "/v1/inference", Surface::rbee, true, plain<create_job>},
    {Method::get, "/v1/jobs/{id}/stream", Surface::rbee, false, stream_job},
    {Method::get, "/v1/inference/{id}/stream", Surface::rbee, false, stream_job},
    {Method::del, "/v1/jobs/{id}", Surface::rbee, false, cancel_job},
    {Method::get, "/v1/models", Surface::openai, false, plain<list_models>},
    {Method::get, "/v1/models/{id}", Surface::openai, false, get_model},
    {Method::post, "/v1/chat/completions", Surface::openai, true, plain<chat_completions>},
    {Method::post, "/v1/completions", Surface::openai, true, plain<completions>},
};

constexpr std::size_t kIgnoredBodyBytes = 64 << 10;  // of a GET or DELETE

// The id, perhaps empty, if the path has the pattern's form. Only ids of models hold slashes.
std::optional<std::string> match(std::string_view pattern, std::string_view path) {
  const std::size_t brace = pattern.find("{id}");
  if (brace == std::string_view::npos) {
    return pattern == path ? std::optional<std::string>("") : std::nullopt;
  }
  const std::string_view before = pattern.substr(0, brace);
  const std::string_view after = pattern.substr(brace + 4);
  if (path.size() <= before.size() + after.size() || !path.starts_with(before) ||
      !path.ends_with(after)) {
    return std::nullopt;
  }
  const std::string_view id =
      path.substr(before.size(), path.size() - before.size() - after.size());
  if (id.find('/') != std::string_view::npos && before != "/v1/models/") return std::nullopt;
  return std::string(id);
}

bool accepts(Method route, Method request) {
  return route == request || (route == Method::get && request == Method::head);
}

std::string allow_header(std::string_view path) {
  std::string allow;
  for (const Route& route : kRoutes) {
    if (!match(route.pattern, path)) continue;
    if (!allow.empty()) allow += ",";
    allow += route.method == Method::get    ? "GET,HEAD"
             : route.method == Method::post ? "POST"
                                            : "DELETE";
  }
  return allow;
}

bool is_openai_path(std::string_view path) {
  if (path.starts_with("/v1/jobs") || path.starts_with("/v1/inference")) return false;
  return path.starts_with("/v1/") && path != "/v1/ready" && path != "/v1/loading/progress";
}

bool is_json(std::string_view content_type) {
  std::string type(content_type.substr(0, content_type.find(';')));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.pop_back();
  for (char& c : type) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return type == "application/json" ||
         (type.starts_with("application/") && type.ends_with("+json"));
}

std::optional<HttpResponse> check_token(const Service& service, const HttpRequest& request) {
  const AuthResult result = service.tokens.check(request);
  if (result == AuthResult::ok) return std::nullopt;
  const bool missing = result == AuthResult::missing;
  const std::string message = missing ? "Missing API key" : "Invalid or missing API key";
  if (is_openai_path(request.path)) return openai_error(401, message, "", "invalid_api_key");
  return rbee_auth_error(missing ? "MISSING_API_KEY" : "INVALID_API_KEY", message);
}

HttpResponse method_not_allowed(const HttpRequest& request, std::string allow) {
  HttpResponse response;
  if (request.method == Method::options) {
    response.status = 204;
  } else if (is_openai_path(request.path)) {
    response = openai_error(405, "this path does not take that method");
  } else {
    response.status = 405;
  }
  response.headers.emplace_back("Allow", std::move(allow));
  return response;
}

HttpResponse preflight(const std::string& allow) {
  return HttpResponse{.status = 204,
                      .content_type = {},
                      .body = {},
                      .headers = {{"Allow", allow},
                                  {"Access-Control-Allow-Methods", allow},
                                  {"Access-Control-Allow-Headers",
                                   "Authorization, Content-Type, X-API-Key, X-Correlation-ID"},
                                  {"Access-Control-Max-Age", "600"}}};
}

Routed reject(HttpResponse response) { return {nullptr, {}, std::move(response)}; }

const Route* find_route(const HttpRequest& request, std::string& id) {
  for (const Route& route : kRoutes) {
    if (!accepts(route.method, request.method)) continue;
    if (auto found = match(route.pattern, request.path)) {
      id = std::move(*found);
      return &route;
    }
  }
  return nullptr;
}

}  // namespace

HttpResponse http_error(std::string_view path, int status, std::string message) {
  return is_openai_path(path) ? openai_error(status, message)
                              : text_response(status, std::move(message));
}

std::size_t body_limit(const Service& service, const Route& route) {
  const ServerLimits& limits = service.options.limits;
  if (route.method != Method::post) return kIgnoredBodyBytes;
  return route.surface == Surface::openai ? limits.openai_body_bytes : limits.rbee_body_bytes;
}

Routed route_request(const Service& service, const HttpRequest& request,
                     std::optional<std::uint64_t> body_bytes) {
  const std::string_view origin = request.header("origin");
  if (!service.origins.host_allowed(request.header("host"))) {
    return reject(http_error(request.path, 403, "this Host is not served here"));
  }
  if (!service.origins.origin_allowed(origin)) {
    return reject(http_error(request.path, 403, "this Origin is not allowed"));
  }
  const std::string allow = allow_header(request.path);
  if (request.method == Method::options && service.origins.shares_with(origin)) {
    return reject(preflight(allow));
  }
  std::string id;
  const Route* route = find_route(request, id);
  if (route == nullptr || route->surface != Surface::open) {
    if (auto refused = check_token(service, request)) return reject(std::move(*refused));
  }
  if (route == nullptr) {
    if (!allow.empty()) return reject(method_not_allowed(request, allow));
    if (is_openai_path(request.path)) {
      return reject(openai_error(404, "there is no such path: " + request.path));
    }
    return reject(HttpResponse{.status = 404, .content_type = {}, .body = {}, .headers = {}});
  }
  if (route->method == Method::post) {
    if (!is_json(request.header("content-type"))) {
      return reject(
          http_error(request.path, 415, "Expected request with `Content-Type: application/json`"));
    }
    if (!request.header("content-encoding").empty()) {
      return reject(http_error(request.path, 415, "compressed bodies are not accepted"));
    }
  }
  const std::size_t limit = body_limit(service, *route);
  if (body_bytes && *body_bytes > limit) {
    return reject(http_error(request.path, 413,
                             "the body is longer than " + std::to_string(limit) + " bytes"));
  }
  return {route, std::move(id), std::nullopt};
}

}  // namespace rbee
