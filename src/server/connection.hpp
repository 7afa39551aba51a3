// Connection: one client's socket, from its first request to its last. Everything in here runs on
// the server's I/O thread, but for handlers that are marked heavy.
#pragma once
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "server/asio.hpp"
#include "server/http.hpp"
#include "server/response_writer.hpp"
#include "server/router.hpp"
#include "server/service.hpp"

namespace rbee {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Clock = std::chrono::steady_clock;

  // workers runs the heavy handlers.
  Connection(tcp::socket socket, Service& service, asio::thread_pool& workers);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Serves requests until the client or the server has had enough.
  asio::awaitable<void> run();

  // The server stops: an idle connection closes, a running answer ends early.
  void shut_down();
  void close();
  // The I/O thread has ended: nobody may wake the connection any more.
  void abandon();
  // Closes the connection if what it waits for is overdue.
  void check_deadline(Clock::time_point now);

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  class WakeLink;

  asio::awaitable<bool> serve_one();
  asio::awaitable<bool> wait_for_request();
  asio::awaitable<bool> refuse_head(const ErrorCode& error);
  asio::awaitable<bool> read_body(Parser& parser, const Route& route, HttpRequest& request);
  asio::awaitable<Reply> handle(const Route& route, const HttpRequest& request,
                                const std::string& id);
  asio::awaitable<bool> send(HttpResponse response);
  asio::awaitable<bool> run_exchange(Exchange& exchange);
  asio::awaitable<bool> pump(Exchange& exchange);
  asio::awaitable<bool> send_output(Output& out);
  asio::awaitable<bool> write(std::string bytes);
  asio::awaitable<void> linger();

  // Waits for signal(), or for the given time (0: for ever). False when the time is over.
  asio::awaitable<bool> wait(std::chrono::milliseconds time);
  void signal();

  // While an answer is made, the read side is watched: the end of the input means that the client
  // has left. What comes instead is the start of its next request.
  void watch();
  asio::awaitable<void> stop_watching();

  void add_common_headers(HttpResponse& response) const;

  tcp::socket socket_;
  Service& service_;
  asio::thread_pool& workers_;
  boost::beast::flat_buffer buffer_;
  asio::steady_timer timer_;
  bool signalled_ = false;
  Clock::time_point deadline_ = Clock::time_point::max();

  // Of the request in hand.
  HttpRequest request_;
  HttpFraming framing_;
  std::size_t granted_bytes_ = 0;
  bool unread_body_ = false;
  Exchange* exchange_ = nullptr;
  std::shared_ptr<WakeLink> link_;  // while there is an exchange

  bool first_ = true;
  bool reading_ = true;  // waits for the client to send a request
  bool stopping_ = false;
  bool watching_ = false;
  bool stop_watching_ = false;
  bool client_left_ = false;
};

}  // namespace rbee
