// For the tests of this folder: a server over a tiny real model whose steps can be held up, and a
// client that says exactly the bytes it is given.
#pragma once
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "engine/engine.hpp"
#include "engine/load_model.hpp"
#include "server/server.hpp"

namespace rbee::testing {

using namespace std::chrono_literals;

// Passes everything on; run waits while the gate is closed, and as long as delay says.
class GateBackend final : public Backend {
 public:
  explicit GateBackend(std::unique_ptr<Backend> inner) : inner_(std::move(inner)) {}

  std::string name() const override { return inner_->name(); }
  Weight pack(const HostMatrix& matrix) override { return inner_->pack(matrix); }
  Weight pack_vector(std::span<const float> values) override { return inner_->pack_vector(values); }
  std::size_t packed_bytes(DType type, int rows, int cols) const override {
    return inner_->packed_bytes(type, rows, cols);
  }
  std::size_t page_bytes(std::span<const LayerState> layers) const override {
    return inner_->page_bytes(layers);
  }
  std::size_t slot_bytes(std::span<const LayerState> layers) const override {
    return inner_->slot_bytes(layers);
  }
  void allocate_state(std::span<const LayerState> layers, int n_pages, int n_slots) override {
    inner_->allocate_state(layers, n_pages, n_slots);
  }
  std::span<const float> run(const Batch& batch, Forward forward) override {
    ++steps_begun_;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return open_; });
    }
    if (fail_) throw BackendError("the device is on fire");
    std::this_thread::sleep_for(delay_.load());
    return inner_->run(batch, forward);
  }
  MemoryUse memory() const override { return inner_->memory(); }

  void set_open(bool open) {
    {
      const std::lock_guard lock(mutex_);
      open_ = open;
    }
    changed_.notify_all();
  }
  void set_delay(std::chrono::microseconds delay) { delay_ = delay; }
  void set_fail(bool fail) { fail_ = fail; }
  int steps_begun() const { return steps_begun_; }

 private:
  std::unique_ptr<Backend> inner_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  std::atomic<bool> fail_{false};
  std::atomic<int> steps_begun_{0};
  std::atomic<std::chrono::microseconds> delay_{0us};
};

struct HttpReply {
  int status = 0;
  std::string head;  // status line and headers
  std::map<std::string, std::string> headers;
  std::string body;       // without the framing of chunks
  bool complete = false;  // the framing says so

  Json json() const { return Json::parse(body, nullptr, false); }
};

// A TCP connection to the server.
class Client {
 public:
  explicit Client(std::uint16_t port, int receive_buffer = 0)
      : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_buffer > 0) {
      setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~Client() { leave(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }

  void leave() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  void finish_sending() const { shutdown(fd_, SHUT_WR); }

  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }

  // Adds to what has come; false at the end of the stream or after 20 s of nothing.
  bool receive() {
    char buffer[4096];
    const ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    received_.append(buffer, static_cast<std::size_t>(n));
    return true;
  }
  // Receives until the text is there.
  bool receive_until(std::string_view text) {
    while (received_.find(text) == std::string::npos) {
      if (!receive()) return false;
    }
    return true;
  }
  bool at_end() {
    while (receive()) {
    }
    return received_.empty();
  }
  const std::string& received() const { return received_; }

  // The next reply on this connection.
  HttpReply reply(bool to_head = false) {
    HttpReply result;
    if (!receive_until("\r\n\r\n")) return result;
    const std::size_t end = received_.find("\r\n\r\n") + 4;
    result.head = received_.substr(0, end);
    received_.erase(0, end);
    parse_head(result);
    if (result.status == 100) return result;
    if (to_head || result.status == 204) {
      result.complete = true;
    } else if (result.headers.contains("transfer-encoding")) {
      read_chunks(result);
    } else if (result.headers.contains("content-length")) {
      read_length(result, std::stoul(result.headers["content-length"]));
    } else {
      while (receive()) {
      }
      result.body = std::exchange(received_, {});
      result.complete = true;
    }
    return result;
  }

 private:
  static void parse_head(HttpReply& reply) {
    reply.status = std::stoi(reply.head.substr(9, 3));
    std::size_t begin = reply.head.find("\r\n") + 2;
    while (begin < reply.head.size()) {
      const std::size_t end = reply.head.find("\r\n", begin);
      const std::string line = reply.head.substr(begin, end - begin);
      const std::size_t colon = line.find(": ");
      if (colon != std::string::npos) {
        std::string name = line.substr(0, colon);
        std::transform(name.begin(), name.end(), name.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        reply.headers[name] = line.substr(colon + 2);
      }
      begin = end + 2;
    }
  }
  void read_length(HttpReply& reply, std::size_t length) {
    while (received_.size() < length) {
      if (!receive()) break;
    }
    reply.complete = received_.size() >= length;
    reply.body = received_.substr(0, length);
    received_.erase(0, length);
  }
  void read_chunks(HttpReply& reply) {
    while (true) {
      if (!receive_until("\r\n")) return;
      const std::size_t line = received_.find("\r\n");
      const std::size_t size = std::stoul(received_.substr(0, line), nullptr, 16);
      while (received_.size() < line + 2 + size + 2) {
        if (!receive()) {
          reply.body += received_.substr(line + 2);
          return;
        }
      }
      reply.body += received_.substr(line + 2, size);
      received_.erase(0, line + 2 + size + 2);
      if (size == 0) {
        reply.complete = true;
        return;
      }
    }
  }

  int fd_;
  bool connected_ = false;
  std::string received_;
};

// The bytes of a request.
inline std::string http_request(std::string_view method, std::string_view path,
                                std::string_view body = {}, std::string_view extra_headers = {}) {
  std::string text(method);
  text += " ";
  text += path;
  text += " HTTP/1.1\r\nHost: localhost\r\n";
  text += extra_headers;
  if (!body.empty() || method == "POST") {
    if (extra_headers.find("Content-Type") == std::string_view::npos) {
      text += "Content-Type: application/json\r\n";
    }
    text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  }
  text += "\r\n";
  text += body;
  return text;
}

inline HttpReply fetch(std::uint16_t port, std::string_view method, std::string_view path,
                       std::string_view body = {}, std::string_view extra_headers = {}) {
  Client client(port);
  client.send(http_request(method, path, body, extra_headers));
  return client.reply(method == "HEAD");
}

// The payloads of an event stream.
inline std::vector<std::string> sse_payloads(std::string_view body) {
  std::vector<std::string> result;
  std::size_t begin = 0;
  while (true) {
    const std::size_t end = body.find("\n\n", begin);
    if (end == std::string_view::npos) return result;
    const std::string_view event = body.substr(begin, end - begin);
    if (event.starts_with("data: ")) result.emplace_back(event.substr(6));
    begin = end + 2;
  }
}

template <class Condition>
bool eventually(Condition condition, std::chrono::milliseconds limit = 10s) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(2ms);
  }
  return condition();
}

inline constexpr char kChatMl[] =
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' "
    "}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

// Model, engine and server. Members are destroyed in reverse order.
struct Rig {
  explicit Rig(ServerOptions server_options = {}, EngineOptions engine_options = small_engine(),
               bool load = true)
      : server(std::move(server_options)) {
    if (load) load_model_into(engine_options);
  }
  ~Rig() {
    if (gate != nullptr) gate->set_open(true);
    server.stop();
  }

  static EngineOptions small_engine() {
    EngineOptions options;
    options.max_sequences = 8;
    options.max_queue = 64;
    options.state_bytes = 16 << 20;
    return options;
  }

  void load_model_into(const EngineOptions& engine_options) {
    LoadOptions options;
    options.device = "ref";
    model = load_model(std::string(RBEE_TEST_DATA) + "/fixtures/smollm", options);
    auto gated = std::make_unique<GateBackend>(std::move(model.backend));
    gate = gated.get();
    model.backend = std::move(gated);
    engine = std::make_unique<Engine>(*model.backend, *model.model, engine_options);
    pages_free = engine->stats().pages_free;
    server.set_model({.name = "tiny/smollm",
                      .aliases = {"smollm"},
                      .model = model,
                      .engine = *engine,
                      .chat_template = ChatTemplate(kChatMl)});
  }

  std::uint16_t port() const { return server.port(); }

  HttpReply get(std::string_view path, std::string_view headers = {}) const {
    return fetch(port(), "GET", path, {}, headers);
  }
  HttpReply post(std::string_view path, const Json& body, std::string_view headers = {}) const {
    return fetch(port(), "POST", path, body.dump(), headers);
  }

  // Nothing runs, nothing waits, no page is held.
  bool is_idle() const {
    const EngineStats stats = engine->stats();
    return stats.running == 0 && stats.waiting == 0 && stats.pages_free == pages_free;
  }

  LoadedModel model;
  GateBackend* gate = nullptr;
  std::unique_ptr<Engine> engine;
  int pages_free = 0;
  Server server;
};

inline Json flat_body(std::string prompt, int max_tokens) {
  return {{"prompt", std::move(prompt)}, {"max_tokens", max_tokens}, {"temperature", 0.0}};
}

}  // namespace rbee::testing
