#include "server/connection.hpp"

#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <exception>
#include <limits>
#include <mutex>
#include <utility>

#include "base/log.hpp"
#include "server/request_head.hpp"

namespace rbee {
namespace {

namespace http = boost::beast::http;

constexpr std::size_t kReadBytes = 8192;
constexpr std::size_t kMostPipelinedBytes = 64 << 10;  // read ahead while an answer is made
constexpr std::size_t kMostLingerBytes = 1 << 20;

constexpr char kContinue[] = "HTTP/1.1 100 Continue\r\n\r\n";

auto with(ErrorCode& error) { return asio::redirect_error(asio::use_awaitable, error); }

int status_of(const ErrorCode& error) {
  if (error == http::error::header_limit) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::bad_version) return 505;
  return 400;
}

}  // namespace

// Lets other threads wake the connection, for as long as there is one.
class Connection::WakeLink : public std::enable_shared_from_this<WakeLink> {
 public:
  explicit WakeLink(Connection& connection) : connection_(&connection) {}

  void wake() {
    const std::lock_guard lock(mutex_);
    if (connection_ == nullptr) return;
    asio::post(connection_->timer_.get_executor(), [self = shared_from_this()] {
      // Cut only by the I/O thread, which this is.
      if (self->connection_ != nullptr) self->connection_->signal();
    });
  }

  // On the I/O thread.
  void cut() {
    const std::lock_guard lock(mutex_);
    connection_ = nullptr;
  }

 private:
  std::mutex mutex_;
  Connection* connection_;
};

Connection::Connection(tcp::socket socket, Service& service, asio::thread_pool& workers)
    : socket_(std::move(socket)),
      service_(service),
      workers_(workers),
      timer_(socket_.get_executor()) {
  ErrorCode ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
}

Connection::~Connection() { service_.body_bytes -= granted_bytes_; }

asio::awaitable<void> Connection::run() {
  bool more = true;
  while (more && !stopping_) {
    more = co_await serve_one();
    service_.body_bytes -= std::exchange(granted_bytes_, 0);
  }
  if (unread_body_) co_await linger();
  close();
}

asio::awaitable<bool> Connection::serve_one() {
  reading_ = true;
  const bool there = co_await wait_for_request();
  if (!there) co_return false;

  Parser parser;
  parser.header_limit(static_cast<std::uint32_t>(service_.options.limits.header_bytes));
  parser.body_limit(std::numeric_limits<std::uint64_t>::max());  // until the route is known
  deadline_ = Clock::now() + service_.options.limits.header_timeout;
  ErrorCode error;
  request_ = HttpRequest{};
  request_.id = "req-" + random_uuid();
  framing_ = HttpFraming{};
  co_await http::async_read_header(socket_, buffer_, parser, with(error));
  if (error) {
    const bool more = co_await refuse_head(error);
    co_return more;
  }
  unread_body_ = !parser.is_done();
  framing_.keep_alive = parser.keep_alive();
  framing_.chunked = parser.get().version() >= 11;
  framing_.head_request = parser.get().method() == http::verb::head;
  const std::string problem = read_head(parser.get(), request_);
  if (!problem.empty()) {
    framing_.keep_alive = false;  // who knows what the next bytes mean
    const bool more = co_await send(http_error(request_.path, 400, problem));
    co_return more;
  }
  std::optional<std::uint64_t> length;
  if (const auto announced = parser.content_length()) length = *announced;
  Routed routed = route_request(service_, request_, length);
  if (routed.rejected) {
    const bool more = co_await send(std::move(*routed.rejected));
    co_return more;
  }
  if (unread_body_) {
    const bool complete = co_await read_body(parser, *routed.route, request_);
    if (!complete) co_return false;
  }
  reading_ = false;
  deadline_ = Clock::time_point::max();
  Reply reply = co_await handle(*routed.route, request_, routed.id);
  request_.body = {};
  bool more = false;
  if (auto* response = std::get_if<HttpResponse>(&reply)) {
    more = co_await send(std::move(*response));
  } else {
    more = co_await run_exchange(*std::get<std::unique_ptr<Exchange>>(reply));
  }
  co_return more;
}

asio::awaitable<bool> Connection::wait_for_request() {
  if (buffer_.size() > 0) co_return true;
  const ServerLimits& limits = service_.options.limits;
  deadline_ = Clock::now() + (first_ ? limits.header_timeout : limits.idle_timeout);
  first_ = false;
  ErrorCode error;
  const auto space = buffer_.prepare(kReadBytes);
  const std::size_t n = co_await socket_.async_read_some(space, with(error));
  buffer_.commit(n);
  co_return !error && n > 0;
}

asio::awaitable<bool> Connection::refuse_head(const ErrorCode& error) {
  if (error.category() != make_error_code(http::error::bad_version).category() ||
      error == http::error::end_of_stream || error == http::error::partial_message) {
    co_return false;
  }
  unread_body_ = true;  // whatever it is, it is not read
  const bool more = co_await send(text_response(status_of(error), error.message()));
  co_return more;
}

asio::awaitable<bool> Connection::read_body(Parser& parser, const Route& route,
                                            HttpRequest& request) {
  const ServerLimits& limits = service_.options.limits;
  const std::size_t limit = body_limit(service_, route);
  const auto announced = parser.content_length();
  const std::size_t grant = announced ? static_cast<std::size_t>(*announced) : limit;
  if (service_.body_bytes + grant > limits.bodies_in_flight_bytes) {
    HttpResponse busy = http_error(request.path, 503, "too many requests are being uploaded");
    co_await send(std::move(busy));
    co_return false;
  }
  granted_bytes_ = grant;
  service_.body_bytes += grant;
  const std::string_view expect = request.header("expect");
  if (expect == "100-continue" || expect == "100-Continue") {
    const bool written = co_await write(kContinue);
    if (!written) co_return false;
  }
  parser.body_limit(limit);
  deadline_ = Clock::now() + limits.body_timeout;
  ErrorCode error;
  co_await http::async_read(socket_, buffer_, parser, with(error));
  if (error) {
    if (error.category() == make_error_code(http::error::bad_version).category() &&
        error != http::error::partial_message && error != http::error::end_of_stream) {
      co_await send(http_error(request.path, status_of(error), error.message()));
    }
    co_return false;
  }
  unread_body_ = false;
  request.body = std::move(parser.get().body());
  co_return true;
}

asio::awaitable<Reply> Connection::handle(const Route& route, const HttpRequest& request,
                                          const std::string& id) {
  const auto call = [&]() -> Reply {
    try {
      return route.handle(service_, request, id);
    } catch (const std::exception& e) {
      log::error("{} {}: {}", request.id, route.pattern, e.what());
      return http_error(request.path, 500, "internal error");
    }
  };
  if (!route.heavy) co_return call();
  Reply reply;
  const auto work = [&]() -> asio::awaitable<void> {
    reply = call();
    co_return;
  };
  co_await asio::co_spawn(workers_.get_executor(), work, asio::use_awaitable);
  co_return reply;
}

asio::awaitable<bool> Connection::send(HttpResponse response) {
  reading_ = false;
  framing_.chunked = false;
  framing_.keep_alive = framing_.keep_alive && !unread_body_ && !stopping_;
  add_common_headers(response);
  const bool written = co_await write(write_response(response, framing_));
  co_return written&& framing_.keep_alive;
}

asio::awaitable<bool> Connection::run_exchange(Exchange& exchange) {
  struct Cut {  // also when this coroutine is destroyed on the way
    Connection& self;
    ~Cut() {
      self.abandon();
      self.exchange_ = nullptr;
    }
  } cut{*this};
  link_ = std::make_shared<WakeLink>(*this);
  exchange_ = &exchange;
  signalled_ = false;
  exchange.on_wake([link = link_] { link->wake(); });
  if (stopping_) exchange.shut_down();
  watch();
  const bool more = co_await pump(exchange);
  if (client_left_) {
    service_.counters.disconnects.fetch_add(1, std::memory_order_relaxed);
  }
  if (!more) co_return false;
  co_await stop_watching();
  co_return !client_left_;
}

asio::awaitable<bool> Connection::pump(Exchange& exchange) {
  const std::chrono::milliseconds interval = exchange.keep_alive_interval();
  while (!client_left_) {
    Output out;
    exchange.poll(out);
    if (!out.head && out.body.empty() && !out.end) {
      const bool woken = co_await wait(interval);
      if (woken) continue;
      exchange.keep_alive(out);
    }
    const bool written = co_await send_output(out);
    if (!written) co_return false;
    if (out.end) co_return framing_.keep_alive && !out.close;
  }
  co_return false;
}

asio::awaitable<bool> Connection::send_output(Output& out) {
  if (out.head && out.whole) {
    const bool more = co_await send(std::move(*out.head));
    out.end = true;
    co_return more;
  }
  std::string bytes;
  if (out.head) {
    if (!framing_.chunked) framing_.to_the_end = true;
    framing_.keep_alive =
        framing_.keep_alive && framing_.chunked && !stopping_ && !(out.end && out.close);
    add_common_headers(*out.head);
    bytes = write_response(*out.head, framing_);
  }
  if (!framing_.chunked) {
    bytes += out.body;
  } else {
    if (!out.body.empty()) bytes += write_chunk(out.body);
    if (out.end) bytes += kLastChunk;
  }
  const bool written = co_await write(std::move(bytes));
  co_return written;
}

asio::awaitable<bool> Connection::write(std::string bytes) {
  if (bytes.empty()) co_return true;
  deadline_ = Clock::now() + service_.options.limits.write_timeout;
  ErrorCode error;
  co_await asio::async_write(socket_, asio::buffer(bytes), with(error));
  deadline_ = Clock::time_point::max();
  co_return !error;
}

// The client may still be sending what we do not want to read; closing at once would reset the
// connection and lose it our answer.
asio::awaitable<void> Connection::linger() {
  ErrorCode error;
  socket_.shutdown(tcp::socket::shutdown_send, error);
  deadline_ = Clock::now() + std::chrono::seconds{1};
  for (std::size_t n = 0; !error && n < kMostLingerBytes;) {
    buffer_.clear();
    const auto space = buffer_.prepare(kReadBytes);
    n += co_await socket_.async_read_some(space, with(error));
  }
}

asio::awaitable<bool> Connection::wait(std::chrono::milliseconds time) {
  if (!signalled_) {
    if (time.count() > 0) {
      timer_.expires_after(time);
    } else {
      timer_.expires_at(Clock::time_point::max());
    }
    ErrorCode ignored;
    co_await timer_.async_wait(with(ignored));
  }
  co_return std::exchange(signalled_, false);
}

void Connection::signal() {
  signalled_ = true;
  timer_.cancel();
}

void Connection::watch() {
  if (watching_ || client_left_ || stop_watching_ || buffer_.size() >= kMostPipelinedBytes) return;
  watching_ = true;
  socket_.async_read_some(buffer_.prepare(kReadBytes),
                          [self = shared_from_this()](const ErrorCode& error, std::size_t n) {
                            self->watching_ = false;
                            self->buffer_.commit(n);
                            if (error && error != asio::error::operation_aborted) {
                              self->client_left_ = true;
                            }
                            if (!error) self->watch();
                            if (self->client_left_ || self->stop_watching_) self->signal();
                          });
}

asio::awaitable<void> Connection::stop_watching() {
  stop_watching_ = true;
  if (watching_) {
    ErrorCode ignored;
    socket_.cancel(ignored);
  }
  while (watching_) co_await wait(std::chrono::milliseconds{0});
  stop_watching_ = false;
}

void Connection::shut_down() {
  stopping_ = true;
  if (exchange_ != nullptr) {
    exchange_->shut_down();
    signal();
  } else if (reading_) {
    close();
  }
}

void Connection::close() {
  client_left_ = true;
  signal();
  ErrorCode ignored;
  socket_.shutdown(tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
}

void Connection::abandon() {
  if (link_) link_->cut();
  link_.reset();
}

void Connection::check_deadline(Clock::time_point now) {
  if (now >= deadline_) close();
}

void Connection::add_common_headers(HttpResponse& response) const {
  ServerCounters& counters = service_.counters;
  counters.requests.fetch_add(1, std::memory_order_relaxed);
  if (response.status >= 500) {
    counters.server_errors.fetch_add(1, std::memory_order_relaxed);
  } else if (response.status >= 400) {
    counters.client_errors.fetch_add(1, std::memory_order_relaxed);
  }
  const std::string_view correlation = request_.header("x-correlation-id");
  response.headers.emplace_back("X-Request-Id", request_.id);
  response.headers.emplace_back("X-Correlation-Id",
                                is_uuid(correlation) ? std::string(correlation) : random_uuid());
  const std::string_view origin = request_.header("origin");
  if (service_.origins.shares_with(origin)) {
    response.headers.emplace_back("Access-Control-Allow-Origin", origin);
    response.headers.emplace_back("Vary", "Origin");
  }
  log::debug("{} {} {}", request_.id, request_.path, response.status);
}

}  // namespace rbee
