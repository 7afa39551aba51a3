// The worker's own surface over the wire.
#include <gmock/gmock.h>

#include <cmath>

#include "server/test_support.hpp"

namespace rbee::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

// Posts a job and returns its id.
std::string make_job(const Rig& rig, const Json& body) {
  const HttpReply reply = rig.post("/v1/jobs", body);
  EXPECT_EQ(reply.status, 200) << reply.body;
  return reply.status == 200 ? reply.json()["job_id"].get<std::string>() : "";
}

TEST(RbeeJobs, PostSaysWhereTheStreamIs) {
  const Rig rig;
  const HttpReply reply = rig.post("/v1/jobs", flat_body("Hello", 4));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers.at("content-type"), "application/json");
  EXPECT_THAT(
      reply.body,
      MatchesRegex(
          R"(\{"job_id":"job-[0-9a-f-]{36}","sse_url":"/v1/jobs/job-[0-9a-f-]{36}/stream"\})"));
}

TEST(RbeeJobs, StreamIsExactToTheByte) {
  const Rig rig;
  const std::string id = make_job(rig, flat_body("Hello", 4));
  const HttpReply reply = rig.get("/v1/jobs/" + id + "/stream");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers.at("content-type"), "text/event-stream");
  EXPECT_EQ(reply.headers.at("cache-control"), "no-cache");
  ASSERT_TRUE(reply.complete);

  const std::vector<std::string> payloads = sse_payloads(reply.body);
  ASSERT_GE(payloads.size(), 3U);
  const Json started = Json::parse(payloads.front());
  const std::string started_at = started["started_at"];
  EXPECT_NEAR(std::stod(started_at), static_cast<double>(time(nullptr)), 5);
  std::string expected = "data: {\"type\":\"started\",\"job_id\":\"" + id +
                         "\",\"model\":\"tiny/smollm\",\"started_at\":\"" + started_at + "\"}\n\n";
  for (std::size_t i = 1; i + 2 < payloads.size(); ++i) {
    const Json token = Json::parse(payloads[i]);
    expected += "data: {\"type\":\"token\",\"t\":" + token["t"].dump() +
                ",\"i\":" + std::to_string(i - 1) + "}\n\n";
  }
  const Json end = Json::parse(payloads[payloads.size() - 2]);
  expected += "data: {\"type\":\"end\",\"tokens_out\":4,\"decode_time_ms\":" +
              end["decode_time_ms"].dump() + ",\"stop_reason\":\"MAX_TOKENS\"}\n\n";
  expected += "data: [DONE]\n\n";
  EXPECT_EQ(reply.body, expected);
  EXPECT_TRUE(eventually([&] { return rig.is_idle(); }));
}

TEST(RbeeJobs, BothPathsAndBothBodiesGiveTheSameText) {
  const Rig rig;
  const Json tagged = {{"operation", "infer"}, {"hive_id", "h"},  {"model", "other"},
                       {"prompt", "Hello"},    {"max_tokens", 8}, {"temperature", 0.0}};
  std::vector<std::string> texts;
  for (const char* path : {"/v1/jobs", "/v1/inference"}) {
    for (const Json& body : {flat_body("Hello", 8), tagged}) {
      const HttpReply made = rig.post(path, body);
      ASSERT_EQ(made.status, 200) << made.body;
      const std::string id = made.json()["job_id"];
      const HttpReply reply =
          rig.get((texts.size() % 2 == 0 ? "/v1/inference/" : "/v1/jobs/") + id + "/stream");
      std::string text;
      for (const std::string& payload : sse_payloads(reply.body)) {
        const Json event = Json::parse(payload, nullptr, false);
        if (event.is_object() && event["type"] == "token") text += event["t"];
      }
      texts.push_back(text);
    }
  }
  EXPECT_FALSE(texts[0].empty());
  EXPECT_THAT(texts, ElementsAre(texts[0], texts[0], texts[0], texts[0]));
}

TEST(RbeeJobs, SeedMakesSampledTextRepeat) {
  const Rig rig;
  Json body = flat_body("Hello", 12);
  body["temperature"] = 1.0;
  const auto text = [&] {
    const std::string id = make_job(rig, body);
    std::string result;
    for (const std::string& payload : sse_payloads(rig.get("/v1/jobs/" + id + "/stream").body)) {
      const Json event = Json::parse(payload, nullptr, false);
      if (event.is_object() && event["type"] == "token") result += event["t"];
    }
    return result;
  };
  const std::string with_default = text();
  EXPECT_EQ(text(), with_default);
  body["seed"] = 42;
  EXPECT_EQ(text(), with_default);
  body["seed"] = 43;
  EXPECT_NE(text(), with_default);
}

TEST(RbeeJobs, StopSequenceIsNamed) {
  const Rig rig;
  // The text of the first answer tells what the second one may be stopped by.
  const HttpReply first = rig.get("/v1/jobs/" + make_job(rig, flat_body("Hello", 6)) + "/stream");
  std::string stop;
  for (const std::string& payload : sse_payloads(first.body)) {
    const Json event = Json::parse(payload, nullptr, false);
    if (event.is_object() && event["type"] == "token") stop = event["t"];
  }
  ASSERT_FALSE(stop.empty());
  Json body = flat_body("Hello", 6);
  body["stop"] = Json::array({stop});
  const HttpReply reply = rig.get("/v1/jobs/" + make_job(rig, body) + "/stream");
  const std::vector<std::string> payloads = sse_payloads(reply.body);
  const Json end = Json::parse(payloads[payloads.size() - 2]);
  EXPECT_EQ(end["stop_reason"], "STOP_SEQUENCE");
  EXPECT_EQ(end["stop_sequence_matched"], stop);
}

TEST(RbeeJobs, NoTokensIsAnEmptyStream) {
  const Rig rig;
  const Json body = {{"operation", "infer"}, {"hive_id", "h"},  {"model", "m"},
                     {"prompt", "Hello"},    {"max_tokens", 0}, {"temperature", 0.0}};
  const HttpReply reply = rig.get("/v1/jobs/" + make_job(rig, body) + "/stream");
  const std::vector<std::string> payloads = sse_payloads(reply.body);
  ASSERT_EQ(payloads.size(), 3U);
  EXPECT_EQ(payloads[1],
            R"({"type":"end","tokens_out":0,"decode_time_ms":0,"stop_reason":"MAX_TOKENS"})");
}

TEST(RbeeJobs, StreamsBelongToOneReader) {
  const Rig rig;
  rig.gate->set_open(false);
  const std::string id = make_job(rig, flat_body("Hello", 4));
  EXPECT_EQ(fetch(rig.port(), "HEAD", "/v1/jobs/" + id + "/stream").status, 200);
  Client reader(rig.port());
  reader.send(http_request("GET", "/v1/jobs/" + id + "/stream"));
  ASSERT_TRUE(reader.receive_until("started"));
  const HttpReply second = rig.get("/v1/jobs/" + id + "/stream");
  EXPECT_EQ(second.status, 500);
  EXPECT_EQ(second.body, "Job " + id + " has no token receiver");
  rig.gate->set_open(true);
  EXPECT_TRUE(reader.reply().complete);
  const HttpReply third = rig.get("/v1/jobs/" + id + "/stream");
  EXPECT_EQ(third.status, 404);
  EXPECT_EQ(third.body, "Job " + id + " not found");
}

TEST(RbeeJobs, DeleteCancelsAWaitingJob) {
  const Rig rig;
  rig.gate->set_open(false);
  const std::string id = make_job(rig, flat_body("Hello", 100));
  EXPECT_TRUE(eventually([&] { return rig.gate->steps_begun() == 1; }));
  const HttpReply reply = fetch(rig.port(), "DELETE", "/v1/jobs/" + id);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, R"({"job_id":")" + id + R"(","status":"cancelled"})");
  rig.gate->set_open(true);
  EXPECT_TRUE(eventually([&] { return rig.is_idle(); }));
  const HttpReply again = fetch(rig.port(), "DELETE", "/v1/jobs/" + id);
  EXPECT_EQ(again.status, 404);
  EXPECT_EQ(again.body, "Job " + id + " not found");
}

TEST(RbeeJobs, DeleteEndsTheStreamAtOnce) {
  const Rig rig;
  rig.gate->set_open(false);  // not even one step is needed
  const std::string id = make_job(rig, flat_body("Hello", 100));
  Client reader(rig.port());
  reader.send(http_request("GET", "/v1/jobs/" + id + "/stream"));
  ASSERT_TRUE(reader.receive_until("started"));
  EXPECT_EQ(fetch(rig.port(), "DELETE", "/v1/jobs/" + id).status, 200);
  const HttpReply reply = reader.reply();
  EXPECT_TRUE(reply.complete);
  const std::vector<std::string> payloads = sse_payloads(reply.body);
  ASSERT_EQ(payloads.size(), 3U);
  EXPECT_EQ(payloads[1],
            R"({"type":"end","tokens_out":0,"decode_time_ms":0,"stop_reason":"CANCELLED"})");
  EXPECT_EQ(payloads[2], "[DONE]");
}

TEST(RbeeJobs, AFailedStepIsAnErrorEvent) {
  const Rig rig;
  rig.gate->set_fail(true);
  const HttpReply reply = rig.get("/v1/jobs/" + make_job(rig, flat_body("Hello", 4)) + "/stream");
  const std::vector<std::string> payloads = sse_payloads(reply.body);
  ASSERT_EQ(payloads.size(), 3U);
  const Json error = Json::parse(payloads[1]);
  EXPECT_EQ(payloads[1], R"({"type":"error","code":"INFERENCE_FAILED","message":)" +
                             error["message"].dump() + "}");
  EXPECT_EQ(payloads[2], "[DONE]");
  rig.gate->set_fail(false);
  EXPECT_THAT(rig.get("/v1/jobs/" + make_job(rig, flat_body("Hello", 4)) + "/stream").body,
              HasSubstr("MAX_TOKENS"));
}

TEST(RbeeJobs, EventNamesOnlyOnRequest) {
  const Rig rig;
  const HttpReply plain = rig.get("/v1/jobs/" + make_job(rig, flat_body("Hello", 2)) + "/stream");
  EXPECT_EQ(plain.body.find("event:"), std::string::npos);
  const HttpReply named =
      rig.get("/v1/jobs/" + make_job(rig, flat_body("Hello", 2)) + "/stream?events=1&keep_alive=1");
  EXPECT_TRUE(named.body.starts_with("event: started\ndata: {\"type\":\"started\""));
  EXPECT_THAT(named.body, HasSubstr("event: end\ndata: "));
}

TEST(RbeeJobs, JobsNobodyReadsAreFreed) {
  ServerOptions options;
  options.limits.job_ttl = 300ms;
  EngineOptions engine = Rig::small_engine();
  engine.stream_capacity = 4;  // the sequence pauses, and holds its pages, until somebody reads
  const Rig rig(options, engine);
  const std::string id = make_job(rig, flat_body("Hello", 100));
  EXPECT_TRUE(eventually([&] { return !rig.is_idle(); }));
  EXPECT_TRUE(eventually([&] { return rig.is_idle(); }));
  EXPECT_EQ(rig.get("/v1/jobs/" + id + "/stream").status, 404);
}

TEST(RbeeJobs, TheRegistryIsBounded) {
  ServerOptions options;
  options.limits.jobs = 2;
  const Rig rig(options);
  make_job(rig, flat_body("a", 1));
  const std::string second = make_job(rig, flat_body("b", 1));
  const HttpReply refused = rig.post("/v1/jobs", flat_body("c", 1));
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.headers.at("retry-after"), "1");
  EXPECT_THAT(refused.body, HasSubstr(R"("field":"queue","constraint":"validation_failed")"));
  rig.get("/v1/jobs/" + second + "/stream");
  EXPECT_TRUE(eventually([&] { return rig.post("/v1/jobs", flat_body("d", 1)).status == 200; }));
}

TEST(RbeeJobs, AFullQueueRefuses) {
  EngineOptions engine = Rig::small_engine();
  engine.max_sequences = 1;
  engine.max_queue = 1;
  const Rig rig({}, engine);
  rig.gate->set_open(false);
  make_job(rig, flat_body("a", 50));
  make_job(rig, flat_body("b", 50));
  const HttpReply refused = rig.post("/v1/jobs", flat_body("c", 50));
  EXPECT_EQ(refused.status, 429);
  EXPECT_THAT(refused.body, HasSubstr("queue is full"));
}

TEST(RbeeJobs, LongPromptsAreRefusedWithTheFigures) {
  const Rig rig;
  std::string prompt;
  for (int i = 0; i < 2000; ++i) prompt += "a b ";
  const HttpReply reply = rig.post("/v1/jobs", flat_body(prompt, 4));
  EXPECT_EQ(reply.status, 400);
  const Json error = reply.json()["errors"][0];
  EXPECT_EQ(error["field"], "prompt");
  EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("context of 256 tokens"));
}

TEST(RbeeJobs, OriginalErrorTextsBehindTheirSwitch) {
  ServerOptions options;
  options.tagged_errors_as_text = true;
  const Rig rig(options);
  const HttpReply tagged = rig.post("/v1/jobs", {{"operation", "status"}});
  EXPECT_EQ(tagged.status, 500);
  EXPECT_EQ(tagged.body, "Unsupported operation for worker: status");
  EXPECT_TRUE(tagged.headers.at("content-type").starts_with("text/plain"));
  EXPECT_EQ(rig.post("/v1/jobs", {{"prompt", ""}, {"max_tokens", 1}}).status, 400);
}

TEST(WorkerStatus, SaysWhatItIs) {
  ServerOptions options;
  options.worker_id = "w1";
  options.model_ref = "hf:tiny";
  const Rig rig(options);
  EXPECT_EQ(rig.get("/health").body, R"({"status":"healthy"})");
  EXPECT_EQ(rig.get("/").status, 200);
  EXPECT_EQ(rig.get("/v1/ready").body, R"({"ready":true,"state":"idle","model_loaded":true})");
  EXPECT_EQ(rig.get("/info").body,
            R"({"id":"w1","model_id":"hf:tiny","device":"cpu:0","port":)" +
                std::to_string(rig.port()) +
                R"(,"status":"ready","implementation":"llm-worker-rbee","version":"0.1.0"})");
  const HttpReply progress = rig.get("/v1/loading/progress");
  EXPECT_EQ(progress.status, 503);
  EXPECT_EQ(progress.body, "Model not loading");
  const HttpReply metrics = rig.get("/metrics");
  EXPECT_EQ(metrics.status, 200);
  EXPECT_THAT(metrics.body, HasSubstr("\nworker_ready 1\n"));
  EXPECT_THAT(metrics.body, HasSubstr("\nworker_kv_pages_free "));
}

TEST(WorkerStatus, WhileLoading) {
  Rig rig({}, Rig::small_engine(), false);
  for (const char* path : {"/", "/health"}) {
    const HttpReply health = rig.get(path);
    EXPECT_EQ(health.status, 503);
    EXPECT_EQ(health.headers.at("retry-after"), "1");
    EXPECT_EQ(health.body, R"({"status":"loading"})");
  }
  EXPECT_EQ(rig.get("/v1/ready").body,
            R"({"ready":false,"state":"loading","progress_url":"/v1/loading/progress"})");
  EXPECT_EQ(rig.get("/info").json()["status"], "starting");
  const HttpReply job = rig.post("/v1/jobs", flat_body("Hello", 1));
  EXPECT_EQ(job.status, 503);
  EXPECT_EQ(job.headers.at("retry-after"), "1");
  const HttpReply chat = rig.post("/v1/chat/completions", {{"messages", Json::array()}});
  EXPECT_EQ(chat.status, 503);
  EXPECT_EQ(chat.json()["error"]["message"], "Loading model");

  Client watcher(rig.port());
  watcher.send(http_request("GET", "/v1/loading/progress"));
  ASSERT_TRUE(watcher.receive_until("\"layers_loaded\":0"));
  rig.server.set_progress(50 << 20, 100 << 20, 30);
  ASSERT_TRUE(watcher.receive_until(
      R"(data: {"stage":"loading_to_vram","layers_loaded":15,"layers_total":30,"vram_mb":50})"));
  rig.load_model_into(Rig::small_engine());
  const HttpReply progress = watcher.reply();
  EXPECT_TRUE(progress.complete);
  EXPECT_TRUE(progress.body.ends_with("data: {\"stage\":\"ready\"}\n\ndata: [DONE]\n\n"));
  EXPECT_EQ(rig.get("/health").status, 200);
}

TEST(WorkerStatus, WhenLoadingFailed) {
  Rig rig({}, Rig::small_engine(), false);
  Client watcher(rig.port());
  watcher.send(http_request("GET", "/v1/loading/progress"));
  ASSERT_TRUE(watcher.receive_until("loading_to_vram"));
  rig.server.set_failed("the file is broken");
  EXPECT_THAT(watcher.reply().body,
              HasSubstr(R"(data: {"stage":"error","message":"the file is broken"})"));
  EXPECT_EQ(rig.get("/health").status, 503);
  EXPECT_EQ(rig.get("/v1/ready").json()["state"], "error");
  EXPECT_THAT(rig.post("/v1/jobs", flat_body("a", 1)).body, HasSubstr("the file is broken"));
}

}  // namespace
}  // namespace rbee::testing
