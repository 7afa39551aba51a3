#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/json.hpp"
#include "base/load_error.hpp"
#include "base/mapped_file.hpp"
#include "base/result.hpp"

namespace rbee {
namespace {

Result<int, std::string> half(int n) {
  if (n % 2 != 0) return Err{std::string("odd")};
  return n / 2;
}

TEST(Result, HoldsValueOrError) {
  EXPECT_EQ(half(8).value(), 4);
  EXPECT_FALSE(half(3).ok());
  EXPECT_EQ(half(3).error(), "odd");
}

TEST(LoadError, NamesFileFieldExpectedFound) {
  const LoadError e("m.gguf", "magic", "GGUF", "GGML");
  EXPECT_STREQ(e.what(), "m.gguf: magic: expected GGUF, found GGML");
}

TEST(MappedFile, MapsBytesAndRefusesWhatIsNoFile) {
  const auto path =
      std::filesystem::temp_directory_path() / ("rbee_map_" + std::to_string(::getpid()));
  std::ofstream(path) << "hello";
  {
    const MappedFile file(path);
    EXPECT_EQ(file.bytes().size(), 5u);
    EXPECT_EQ(static_cast<char>(file.bytes()[4]), 'o');
  }
  std::ofstream(path, std::ios::trunc).close();
  EXPECT_TRUE(MappedFile(path).bytes().empty());
  std::filesystem::remove(path);
  EXPECT_THROW(MappedFile("/nonexistent/file"), LoadError);
  EXPECT_THROW(MappedFile("/tmp"), LoadError);
  EXPECT_THROW(MappedFile("/dev/null"), LoadError);
}

TEST(Json, KeepsKeyOrderAndLimitsDepth) {
  EXPECT_EQ(dump_json(parse_json(R"({"b":1,"a":[true,null]})")), R"({"b":1,"a":[true,null]})");
  EXPECT_THROW(parse_json("{"), JsonError);
  EXPECT_THROW(parse_json(std::string(100, '[')), JsonError);
  EXPECT_NO_THROW(parse_json(R"("[[[[[[[[[[[[[[[[[[[[[[")", {.max_depth = 2}));
  EXPECT_NO_THROW(parse_json("[1,2,3,4]", {.max_members = 2}));
  EXPECT_NO_THROW(parse_json(R"({"a":",,,","b":[1,2,3]})", {.max_members = 2}));
  EXPECT_THROW(parse_json(R"({"a":1,"b":2,"c":3})", {.max_members = 2}), JsonError);
  EXPECT_THROW(parse_json("\"\xff\""), JsonError);
  EXPECT_EQ(dump_json(Json("\xff")), "\"\xEF\xBF\xBD\"");
}

}  // namespace
}  // namespace rbee
