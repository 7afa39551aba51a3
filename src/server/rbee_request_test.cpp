#include "server/rbee_request.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace rbee {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int kContext = 4096;

std::string errors_of(std::string_view body) {
  auto parsed = parse_rbee_request(body, kContext);
  return parsed ? "" : field_error_response(parsed.error().fields).body;
}

TEST(RbeeRequest, FlatBodyDefaults) {
  auto parsed = parse_rbee_request(R"({"prompt":"Hi","max_tokens":7})", kContext);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->prompt, "Hi");
  EXPECT_EQ(parsed->max_tokens, 7);
  EXPECT_EQ(parsed->sampling.temperature, 1);
  EXPECT_EQ(parsed->sampling.top_p, 1);
  EXPECT_EQ(parsed->sampling.top_k, 0);
  EXPECT_EQ(parsed->sampling.repetition_penalty, 1);
  EXPECT_EQ(parsed->sampling.repeat_last_n, 128);
  EXPECT_EQ(parsed->sampling.min_p, 0);
  EXPECT_EQ(parsed->sampling.seed, 42U);
  EXPECT_THAT(parsed->stop, IsEmpty());
}

TEST(RbeeRequest, FlatBodyInFull) {
  auto parsed = parse_rbee_request(
      R"({"job_id":"ignored","prompt":"\u00e9","max_tokens":4096,"temperature":2,"top_p":0.25,
          "top_k":4294967295,"repetition_penalty":1.5,"repeat_last_n":18446744073709551615,
          "min_p":1.0,"stop":["\n","END"],"seed":18446744073709551615})",
      kContext);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->prompt, "\xC3\xA9");
  EXPECT_EQ(parsed->max_tokens, 4096);
  EXPECT_EQ(parsed->sampling.temperature, 2);
  EXPECT_EQ(parsed->sampling.top_p, 0.25F);
  EXPECT_EQ(parsed->sampling.top_k, 2147483647);
  EXPECT_EQ(parsed->sampling.repeat_last_n, 2147483647);
  EXPECT_EQ(parsed->sampling.seed, 18446744073709551615U);
  EXPECT_THAT(parsed->stop, ElementsAre("\n", "END"));
}

TEST(RbeeRequest, TaggedBodyDefaults) {
  auto parsed = parse_rbee_request(
      R"({"operation":"infer","hive_id":"localhost","model":"any","prompt":"","max_tokens":4000000000,
          "temperature":3.5,"device":"cpu","worker_id":null,"stream":false,"top_p":null})",
      kContext);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->prompt, "");
  EXPECT_EQ(parsed->max_tokens, kContext);
  EXPECT_EQ(parsed->sampling.temperature, 3.5F);
  EXPECT_EQ(parsed->sampling.top_p, 0.9F);
  EXPECT_EQ(parsed->sampling.top_k, 50);
  EXPECT_EQ(parsed->sampling.seed, 42U);
}

TEST(RbeeRequest, TaggedBodyTakesTheExtras) {
  auto parsed = parse_rbee_request(
      R"({"operation":"infer","hive_id":"h","model":"m","prompt":"p","max_tokens":0,"temperature":0,
          "stop":["x"],"seed":7,"min_p":0.5,"repetition_penalty":1.1,"repeat_last_n":64,"top_k":0})",
      kContext);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->max_tokens, 0);
  EXPECT_EQ(parsed->sampling.seed, 7U);
  EXPECT_EQ(parsed->sampling.repeat_last_n, 64);
  EXPECT_EQ(parsed->sampling.top_k, 0);
  EXPECT_THAT(parsed->stop, ElementsAre("x"));
}

TEST(RbeeRequest, ListsAllViolationsInOrder) {
  EXPECT_EQ(
      errors_of(R"({"min_p":-0.5,"stop":["","a","b","c","d"],"repetition_penalty":2.5,"top_p":1.5,
                    "temperature":-0.1,"max_tokens":0,"prompt":""})"),
      R"~({"errors":[)~"
      R"~({"field":"prompt","constraint":"length(1..=32768)","message":"prompt must not be empty"},)~"
      R"~({"field":"max_tokens","constraint":"range(1..=4096)","message":"max_tokens must be at least 1","value":"0"},)~"
      R"~({"field":"temperature","constraint":"range(0.0..=2.0)","message":"temperature must be at least 0.0 (got -0.1)","value":"-0.1"},)~"
      R"~({"field":"top_p","constraint":"range(0.0..=1.0)","message":"top_p must be at most 1.0 (got 1.5)","value":"1.5"},)~"
      R"~({"field":"repetition_penalty","constraint":"range(0.0..=2.0)","message":"repetition_penalty must be at most 2.0 (got 2.5)","value":"2.5"},)~"
      R"~({"field":"stop","constraint":"max_count(4)","message":"stop must have at most 4 sequences (got 5)","value":"5"},)~"
      R"~({"field":"stop","constraint":"non_empty","message":"stop sequence 0 must not be empty"},)~"
      R"~({"field":"min_p","constraint":"range(0.0..=1.0)","message":"min_p must be at least 0.0 (got -0.5)","value":"-0.5"}]})~");
}

TEST(RbeeRequest, NumbersReadAsRustWritesThem) {
  EXPECT_EQ(errors_of(R"({"prompt":"a","max_tokens":4097,"temperature":3})"),
            R"~({"errors":[{"field":"max_tokens","constraint":"range(1..=4096)",)~"
            R"~("message":"max_tokens must be at most 4096 (got 4097)","value":"4097"},)~"
            R"~({"field":"temperature","constraint":"range(0.0..=2.0)",)~"
            R"~("message":"temperature must be at most 2.0 (got 3)","value":"3"}]})~");
  EXPECT_NE(
      errors_of(R"({"prompt":"a","max_tokens":1,"temperature":12345.675})").find("(got 12345.675)"),
      std::string::npos);
}

TEST(RbeeRequest, BoundsAreInclusive) {
  const std::string prompt(32768, 'x');
  EXPECT_EQ(errors_of(R"({"prompt":")" + prompt + R"(","max_tokens":1})"), "");
  EXPECT_NE(errors_of(R"({"prompt":")" + prompt + R"(y","max_tokens":1})")
                .find("prompt must be at most 32768 characters (got 32769)"),
            std::string::npos);
  // Characters, not bytes.
  std::string wide;
  for (int i = 0; i < 32768; ++i) wide += "\xC3\xA9";
  EXPECT_EQ(errors_of(R"({"prompt":")" + wide + R"(","max_tokens":1})"), "");
  // Bytes, not characters.
  const std::string stop(101, 's');
  EXPECT_NE(errors_of(R"({"prompt":"a","max_tokens":1,"stop":[")" + stop + R"("]})")
                .find("stop sequence 0 must be at most 100 characters (got 101)"),
            std::string::npos);
}

struct BadBody {
  const char* body;
  const char* field;
  const char* constraint;
};

TEST(RbeeRequest, RefusesWrongTypesAndShapes) {
  const std::string deep = std::string(100, '[') + std::string(100, ']');
  const BadBody cases[] = {
      {"", "body", "json"},
      {"{", "body", "json"},
      {"nonsense", "body", "json"},
      {"{\"prompt\":\"a\",\"max_tokens\":1e999}", "body", "json"},
      {"{\"prompt\":\"\xFF\",\"max_tokens\":1}", "body", "json"},
      {deep.c_str(), "body", "json"},
      {"[]", "body", "object"},
      {"\"text\"", "body", "object"},
      {"null", "body", "object"},
      {"{}", "prompt", "required"},
      {R"({"prompt":null,"max_tokens":1})", "prompt", "required"},
      {R"({"prompt":1,"max_tokens":1})", "prompt", "type(string)"},
      {R"({"prompt":["a"],"max_tokens":1})", "prompt", "type(string)"},
      {R"({"prompt":"a"})", "max_tokens", "required"},
      {R"({"prompt":"a","max_tokens":"1"})", "max_tokens", "type(u32)"},
      {R"({"prompt":"a","max_tokens":1.5})", "max_tokens", "type(u32)"},
      {R"({"prompt":"a","max_tokens":-1})", "max_tokens", "type(u32)"},
      {R"({"prompt":"a","max_tokens":4294967296})", "max_tokens", "type(u32)"},
      {R"({"prompt":"a","max_tokens":99999999999999999999999})", "max_tokens", "type(u32)"},
      {R"({"prompt":"a","max_tokens":true})", "max_tokens", "type(u32)"},
      {R"({"prompt":"a","max_tokens":1,"temperature":"hot"})", "temperature", "type(f32)"},
      {R"({"prompt":"a","max_tokens":1,"temperature":1e39})", "temperature", "type(f32)"},
      {R"({"prompt":"a","max_tokens":1,"top_p":[]})", "top_p", "type(f32)"},
      {R"({"prompt":"a","max_tokens":1,"top_k":-1})", "top_k", "type(u32)"},
      {R"({"prompt":"a","max_tokens":1,"top_k":1.5})", "top_k", "type(u32)"},
      {R"({"prompt":"a","max_tokens":1,"seed":-1})", "seed", "type(u64)"},
      {R"({"prompt":"a","max_tokens":1,"seed":18446744073709551616})", "seed", "type(u64)"},
      {R"({"prompt":"a","max_tokens":1,"seed":"42"})", "seed", "type(u64)"},
      {R"({"prompt":"a","max_tokens":1,"repeat_last_n":-5})", "repeat_last_n", "type(u64)"},
      {R"({"prompt":"a","max_tokens":1,"stop":"x"})", "stop", "type(string[])"},
      {R"({"prompt":"a","max_tokens":1,"stop":[1]})", "stop", "type(string[])"},
      {R"({"prompt":"a","max_tokens":1,"stop":{}})", "stop", "type(string[])"},
      {R"({"operation":1})", "operation", "type(string)"},
      {R"({"operation":null})", "operation", "type(string)"},
      {R"({"operation":"status"})", "operation", "one_of(infer)"},
      {R"({"operation":"infer","model":"m","prompt":"a","max_tokens":1,"temperature":1})",
       "hive_id", "required"},
      {R"({"operation":"infer","hive_id":"h","prompt":"a","max_tokens":1,"temperature":1})",
       "model", "required"},
      {R"({"operation":"infer","hive_id":"h","model":7,"prompt":"a","max_tokens":1,"temperature":1})",
       "model", "type(string)"},
      {R"({"operation":"infer","hive_id":"h","model":"m","prompt":"a","max_tokens":1})",
       "temperature", "required"},
      {R"({"operation":"infer","hive_id":"h","model":"m","prompt":"a","max_tokens":1,"temperature":-1})",
       "temperature", "range(0.0..=3.4e38)"},
      {R"({"operation":"infer","hive_id":"h","model":"m","prompt":"a","max_tokens":1,"temperature":1,"min_p":2})",
       "min_p", "range(0.0..=1.0)"},
  };
  for (const BadBody& bad : cases) {
    auto parsed = parse_rbee_request(bad.body, kContext);
    ASSERT_FALSE(parsed) << bad.body;
    EXPECT_EQ(parsed.error().fields.front().field, bad.field) << bad.body;
    EXPECT_EQ(parsed.error().fields.front().constraint, bad.constraint) << bad.body;
    EXPECT_FALSE(parsed.error().fields.front().message.empty()) << bad.body;
  }
}

TEST(RbeeRequest, TextOfTheOriginalErrors) {
  auto other = parse_rbee_request(R"({"operation":"status"})", kContext);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().text, "Unsupported operation for worker: status");
  auto missing = parse_rbee_request(R"({"operation":"infer"})", kContext);
  ASSERT_FALSE(missing);
  EXPECT_TRUE(missing.error().tagged);
  EXPECT_EQ(missing.error().text, "Failed to parse operation: hive_id is required");
  auto flat = parse_rbee_request(R"({"prompt":""})", kContext);
  ASSERT_FALSE(flat);
  EXPECT_FALSE(flat.error().tagged);
}

TEST(RbeeRequest, LongStopListsAreNotAnsweredInFull) {
  std::string body = R"({"prompt":"a","max_tokens":1,"stop":[""])";
  body.pop_back();
  for (int i = 0; i < 100000; ++i) body += ",\"\"";
  body += "]}";
  EXPECT_LT(errors_of(body).size(), 16384U);
}

}  // namespace
}  // namespace rbee
