#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "app/cli.hpp"
#include "app/commands.hpp"
#include "app/model_path.hpp"
#include "app/npy.hpp"
#include "app/text_file.hpp"
#include "base/load_error.hpp"

namespace rbee {
namespace {

namespace fs = std::filesystem;

class TempFolder {
 public:
  TempFolder() : path_(fs::temp_directory_path() / ("rbee_app_" + std::to_string(::getpid()))) {
    fs::create_directories(path_);
  }
  ~TempFolder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

TEST(ModelPath, NamesBecomeFoldersAndNeverLeaveTheCache) {
  EXPECT_EQ(cache_folder("smollm2:135m"), fs::path("smollm2-135m"));
  EXPECT_EQ(cache_folder("org/repo:Q4_K_M"), fs::path("org/repo-Q4_K_M"));
  for (const char* bad :
       {"", "..", "../x", "a/../b", "/etc", "a//b", "a/b/c", ".hidden", "a b", "a\nb"}) {
    EXPECT_FALSE(cache_folder(bad).has_value()) << bad;
  }
}

TEST(ModelPath, ResolvesPathsThenBothCaches) {
  const TempFolder temp;
  const CacheRoots roots{temp.path() / "own", temp.path() / "hive"};
  fs::create_directories(roots.own / "m-1b");
  fs::create_directories(roots.hive / "other");
  std::ofstream(roots.own / "m-1b" / "b-00002-of-00002.gguf") << "x";
  std::ofstream(roots.own / "m-1b" / "b-00001-of-00002.gguf") << "x";
  std::ofstream(roots.hive / "other" / "config.json") << "{}";
  EXPECT_EQ(resolve_model("m:1b", roots), roots.own / "m-1b" / "b-00001-of-00002.gguf");
  EXPECT_EQ(resolve_model("other", roots), roots.hive / "other");
  EXPECT_EQ(resolve_model(temp.path().string(), roots), temp.path());
  EXPECT_THROW(resolve_model("unknown:7b", roots), LoadError);
  EXPECT_THROW(resolve_model("../own/m-1b", roots), LoadError);
}

TEST(ModelPath, NamesAreShort) {
  EXPECT_EQ(model_name("smollm2:135m", "/cache/smollm2-135m/x.gguf"), "smollm2:135m");
  EXPECT_EQ(model_name("/m/x-00001-of-00003.gguf", "/m/x-00001-of-00003.gguf"), "x");
  EXPECT_EQ(model_name("/m/dir/", "/m/dir/"), "dir");
  EXPECT_EQ(model_name("/m/model-v1.5", "/m/model-v1.5"), "model-v1.5");
}

TEST(Npy, HeaderIsAlignedAndValuesFollow) {
  const TempFolder temp;
  const fs::path path = temp.path() / "x.npy";
  NpyWriter writer(path, 2, 3);
  const float values[6] = {1, 2, 3, 4, 5, 6};
  writer.write(values);
  writer.close();
  std::ifstream in(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  ASSERT_EQ(bytes.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  EXPECT_NE(bytes.find("'shape': (2, 3)"), std::string::npos);
  EXPECT_EQ(bytes.size() % 64, sizeof values);
  EXPECT_EQ(bytes[bytes.size() - sizeof values - 1], '\n');
}

TEST(Npy, SaysWhenItCannotWrite) {
  NpyWriter writer("/nonexistent/x.npy", 1, 1);
  EXPECT_THROW(writer.close(), std::runtime_error);
}

int run(std::vector<const char*> args) {
  args.insert(args.begin(), "llm-worker-rbee");
  return run_command_line(static_cast<int>(args.size()), args.data());
}

TEST(CommandLine, ExitCodes) {
  EXPECT_EQ(run({"--help"}), 0);
  EXPECT_EQ(run({"--version"}), 0);
  EXPECT_EQ(run({"--build-info"}), 0);
  EXPECT_EQ(run({"eval", "--help"}), 0);
  EXPECT_EQ(run({"dance"}), 2);
  EXPECT_EQ(run({"--no-such-flag"}), 2);
  EXPECT_EQ(run({"eval"}), 2);
  EXPECT_EQ(run({"eval", "--model", "/nonexistent.gguf", "--tokens", "1"}), 1);
}

const std::string kModel = std::string(RBEE_TEST_DATA) + "/fixtures/llama3/model.gguf";

int run_on_model(std::vector<const char*> args) {
  args.insert(args.begin() + 1, {"--log-level", "error", "--threads", "1", "--model"});
  args.insert(args.begin() + 6, kModel.c_str());
  return run(std::move(args));
}

TEST(CommandLine, RefusesWhatCannotBe) {
  const TempFolder temp;
  const std::string folder = temp.path().string(), empty = folder + "/empty";
  std::ofstream(empty).close();
  EXPECT_EQ(run_on_model({"eval", "--tokens", "1,2"}), 0);
  EXPECT_EQ(run_on_model({"eval", "--text", ""}), 2);
  EXPECT_EQ(run_on_model({"eval", "--tokens", "1,x"}), 2);
  EXPECT_EQ(run_on_model({"eval", "--tokens", "304"}), 2);
  EXPECT_EQ(run_on_model({"eval", "--tokens", "1", "--chunk", "-1"}), 2);
  EXPECT_EQ(run_on_model({"eval", "--tokens", "1", "--logits", "/nonexistent/x.npy"}), 1);
  EXPECT_EQ(run_on_model({"eval", "--tokens", "1", "--device", "tpu"}), 1);
  EXPECT_EQ(run_on_model({"bench", "-p", "0", "-n", "0"}), 2);
  EXPECT_EQ(run_on_model({"perplexity", "-f", empty.c_str()}), 2);
  for (const char* path : {"/nonexistent", folder.c_str()}) {
    EXPECT_EQ(run_on_model({"eval", "--tokens-file", path}), 2) << path;
    EXPECT_EQ(run_on_model({"perplexity", "-f", path}), 2) << path;
    EXPECT_EQ(run({"inspect", path}), 1) << path;
  }
  EXPECT_EQ(run_on_model({"eval", "--tokens-file", empty.c_str()}), 2);
  EXPECT_EQ(run({"inspect", empty.c_str()}), 1);
  EXPECT_EQ(run({"inspect", kModel.c_str(), "--device", "tpu"}), 1);
  EXPECT_EQ(run({"run", kModel.c_str(), "hi", "-n", "-2"}), 2);
}

TEST(CommandLine, FlagsOfAllCommandsMayComeFirst) {
  EXPECT_EQ(run({"--log-level", "error", "inspect", kModel.c_str()}), 0);
  EXPECT_EQ(run({"--log-level=error", "--log-format", "json", "inspect", kModel.c_str()}), 0);
  EXPECT_EQ(run({"--log-level"}), 2);
  EXPECT_EQ(run({"--log-level", "loud", "inspect", kModel.c_str()}), 2);
}

TEST(TextFile, IsReadWhole) {
  const TempFolder temp;
  const fs::path path = temp.path() / "text";
  std::ofstream(path, std::ios::binary) << std::string("a\0b\r\n", 5);
  EXPECT_EQ(read_text_file(path.string()), std::string("a\0b\r\n", 5));
  std::ofstream(path).close();
  EXPECT_EQ(read_text_file(path.string()), "");
  EXPECT_THROW(read_text_file(temp.path().string()), UsageError);
  EXPECT_THROW(read_text_file("/nonexistent/x"), UsageError);
}

}  // namespace
}  // namespace rbee
