// Clients that leave, many clients at once, slow ones, and the end of the server.
#include <gmock/gmock.h>

#include <random>

#include "server/test_support.hpp"

namespace rbee::testing {
namespace {

using ::testing::HasSubstr;

Json completion(int max_tokens, bool stream) {
  return {{"prompt", "Hello"},  {"max_tokens", max_tokens}, {"stream", stream},
          {"ignore_eos", true}, {"temperature", 1},         {"seed", 7}};
}

TEST(Disconnect, InTheQueue) {
  EngineOptions engine = Rig::small_engine();
  engine.max_sequences = 1;
  const Rig rig({}, engine);
  rig.gate->set_open(false);
  Client first(rig.port());
  first.send(http_request("POST", "/v1/completions", completion(50, true).dump()));
  ASSERT_TRUE(eventually([&] { return rig.gate->steps_begun() == 1; }));
  std::vector<std::unique_ptr<Client>> others;
  for (int i = 0; i < 8; ++i) {
    others.push_back(std::make_unique<Client>(rig.port()));
    others.back()->send(http_request("POST", "/v1/completions", completion(50, i % 2 == 0).dump()));
  }
  ASSERT_TRUE(eventually([&] { return rig.engine->stats().waiting == 8; }));
  others.clear();
  ASSERT_TRUE(eventually([&] {
    return rig.get("/metrics").body.find("worker_http_disconnects_total 8") != std::string::npos;
  }));
  rig.gate->set_open(true);
  EXPECT_THAT(first.reply().body, HasSubstr("[DONE]"));
  EXPECT_TRUE(eventually([&] { return rig.is_idle(); }));
  // They left without having cost a token.
  EXPECT_EQ(rig.engine->stats().cancelled, 8U);
  EXPECT_EQ(rig.engine->stats().generated_tokens, 50U);
}

TEST(Disconnect, InPrefill) {
  EngineOptions engine = Rig::small_engine();
  engine.max_batch_tokens = 4;
  const Rig rig({}, engine);
  rig.gate->set_open(false);
  std::vector<std::int32_t> prompt(200, 9);
  for (const bool stream : {false, true}) {
    const int begun = rig.gate->steps_begun();
    Client client(rig.port());
    client.send(http_request("POST", "/v1/completions",
                             Json{{"prompt", prompt}, {"stream", stream}}.dump()));
    ASSERT_TRUE(eventually([&] { return rig.gate->steps_begun() > begun; }));
    client.leave();
    const std::string left = "worker_http_disconnects_total " + std::to_string(stream ? 2 : 1);
    ASSERT_TRUE(
        eventually([&] { return rig.get("/metrics").body.find(left) != std::string::npos; }));
    rig.gate->set_open(true);
    // The figures are those of the last finished step: idle is true before the first one, too.
    EXPECT_TRUE(eventually(
        [&] { return rig.engine->stats().cancelled == (stream ? 2U : 1U) && rig.is_idle(); }));
    EXPECT_LE(rig.gate->steps_begun() - begun, 3);  // of 50
    rig.gate->set_open(false);
  }
  EXPECT_EQ(rig.engine->stats().generated_tokens, 0U);
}

TEST(Disconnect, InDecode) {
  const Rig rig;
  rig.gate->set_delay(3ms);
  Client streaming(rig.port());
  streaming.send(http_request("POST", "/v1/completions", completion(240, true).dump()));
  ASSERT_TRUE(streaming.receive_until("text_completion"));
  streaming.leave();
  EXPECT_TRUE(eventually([&] { return rig.is_idle(); }));
  EXPECT_LT(rig.engine->stats().generated_tokens, 200U);

  const std::uint64_t before = rig.engine->stats().generated_tokens;
  Client waiting(rig.port());
  waiting.send(http_request("POST", "/v1/completions", completion(240, false).dump()));
  ASSERT_TRUE(eventually([&] { return rig.engine->stats().generated_tokens > before; }));
  waiting.leave();
  EXPECT_TRUE(eventually([&] { return rig.is_idle(); }));
  EXPECT_LT(rig.engine->stats().generated_tokens - before, 200U);
  EXPECT_EQ(rig.engine->stats().cancelled, 2U);
}

TEST(Disconnect, OfAJobsReader) {
  const Rig rig;
  rig.gate->set_delay(3ms);
  Json body = flat_body("Hello", 240);
  const std::string id = rig.post("/v1/jobs", body).json()["job_id"];
  Client reader(rig.port());
  reader.send(http_request("GET", "/v1/jobs/" + id + "/stream"));
  ASSERT_TRUE(reader.receive_until("started"));
  reader.leave();
  EXPECT_TRUE(eventually([&] { return rig.is_idle(); }));
  EXPECT_EQ(rig.get("/v1/jobs/" + id + "/stream").status, 404);
}

TEST(Disconnect, HalfClosedMeansGone) {
  const Rig rig;
  rig.gate->set_delay(3ms);
  Client client(rig.port());
  client.send(http_request("POST", "/v1/completions", completion(240, true).dump()));
  ASSERT_TRUE(client.receive_until("text_completion"));
  client.finish_sending();
  EXPECT_TRUE(eventually([&] { return rig.is_idle(); }));
  EXPECT_LT(rig.engine->stats().generated_tokens, 240U);
}

TEST(ManyStreams, EveryFinishedAnswerEqualsItsSoloRun) {
  EngineOptions engine = Rig::small_engine();
  engine.max_sequences = 16;
  const Rig rig({}, engine);
  constexpr int kStreams = 32;
  const auto body = [](int i) {
    Json one = completion(20 + 5 * (i % 8), true);
    one["prompt"] =
        std::string(static_cast<std::size_t>(1 + 7 * (i % 5)), static_cast<char>('a' + i % 26));
    one["seed"] = i;
    return http_request("POST", "/v1/completions", one.dump());
  };
  const auto text_of = [](const HttpReply& reply) {
    std::string text;
    for (const std::string& payload : sse_payloads(reply.body)) {
      const Json chunk = Json::parse(payload, nullptr, false);
      if (chunk.is_object()) text += chunk["choices"][0]["text"];
    }
    return text;
  };
  std::vector<std::string> solo(kStreams);
  for (int i = 0; i < kStreams; ++i) {
    Client client(rig.port());
    client.send(body(i));
    solo[static_cast<std::size_t>(i)] = text_of(client.reply());
  }
  rig.gate->set_delay(1ms);
  std::vector<std::string> together(kStreams);
  std::vector<std::thread> threads;
  for (int i = 0; i < kStreams; ++i) {
    threads.emplace_back([&, i] {
      std::mt19937 random(static_cast<unsigned>(i));
      Client client(rig.port());
      client.send(body(i));
      if (i % 3 == 0) {  // leaves at some moment
        std::this_thread::sleep_for(std::chrono::milliseconds(random() % 60));
        return;
      }
      together[static_cast<std::size_t>(i)] = text_of(client.reply());
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < kStreams; ++i) {
    if (i % 3 != 0) {
      EXPECT_EQ(together[i], solo[i]) << i;
    }
  }
  EXPECT_TRUE(eventually([&] { return rig.is_idle(); }));
}

TEST(SlowReader, PausesTheSequenceAndNobodyElse) {
  ServerOptions options;
  options.limits.write_timeout = 1500ms;
  EngineOptions engine = Rig::small_engine();
  engine.stream_capacity = 4;
  const Rig rig(options, engine);
  // Answers of about 70 KB each, and a reader that takes none of them: more than sockets hold.
  Client slow(rig.port(), 1024);
  Json body = completion(240, true);
  body["logprobs"] = 20;
  std::string requests;
  for (int i = 0; i < 100; ++i) requests += http_request("POST", "/v1/completions", body.dump());
  slow.send(requests);
  EXPECT_TRUE(eventually([&] { return !rig.is_idle(); }));
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(rig.post("/v1/completions", completion(5, false)).status, 200);
  }
  // In the end it is dropped, and what it held is free.
  EXPECT_TRUE(eventually(
      [&] {
        return rig.get("/metrics").body.find("worker_http_disconnects_total 1") !=
               std::string::npos;
      },
      120s));  // the thread sanitizer takes 20 to fill the sockets
  EXPECT_TRUE(eventually([&] { return rig.is_idle(); }));
}

TEST(HeavyRequests, DoNotBlockTheOthers) {
  const Rig rig;
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const Json body = flat_body(std::string(1 << 20, 'x'), 1);
      const Json tagged = {{"operation", "infer"},     {"hive_id", "h"},  {"model", "m"},
                           {"prompt", body["prompt"]}, {"max_tokens", 1}, {"temperature", 0}};
      while (!done) EXPECT_EQ(rig.post("/v1/jobs", tagged).status, 400);
    });
  }
  auto worst = 0ms;
  for (int i = 0; i < 50; ++i) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(rig.get("/health").status, 200);
    worst = std::max(worst, std::chrono::duration_cast<std::chrono::milliseconds>(
                                std::chrono::steady_clock::now() - start));
    std::this_thread::sleep_for(2ms);
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_LT(worst, 2000ms);
}

TEST(Stop, TellsRunningStreamsAndEndsInTime) {
  auto rig = std::make_unique<Rig>();
  rig->gate->set_open(false);  // a step that takes for ever
  Client idle(rig->port());
  idle.send(http_request("GET", "/health"));
  EXPECT_EQ(idle.reply().status, 200);
  Client half(rig->port());
  half.send("POST /v1/jobs HTTP/1.1\r\nHost: local");
  const std::string id = rig->post("/v1/jobs", flat_body("Hello", 100)).json()["job_id"];
  const std::string unread = rig->post("/v1/jobs", flat_body("Hello", 100)).json()["job_id"];
  Client job(rig->port());
  job.send(http_request("GET", "/v1/jobs/" + id + "/stream"));
  ASSERT_TRUE(job.receive_until("started"));
  Client stream(rig->port());
  stream.send(http_request("POST", "/v1/completions", completion(100, true).dump()));
  Client whole(rig->port());
  whole.send(http_request("POST", "/v1/completions", completion(100, false).dump()));
  ASSERT_TRUE(eventually([&] { return rig->gate->steps_begun() > 0; }));
  std::this_thread::sleep_for(300ms);  // both are being answered

  const auto start = std::chrono::steady_clock::now();
  rig->server.stop();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 2s);

  EXPECT_THAT(
      job.reply().body,
      HasSubstr("data: {\"type\":\"error\",\"code\":\"CANCELLED\",\"message\":\"the worker is "
                "shutting down\"}\n\ndata: [DONE]\n\n"));
  EXPECT_EQ(stream.reply().status, 503);
  EXPECT_EQ(whole.reply().status, 503);
  EXPECT_TRUE(idle.at_end());
  EXPECT_TRUE(half.at_end());
  EXPECT_FALSE(Client(rig->port()).connected());
  rig->gate->set_open(true);
  EXPECT_TRUE(eventually([&] { return rig->is_idle(); }));
}

TEST(Stop, WhileLoading) {
  Rig rig({}, Rig::small_engine(), false);
  Client watcher(rig.port());
  watcher.send(http_request("GET", "/v1/loading/progress"));
  ASSERT_TRUE(watcher.receive_until("loading_to_vram"));
  rig.server.stop();
  EXPECT_THAT(watcher.reply().body, HasSubstr("shutting down"));
  rig.load_model_into(Rig::small_engine());  // comes too late, harmlessly
}

TEST(Stop, LeaveEndsTheRunWithoutASignal) {
  Rig rig({}, Rig::small_engine(), false);
  rig.server.leave();
  EXPECT_EQ(rig.server.run_until_signal(), 0);
  EXPECT_FALSE(Client(rig.port()).connected());
}

TEST(Stop, WithAReaderThatTakesNothing) {
  Rig rig;
  Client slow(rig.port(), 1024);
  Json body = completion(240, true);
  body["logprobs"] = 20;
  std::string requests;
  for (int i = 0; i < 100; ++i) requests += http_request("POST", "/v1/completions", body.dump());
  slow.send(requests);
  std::this_thread::sleep_for(300ms);
  const auto start = std::chrono::steady_clock::now();
  rig.server.stop();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 2s);
}

// Takes one request at a time and answers each with a status.
class FakeHive {
 public:
  explicit FakeHive(std::function<int(const std::string& path)> answer)
      : answer_(std::move(answer)), fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(fd_, 8), 0);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeHive() {
    shutdown(fd_, SHUT_RDWR);
    thread_.join();
    close(fd_);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  // Path and body of what came.
  std::vector<std::pair<std::string, std::string>> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void serve() {
    while (true) {
      const int peer = accept(fd_, nullptr, nullptr);
      if (peer < 0) return;
      std::string text;
      char buffer[4096];
      while (text.find("\r\n\r\n") == std::string::npos || !text.ends_with("}")) {
        const ssize_t n = recv(peer, buffer, sizeof buffer, 0);
        if (n <= 0) break;
        text.append(buffer, static_cast<std::size_t>(n));
      }
      const std::string path = text.substr(5, text.find(' ', 5) - 5);
      {
        const std::lock_guard lock(mutex_);
        requests_.emplace_back(path, text.substr(text.find("\r\n\r\n") + 4));
      }
      const std::string reply = "HTTP/1.1 " + std::to_string(answer_(path)) +
                                " X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
      send(peer, reply.data(), reply.size(), MSG_NOSIGNAL);
      close(peer);
    }
  }

  std::function<int(const std::string& path)> answer_;
  int fd_;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::vector<std::pair<std::string, std::string>> requests_;
  std::thread thread_;
};

TEST(Heartbeats, BothFormsInOneBody) {
  FakeHive hive([](const std::string&) { return 200; });
  ServerOptions options;
  options.worker_id = "w1";
  options.model_ref = "ref";
  options.heartbeat_url = hive.url() + "/";
  options.callback_url = hive.url() + "/v1/workers/ready";
  options.heartbeat_interval = 50ms;
  const Rig rig(options);
  ASSERT_TRUE(eventually([&] { return hive.requests().size() >= 5; }));
  int callbacks = 0;
  for (const auto& [path, body] : hive.requests()) {
    const Json json = Json::parse(body);
    EXPECT_EQ(json["worker_id"], "w1");
    if (path == "/v1/workers/ready") {
      ++callbacks;
      EXPECT_EQ(body, R"({"worker_id":"w1","url":"http://localhost:)" + std::to_string(rig.port()) +
                          R"(","model_ref":"ref","backend":"cpu","device":0})");
      continue;
    }
    EXPECT_EQ(path, "/v1/worker-heartbeat");
    EXPECT_EQ(json["worker"]["id"], "w1");
    EXPECT_EQ(json["worker"]["model_id"], "ref");
    EXPECT_EQ(json["worker"]["port"], rig.port());
    EXPECT_EQ(json["health_status"], "healthy");
    EXPECT_EQ(json["timestamp"].get<std::string>().size(), 20U);
  }
  EXPECT_EQ(callbacks, 1);
}

TEST(Heartbeats, FallBackToTheOldPath) {
  FakeHive hive([](const std::string& path) { return path == "/v1/heartbeat" ? 200 : 404; });
  ServerOptions options;
  options.heartbeat_url = hive.url();
  options.heartbeat_interval = 20ms;
  const Rig rig(options);
  ASSERT_TRUE(eventually([&] { return hive.requests().size() >= 4; }));
  EXPECT_EQ(hive.requests()[0].first, "/v1/worker-heartbeat");
  EXPECT_EQ(hive.requests()[1].first, "/v1/heartbeat");
  EXPECT_EQ(hive.requests()[2].first, "/v1/heartbeat");
}

TEST(Heartbeats, NobodyThereIsNoMatter) {
  ServerOptions options;
  options.heartbeat_url = "http://127.0.0.1:1";
  options.callback_url = "http://localhost:9999/ready";
  options.heartbeat_interval = 10ms;
  const Rig rig(options);
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(rig.get("/health").status, 200);
}

}  // namespace
}  // namespace rbee::testing
