// Who may ask: bearer tokens, and the checks that keep other web sites' scripts out of a worker
// that listens on this machine only.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "server/http.hpp"

namespace rbee {

enum class AuthResult { ok, missing, invalid };

// The token of an Authorization header, or empty when the header is malformed: "Bearer ", then a
// token without control characters; 8192 bytes at most.
std::string_view parse_bearer(std::string_view header);

class TokenCheck {
 public:
  // An empty token lets everybody in.
  explicit TokenCheck(std::string_view token);

  bool enabled() const { return enabled_; }
  // Looks at Authorization, and at x-api-key when there is none. Takes the same time for every
  // wrong token.
  AuthResult check(const HttpRequest& request) const;

  // The first 6 hex digits of the token's SHA-256: what logs may show.
  std::string fingerprint() const;

 private:
  bool enabled_;
  std::string digest_;  // SHA-256 of the token
};

bool is_loopback_address(std::string_view address);

// Refuses names that a hostile web page may have had resolved to this machine (DNS rebinding), and
// origins that are not allowed. Only where the server is bound to loopback does the Host matter.
class OriginCheck {
 public:
  OriginCheck(std::string bind_address, std::vector<std::string> allowed_origins);

  bool host_allowed(std::string_view host) const;
  bool origin_allowed(std::string_view origin) const;
  // Whether answers may carry Access-Control-Allow-Origin for this origin.
  bool shares_with(std::string_view origin) const;

 private:
  bool loopback_;
  std::string bind_address_;
  std::vector<std::string> allowed_origins_;
};

}  // namespace rbee
