// Requests and replies as the handlers see them: plain data, nothing of the HTTP library.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.hpp"

namespace rbee {

enum class Method : std::uint8_t { get, head, post, del, options, other };

using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  Method method = Method::get;
  std::string path;   // percent-decoded, without the query
  std::string query;  // as sent, without the '?'
  Headers headers;    // names in lower case
  std::string body;
  std::string id;  // "req-<uuid>", made by us

  // The first header of that (lower case) name; empty when there is none.
  std::string_view header(std::string_view name) const;
  // The value of a query parameter, not decoded; nullopt when there is none.
  std::optional<std::string_view> parameter(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type;  // empty: the header is left out
  std::string body;
  Headers headers;
};

HttpResponse json_response(int status, const Json& body);
HttpResponse text_response(int status, std::string body);

// What is wrong with a body, without the library's own error codes.
std::string json_reason(const JsonError& error);

// What an Exchange has to say at one moment.
struct Output {
  std::optional<HttpResponse> head;  // given once, before or with the first bytes of the body
  bool whole = false;                // head->body is the whole body; otherwise it streams
  std::string body;                  // further bytes of a streamed body
  bool end = false;
  bool close = false;  // with end: close the connection as well
};

// A reply that is made while its client waits. Lives on the I/O thread; destroying it, early or
// not, frees what it holds (generations are cancelled).
class Exchange {
 public:
  virtual ~Exchange() = default;
  // Called once, before the first poll. wake may be called from any thread at any time.
  virtual void on_wake(std::function<void()> wake) = 0;
  // Adds all that is there now; called first and after each wake, until end.
  virtual void poll(Output& out) = 0;
  // How long a stream may say nothing before keep_alive is called; 0: for ever.
  virtual std::chrono::milliseconds keep_alive_interval() const {
    return std::chrono::milliseconds{0};
  }
  virtual void keep_alive(Output& /*out*/) {}
  // The server stops: the next poll must end.
  virtual void shut_down() = 0;
};

using Reply = std::variant<HttpResponse, std::unique_ptr<Exchange>>;

// nullopt for a broken escape or a NUL.
std::optional<std::string> percent_decode(std::string_view text);

std::string random_uuid();  // version 4
bool is_uuid(std::string_view text);

std::int64_t unix_seconds();

}  // namespace rbee
