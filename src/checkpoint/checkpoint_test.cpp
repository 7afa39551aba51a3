#include "checkpoint/checkpoint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/load_error.hpp"
#include "checkpoint/testing/gguf_image.hpp"
#include "checkpoint/testing/safetensors_image.hpp"
#include "checkpoint/testing/temp_folder.hpp"

namespace rbee {
namespace {

namespace fs = std::filesystem;

using ::testing::ElementsAre;
using testing::GgufImage;
using ::testing::HasSubstr;
using ::testing::Optional;
using testing::SafetensorsImage;
using testing::TempFolder;

constexpr std::string_view kConfig = R"({"architectures":["LlamaForCausalLM"]})";

SafetensorsImage one_tensor(std::string_view name) {
  return SafetensorsImage().add_tensor(name, {1}, std::vector{1.0f});
}

std::unique_ptr<Checkpoint> with_config(std::string_view config) {
  const TempFolder folder;  // a mapping outlives the file's name
  folder.write("config.json", config);
  folder.write("model.safetensors", one_tensor("w").bytes());
  return Checkpoint::open(folder.path());
}

std::string refusal(const fs::path& path) {
  try {
    Checkpoint::open(path);
    return "";
  } catch (const LoadError& e) {
    return e.what();
  }
}

// The text of the error that read() throws; empty when it throws none.
template <class Read>
std::string error_of(Read read) {
  try {
    read();
    return "";
  } catch (const LoadError& e) {
    return e.what();
  }
}

TEST(CheckpointOpen, ReadsFolderFileShardsAndLooseFiles) {
  const TempFolder folder;
  folder.write("config.json", kConfig);
  folder.write("x-1.safetensors", one_tensor("a").bytes());
  folder.write("x-2.safetensors", one_tensor("b").bytes());
  EXPECT_EQ(Checkpoint::open(folder.path())->tensors().size(), 2u);
  const auto file = Checkpoint::open(folder.path() / "x-2.safetensors");
  ASSERT_EQ(file->tensors().size(), 1u);
  EXPECT_EQ(file->tensors()[0].name, "b");
  EXPECT_EQ(file->path(), folder.path() / "x-2.safetensors");

  // An index takes only the files it names, and what those hold beyond it.
  folder.write("x-3.safetensors", one_tensor("c").add_tensor("d", {0, 3}, {}).bytes());
  folder.write("model.safetensors.index.json",
               testing::index_text({{"a", "x-1.safetensors"}, {"c", "x-3.safetensors"}}));
  const auto sharded = Checkpoint::open(folder.path());
  EXPECT_EQ(sharded->tensors().size(), 3u);
  EXPECT_EQ(sharded->find("b"), nullptr);
  ASSERT_NE(sharded->find("d"), nullptr);
  EXPECT_TRUE(sharded->find("d")->bytes.empty());
  EXPECT_EQ(sharded->find("c")->file, (folder.path() / "x-3.safetensors").string());

  // A single file comes before an index.
  folder.write("model.safetensors", one_tensor("whole").bytes());
  EXPECT_NE(Checkpoint::open(folder.path())->find("whole"), nullptr);
}

TEST(CheckpointOpen, FollowsTheLinksOfTheHubCache) {
  const TempFolder folder;
  fs::create_directories(folder.path() / "blobs");
  fs::create_directories(folder.path() / "snapshot");
  folder.write("blobs/1", kConfig);
  folder.write("blobs/2", one_tensor("w").bytes());
  fs::create_symlink("../blobs/1", folder.path() / "snapshot/config.json");
  fs::create_symlink("../blobs/2", folder.path() / "snapshot/model.safetensors");
  EXPECT_NE(Checkpoint::open(folder.path() / "snapshot")->find("w"), nullptr);
}

TEST(CheckpointOpen, TellsGgufByItsMagicToo) {
  const TempFolder folder;
  const auto path = folder.write("blob", GgufImage().set("general.architecture", "x").bytes());
  EXPECT_EQ(Checkpoint::open(path)->format(), Format::gguf);
}

TEST(CheckpointOpen, RefusesWhatIsNoModel) {
  const TempFolder folder;
  EXPECT_THAT(refusal(folder.path() / "absent"), HasSubstr("absent: file: "));
  EXPECT_THAT(refusal(folder.write("a.txt", "hello")), HasSubstr("another kind of file"));
  EXPECT_THAT(refusal(folder.write("a.gguf", "hello")), HasSubstr("a.gguf: magic: "));
  EXPECT_THAT(refusal(folder.path()), HasSubstr("config.json: file: "));
  folder.write("config.json", kConfig);
  EXPECT_THAT(refusal(folder.path()), HasSubstr("expected *.safetensors files"));
  fs::create_symlink("loop.gguf", folder.path() / "loop.gguf");
  EXPECT_THAT(refusal(folder.path() / "loop.gguf"), HasSubstr("loop.gguf: file: "));
}

TEST(CheckpointOpen, MapsTensorsWithoutReadingThem) {
  const TempFolder folder;
  folder.write("config.json", kConfig);
  constexpr std::uint64_t kBytes = 1ull << 30;
  SafetensorsImage image;
  image.tensors.push_back({"w", "F16", {1 << 10, 1 << 19}, 0, kBytes});
  const auto path = folder.write("model.safetensors", image.bytes());
  fs::resize_file(path, image.bytes().size() + kBytes);  // sparse
  const auto checkpoint = Checkpoint::open(folder.path());
  const TensorInfo* w = checkpoint->find("w");
  ASSERT_NE(w, nullptr);
  ASSERT_EQ(w->bytes.size(), kBytes);
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto middle =
      (reinterpret_cast<std::uintptr_t>(w->bytes.data()) + kBytes / 2) / page * page;
  unsigned char resident = 1;
  ASSERT_EQ(::mincore(reinterpret_cast<void*>(middle), page, &resident), 0);
  EXPECT_EQ(resident & 1, 0);
}

TEST(CheckpointOpen, ListsTensorsOfOtherTypesAndRefusesThemWhenAsked) {
  const TempFolder folder;
  folder.write("config.json", kConfig);
  SafetensorsImage image = one_tensor("w");
  image.add_tensor("ids", "I64", {2}, std::string(16, 'i'));
  image.add_tensor("mask", "BOOL", {3}, std::string(3, 'm'));
  image.add_tensor("fp8", "F8_E4M3", {2, 2}, std::string(4, 'f'));
  image.add_tensor("future", "X3", {2, 2}, std::string(7, 'x'));
  folder.write("model.safetensors", image.bytes());
  const auto checkpoint = Checkpoint::open(folder.path());
  EXPECT_EQ(checkpoint->tensors().size(), 1u);
  ASSERT_EQ(checkpoint->opaque_tensors().size(), 4u);
  EXPECT_EQ(checkpoint->opaque_tensors()[0].name, "fp8");
  EXPECT_THAT(checkpoint->opaque_tensors()[0].shape, ElementsAre(2, 2));
  EXPECT_THAT(error_of([&] { checkpoint->find("ids"); }), HasSubstr("tensor 'ids'"));
  EXPECT_THAT(error_of([&] { checkpoint->find("ids"); }), HasSubstr("found 'I64'"));
  EXPECT_EQ(checkpoint->find("absent"), nullptr);
}

TEST(CheckpointKeys, ReadsConfigJson) {
  const auto c = with_config(R"({
    "architectures": ["A"], "n": 7, "whole": 8192.0, "part": 0.5, "big": 9223372036854775808,
    "max": 9223372036854775807, "none": null, "yes": true, "text": "t", "list": [1, 2.0, true],
    "mixed": [1, "x"], "rope": {"factor": 8, "type": null}, "dotted.key": 1})");
  EXPECT_EQ(c->integer({"n", ""}), 7);
  EXPECT_EQ(c->integer({"whole", ""}), 8192);
  EXPECT_EQ(c->integer({"max", ""}), INT64_MAX);
  EXPECT_EQ(c->integer({"none", ""}), std::nullopt);
  EXPECT_EQ(c->integer({"", "n"}), std::nullopt);
  EXPECT_EQ(c->integer({"absent|none|rope.factor|n", ""}), 8);
  EXPECT_EQ(c->integer({"n.inner|rope.absent|rope.type", ""}), std::nullopt);
  for (const char* key : {"big", "part", "yes", "text", "list", "rope"}) {
    EXPECT_THROW(c->integer({key, ""}), LoadError) << key;
  }
  EXPECT_THAT(error_of([&] {
                c->integer({"absent|text", ""});
              }),
              HasSubstr("config.json: key 'text': expected an integer below 2^63, found"));
  EXPECT_EQ(c->real({"part", ""}), 0.5);
  EXPECT_EQ(c->real({"n", ""}), 7.0);
  EXPECT_THROW(c->real({"text", ""}), LoadError);
  EXPECT_THAT(c->boolean({"yes", ""}), Optional(true));
  EXPECT_THROW(c->boolean({"n", ""}), LoadError);
  EXPECT_EQ(c->string({"text", ""}), "t");
  EXPECT_THROW(c->string({"n", ""}), LoadError);
  EXPECT_THAT(c->integers({"list", ""}), Optional(ElementsAre(1, 2, 1)));
  EXPECT_THAT(c->integers({"n", ""}), Optional(ElementsAre(7)));
  EXPECT_THROW(c->integers({"mixed", ""}), LoadError);
  EXPECT_THROW(c->integers({"text", ""}), LoadError);
}

TEST(CheckpointKeys, ReadsGguf) {
  GgufImage image;
  image.set("general.architecture", "llama").set("general.file_type", 2u).set("llama.n", 7u);
  image.set("tokenizer.ggml.model", "gpt2").set("llama.r", 0.5f).set("other.n", 9u);
  image.set("llama.yes", true).set_array<std::uint32_t>("llama.list", {4, 5});
  const TempFolder folder;
  const auto c = Checkpoint::open(folder.write("m.gguf", image.bytes()));
  EXPECT_EQ(c->integer({"x", "n"}), 7);
  EXPECT_EQ(c->integer({"x", "absent|n"}), 7);
  EXPECT_EQ(c->integer({"x", "general.file_type"}), 2);
  EXPECT_EQ(c->integer({"n", ""}), std::nullopt);
  EXPECT_EQ(c->integer({"", "llama.n"}), std::nullopt);
  EXPECT_EQ(c->real({"", "r"}), 0.5);
  EXPECT_EQ(c->real({"", "n"}), 7.0);
  EXPECT_EQ(c->string({"", "tokenizer.ggml.model"}), "gpt2");
  EXPECT_THAT(c->boolean({"", "yes"}), Optional(true));
  EXPECT_THAT(c->integers({"", "list"}), Optional(ElementsAre(4, 5)));
  EXPECT_THAT(c->integers({"", "n"}), Optional(ElementsAre(7)));
  EXPECT_THAT(error_of([&] { c->integer({"", "r"}); }), HasSubstr("m.gguf: key 'llama.r'"));
}

TEST(CheckpointConfig, MergesTextConfigOverTheRoot) {
  const auto c = with_config(R"({"architectures":["G"],"hidden_size":1,"vision_config":{"a":1},
    "text_config":{"hidden_size":2,"model_type":"g_text","architectures":null,"layers":3}})");
  EXPECT_EQ(c->architecture(), "G");
  EXPECT_EQ(c->integer({"hidden_size", ""}), 2);
  EXPECT_EQ(c->integer({"layers", ""}), 3);
  EXPECT_EQ(c->integer({"vision_config.a", ""}), 1);
  EXPECT_EQ(c->integer({"text_config.layers", ""}), 3);
}

TEST(CheckpointConfig, TakesModelTypeWhereArchitecturesIsMissing) {
  EXPECT_EQ(with_config(R"({"model_type":"llama"})")->architecture(), "llama");
  EXPECT_EQ(with_config(R"({"model_type":"llama","architectures":null})")->architecture(), "llama");
  EXPECT_EQ(with_config(R"({"model_type":"llama","architectures":[]})")->architecture(), "llama");
}

TEST(CheckpointConfig, ReadsBareNumberWords) {
  const auto c = with_config(R"({"model_type":"m","up":Infinity,"down":-Infinity,"nan":NaN,
    "limits":[0.0,Infinity],"text":"Infinity \" NaN","NaN":1,
    "saved":[0.0,{"__float__":"Infinity"}],"other":{"__float__":1}})");
  EXPECT_EQ(c->real({"up", ""}), std::numeric_limits<double>::infinity());
  EXPECT_EQ(c->real({"down", ""}), -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(c->real({"nan", ""}).value()));
  EXPECT_EQ(c->string({"text", ""}), "Infinity \" NaN");
  EXPECT_EQ(c->integer({"NaN", ""}), 1);
  EXPECT_EQ(c->config()->at("limits").at(1), "Infinity");
  EXPECT_EQ(c->config()->at("saved").at(1), "Infinity");  // as transformers 5 writes it
  EXPECT_EQ(c->integer({"other.__float__", ""}), 1);
}

}  // namespace
}  // namespace rbee
