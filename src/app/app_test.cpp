#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "app/cli.hpp"
#include "app/commands.hpp"
#include "app/model_path.hpp"
#include "app/npy.hpp"
#include "app/session.hpp"
#include "app/text_file.hpp"
#include "base/load_error.hpp"
#include "checkpoint/gguf_file.hpp"
#include "engine/load_model.hpp"
#include "model/tensor_values.hpp"

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

const fs::path kFixtures = fs::path(RBEE_TEST_DATA) / "fixtures";
constexpr std::string_view kText =
    "The quick brown fox jumps over the lazy dog, and the lazy dog does not care at all; it has "
    "seen 12 foxes jump this morning, one after the other. \"Let them,\" it says, and sleeps on.";

// The importance matrix that a command collects from kText, in chunks of 16 tokens.
class CollectedImportance : public ::testing::Test {
 protected:
  CollectedImportance() { std::ofstream(temp_.path() / "text") << kText; }

  std::string path(const char* name) const { return (temp_.path() / name).string(); }
  std::vector<GgufTensor> collect(const fs::path& model, const char* device, const char* threads) {
    const std::string text = path("text"), out = path("imatrix.gguf");
    EXPECT_EQ(
        run({"--log-level", "error", "imatrix", "--model", model.c_str(), "-f", text.c_str(), "-o",
             out.c_str(), "--ctx", "16", "--device", device, "-t", threads, "--force", "--json"}),
        0);
    std::ifstream in(out, std::ios::binary);
    bytes_.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    return read_gguf(out, std::as_bytes(std::span(bytes_.back()))).tensors;
  }

  TempFolder temp_;
  std::deque<std::string> bytes_;
};

std::vector<float> floats(const GgufTensor& tensor) {
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

TEST_F(CollectedImportance, IsTheSameOnEveryBackend) {
  for (const char* model : {"llama3", "mixtral", "deepseek_v3", "mamba"}) {
    const fs::path file = kFixtures / model / "model.gguf";
    const auto reference = collect(file, "ref", "1"), one = collect(file, "cpu", "1"),
               three = collect(file, "cpu", "3");
    ASSERT_GT(reference.size(), 4U);
    ASSERT_EQ(one.size(), reference.size());
    ASSERT_EQ(three.size(), reference.size());
    for (std::size_t i = 0; i < reference.size(); ++i) {
      ASSERT_EQ(one[i].name, reference[i].name);
      EXPECT_EQ(floats(three[i]), floats(one[i])) << model << one[i].name;
      const auto expected = floats(reference[i]), found = floats(one[i]);
      float most = 0;
      for (const float v : expected) most = std::max(most, v);
      for (std::size_t c = 0; c < expected.size(); ++c) {
        ASSERT_NEAR(found[c], expected[c], 0.1F * most) << model << one[i].name;
      }
    }
  }
}

// What enters the first layer follows from embedding and norm alone.
TEST_F(CollectedImportance, IsWhatEntersAMatrix) {
  const fs::path model = kFixtures / "llama3";
  const auto tensors = collect(model / "model.gguf", "ref", "1");
  const auto found = std::ranges::find(tensors, "blk.0.attn_q.weight.in_sum2", &GgufTensor::name);
  ASSERT_NE(found, tensors.end());
  const LoadedModel loaded = load_model(model, {});
  const auto checkpoint = Checkpoint::open(model / "model.gguf");
  const auto embedding = decode(*checkpoint->find("token_embd.weight"));
  const auto norm = decode(*checkpoint->find("blk.0.attn_norm.weight"));
  const double eps = checkpoint->gguf()->real("llama.attention.layer_norm_rms_epsilon").value();
  auto tokens = loaded.tokenizer->encode(kText);
  tokens.resize(tokens.size() / 16 * 16);
  std::vector<double> sums(norm.size());
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    const TokenId id = t % 16 == 0 ? leading_bos(*loaded.tokenizer).value_or(tokens[t]) : tokens[t];
    const float* row = embedding.data() + static_cast<std::size_t>(id) * norm.size();
    double square = 0;
    for (std::size_t c = 0; c < norm.size(); ++c) square += static_cast<double>(row[c]) * row[c];
    const double scale = 1 / (square / static_cast<double>(norm.size()) + eps);
    for (std::size_t c = 0; c < norm.size(); ++c) {
      sums[c] += static_cast<double>(row[c]) * row[c] * scale * norm[c] * norm[c];
    }
  }
  const auto collected = floats(*found);
  ASSERT_EQ(collected.size(), sums.size());
  for (std::size_t c = 0; c < sums.size(); ++c) {
    EXPECT_NEAR(collected[c], sums[c], 1e-4 * std::abs(sums[c]));
  }
  const auto counts = std::ranges::find(tensors, "blk.0.attn_q.weight.counts", &GgufTensor::name);
  EXPECT_EQ(floats(*counts).front(), static_cast<float>(tokens.size()));
}

TEST_F(CollectedImportance, CommandRefusesWhatCannotBe) {
  const std::string text = path("text"), out = path("imatrix.gguf");
  std::ofstream(out) << "mine";
  EXPECT_EQ(run_on_model({"imatrix", "-f", text.c_str(), "-o", out.c_str(), "--ctx", "16"}), 2);
  EXPECT_EQ(run_on_model({"imatrix", "-f", text.c_str(), "-o", out.c_str(), "--force"}), 2);
  EXPECT_EQ(run_on_model({"imatrix", "-f", "/nonexistent", "-o", out.c_str(), "--force"}), 2);
  EXPECT_EQ(read_text_file(out), "mine");
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
