#include "server/http.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "server/auth.hpp"
#include "server/response_writer.hpp"
#include "server/sse.hpp"

namespace rbee {
namespace {

TEST(PercentDecode, DecodesOnceAndRefusesBrokenEscapes) {
  EXPECT_EQ(percent_decode("/v1/models/a%2Fb"), "/v1/models/a/b");
  EXPECT_EQ(percent_decode("%2541"), "%41");
  EXPECT_EQ(percent_decode("%"), std::nullopt);
  EXPECT_EQ(percent_decode("%4"), std::nullopt);
  EXPECT_EQ(percent_decode("%zz"), std::nullopt);
  EXPECT_EQ(percent_decode("a%00b"), std::nullopt);
}

TEST(HttpRequest, FindsParameters) {
  HttpRequest request;
  request.query = "events=1&flag&empty=&events=2";
  EXPECT_EQ(request.parameter("events"), "1");
  EXPECT_EQ(request.parameter("flag"), "");
  EXPECT_EQ(request.parameter("empty"), "");
  EXPECT_EQ(request.parameter("event"), std::nullopt);
}

TEST(Uuid, HasItsShapeAndDiffers) {
  const std::string one = random_uuid();
  EXPECT_TRUE(is_uuid(one));
  EXPECT_EQ(one[14], '4');
  EXPECT_NE(std::string("89ab").find(one[19]), std::string::npos);
  EXPECT_NE(one, random_uuid());
  EXPECT_FALSE(is_uuid("0123456789abcdef0123456789abcdef0123"));
  EXPECT_FALSE(is_uuid(one + "0"));
}

TEST(Sse, WritesOneDataLine) {
  std::string out;
  append_sse(out, {{"type", "token"}, {"t", "a\nb\"\xC3\xA9"}, {"i", 0}});
  EXPECT_EQ(out, "data: {\"type\":\"token\",\"t\":\"a\\nb\\\"\xC3\xA9\",\"i\":0}\n\n");
}

TEST(ResponseWriter, FramesBodies) {
  HttpResponse response = text_response(404, "gone");
  const std::string whole = write_response(response, {});
  EXPECT_TRUE(whole.starts_with("HTTP/1.1 404 Not Found\r\nDate: "));
  EXPECT_NE(whole.find("Content-Length: 4\r\n"), std::string::npos);
  EXPECT_TRUE(whole.ends_with("\r\n\r\ngone"));
  const std::string chunked = write_response(response, {.chunked = true, .keep_alive = false});
  EXPECT_NE(chunked.find("Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"),
            std::string::npos);
  EXPECT_EQ(chunked.find("Content-Length"), std::string::npos);
  EXPECT_EQ(write_chunk("0123456789abcdef!"), "11\r\n0123456789abcdef!\r\n");
}

TEST(Bearer, FollowsTheRules) {
  EXPECT_EQ(parse_bearer("Bearer secret"), "secret");
  EXPECT_EQ(parse_bearer("  Bearer   two words  "), "two words");
  EXPECT_EQ(parse_bearer("bearer secret"), "");
  EXPECT_EQ(parse_bearer("Bearersecret"), "");
  EXPECT_EQ(parse_bearer("Bearer "), "");
  EXPECT_EQ(parse_bearer("Basic secret"), "");
  EXPECT_EQ(parse_bearer("Bearer a\x01"
                         "b"),
            "");
  EXPECT_EQ(parse_bearer("Bearer " + std::string(8186, 'x')), "");
  EXPECT_EQ(parse_bearer("Bearer " + std::string(8185, 'x')).size(), 8185U);
}

AuthResult check(const TokenCheck& tokens, Headers headers) {
  HttpRequest request;
  request.headers = std::move(headers);
  return tokens.check(request);
}

TEST(TokenCheck, ComparesTokens) {
  const TokenCheck tokens("secret");
  EXPECT_EQ(check(tokens, {{"authorization", "Bearer secret"}}), AuthResult::ok);
  EXPECT_EQ(check(tokens, {{"x-api-key", "secret"}}), AuthResult::ok);
  EXPECT_EQ(check(tokens, {{"authorization", "Bearer Secret"}}), AuthResult::invalid);
  EXPECT_EQ(check(tokens, {{"authorization", "Bearer secret2"}}), AuthResult::invalid);
  EXPECT_EQ(check(tokens, {{"authorization", "Bearer wrong"}, {"x-api-key", "secret"}}),
            AuthResult::invalid);
  EXPECT_EQ(check(tokens, {}), AuthResult::missing);
  EXPECT_EQ(check(tokens, {{"authorization", "secret"}}), AuthResult::missing);
  EXPECT_EQ(check(TokenCheck(""), {}), AuthResult::ok);
  EXPECT_EQ(tokens.fingerprint(), "2bb80d");  // of sha256("secret")
}

TEST(OriginCheck, KeepsOtherNamesOutOfLoopback) {
  const OriginCheck loopback("127.0.0.1", {"https://app.example"});
  for (const char* host : {"localhost", "localhost:8080", "LOCALHOST", "127.0.0.1:1", "127.1.2.3",
                           "[::1]", "[::1]:80", "localhost."}) {
    EXPECT_TRUE(loopback.host_allowed(host)) << host;
  }
  for (const char* host : {"evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "",
                           "[::1", "0.0.0.0", "192.168.0.1:8080"}) {
    EXPECT_FALSE(loopback.host_allowed(host)) << host;
  }
  EXPECT_TRUE(loopback.origin_allowed(""));
  EXPECT_TRUE(loopback.origin_allowed("http://localhost:3000"));
  EXPECT_TRUE(loopback.origin_allowed("https://app.example"));
  EXPECT_FALSE(loopback.origin_allowed("https://evil.example"));
  EXPECT_FALSE(loopback.origin_allowed("null"));
  EXPECT_TRUE(loopback.shares_with("https://app.example"));
  EXPECT_FALSE(loopback.shares_with("http://localhost:3000"));

  const OriginCheck network("0.0.0.0", {});
  EXPECT_TRUE(network.host_allowed("worker.example"));
  EXPECT_TRUE(network.origin_allowed("https://evil.example"));
}

}  // namespace
}  // namespace rbee
