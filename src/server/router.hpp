// Router: which request goes where, and what is refused before its body is read.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "server/http.hpp"
#include "server/service.hpp"

namespace rbee {

enum class Surface : std::uint8_t { open, rbee, openai };  // open: needs no token

struct Route {
  Method method;
  std::string_view pattern;  // "{id}" stands for the rest of the path, or up to what follows it
  Surface surface;
  bool heavy;  // not on the I/O thread: parses a body, renders, tokenizes
  Reply (*handle)(Service&, const HttpRequest&, const std::string& id);
};

// A request that may go on, or the reply that ends it.
struct Routed {
  const Route* route = nullptr;  // null: rejected
  std::string id;                // what "{id}" stands for
  std::optional<HttpResponse> rejected;
};

// Looks at everything but the body: Host and Origin, the token, the path, the method, the media
// type. body_bytes is the announced length.
Routed route_request(const Service& service, const HttpRequest& request,
                     std::optional<std::uint64_t> body_bytes);

std::size_t body_limit(const Service& service, const Route& route);

// 400, 408, 413, 431 and so on in the form of the path's API.
HttpResponse http_error(std::string_view path, int status, std::string message);

}  // namespace rbee
