// links: rbee_server rbee_engine rbee_families
// Reads the input as the bytes of a connection, as the server does: a head, its route, its body,
// and the next request after it. The first byte says in pieces of which size the bytes come.
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>

#include "server/request_head.hpp"
#include "server/router.hpp"

namespace {

namespace http = boost::beast::http;
using Parser = http::request_parser<http::string_body>;

constexpr std::size_t kBodyLimit = 4096;

void require(bool condition) {
  if (!condition) std::abort();
}

rbee::Service& service() {
  static rbee::Service instance([] {
    rbee::ServerOptions options;
    options.token = "secret";
    options.allowed_origins = {"https://app.example"};
    return options;
  }());
  return instance;
}

// Whether the request's body would be read.
bool route(const Parser& parser) {
  rbee::HttpRequest request;
  if (!rbee::read_head(parser.get(), request).empty()) return false;
  std::optional<std::uint64_t> length;
  if (const auto announced = parser.content_length()) length = *announced;
  const rbee::Routed routed = rbee::route_request(service(), request, length);
  require((routed.route == nullptr) == routed.rejected.has_value());
  if (routed.rejected) require(routed.rejected->status >= 204 && routed.rejected->status < 600);
  if (routed.rejected) return false;
  require(length.value_or(0) <= rbee::body_limit(service(), *routed.route));
  return length.value_or(0) <= kBodyLimit;
}

// Parses one request from the front of the bytes. False when there is no whole one.
bool take_request(std::string_view& bytes, std::size_t piece) {
  Parser parser;
  parser.header_limit(1024);
  parser.body_limit(std::numeric_limits<std::uint64_t>::max());
  std::size_t window = piece;
  bool routed = false;
  while (!parser.is_done()) {
    boost::system::error_code error;
    const std::size_t size = std::min(window, bytes.size());
    const std::size_t n = parser.put(boost::asio::buffer(bytes.data(), size), error);
    require(n <= size);
    bytes.remove_prefix(n);
    if (parser.is_header_done() && !routed) {
      routed = true;
      if (!route(parser)) return false;
      parser.body_limit(kBodyLimit);
    }
    if (error && error != http::error::need_more) return false;
    if (n == 0) {
      if (size == bytes.size()) return false;
      window += piece;  // more of it
    } else {
      window = piece;
    }
  }
  require(parser.get().body().size() <= kBodyLimit);
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = data[0] == 0 ? size : data[0];
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  while (!bytes.empty() && take_request(bytes, piece)) {
  }
  return 0;
}
