// What the server makes of requests that are odd, hostile or not allowed.
#include <gmock/gmock.h>

#include "server/test_support.hpp"

namespace rbee::testing {
namespace {

using ::testing::HasSubstr;
using namespace std::string_literals;

constexpr char kFlat[] = R"({"prompt":"a","max_tokens":1})";
constexpr char kJson[] = "Content-Type: application/json\r\n";

struct BadRequest {
  std::string method;
  std::string path;
  std::string body;
  int status;
  std::string expected;  // in the body
  std::string headers;
};

// A member that may not be so, in an otherwise good body.
std::string flat(const std::string& member) {
  return R"({"prompt":"a","max_tokens":1,)" + member + "}";
}
std::string chat(const std::string& member) {
  return R"({"messages":[{"role":"user","content":"a"}],)" + member + "}";
}
std::string text(const std::string& member) { return R"({"prompt":"a",)" + member + "}"; }

std::vector<BadRequest> bad_requests() {
  const std::string deep = std::string(200, '[') + std::string(200, ']');
  std::vector<BadRequest> cases = {
      // Routes and methods.
      {"GET", "/nowhere", "", 404, "", ""},
      {"GET", "/v1/nowhere", "", 404, "not_found_error", ""},
      {"GET", "/v1/jobs/", "", 404, "", ""},
      {"GET", "/v1/jobs//stream", "", 404, "", ""},
      {"GET", "/v1/jobs/a/b/stream", "", 404, "", ""},
      {"GET", "/health/", "", 404, "", ""},
      {"GET", "/HEALTH", "", 404, "", ""},
      {"GET", "/../etc/passwd", "", 404, "", ""},
      {"GET", "/%2e%2e/etc/passwd", "", 404, "", ""},
      {"GET", "/%zz", "", 400, "malformed", ""},
      {"GET", "/%00", "", 400, "malformed", ""},
      {"GET", "health", "", 400, "malformed", ""},
      {"GET", "*", "", 404, "", ""},
      {"GET", "/v1/jobs", "", 405, "", ""},
      {"PUT", "/v1/jobs", kFlat, 405, "", ""},
      {"POST", "/health", "{}", 405, "", ""},
      {"DELETE", "/health", "", 405, "", ""},
      {"PATCH", "/v1/models", "", 405, "invalid_request_error", ""},
      {"TRACE", "/", "", 405, "", ""},
      {"BREW", "/", "", 405, "", ""},
      {"GET", "/v1/chat/completions", "", 405, "invalid_request_error", ""},
      {"GET", "/v1/jobs/job-1/stream", "", 404, "Job job-1 not found", ""},
      {"DELETE", "/v1/jobs/job-1", "", 404, "Job job-1 not found", ""},
      {"GET", "/v1/models/none", "", 404, "model_not_found", ""},
      // Media types and encodings.
      {"POST", "/v1/jobs", kFlat, 415, "application/json", "Content-Type: text/plain\r\n"},
      {"POST", "/v1/jobs", kFlat, 415, "", "Content-Type: application/jsonx\r\n"},
      {"POST", "/v1/completions", kFlat, 415, "invalid_request_error", "Content-Type: x\r\n"},
      {"POST", "/v1/jobs", kFlat, 415, "compressed", "Content-Encoding: gzip\r\n"},
      // Hosts and origins.
      {"GET", "/health", "", 403, "Origin", "Origin: https://evil.example\r\n"},
      {"POST", "/v1/jobs", kFlat, 403, "Origin", "Origin: null\r\n"},
      {"GET", "/health", "", 400, "Host", "Host: localhost\r\n"},
      // Bodies of jobs.
      {"POST", "/v1/jobs", "", 400, R"("field":"body","constraint":"json")", ""},
      {"POST", "/v1/jobs", "{", 400, R"("field":"body")", ""},
      {"POST", "/v1/jobs", deep, 400, "nested deeper", ""},
      {"POST", "/v1/jobs", "[1]", 400, R"("constraint":"object")", ""},
      {"POST", "/v1/jobs", "{\"prompt\":\"\xC3\",\"max_tokens\":1}", 400, R"("field":"body")", ""},
      {"POST", "/v1/jobs", "{}", 400, "prompt is required", ""},
      {"POST", "/v1/inference", "{}", 400, "max_tokens is required", ""},
      {"POST", "/v1/jobs", R"({"prompt":"","max_tokens":1})", 400, "must not be empty", ""},
      {"POST", "/v1/jobs", R"({"prompt":"a","max_tokens":0})", 400, "range(1..=256)", ""},
      {"POST", "/v1/jobs", R"({"prompt":"a","max_tokens":257})", 400, "(got 257)", ""},
      {"POST", "/v1/jobs", R"({"prompt":"a","max_tokens":-2147483649})", 400, "type(u32)", ""},
      {"POST", "/v1/jobs", R"({"operation":"delete"})", 400, "one_of(infer)", ""},
      {"POST", "/v1/jobs", R"({"operation":"infer"})", 400, "hive_id is required", ""},
      {"POST", "/v1/jobs",
       R"({"operation":"infer","hive_id":"h","model":"m","prompt":"","max_tokens":1,"temperature":1})",
       400, "no tokens", ""},
  };
  const auto add = [&](const char* path, const std::string& body, const char* expected) {
    cases.push_back({"POST", path, body, 400, expected, ""});
  };
  add("/v1/jobs", flat(R"("temperature":1e999)"), "body");
  add("/v1/jobs", flat(R"("temperature":2.5)"), "(got 2.5)");
  add("/v1/jobs", flat(R"("temperature":NaN)"), "body");
  add("/v1/jobs", flat(R"("top_p":-1)"), "top_p must be at least 0.0 (got -1)");
  add("/v1/jobs", flat(R"("top_k":-1)"), "type(u32)");
  add("/v1/jobs", flat(R"("min_p":1.5)"), "min_p must be at most 1.0");
  add("/v1/jobs", flat(R"("repetition_penalty":-0.5)"), "repetition_penalty must be at least");
  add("/v1/jobs", flat(R"("stop":["a","b","c","d","e"])"), "max_count(4)");
  add("/v1/jobs", flat(R"("seed":-1)"), "type(u64)");
  add("/v1/chat/completions", "{", "not JSON");
  add("/v1/chat/completions", deep, "nested deeper");
  add("/v1/chat/completions", "{}", R"("param":"messages")");
  add("/v1/chat/completions", chat(R"("n":17)"), R"("param":"n")");
  add("/v1/chat/completions", chat(R"("n":2147483648)"), R"("param":"n")");
  add("/v1/chat/completions", chat(R"("max_tokens":-1)"), R"("param":"max_tokens")");
  add("/v1/chat/completions", chat(R"("temperature":1e999)"), "not JSON");
  add("/v1/chat/completions", chat(R"("temperature":-1)"), R"("param":"temperature")");
  add("/v1/chat/completions", chat(R"("logit_bias":{"272":1})"), R"("param":"logit_bias")");
  add("/v1/chat/completions", chat(R"("top_logprobs":3)"), R"("param":"top_logprobs")");
  add("/v1/chat/completions", chat(R"("tools":[{}])"), "does not support");
  add("/v1/chat/completions", chat(R"("response_format":{"type":"json_schema"})"),
      "does not support");
  add("/v1/completions", "{}", R"("param":"prompt")");
  add("/v1/completions", R"({"prompt":[272]})", R"("param":"prompt")");
  add("/v1/completions", R"({"prompt":[[]]})", "no tokens");
  add("/v1/completions", R"({"prompt":[-1]})", R"("param":"prompt")");
  add("/v1/completions", text(R"("suffix":"b")"), R"("param":"suffix")");
  add("/v1/completions", text(R"("best_of":3)"), R"("param":"best_of")");
  add("/v1/completions", text(R"("logprobs":99)"), R"("param":"logprobs")");
  return cases;
}

TEST(BadRequests, EachGetsAClearAnswer) {
  const Rig rig;
  const std::vector<BadRequest> cases = bad_requests();
  EXPECT_GE(cases.size(), 60U);
  for (const BadRequest& bad : cases) {
    const HttpReply reply = fetch(rig.port(), bad.method, bad.path, bad.body, bad.headers);
    EXPECT_EQ(reply.status, bad.status) << bad.method << " " << bad.path << " " << bad.body;
    EXPECT_THAT(reply.body, HasSubstr(bad.expected)) << bad.method << " " << bad.path;
    EXPECT_TRUE(reply.complete) << bad.path;
    if (bad.status == 405) {
      EXPECT_TRUE(reply.headers.contains("allow")) << bad.path;
    }
  }
  EXPECT_EQ(rig.get("/health").status, 200);
  EXPECT_TRUE(eventually([&] { return rig.is_idle(); }));
}

TEST(BadRequests, BytesThatAreNoRequest) {
  ServerOptions options;
  options.limits.header_timeout = 400ms;
  options.limits.idle_timeout = 400ms;
  const Rig rig(options);
  const std::string post =
      "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
  const std::string cases[] = {
      "\r\n\r\n",
      "GET\r\n\r\n",
      "GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
      "GET / HTTP/1.1\r\n\r\n",
      "GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
      "GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n",
      "GET /health HTTP/1.1\r\nHost localhost\r\n\r\n",
      "GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\001b\r\n\r\n",
      "GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n"s,
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s,
      post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
      post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
      post + "Content-Length: -1\r\n\r\n",
      post + "Content-Length: 99999999999999999999999\r\n\r\n",
      post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
      "GET /health HTTP/1.1\r\nHost: localhost\r\nBig: " + std::string(20000, 'x') + "\r\n\r\n",
  };
  for (const std::string& bytes : cases) {
    Client client(rig.port());
    client.send(bytes);
    const HttpReply reply = client.reply();
    // Either a refusal or a closed connection, and never a second answer.
    if (reply.status != 0) {
      EXPECT_GE(reply.status, 400) << bytes.substr(0, 80);
      EXPECT_LT(reply.status, 600) << bytes.substr(0, 80);
    }
    EXPECT_TRUE(client.at_end()) << bytes.substr(0, 80);
  }
  EXPECT_EQ(rig.get("/health").status, 200);
}

TEST(Limits, BodiesTooLong) {
  ServerOptions options;
  options.limits.rbee_body_bytes = 1000;
  options.limits.openai_body_bytes = 2000;
  const Rig rig(options);
  const std::string body = R"({"prompt":")" + std::string(1500, 'a') + "\"}";
  EXPECT_EQ(fetch(rig.port(), "POST", "/v1/jobs", body).status, 413);
  EXPECT_EQ(fetch(rig.port(), "POST", "/v1/completions", body).status, 400);  // context
  EXPECT_EQ(fetch(rig.port(), "POST", "/v1/completions", body + body).status, 413);
  // The announced length is enough to refuse, and nothing is kept for it.
  Client client(rig.port());
  client.send("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\n" + std::string(kJson) +
              "Content-Length: 1000000000000\r\n\r\n");
  EXPECT_EQ(client.reply().status, 413);
  // In chunks, nobody knows before.
  Client chunked(rig.port());
  chunked.send("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\n" + std::string(kJson) +
               "Transfer-Encoding: chunked\r\n\r\n5dc\r\n" + std::string(1500, 'a') +
               "\r\n0\r\n\r\n");
  EXPECT_EQ(chunked.reply().status, 413);
}

TEST(Limits, UploadsTogether) {
  ServerOptions options;
  options.limits.bodies_in_flight_bytes = 1000;
  const Rig rig(options);
  Client slow(rig.port());
  slow.send("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\n" + std::string(kJson) +
            "Content-Length: 990\r\n\r\n{");
  EXPECT_TRUE(eventually([&] { return rig.post("/v1/jobs", flat_body("a", 1)).status == 503; }));
  slow.leave();
  EXPECT_TRUE(eventually([&] { return rig.post("/v1/jobs", flat_body("a", 1)).status == 200; }));
}

TEST(Limits, LongHeads) {
  const Rig rig;
  const HttpReply reply = rig.get("/health", "X-Long: " + std::string(20000, 'x') + "\r\n");
  EXPECT_EQ(reply.status, 431);
}

TEST(Limits, SlowClientsAreDropped) {
  ServerOptions options;
  options.limits.header_timeout = 300ms;
  options.limits.body_timeout = 300ms;
  options.limits.idle_timeout = 300ms;
  const Rig rig(options);
  Client silent(rig.port());
  Client slow_head(rig.port());
  slow_head.send("GET /health HTTP/1.1\r\nHost: local");
  Client slow_body(rig.port());
  slow_body.send("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\n" + std::string(kJson) +
                 "Content-Length: 100\r\n\r\n{\"pro");
  Client idle(rig.port());
  idle.send(http_request("GET", "/health"));
  EXPECT_EQ(idle.reply().status, 200);
  const auto start = std::chrono::steady_clock::now();
  for (Client* client : {&silent, &slow_head, &slow_body, &idle}) EXPECT_TRUE(client->at_end());
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
}

TEST(Limits, Connections) {
  ServerOptions options;
  options.limits.connections = 2;
  const Rig rig(options);
  Client first(rig.port());
  Client second(rig.port());
  first.send(http_request("GET", "/health"));
  EXPECT_EQ(first.reply().status, 200);
  second.send(http_request("GET", "/health"));
  EXPECT_EQ(second.reply().status, 200);
  Client third(rig.port());
  EXPECT_EQ(third.reply().status, 503);
  first.leave();
  EXPECT_TRUE(eventually([&] { return rig.get("/health").status == 200; }));
}

TEST(Http, PipelinedRequestsAreAnsweredInOrder) {
  const Rig rig;
  Client client(rig.port());
  client.send(http_request("GET", "/v1/ready") + http_request("POST", "/v1/jobs", kFlat) +
              http_request("GET", "/nowhere") + http_request("GET", "/health"));
  EXPECT_THAT(client.reply().body, HasSubstr("idle"));
  EXPECT_THAT(client.reply().body, HasSubstr("job_id"));
  EXPECT_EQ(client.reply().status, 404);
  EXPECT_THAT(client.reply().body, HasSubstr("healthy"));
}

TEST(Http, PipelinedAfterAnAnswerThatTakesLong) {
  const Rig rig;
  rig.gate->set_delay(3ms);
  const Json body = {{"prompt", "Hello"}, {"max_tokens", 10}, {"ignore_eos", true}};
  for (const bool stream : {false, true}) {
    Json request = body;
    request["stream"] = stream;
    Client client(rig.port());
    client.send(http_request("POST", "/v1/completions", request.dump()) +
                http_request("GET", "/health"));
    const HttpReply first = client.reply();
    EXPECT_EQ(first.status, 200);
    EXPECT_TRUE(first.complete);
    EXPECT_THAT(client.reply().body, HasSubstr("healthy"));
    client.send(http_request("GET", "/health"));  // the read side is whole again
    EXPECT_THAT(client.reply().body, HasSubstr("healthy"));
  }
}

TEST(Http, ChunkedUploadsAndContinue) {
  const Rig rig;
  Client chunked(rig.port());
  chunked.send("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\n" + std::string(kJson) +
               "Transfer-Encoding: chunked\r\n\r\n"
               "10\r\n{\"prompt\":\"a\",\"m\r\n0d\r\nax_tokens\":1}\r\n0\r\n\r\n");
  EXPECT_EQ(chunked.reply().status, 200);
  Client polite(rig.port());
  polite.send("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\n" + std::string(kJson) +
              "Expect: 100-continue\r\nContent-Length: 29\r\n\r\n");
  EXPECT_EQ(polite.reply().status, 100);
  polite.send(kFlat);
  EXPECT_EQ(polite.reply().status, 200);
}

TEST(Http, OldClientsGetTheirStreamUpToTheEnd) {
  const Rig rig;
  const std::string id = rig.post("/v1/jobs", flat_body("Hello", 3)).json()["job_id"];
  Client client(rig.port());
  client.send("GET /v1/jobs/" + id + "/stream HTTP/1.0\r\nHost: localhost\r\n\r\n");
  const HttpReply reply = client.reply();
  EXPECT_FALSE(reply.headers.contains("transfer-encoding"));
  EXPECT_TRUE(reply.body.ends_with("data: [DONE]\n\n"));
}

TEST(Http, HeadOptionsAndIds) {
  const Rig rig;
  const HttpReply head = fetch(rig.port(), "HEAD", "/v1/models");
  EXPECT_EQ(head.status, 200);
  EXPECT_NE(head.headers.at("content-length"), "0");
  const HttpReply options = fetch(rig.port(), "OPTIONS", "/v1/models");
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.headers.at("allow"), "GET,HEAD");
  EXPECT_FALSE(options.headers.contains("access-control-allow-origin"));
  EXPECT_EQ(fetch(rig.port(), "PUT", "/v1/jobs/a").headers.at("allow"), "DELETE");

  const std::string id = "01234567-89ab-4def-8123-456789abcdef";
  EXPECT_EQ(rig.get("/health", "X-Correlation-ID: " + id + "\r\n").headers.at("x-correlation-id"),
            id);
  const HttpReply fresh = rig.get("/health", "X-Correlation-ID: evil\r\n");
  EXPECT_EQ(fresh.headers.at("x-correlation-id").size(), 36U);
}

TEST(Http, OriginsThatWereNamedAreShared) {
  ServerOptions options;
  options.allowed_origins = {"https://app.example"};
  const Rig rig(options);
  const std::string origin = "Origin: https://app.example\r\n";
  EXPECT_EQ(rig.get("/health", origin).headers.at("access-control-allow-origin"),
            "https://app.example");
  const HttpReply preflight = fetch(rig.port(), "OPTIONS", "/v1/chat/completions", {},
                                    origin + "Access-Control-Request-Method: POST\r\n");
  EXPECT_EQ(preflight.status, 204);
  EXPECT_EQ(preflight.headers.at("access-control-allow-methods"), "POST");
  EXPECT_EQ(rig.get("/health", "Origin: https://other.example\r\n").status, 403);
}

struct Access {
  const char* method;
  const char* path;
  const char* body;
  bool open;
};

TEST(Auth, EveryRouteWithEveryKindOfKey) {
  ServerOptions options;
  options.token = "secret";
  const Rig rig(options);
  const Access routes[] = {
      {"GET", "/", "", true},
      {"GET", "/health", "", true},
      {"HEAD", "/health", "", true},
      {"GET", "/info", "", false},
      {"GET", "/metrics", "", false},
      {"GET", "/v1/ready", "", false},
      {"GET", "/v1/loading/progress", "", false},
      {"POST", "/v1/jobs", kFlat, false},
      {"POST", "/v1/inference", kFlat, false},
      {"GET", "/v1/jobs/a/stream", "", false},
      {"GET", "/v1/inference/a/stream", "", false},
      {"DELETE", "/v1/jobs/a", "", false},
      {"GET", "/v1/models", "", false},
      {"GET", "/v1/models/a", "", false},
      {"POST", "/v1/chat/completions", "{}", false},
      {"POST", "/v1/completions", "{}", false},
      {"GET", "/nowhere", "", false},
      {"POST", "/health", "", false},
      {"OPTIONS", "/v1/jobs", "", false},
  };
  const char* bad_keys[] = {"",
                            "Authorization: Bearer wrong\r\n",
                            "Authorization: Bearer \r\n",
                            "Authorization: bearer secret\r\n",
                            "Authorization: Basic c2VjcmV0\r\n",
                            "Authorization: secret\r\n",
                            "X-API-Key: wrong\r\n"};
  const char* good_keys[] = {"Authorization: Bearer secret\r\n", "X-API-Key: secret\r\n"};
  for (const Access& route : routes) {
    for (const char* key : bad_keys) {
      const HttpReply reply = fetch(rig.port(), route.method, route.path, route.body, key);
      EXPECT_EQ(reply.status == 401, !route.open) << route.path << " " << key;
      EXPECT_FALSE(reply.headers.contains("www-authenticate"));
    }
    for (const char* key : good_keys) {
      const HttpReply reply = fetch(rig.port(), route.method, route.path, route.body, key);
      EXPECT_NE(reply.status, 401) << route.path << " " << key;
      EXPECT_GT(reply.status, 0) << route.path << " " << key;
    }
  }
  EXPECT_EQ(rig.get("/info").body,
            R"({"error":{"code":"MISSING_API_KEY","message":"Missing API key"}})");
  EXPECT_EQ(rig.get("/info", "Authorization: Bearer wrong\r\n").body,
            R"({"error":{"code":"INVALID_API_KEY","message":"Invalid or missing API key"}})");
  const Json error = rig.get("/v1/models").json()["error"];
  EXPECT_EQ(error["type"], "authentication_error");
  EXPECT_EQ(error["code"], "invalid_api_key");
  // Nobody uploads a body without a key.
  Client client(rig.port());
  client.send("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\n" + std::string(kJson) +
              "Content-Length: 100000\r\n\r\n");
  EXPECT_EQ(client.reply().status, 401);
}

TEST(Binding, UnsafeOptionsAreRefused) {
  ServerOptions open;
  open.bind_address = "0.0.0.0";
  EXPECT_THROW(Server{open}, ServerError);
  open.bind_address = "::";
  EXPECT_THROW(Server{open}, ServerError);
  ServerOptions local;
  local.local_mode = true;
  local.token = "secret";
  EXPECT_THROW(Server{local}, ServerError);
  local.token = "";
  local.bind_address = "192.168.0.1";
  EXPECT_THROW(Server{local}, ServerError);
  ServerOptions name;
  name.bind_address = "localhost";
  EXPECT_THROW(Server{name}, ServerError);
  ServerOptions taken;
  const Server first{taken};
  taken.port = first.port();
  EXPECT_THROW(Server{taken}, ServerError);
  ServerOptions network;
  network.bind_address = "0.0.0.0";
  network.token = "secret";
  const Server safe{network};
  EXPECT_EQ(fetch(safe.port(), "GET", "/health").status, 503);
}

}  // namespace
}  // namespace rbee::testing
