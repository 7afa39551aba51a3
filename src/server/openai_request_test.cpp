#include "server/openai_request.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace rbee {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

constexpr OpenAiBounds kBounds{.vocab_size = 1000, .max_choices = 4};

// A valid chat body with further members.
std::string chat(const std::string& members) {
  return R"({"messages":[{"role":"user","content":"Hi"}])" +
         (members.empty() ? "" : "," + members) + "}";
}

OpenAiError chat_error(std::string_view body) {
  Json variables;
  auto parsed = parse_chat_request(body, kBounds, variables);
  return parsed ? OpenAiError{.status = 200, .message = {}, .param = {}, .code = {}}
                : parsed.error();
}

TEST(OpenAiRequest, ChatDefaults) {
  Json variables;
  auto parsed = parse_chat_request(chat(""), kBounds, variables);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->model, "");
  EXPECT_EQ(parsed->n, 1);
  EXPECT_FALSE(parsed->stream);
  EXPECT_FALSE(parsed->logprobs);
  EXPECT_EQ(parsed->generation.max_tokens, -1);
  EXPECT_EQ(parsed->generation.top_logprobs, -1);
  EXPECT_EQ(parsed->generation.sampling.temperature, 1);
  EXPECT_EQ(parsed->generation.sampling.seed, std::nullopt);
  EXPECT_EQ(variables.dump(),
            R"({"messages":[{"role":"user","content":"Hi"}],"add_generation_prompt":true,)"
            R"("tools":null,"documents":null})");
}

TEST(OpenAiRequest, ChatInFull) {
  Json variables;
  auto parsed = parse_chat_request(
      chat(R"("model":"m","max_tokens":5,"max_completion_tokens":6,"temperature":0,"top_p":0.5,
              "top_k":-1,"min_p":0.1,"repetition_penalty":1.2,"frequency_penalty":-2,
              "presence_penalty":2,"logit_bias":{"7":-100,"999":1.5},"seed":-1,"stop":"x","n":4,
              "stream":true,"stream_options":{"include_usage":true},"logprobs":true,
              "top_logprobs":20,"ignore_eos":true,"stop_token_ids":[3],"user":"u","tools":[],
              "response_format":{"type":"text"},"chat_template_kwargs":{"enable_thinking":false})"),
      kBounds, variables);
  ASSERT_TRUE(parsed);
  const GenerationParams& generation = parsed->generation;
  EXPECT_EQ(generation.max_tokens, 6);
  EXPECT_EQ(generation.sampling.temperature, 0);
  EXPECT_EQ(generation.sampling.top_k, 0);
  EXPECT_EQ(generation.sampling.frequency_penalty, -2);
  EXPECT_EQ(generation.sampling.presence_penalty, 2);
  EXPECT_THAT(generation.sampling.logit_bias, ElementsAre(Pair(7, -100.0F), Pair(999, 1.5F)));
  EXPECT_EQ(generation.sampling.seed, 18446744073709551615U);
  EXPECT_THAT(generation.stop, ElementsAre("x"));
  EXPECT_THAT(generation.stop_token_ids, ElementsAre(3));
  EXPECT_TRUE(generation.ignore_eos);
  EXPECT_EQ(generation.top_logprobs, 20);
  EXPECT_EQ(parsed->n, 4);
  EXPECT_TRUE(parsed->stream);
  EXPECT_TRUE(parsed->include_usage);
  EXPECT_EQ(variables["enable_thinking"], false);
}

TEST(OpenAiRequest, MessagesOfAllKinds) {
  Json variables;
  auto parsed = parse_chat_request(
      R"({"messages":[{"role":"developer","content":"d"},
          {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"name":"n"},
          {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function",
            "function":{"name":"f","arguments":"{\"x\":1}"}}]},
          {"role":"tool","tool_call_id":"c1","content":"r"}]})",
      kBounds, variables);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(variables["messages"].dump(),
            R"([{"role":"system","content":"d"},{"role":"user","content":"a\nb","name":"n"},)"
            R"({"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function",)"
            R"("function":{"name":"f","arguments":{"x":1}}}]},)"
            R"({"role":"tool","content":"r","tool_call_id":"c1"}])");
}

TEST(OpenAiRequest, ClientsCannotReplaceTheMessagesThroughTemplateVariables) {
  Json variables;
  auto parsed = parse_chat_request(
      chat(R"("chat_template_kwargs":{"messages":[],"add_generation_prompt":false,"tools":[1]})"),
      kBounds, variables);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(variables["messages"].size(), 1U);
  EXPECT_EQ(variables["add_generation_prompt"], true);
  EXPECT_TRUE(variables["tools"].is_null());
}

struct BadChat {
  std::string body;
  const char* param;
};

TEST(OpenAiRequest, RefusesBadChats) {
  const BadChat cases[] = {
      {"", ""},
      {"[]", ""},
      {"{", ""},
      {std::string(1000, '[') + std::string(1000, ']'), ""},
      {"{}", "messages"},
      {R"({"messages":null})", "messages"},
      {R"({"messages":[]})", "messages"},
      {R"({"messages":"Hi"})", "messages"},
      {R"({"messages":["Hi"]})", "messages"},
      {R"({"messages":[{}]})", "messages"},
      {R"({"messages":[{"role":"user"}]})", "messages"},
      {R"({"messages":[{"role":"wizard","content":"a"}]})", "messages"},
      {R"({"messages":[{"role":1,"content":"a"}]})", "role"},
      {R"({"messages":[{"role":"user","content":1}]})", "messages"},
      {R"({"messages":[{"role":"user","content":["a"]}]})", "messages"},
      {R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]})",
       "messages"},
      {R"({"messages":[{"role":"user","content":[{"type":"text"}]}]})", "messages"},
      {R"({"messages":[{"role":"user","content":"a","tool_calls":[{"function":{}}]}]})",
       "messages"},
      {R"({"messages":[{"role":"assistant","tool_calls":{}}]})", "messages"},
      {R"({"messages":[{"role":"assistant","tool_calls":[{}]}]})", "messages"},
      {R"({"messages":[{"role":"assistant","tool_calls":[{"function":{"arguments":"{"}}]}]})",
       "messages"},
      {chat(R"("model":7)"), "model"},
      {chat(R"("max_tokens":0)"), "max_tokens"},
      {chat(R"("max_tokens":-5)"), "max_tokens"},
      {chat(R"("max_tokens":1e3)"), "max_tokens"},
      {chat(R"("max_tokens":"5")"), "max_tokens"},
      {chat(R"("max_tokens":9999999999)"), "max_tokens"},
      {chat(R"("max_completion_tokens":18446744073709551615)"), "max_completion_tokens"},
      {chat(R"("temperature":-0.1)"), "temperature"},
      {chat(R"("temperature":2.1)"), "temperature"},
      {chat(R"("temperature":true)"), "temperature"},
      {chat(R"("top_p":1.01)"), "top_p"},
      {chat(R"("top_k":-2)"), "top_k"},
      {chat(R"("top_k":4294967296)"), "top_k"},
      {chat(R"("min_p":-1)"), "min_p"},
      {chat(R"("repetition_penalty":0)"), "repetition_penalty"},
      {chat(R"("frequency_penalty":3)"), "frequency_penalty"},
      {chat(R"("presence_penalty":"a")"), "presence_penalty"},
      {chat(R"("logit_bias":[1])"), "logit_bias"},
      {chat(R"("logit_bias":{"1000":1})"), "logit_bias"},
      {chat(R"("logit_bias":{"-1":1})"), "logit_bias"},
      {chat(R"("logit_bias":{"a":1})"), "logit_bias"},
      {chat(R"("logit_bias":{"1":101})"), "logit_bias"},
      {chat(R"("logit_bias":{"1":"x"})"), "logit_bias"},
      {chat(R"("seed":1.5)"), "seed"},
      {chat(R"("stop":[""])"), "stop"},
      {chat(R"("stop":7)"), "stop"},
      {chat(
           R"("stop":["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"])"),
       "stop"},
      {chat(R"("stop_token_ids":[1000])"), "stop_token_ids"},
      {chat(R"("n":0)"), "n"},
      {chat(R"("n":5)"), "n"},
      {chat(R"("n":-1)"), "n"},
      {chat(R"("best_of":2)"), "best_of"},
      {chat(R"("stream":"yes")"), "stream"},
      {chat(R"("stream_options":{"include_usage":true})"), "stream_options"},
      {chat(R"("stream":true,"stream_options":[])"), "stream_options"},
      {chat(R"("stream":true,"stream_options":{"include_usage":1})"), "include_usage"},
      {chat(R"("logprobs":5)"), "logprobs"},
      {chat(R"("top_logprobs":2)"), "top_logprobs"},
      {chat(R"("logprobs":true,"top_logprobs":21)"), "top_logprobs"},
      {chat(R"("tools":[{"type":"function"}])"), "tools"},
      {chat(R"("tools":[{"type":"function"}],"tool_choice":"auto")"), "tools"},
      {chat(R"("functions":[{"name":"f"}])"), "functions"},
      {chat(R"("response_format":{"type":"json_object"})"), "response_format"},
      {chat(R"("response_format":"json")"), "response_format"},
      {chat(R"("guided_json":{})"), "guided_json"},
      {chat(R"("grammar":"root ::= x")"), "grammar"},
      {chat(R"("min_tokens":1)"), "min_tokens"},
      {chat(R"("modalities":["audio"])"), "modalities"},
      {chat(R"("chat_template_kwargs":[])"), "chat_template_kwargs"},
      {chat(R"("add_generation_prompt":1)"), "add_generation_prompt"},
  };
  for (const BadChat& bad : cases) {
    const OpenAiError error = chat_error(bad.body);
    EXPECT_EQ(error.status, 400) << bad.body;
    EXPECT_EQ(error.param, bad.param) << bad.body << ": " << error.message;
    EXPECT_FALSE(error.message.empty()) << bad.body;
  }
}

TEST(OpenAiRequest, ToolsMayBeSwitchedOff) {
  EXPECT_EQ(chat_error(chat(R"("tools":[{"type":"function"}],"tool_choice":"none")")).status, 200);
}

TEST(OpenAiRequest, PromptsOfAllShapes) {
  const auto prompts = [](std::string_view prompt) {
    auto parsed = parse_completion_request("{\"prompt\":" + std::string(prompt) + "}", kBounds);
    return parsed ? parsed->prompts : std::vector<CompletionRequest::Prompt>{};
  };
  using Tokens = std::vector<std::int32_t>;
  EXPECT_THAT(prompts("\"a\""), ElementsAre(CompletionRequest::Prompt("a")));
  EXPECT_THAT(prompts(R"(["a","b"])"),
              ElementsAre(CompletionRequest::Prompt("a"), CompletionRequest::Prompt("b")));
  EXPECT_THAT(prompts("[1,2]"), ElementsAre(CompletionRequest::Prompt(Tokens{1, 2})));
  EXPECT_THAT(prompts("[[1],[2,3]]"), ElementsAre(CompletionRequest::Prompt(Tokens{1}),
                                                  CompletionRequest::Prompt(Tokens{2, 3})));
}

TEST(OpenAiRequest, CompletionDefaults) {
  auto parsed = parse_completion_request(R"({"prompt":"a","suffix":"","logprobs":0})", kBounds);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->common.generation.max_tokens, 16);
  EXPECT_TRUE(parsed->common.logprobs);
  EXPECT_EQ(parsed->common.generation.top_logprobs, 0);
  EXPECT_FALSE(parsed->echo);
}

TEST(OpenAiRequest, RefusesBadCompletions) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({})", "prompt"},
      {R"({"prompt":null})", "prompt"},
      {R"({"prompt":[]})", "prompt"},
      {R"({"prompt":7})", "prompt"},
      {R"({"prompt":[1,"a"]})", "prompt"},
      {R"({"prompt":["a",1]})", "prompt"},
      {R"({"prompt":[1000]})", "prompt"},
      {R"({"prompt":[-1]})", "prompt"},
      {R"({"prompt":[1.5]})", "prompt"},
      {R"({"prompt":[99999999999]})", "prompt"},
      {R"({"prompt":[["a"]]})", "prompt"},
      {R"({"prompt":["a","b","c","d","e"]})", "prompt"},
      {R"({"prompt":["a","b","c"],"n":2})", "n"},
      {R"({"prompt":"a","suffix":"b"})", "suffix"},
      {R"({"prompt":"a","echo":true,"logprobs":1})", "logprobs"},
      {R"({"prompt":"a","logprobs":-1})", "logprobs"},
      {R"({"prompt":"a","logprobs":true})", "logprobs"},
      {R"({"prompt":"a","max_tokens":0})", "max_tokens"},
      {R"({"prompt":"a","echo":"x"})", "echo"},
  };
  for (const auto& [body, param] : cases) {
    auto parsed = parse_completion_request(body, kBounds);
    ASSERT_FALSE(parsed) << body;
    EXPECT_EQ(parsed.error().param, param) << body << ": " << parsed.error().message;
  }
}

}  // namespace
}  // namespace rbee
