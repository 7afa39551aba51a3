// The OpenAI surface over the wire.
#include <gmock/gmock.h>

#include <fstream>
#include <set>

#include "server/test_support.hpp"

namespace rbee::testing {
namespace {

using ::testing::HasSubstr;

Json chat_body(int max_tokens = 6) {
  return {{"model", "tiny/smollm"},
          {"messages", Json::array({{{"role", "user"}, {"content", "Hi"}}})},
          {"max_tokens", max_tokens},
          {"temperature", 0},
          {"ignore_eos", true}};
}

std::string joined_content(const HttpReply& reply) {
  std::string text;
  for (const std::string& payload : sse_payloads(reply.body)) {
    const Json chunk = Json::parse(payload, nullptr, false);
    if (!chunk.is_object() || chunk["choices"].empty()) continue;
    const Json& choice = chunk["choices"][0];
    if (choice.contains("text")) text += choice["text"];
    if (choice.contains("delta")) text += choice["delta"].value("content", "");
  }
  return text;
}

TEST(OpenAiModels, ListsTheServedModel) {
  const Rig rig;
  const Json list = rig.get("/v1/models").json();
  EXPECT_EQ(list["object"], "list");
  ASSERT_EQ(list["data"].size(), 1U);
  const Json& entry = list["data"][0];
  EXPECT_EQ(entry["id"], "tiny/smollm");
  EXPECT_EQ(entry["object"], "model");
  EXPECT_EQ(entry["max_model_len"], 256);
  EXPECT_EQ(rig.get("/v1/models/tiny/smollm").json(), entry);
  EXPECT_EQ(rig.get("/v1/models/tiny%2Fsmollm").json(), entry);
  EXPECT_EQ(rig.get("/v1/models/smollm").json(), entry);
  const HttpReply unknown = rig.get("/v1/models/gpt-9");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.json()["error"]["code"], "model_not_found");
}

TEST(OpenAiChat, WholeAnswer) {
  const Rig rig;
  const HttpReply reply = rig.post("/v1/chat/completions", chat_body());
  ASSERT_EQ(reply.status, 200) << reply.body;
  const Json body = reply.json();
  EXPECT_TRUE(body["id"].get<std::string>().starts_with("chatcmpl-"));
  EXPECT_EQ(body["object"], "chat.completion");
  EXPECT_EQ(body["model"], "tiny/smollm");
  const Json& choice = body["choices"][0];
  EXPECT_EQ(choice["index"], 0);
  EXPECT_EQ(choice["message"]["role"], "assistant");
  EXPECT_FALSE(choice["message"]["content"].get<std::string>().empty());
  EXPECT_TRUE(choice["logprobs"].is_null());
  EXPECT_EQ(choice["finish_reason"], "length");
  EXPECT_EQ(body["usage"]["completion_tokens"], 6);
  EXPECT_EQ(body["usage"]["total_tokens"], body["usage"]["prompt_tokens"].get<int>() + 6);
  EXPECT_TRUE(reply.headers.at("x-request-id").starts_with("req-"));
  EXPECT_TRUE(eventually([&] { return rig.is_idle(); }));
}

TEST(OpenAiChat, StreamHasItsShape) {
  const Rig rig;
  Json body = chat_body();
  const std::string whole =
      rig.post("/v1/chat/completions", body).json()["choices"][0]["message"]["content"];
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  const HttpReply reply = rig.post("/v1/chat/completions", body);
  ASSERT_EQ(reply.status, 200);
  EXPECT_TRUE(reply.complete);
  EXPECT_EQ(reply.headers.at("content-type"), "text/event-stream");
  EXPECT_EQ(reply.headers.at("x-accel-buffering"), "no");
  const std::vector<std::string> payloads = sse_payloads(reply.body);
  ASSERT_GE(payloads.size(), 5U);
  EXPECT_EQ(payloads.back(), "[DONE]");
  std::set<std::string> ids;
  for (std::size_t i = 0; i + 1 < payloads.size(); ++i) {
    const Json chunk = Json::parse(payloads[i]);
    EXPECT_EQ(chunk["object"], "chat.completion.chunk");
    ids.insert(chunk["id"]);
    EXPECT_TRUE(chunk.contains("usage"));
    EXPECT_EQ(chunk["usage"].is_null(), i + 2 < payloads.size());
  }
  EXPECT_EQ(ids.size(), 1U);
  const Json first = Json::parse(payloads[0])["choices"][0];
  EXPECT_EQ(first["delta"].dump(), R"({"role":"assistant","content":""})");
  EXPECT_TRUE(first["finish_reason"].is_null());
  const Json closing = Json::parse(payloads[payloads.size() - 3])["choices"][0];
  EXPECT_EQ(closing["delta"].dump(), "{}");
  EXPECT_EQ(closing["finish_reason"], "length");
  const Json last = Json::parse(payloads[payloads.size() - 2]);
  EXPECT_TRUE(last["choices"].empty());
  EXPECT_EQ(last["usage"]["completion_tokens"], 6);
  EXPECT_EQ(joined_content(reply), whole);
}

TEST(OpenAiChat, ModelMayBeMissingOrAnAlias) {
  const Rig rig;
  Json body = chat_body(1);
  body.erase("model");
  EXPECT_EQ(rig.post("/v1/chat/completions", body).json()["model"], "tiny/smollm");
  body["model"] = "smollm";
  EXPECT_EQ(rig.post("/v1/chat/completions", body).status, 200);
  body["model"] = "gpt-9";
  const HttpReply reply = rig.post("/v1/chat/completions", body);
  EXPECT_EQ(reply.status, 404);
  EXPECT_EQ(reply.json()["error"]["type"], "not_found_error");
  EXPECT_EQ(reply.json()["error"]["code"], "model_not_found");
}

TEST(OpenAiChat, Logprobs) {
  const Rig rig;
  Json body = chat_body(3);
  body["logprobs"] = true;
  body["top_logprobs"] = 2;
  const Json choice = rig.post("/v1/chat/completions", body).json()["choices"][0];
  const Json& content = choice["logprobs"]["content"];
  ASSERT_EQ(content.size(), 3U);
  std::string bytes;
  for (const Json& entry : content) {
    EXPECT_LE(entry["logprob"].get<double>(), 0);
    ASSERT_EQ(entry["top_logprobs"].size(), 2U);
    EXPECT_EQ(entry["top_logprobs"][0]["logprob"], entry["logprob"]);  // greedy
    for (const Json& byte : entry["bytes"]) bytes.push_back(static_cast<char>(byte.get<int>()));
  }
  // Streamed, the same tokens come with the pieces.
  body["stream"] = true;
  std::size_t streamed = 0;
  for (const std::string& payload : sse_payloads(rig.post("/v1/chat/completions", body).body)) {
    const Json chunk = Json::parse(payload, nullptr, false);
    if (chunk.is_object() && !chunk["choices"][0]["logprobs"].is_null()) {
      streamed += chunk["choices"][0]["logprobs"]["content"].size();
    }
  }
  EXPECT_EQ(streamed, 3U);
}

TEST(OpenAiChat, SeveralChoices) {
  const Rig rig;
  Json body = chat_body(5);
  body["n"] = 3;
  body["temperature"] = 1.5;
  body["seed"] = 1;
  const Json whole = rig.post("/v1/chat/completions", body).json();
  ASSERT_EQ(whole["choices"].size(), 3U);
  EXPECT_EQ(whole["usage"]["completion_tokens"], 15);
  EXPECT_NE(whole["choices"][0]["message"]["content"], whole["choices"][1]["message"]["content"]);
  body["stream"] = true;
  std::map<int, std::string> texts;
  for (const std::string& payload : sse_payloads(rig.post("/v1/chat/completions", body).body)) {
    const Json chunk = Json::parse(payload, nullptr, false);
    if (!chunk.is_object()) continue;
    const Json& choice = chunk["choices"][0];
    texts[choice["index"].get<int>()] += choice["delta"].value("content", "");
  }
  for (int i = 0; i < 3; ++i) EXPECT_EQ(texts[i], whole["choices"][i]["message"]["content"]);
}

TEST(OpenAiChat, StopStrings) {
  const Rig rig;
  const std::string text =
      rig.post("/v1/completions", {{"prompt", "Hello"}, {"temperature", 0}, {"max_tokens", 12}})
          .json()["choices"][0]["text"];
  ASSERT_GE(text.size(), 3U);
  const std::string stop(1, text.back());
  if (static_cast<unsigned char>(stop[0]) < 0x80) {
    const Json choice =
        rig.post("/v1/completions",
                 {{"prompt", "Hello"}, {"temperature", 0}, {"max_tokens", 12}, {"stop", stop}})
            .json()["choices"][0];
    EXPECT_EQ(choice["finish_reason"], "stop");
    EXPECT_EQ(choice["text"], text.substr(0, text.find(stop)));
  }
}

TEST(OpenAiChat, ATooLongPromptSaysSo) {
  const Rig rig;
  Json body = chat_body();
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "word ";
  body["messages"][0]["content"] = text;
  const HttpReply reply = rig.post("/v1/chat/completions", body);
  EXPECT_EQ(reply.status, 400);
  const Json error = reply.json()["error"];
  EXPECT_EQ(error["code"], "context_length_exceeded");
  EXPECT_EQ(error["param"], "messages");
  EXPECT_EQ(error["n_ctx"], 256);
  EXPECT_GT(error["n_prompt_tokens"], 256);
}

TEST(OpenAiChat, AFaultBeforeTheFirstTokenHasAStatus) {
  const Rig rig;
  rig.gate->set_fail(true);
  Json body = chat_body();
  for (const bool stream : {false, true}) {
    body["stream"] = stream;
    const HttpReply reply = rig.post("/v1/chat/completions", body);
    EXPECT_EQ(reply.status, 500);
    EXPECT_EQ(reply.json()["error"]["type"], "server_error");
  }
}

TEST(OpenAiChat, AFaultAfterwardsEndsTheStreamWithoutDone) {
  const Rig rig;
  rig.gate->set_delay(5ms);
  Json body = chat_body(200);
  body["stream"] = true;
  Client client(rig.port());
  client.send(http_request("POST", "/v1/chat/completions", body.dump()));
  ASSERT_TRUE(client.receive_until("\"content\":\"\""));
  rig.gate->set_fail(true);
  const HttpReply reply = client.reply();
  const std::vector<std::string> payloads = sse_payloads(reply.body);
  EXPECT_EQ(Json::parse(payloads.back())["error"]["type"], "server_error");
  EXPECT_TRUE(client.at_end());  // closed
}

TEST(OpenAiChat, KeepAliveCommentsWhenNothingComes) {
  ServerOptions options;
  options.sse_keep_alive = 50ms;
  const Rig rig(options);
  rig.gate->set_open(false);
  Json body = chat_body(2);
  body["stream"] = true;
  Client client(rig.port());
  client.send(http_request("POST", "/v1/chat/completions", body.dump()));
  ASSERT_TRUE(client.receive_until("\r\n:\n\n\r\n"));
  rig.gate->set_open(true);
  EXPECT_THAT(client.reply().body, HasSubstr("[DONE]"));
}

TEST(OpenAiCompletions, WholeAnswer) {
  const Rig rig;
  const Json body = rig.post("/v1/completions", {{"prompt", "Hello"}, {"temperature", 0}}).json();
  EXPECT_EQ(body["object"], "text_completion");
  EXPECT_TRUE(body["id"].get<std::string>().starts_with("cmpl-"));
  EXPECT_FALSE(body["choices"][0]["text"].get<std::string>().empty());
  EXPECT_LE(body["usage"]["completion_tokens"], 16);
}

TEST(OpenAiCompletions, GreedyTokensAreTheGoldenOnes) {
  const Rig rig;
  std::ifstream file(std::string(RBEE_TEST_DATA) + "/fixtures/smollm/golden.json");
  const Json golden = Json::parse(file);
  const std::vector<std::int32_t> tokens = golden["greedy"]["tokens"];
  const HttpReply reply = rig.post(
      "/v1/completions",
      {{"prompt", golden["prompt"]}, {"temperature", 0}, {"max_tokens", 16}, {"ignore_eos", true}});
  EXPECT_EQ(reply.json()["choices"][0]["text"], rig.model.tokenizer->decode(tokens));
  EXPECT_EQ(reply.json()["usage"]["prompt_tokens"], golden["prompt"].size());
}

TEST(OpenAiCompletions, ListsOfPromptsEchoAndLogprobs) {
  const Rig rig;
  const Json several = rig.post("/v1/completions", {{"prompt", {"Hello", "World"}},
                                                    {"n", 2},
                                                    {"temperature", 0},
                                                    {"max_tokens", 3},
                                                    {"echo", true}})
                           .json();
  ASSERT_EQ(several["choices"].size(), 4U);
  EXPECT_TRUE(several["choices"][1]["text"].get<std::string>().starts_with("Hello"));
  EXPECT_TRUE(several["choices"][2]["text"].get<std::string>().starts_with("World"));
  EXPECT_EQ(several["choices"][2]["index"], 2);

  const Json logprobs = rig.post("/v1/completions", {{"prompt", "Hello"},
                                                     {"temperature", 0},
                                                     {"max_tokens", 3},
                                                     {"ignore_eos", true},
                                                     {"logprobs", 2}})
                            .json()["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["tokens"].size(), 3U);
  EXPECT_EQ(logprobs["token_logprobs"].size(), 3U);
  EXPECT_EQ(logprobs["top_logprobs"].size(), 3U);
  EXPECT_EQ(logprobs["text_offset"][0], 0);
}

TEST(OpenAiCompletions, StreamJoinsToTheWholeAnswer) {
  const Rig rig;
  Json body = {{"prompt", "Hello"}, {"temperature", 0}, {"max_tokens", 20}, {"ignore_eos", true}};
  const std::string whole = rig.post("/v1/completions", body).json()["choices"][0]["text"];
  body["stream"] = true;
  const HttpReply reply = rig.post("/v1/completions", body);
  EXPECT_EQ(joined_content(reply), whole);
  EXPECT_TRUE(reply.body.ends_with("data: [DONE]\n\n"));
}

TEST(OpenAiCompletions, LogitBiasForcesAToken) {
  const Rig rig;
  const HttpReply reply = rig.post("/v1/completions", {{"prompt", "Hello"},
                                                       {"temperature", 0},
                                                       {"max_tokens", 3},
                                                       {"ignore_eos", true},
                                                       {"logit_bias", {{"40", 100}}}});
  const std::vector<std::int32_t> tokens{40, 40, 40};
  EXPECT_EQ(reply.json()["choices"][0]["text"], rig.model.tokenizer->decode(tokens));
}

TEST(OpenAiCompletions, AFullQueueIsOverloaded) {
  EngineOptions engine = Rig::small_engine();
  engine.max_sequences = 1;
  engine.max_queue = 1;
  const Rig rig({}, engine);
  rig.gate->set_open(false);
  const HttpReply reply = rig.post("/v1/completions", {{"prompt", "Hello"}, {"n", 4}});
  EXPECT_EQ(reply.status, 429);
  EXPECT_EQ(reply.json()["error"]["type"], "rate_limit_error");
  EXPECT_EQ(reply.json()["error"]["code"], "overloaded");
  EXPECT_EQ(reply.headers.at("retry-after"), "1");
  rig.gate->set_open(true);
  EXPECT_TRUE(eventually([&] { return rig.is_idle(); }));  // those that were admitted are gone too
}

}  // namespace
}  // namespace rbee::testing
