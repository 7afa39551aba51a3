#include "server/auth.hpp"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>

namespace rbee {
namespace {

constexpr std::size_t kMaxAuthorization = 8192;

std::string sha256(std::string_view text) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

std::string_view trim(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7F;
  });
}

// "host:80" and "[::1]:80" without the port.
std::string host_name(std::string_view host) {
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos) return {};
    return std::string(host.substr(1, end - 1));
  }
  std::string name(host.substr(0, host.find(':')));
  std::transform(name.begin(), name.end(), name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (name.ends_with('.')) name.pop_back();
  return name;
}

}  // namespace

std::string_view parse_bearer(std::string_view header) {
  static constexpr std::string_view kScheme = "Bearer ";
  if (header.size() > kMaxAuthorization) return {};
  header = trim(header);
  if (!header.starts_with(kScheme)) return {};
  const std::string_view token = trim(header.substr(kScheme.size()));
  return has_control(token) ? std::string_view{} : token;
}

TokenCheck::TokenCheck(std::string_view token) : enabled_(!token.empty()), digest_(sha256(token)) {}

AuthResult TokenCheck::check(const HttpRequest& request) const {
  if (!enabled_) return AuthResult::ok;
  std::string_view token = parse_bearer(request.header("authorization"));
  if (token.empty()) {
    const std::string_view key = trim(request.header("x-api-key"));
    if (key.size() <= kMaxAuthorization && !has_control(key)) token = key;
  }
  if (token.empty()) return AuthResult::missing;
  const std::string digest = sha256(token);
  return CRYPTO_memcmp(digest.data(), digest_.data(), digest_.size()) == 0 ? AuthResult::ok
                                                                           : AuthResult::invalid;
}

std::string TokenCheck::fingerprint() const {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string result;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto byte = static_cast<unsigned char>(digest_[i]);
    result.push_back(kHex[byte >> 4]);
    result.push_back(kHex[byte & 15]);
  }
  return result;
}

bool is_loopback_address(std::string_view address) {
  return address.starts_with("127.") || address == "::1";
}

OriginCheck::OriginCheck(std::string bind_address, std::vector<std::string> allowed_origins)
    : loopback_(is_loopback_address(bind_address)),
      bind_address_(std::move(bind_address)),
      allowed_origins_(std::move(allowed_origins)) {}

bool OriginCheck::host_allowed(std::string_view host) const {
  if (!loopback_) return true;
  const std::string name = host_name(host);
  if (name == "localhost" || name == "::1" || name == bind_address_) return true;
  // A name such as 127.evil.example is no address.
  return name.starts_with("127.") && name.find_first_not_of("0123456789.") == std::string::npos;
}

bool OriginCheck::origin_allowed(std::string_view origin) const {
  if (origin.empty() || !loopback_ || shares_with(origin)) return true;
  const std::size_t scheme = origin.find("://");
  return scheme != std::string_view::npos && host_allowed(origin.substr(scheme + 3));
}

bool OriginCheck::shares_with(std::string_view origin) const {
  return !origin.empty() &&
         std::any_of(allowed_origins_.begin(), allowed_origins_.end(),
                     [&](const std::string& one) { return one == "*" || one == origin; });
}

}  // namespace rbee
