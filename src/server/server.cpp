#include "server/server.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/signal_set.hpp>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "base/log.hpp"
#include "server/asio.hpp"
#include "server/connection.hpp"
#include "server/heartbeat.hpp"
#include "server/service.hpp"

namespace rbee {
namespace {

constexpr std::chrono::milliseconds kSweepInterval{200};
constexpr std::chrono::milliseconds kExitDeadline{1'900};

constexpr std::string_view kTooManyConnections =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
    "Connection: close\r\n\r\n";

void check_options(const ServerOptions& options) {
  const bool loopback = is_loopback_address(options.bind_address);
  if (options.local_mode && !loopback) {
    throw ServerError("local mode listens on loopback only, not on " + options.bind_address);
  }
  if (options.local_mode && !options.token.empty()) {
    throw ServerError("local mode has no authentication: unset the token or leave local mode");
  }
  if (!loopback && options.token.empty()) {
    throw ServerError("listening on " + options.bind_address +
                      " without a token would let anybody in: set a token, or bind to 127.0.0.1");
  }
  if (options.limits.connections < 1 || options.limits.jobs < 1 || options.limits.choices < 1 ||
      options.limits.worker_threads < 1) {
    throw ServerError("limits must be at least 1");
  }
}

}  // namespace

struct Server::Impl {
  explicit Impl(ServerOptions options);
  ~Impl();

  void open();
  void run_io();
  asio::awaitable<void> accept_loop();
  void accepted(tcp::socket socket);
  void sweep();
  void begin_stop();
  void stop();

  Service service;
  asio::io_context io{1};
  asio::thread_pool workers;
  tcp::acceptor acceptor{io};
  asio::steady_timer sweep_timer{io};
  std::set<Connection*> connections;  // on the I/O thread
  std::unique_ptr<Heartbeat> heartbeat;
  std::thread io_thread;
  asio::io_context signal_io{1};  // what run_until_signal runs

  std::mutex stop_mutex;  // held by the one who stops
  bool stopped = false;
  std::mutex idle_mutex;
  std::condition_variable idle;  // all connections are closed
  bool is_idle = false;
};

Server::Impl::Impl(ServerOptions options)
    : service(std::move(options)),
      workers(static_cast<std::size_t>(std::max(1, service.options.limits.worker_threads))) {
  check_options(service.options);
  open();
  asio::co_spawn(io, accept_loop(), [](const std::exception_ptr&) {});
  sweep();
  io_thread = std::thread([this] { run_io(); });
  heartbeat = std::make_unique<Heartbeat>(service);
}

Server::Impl::~Impl() { stop(); }

void Server::Impl::open() {
  const ServerOptions& options = service.options;
  ErrorCode error;
  const auto address = asio::ip::make_address(options.bind_address, error);
  if (error) throw ServerError("not an IP address to bind to: " + options.bind_address);
  const tcp::endpoint endpoint(address, options.port);
  const auto check = [&](const char* what) {
    if (error) {
      throw ServerError(std::string("cannot ") + what + " " + options.bind_address + ":" +
                        std::to_string(options.port) + ": " + error.message());
    }
  };
  acceptor.open(endpoint.protocol(), error);
  check("open a socket for");
  acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  check("prepare");
  acceptor.bind(endpoint, error);
  check("bind to");
  acceptor.listen(asio::socket_base::max_listen_connections, error);
  check("listen on");
  service.port = acceptor.local_endpoint().port();
}

void Server::Impl::run_io() {
  while (true) {
    try {
      io.run();
      return;
    } catch (const std::exception& e) {
      log::error("in the I/O thread: {}", e.what());
    }
  }
}

asio::awaitable<void> Server::Impl::accept_loop() {
  while (acceptor.is_open()) {
    ErrorCode error;
    tcp::socket socket =
        co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (!error) {
      accepted(std::move(socket));
    } else if (acceptor.is_open() && error != asio::error::operation_aborted) {
      log::warn("cannot accept a connection: {}", error.message());  // out of file handles, say
      asio::steady_timer pause(io, std::chrono::milliseconds{50});
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
    }
  }
}

void Server::Impl::accepted(tcp::socket socket) {
  ErrorCode ignored;
  if (connections.size() >= static_cast<std::size_t>(service.options.limits.connections)) {
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(kTooManyConnections), ignored);
    return;
  }
  auto connection = std::make_shared<Connection>(std::move(socket), service, workers);
  connections.insert(connection.get());
  asio::co_spawn(
      io, [connection] { return connection->run(); },
      [this, connection](const std::exception_ptr& failure) {
        connection->close();
        connections.erase(connection.get());
        if (failure) log::error("a connection ended by an exception");
        if (connections.empty() && service.status.state() == ServingState::stopping) {
          const std::lock_guard lock(idle_mutex);
          is_idle = true;
          idle.notify_all();
        }
      });
}

void Server::Impl::sweep() {
  const auto now = std::chrono::steady_clock::now();
  for (Connection* connection : connections) connection->check_deadline(now);
  const std::size_t expired = service.jobs.sweep(now);
  service.counters.jobs_expired.fetch_add(expired, std::memory_order_relaxed);
  sweep_timer.expires_after(kSweepInterval);
  sweep_timer.async_wait([this](const ErrorCode& error) {
    if (!error) sweep();
  });
}

// On the I/O thread.
void Server::Impl::begin_stop() {
  ErrorCode ignored;
  acceptor.close(ignored);
  service.jobs.clear();
  const std::set<Connection*> open_ones = connections;
  for (Connection* connection : open_ones) connection->shut_down();
  if (connections.empty()) {
    const std::lock_guard lock(idle_mutex);
    is_idle = true;
    idle.notify_all();
  }
}

void Server::Impl::stop() {
  const std::lock_guard lock(stop_mutex);
  if (std::exchange(stopped, true)) return;
  service.status.set_stopping();
  if (!io_thread.joinable()) return;
  asio::post(io, [this] { begin_stop(); });
  {
    std::unique_lock idle_lock(idle_mutex);
    idle.wait_for(idle_lock, service.options.limits.drain_timeout, [this] { return is_idle; });
  }
  heartbeat->stop();
  asio::post(io, [this] {
    sweep_timer.cancel();
    for (Connection* connection : connections) connection->close();
    // What their coroutines still do after this happens before the context stops.
    asio::post(io, [this] { io.stop(); });
  });
  workers.stop();
  workers.join();
  io_thread.join();
  for (Connection* connection : connections) connection->abandon();
  service.jobs.clear();
}

Server::Server(ServerOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {
  const Service& service = impl_->service;
  if (service.tokens.enabled()) {
    log::info("requests need the token with fingerprint {}", service.tokens.fingerprint());
  } else {
    log::warn("no token is set: every program on this machine may use the worker");
  }
}

Server::~Server() = default;

std::uint16_t Server::port() const { return impl_->service.port; }

std::string Server::url() const {
  const std::string& address = impl_->service.options.bind_address;
  const bool v6 = address.find(':') != std::string::npos;
  return "http://" + (v6 ? "[" + address + "]" : address) + ":" + std::to_string(port());
}

void Server::set_progress(std::size_t bytes_done, std::size_t bytes_total, int n_layers) {
  impl_->service.status.set_progress({bytes_done, bytes_total, n_layers});
}

void Server::set_model(ServedModel model) {
  if (model.created == 0) model.created = unix_seconds();
  if (model.weight_bytes == 0 && model.model.backend) {
    const MemoryUse memory = model.model.backend->memory();
    model.weight_bytes = memory.weights + memory.in_file;
  }
  impl_->service.status.set_model(std::move(model));
  impl_->heartbeat->model_ready();
}

void Server::set_failed(const std::string& reason) { impl_->service.status.set_failed(reason); }

int Server::run_until_signal() {
  asio::signal_set signals(impl_->signal_io, SIGINT, SIGTERM);
  int caught = 0;
  signals.async_wait([&](const ErrorCode& error, int number) {
    if (!error) caught = number;
    impl_->signal_io.stop();
  });
  impl_->signal_io.run();
  if (caught == 0) {
    stop();
    return 0;
  }
  log::info("signal {}: stopping", caught);
  // From here on the process ends in time whatever hangs, or at once with the next signal. The
  // thread outlives this call, since the caller has more to take down.
  std::thread([] {
    asio::io_context exit_io{1};
    asio::signal_set again(exit_io, SIGINT, SIGTERM);
    again.async_wait([](const ErrorCode&, int) { _exit(0); });
    exit_io.run_for(kExitDeadline);
    _exit(0);
  }).detach();
  stop();
  return caught;
}

void Server::leave() {
  asio::post(impl_->signal_io, [this] { impl_->signal_io.stop(); });
}

void Server::stop() { impl_->stop(); }

}  // namespace rbee
