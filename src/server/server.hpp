// Server: the HTTP face of the worker. It listens from the moment it is made, answers that the
// model is still loading, and serves once set_model is called. docs/http-api.md describes what it
// speaks.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "chat/chat_template.hpp"
#include "engine/engine.hpp"
#include "engine/load_model.hpp"

namespace rbee {

// The options contradict each other or are unsafe, or the address cannot be bound.
class ServerError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct ServerLimits {
  std::size_t header_bytes = 16 << 10;
  std::size_t rbee_body_bytes = 2 << 20;
  std::size_t openai_body_bytes = 4 << 20;
  std::size_t bodies_in_flight_bytes = 64 << 20;  // of all connections together
  int connections = 1024;
  int jobs = 1024;         // known at once: waiting for their reader, or being read
  int choices = 16;        // n times the number of prompts of one request
  int worker_threads = 2;  // parse, render and tokenize requests
  std::chrono::milliseconds idle_timeout{75'000};    // between requests of one connection
  std::chrono::milliseconds header_timeout{10'000};  // from its first byte to the end of a header
  std::chrono::milliseconds body_timeout{60'000};
  std::chrono::milliseconds write_timeout{30'000};  // a client that takes nothing for so long
  std::chrono::milliseconds job_ttl{60'000};        // a job whose stream nobody opens
  std::chrono::milliseconds drain_timeout{1'200};   // for running answers when the server stops
};

struct ServerOptions {
  std::string bind_address = "127.0.0.1";  // an IP address
  std::uint16_t port = 0;                  // 0: any free one
  std::string token;                       // empty: no authentication
  bool local_mode = false;                 // loopback only, and no token

  // What the worker says about itself (/info, heartbeats).
  std::string worker_id = "worker";
  std::string model_ref;
  std::string backend = "cpu";
  int device_index = 0;
  std::string device_label = "cpu:0";
  std::string implementation = "llm-worker-rbee";
  std::string version = "0.1.0";

  // Where it reports itself; empty: nowhere. Base URLs of the queen or hive, and the whole URL of
  // the older ready callback.
  std::string heartbeat_url;
  std::string callback_url;
  std::chrono::milliseconds heartbeat_interval{30'000};

  // Errors of tagged bodies as 500 and plain text, as the original worker had them.
  bool tagged_errors_as_text = false;
  // Comments on an idle OpenAI stream. Streams of jobs have them only when the client asks.
  std::chrono::milliseconds sse_keep_alive{15'000};
  // Browser origins that may read answers ("https://app.example"); "*": any. Empty: none.
  std::vector<std::string> allowed_origins;

  ServerLimits limits;
};

// The model that is served. What is referred to must outlive the server's stop().
struct ServedModel {
  std::string name;
  std::vector<std::string> aliases;  // further names that requests may use
  const LoadedModel& model;
  Engine& engine;
  std::optional<ChatTemplate> chat_template;
  std::vector<std::string> chat_stop = {};  // texts that end an answer, besides those asked for
  std::int64_t created = 0;                 // Unix seconds; 0: when it is set
  std::size_t weight_bytes = 0;             // for /metrics; 0: what the backend says
};

class Server {
 public:
  // Binds and listens at once. Throws ServerError: the address is taken or is none; a token is
  // missing where others than this machine can connect; local mode with a token or another address
  // than loopback.
  explicit Server(ServerOptions options);
  ~Server();  // stop()
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const;
  std::string url() const;  // "http://127.0.0.1:8080"

  // Any thread, while the model loads. n_layers, if known, is what the stream of progress counts
  // in; otherwise it counts to 100.
  void set_progress(std::size_t bytes_done, std::size_t bytes_total, int n_layers = 0);
  // Once, one of them: ready, or failed for good with a reason that clients are told.
  void set_model(ServedModel model);
  void set_failed(const std::string& reason);

  // Blocks until SIGINT or SIGTERM, then stops. A second signal, or a process that has not ended
  // 1.9 s after the first one, ends it at once with exit code 0: whoever sent SIGTERM kills after
  // 2 s. Returns the number of the signal, or 0 after leave().
  int run_until_signal();
  // Makes run_until_signal stop and return, also if that is yet to be called. Any thread.
  void leave();

  // Accepts nothing more, tells running streams that they are cancelled, and returns when all is
  // closed: at the latest after limits.drain_timeout and the request that is just being tokenized.
  // Afterwards nothing refers to the model. Any thread; more than once.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rbee
