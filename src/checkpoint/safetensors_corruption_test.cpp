// Each way of spoiling a safetensors file, an index or a config.json gives a LoadError that names
// the file and the field, without a large allocation.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "base/load_error.hpp"
#include "checkpoint/checkpoint.hpp"
#include "checkpoint/safetensors_file.hpp"
#include "checkpoint/testing/allocation_watch.hpp"
#include "checkpoint/testing/gguf_image.hpp"
#include "checkpoint/testing/safetensors_image.hpp"
#include "checkpoint/testing/temp_folder.hpp"

namespace rbee {
namespace {

using testing::AllocationWatch;
using testing::SafetensorsImage;
using testing::TempFolder;

constexpr std::size_t kMostBytes = 128 << 10;  // for files of less than 2 KiB
constexpr const char* kConfig = R"({"architectures":["LlamaForCausalLM"],"hidden_size":8})";

SafetensorsImage valid_image() {
  SafetensorsImage image;
  const std::vector<float> values(16, 0.5f);
  image.metadata = R"({"format":"pt"})";
  image.add_tensor("a", {2, 8}, values);
  image.add_tensor("b", "BF16", {4}, std::string(8, 'b'));
  image.add_tensor("c", "I64", {1}, std::string(8, 'c'));
  return image;
}

// A file of this header and size bytes of data.
std::string with_header(std::string header, std::size_t size = 0) {
  SafetensorsImage image;
  image.header = std::move(header);
  image.data.resize(size);
  return image.bytes();
}

// Opens the folder; expects an error for the file that tells of the field.
void expect_refused(const TempFolder& folder, const std::string& file, const std::string& field,
                    std::size_t most_bytes = kMostBytes) {
  const AllocationWatch watch;
  try {
    Checkpoint::open(folder.path());
    ADD_FAILURE() << "opened";
  } catch (const LoadError& e) {
    const std::size_t largest = watch.largest();
    const auto path = file.empty() ? folder.path() : folder.path() / file;
    EXPECT_EQ(e.file(), path.string()) << e.what();
    EXPECT_NE(e.field().find(field), std::string::npos) << e.what();
    EXPECT_LT(largest, most_bytes);
  }
}

struct Spoilt {
  const char* what;
  const char* field;
  void (*spoil)(SafetensorsImage&);
};

const Spoilt kImages[] = {
    {"header length 0", "header length", [](auto& s) { s.header_length = 0; }},
    {"header length 1", "header length", [](auto& s) { s.header_length = 1; }},
    {"header length 2^64 - 1", "header length", [](auto& s) { s.header_length = ~0ull; }},
    {"header length 2^63", "header length", [](auto& s) { s.header_length = 1ull << 63; }},
    {"header length over 100 MB", "header length", [](auto& s) { s.header_length = 100000001; }},
    {"header length of 100 MB", "header", [](auto& s) { s.header_length = 100000000; }},
    {"header beyond the file", "header",
     [](auto& s) { s.header_length = s.header_text().size() + s.data.size() + 1; }},
    {"header length too small", "header",
     [](auto& s) { s.header_length = s.header_text().size() - 1; }},
    {"header length into the data", "header",
     [](auto& s) { s.header_length = s.header_text().size() + 8; }},
    {"name twice", "tensor 'a'", [](auto& s) { s.tensors[1].name = s.tensors[0].name; }},
    {"name twice, once of another type", "tensor 'a'",
     [](auto& s) { s.tensors[2].name = s.tensors[0].name; }},
    {"empty name", "tensor ''", [](auto& s) { s.tensors[1].name.clear(); }},
    {"narrower type", "tensor 'a'", [](auto& s) { s.tensors[0].dtype = std::string("F16"); }},
    {"wider type", "tensor 'b'", [](auto& s) { s.tensors[1].dtype = std::string("F32"); }},
    {"wider type that is not computed with", "tensor 'b'",
     [](auto& s) { s.tensors[1].dtype = std::string("F64"); }},
    {"type of part of a byte", "tensor 'b'",
     [](auto& s) {
       s.tensors[1].dtype = std::string("F6_E2M3");
       s.tensors[1].shape = {11};
     }},
    {"a row too many", "tensor 'a'",
     [](auto& s) {
       s.tensors[0].shape = {3, 8};
     }},
    {"a row too few", "tensor 'a'",
     [](auto& s) {
       s.tensors[0].shape = {1, 8};
     }},
    {"no rows", "tensor 'a'",
     [](auto& s) {
       s.tensors[0].shape = {0, 8};
     }},
    {"scalar with the data of a vector", "tensor 'b'", [](auto& s) { s.tensors[1].shape = {}; }},
    {"negative dimension", "tensor 'a'",
     [](auto& s) {
       s.tensors[0].shape = {-2, 8};
     }},
    {"negative dimensions", "tensor 'a'",
     [](auto& s) {
       s.tensors[0].shape = {-2, -8};
     }},
    {"dimension of 2^63 - 1", "tensor 'a'", [](auto& s) { s.tensors[0].shape = {INT64_MAX}; }},
    {"product of 2^80", "tensor 'a'",
     [](auto& s) {
       s.tensors[0].shape = {1ll << 40, 1ll << 40};
     }},
    {"product that wraps to the size", "tensor 'a'",
     [](auto& s) {
       s.tensors[0].shape = {1ll << 62, 4, 16};
     }},
    {"begin after end", "tensor 'b'",
     [](auto& s) { std::swap(s.tensors[1].begin, s.tensors[1].end); }},
    {"end past the data", "tensor 'c'", [](auto& s) { s.tensors[2].end += 8; }},
    {"huge end", "tensor 'c'", [](auto& s) { s.tensors[2].end = ~0ull; }},
    {"huge offsets", "tensor 'c'",
     [](auto& s) {
       s.tensors[2].begin = ~0ull - 8;
       s.tensors[2].end = ~0ull;
     }},
    {"gap at the start", "tensor 'a'",
     [](auto& s) {
       s.tensors.erase(s.tensors.begin());
       s.tensors[0].name = std::string("a");
     }},
    {"gap in the middle", "tensor 'c'", [](auto& s) { s.tensors.erase(s.tensors.begin() + 1); }},
    {"data that nobody owns", "data", [](auto& s) { s.tensors.pop_back(); }},
    {"overlap", "tensor ",
     [](auto& s) {
       s.tensors[1].begin -= 4;
       s.tensors[1].end -= 4;
     }},
    {"same data twice", "tensor ",
     [](auto& s) {
       s.tensors[2].begin = s.tensors[1].begin;
       s.tensors[2].end = s.tensors[1].end;
     }},
    {"data cut by a byte", "tensor 'c'", [](auto& s) { s.data.pop_back(); }},
    {"no data", "tensor 'a'", [](auto& s) { s.data.clear(); }},
    {"a byte too many", "data", [](auto& s) { s.data += '\0'; }},
    {"metadata of a number", "__metadata__", [](auto& s) { s.metadata = std::string("7"); }},
    {"metadata of an array", "__metadata__", [](auto& s) { s.metadata = std::string("[]"); }},
    {"metadata of other than strings", "__metadata__",
     [](auto& s) { s.metadata = std::string(R"({"a":1})"); }},
    {"nested metadata", "__metadata__", [](auto& s) { s.metadata = std::string(R"({"a":{}})"); }},
    {"metadata twice", "__metadata__",
     [](auto& s) { s.metadata = std::string(R"({},"__metadata__":{})"); }},
};

TEST(SafetensorsCorruption, OfTheHeader) {
  const TempFolder folder;
  folder.write("config.json", kConfig);
  folder.write("model.safetensors", valid_image().bytes());
  EXPECT_NO_THROW(Checkpoint::open(folder.path()));
  for (const Spoilt& spoilt : kImages) {
    SCOPED_TRACE(spoilt.what);
    SafetensorsImage image = valid_image();
    spoilt.spoil(image);
    folder.write("model.safetensors", image.bytes());
    expect_refused(folder, "model.safetensors", spoilt.field);
  }
}

struct BadJson {
  const char* field;
  std::string header;
};

TEST(SafetensorsCorruption, OfTheJson) {
  const std::string nul("{}\0\0", 4);
  const BadJson table[] = {
      {"header", "[]"},
      {"header", "null"},
      {"header", "   "},
      {"header", "{ "},
      {"header", "{}{}"},
      {"header", "{} x"},
      {"header", nul},
      {"header", "{'a':1}"},
      {"header", "{\"a\":{},}"},
      {"header", "{\"a\" {}}"},
      {"header", "{\"a\":{}}//"},
      {"header", "{\"\xff\":{}}"},
      {"header", "{\"a\nb\":{}}"},
      {"header", R"({"\ud800":{}})"},
      {"header", R"({"\x41":{}})"},
      {"header", std::string(100000, '[')},
      {"header", R"({"a":)" + std::string(1000, '[') + std::string(1000, ']') + "}"},
      {"header", R"({"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,0]}})"},
      {"tensor 'a'", R"({"a":7})"},
      {"tensor 'a'", R"({"a":null})"},
      {"tensor 'a'", R"({"a":[]})"},
      {"tensor 'a'", R"({"a":{}})"},
      {"tensor 'a'", R"({"a":{"shape":[0],"data_offsets":[0,0]}})"},
      {"tensor 'a'", R"({"a":{"dtype":"F32","data_offsets":[0,0]}})"},
      {"tensor 'a'", R"({"a":{"dtype":"F32","shape":[0]}})"},
      {"tensor 'a'", R"({"a":{"dtype":"F32","dtype":"F32","shape":[0],"data_offsets":[0,0]}})"},
      {"tensor 'a'", R"({"a":{"dtype":"F32","shape":[0],"shape":[0],"data_offsets":[0,0]}})"},
      {"dtype", R"({"a":{"dtype":7,"shape":[0],"data_offsets":[0,0]}})"},
      {"dtype", R"({"a":{"dtype":"","shape":[0],"data_offsets":[0,0]}})"},
      {"dtype", R"({"a":{"dtype":["F32"],"shape":[0],"data_offsets":[0,0]}})"},
      {"shape", R"({"a":{"dtype":"F32","shape":{},"data_offsets":[0,0]}})"},
      {"shape", R"({"a":{"dtype":"F32","shape":"0","data_offsets":[0,0]}})"},
      {"shape", R"({"a":{"dtype":"F32","shape":[0.0],"data_offsets":[0,0]}})"},
      {"shape", R"({"a":{"dtype":"F32","shape":["0"],"data_offsets":[0,0]}})"},
      {"shape", R"({"a":{"dtype":"F32","shape":[[0]],"data_offsets":[0,0]}})"},
      {"shape", R"({"a":{"dtype":"F32","shape":[true],"data_offsets":[0,0]}})"},
      {"shape", R"({"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,0]}})"},
      {"header", R"({"a":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,0]}})"},
      {"data_offsets", R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[]}})"},
      {"data_offsets", R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[0]}})"},
      {"data_offsets", R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0,0]}})"},
      {"data_offsets", R"({"a":{"dtype":"F32","shape":[0],"data_offsets":{"0":0}}})"},
      {"data_offsets", R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[-8,0]}})"},
      {"data_offsets", R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[0,-8]}})"},
      {"data_offsets", R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[0.0,0.0]}})"},
      {"data_offsets", R"({"a":{"dtype":"F32","shape":[0],"data_offsets":["0","0"]}})"},
      {"data_offsets", R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[false,false]}})"},
      {"data_offsets", R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[0,1e3]}})"},
  };
  const TempFolder folder;
  folder.write("config.json", kConfig);
  for (const BadJson& bad : table) {
    SCOPED_TRACE(bad.header.substr(0, 200));
    folder.write("model.safetensors", with_header(bad.header, 8));
    // The parser's own tables are a few times the text.
    expect_refused(folder, "model.safetensors", bad.field, kMostBytes + 16 * bad.header.size());
  }
}

TEST(SafetensorsCorruption, OfTheIndex) {
  const auto map = [](const std::string& value) { return R"({"weight_map":{"a":)" + value + "}}"; };
  const BadJson table[] = {
      {"JSON", ""},
      {"JSON", "[]"},
      {"JSON", "{\"weight_map\":"},
      {"JSON", "{\"weight_map\":{\"\xff\":\"s.safetensors\"}}"},
      {"JSON", std::string(5000, '[')},
      {"weight_map", "{}"},
      {"weight_map", R"({"weight_map":[]})"},
      {"weight_map", R"({"weight_map":"s.safetensors"})"},
      {"'a'", map("7")},
      {"'a'", map("null")},
      {"'a'", map(R"(["s.safetensors"])")},
      {"'a'", map(R"("")")},
      {"'a'", map(R"("..")")},
      {"'a'", map(R"("model.bin")")},
      {"'a'", map(R"("/etc/passwd")")},
      {"'a'", map(R"("/tmp/s.safetensors")")},
      {"'a'", map(R"("../s.safetensors")")},
      {"'a'", map(R"("sub/s.safetensors")")},
      {"'a'", map(R"("sub/../s.safetensors")")},
      {"'a'", map(R"("./s.safetensors")")},
      {"'a'", map(R"("..\\s.safetensors")")},
      {"'a'", map(R"("s\u0000.safetensors")")},
      {"'a'", map(R"("\u002e\u002e\u002fs.safetensors")")},
      {"'a'", R"({"weight_map":{"a":"s.safetensors","a":"s.safetensors"}})"},
      {"'z'", R"({"weight_map":{"a":"s.safetensors","z":"s.safetensors"}})"},
      {"'b'", R"({"weight_map":{"a":"s.safetensors","b":"t.safetensors"}})"},
  };
  const TempFolder folder;
  folder.write("config.json", kConfig);
  folder.write("s.safetensors", valid_image().bytes());
  folder.write("t.safetensors", SafetensorsImage().add_tensor("t", {1}, std::vector{1.0f}).bytes());
  for (const BadJson& bad : table) {
    SCOPED_TRACE(bad.header.substr(0, 200));
    folder.write("model.safetensors.index.json", bad.header);
    expect_refused(folder, "model.safetensors.index.json", bad.field);
  }
}

TEST(SafetensorsCorruption, OfShards) {
  namespace fs = std::filesystem;
  const TempFolder folder;
  folder.write("config.json", kConfig);
  const std::string index = "model.safetensors.index.json";
  const fs::path shard = folder.path() / "s.safetensors";
  folder.write(index, testing::index_text({{"a", "s.safetensors"}}));
  expect_refused(folder, "s.safetensors", "file");  // missing
  fs::create_directory(shard);
  expect_refused(folder, "s.safetensors", "file");
  fs::remove(shard);
  fs::create_symlink("s.safetensors", shard);  // to itself
  expect_refused(folder, "s.safetensors", "file");
  fs::remove(shard);
  fs::create_symlink("nowhere", shard);
  expect_refused(folder, "s.safetensors", "file");
  fs::remove(shard);
  folder.write("s.safetensors", "");
  expect_refused(folder, "s.safetensors", "header length");

  folder.write("s.safetensors", valid_image().bytes());
  EXPECT_NO_THROW(Checkpoint::open(folder.path()));
  folder.write("t.safetensors", valid_image().bytes());
  folder.write(index, testing::index_text({{"a", "s.safetensors"}, {"b", "t.safetensors"}}));
  expect_refused(folder, "t.safetensors", "tensor 'a'");  // in both
  folder.write(index, testing::index_text({}));
  expect_refused(folder, "", "folder");
  fs::remove(folder.path() / index);
  fs::create_directory(folder.path() / index);
  expect_refused(folder, index, "file");
  fs::remove(folder.path() / index);
  expect_refused(folder, "t.safetensors", "tensor 'a'");  // without an index too
}

TEST(SafetensorsCorruption, OfTheConfig) {
  std::string many = "{\"architectures\":[\"X\"]";
  for (int i = 0; i < 30000; ++i) many += ",\"k" + std::to_string(i) + "\":0";
  many += "}";
  const BadJson table[] = {
      {"JSON", ""},
      {"JSON", "[]"},
      {"JSON", "7"},
      {"JSON", "Infinity"},
      {"JSON", "{\"a\":Infinitely}"},
      {"JSON", "{\"a\":\"unclosed\\"},
      {"JSON", std::string(kConfig).substr(0, 30)},
      {"JSON", "{\"a\":\"\xff\"}"},
      {"JSON", std::string(100000, '[')},
      {"JSON", R"({"architectures":["X"],"a":1e999})"},
      {"architectures", "{}"},
      {"architectures", R"({"architectures":[]})"},
      {"architectures", R"({"architectures":"X"})"},
      {"architectures", R"({"architectures":[7],"model_type":7})"},
      {"members", many},
      {"size", std::string((8 << 20) + 1, ' ')},
  };
  const TempFolder folder;
  folder.write("model.safetensors", valid_image().bytes());
  expect_refused(folder, "config.json", "file");
  for (const BadJson& bad : table) {
    SCOPED_TRACE(bad.header.substr(0, 100));
    folder.write("config.json", bad.header);
    expect_refused(folder, "config.json", bad.field, kMostBytes + 2 * bad.header.size());
  }
}

// On the heap at its exact size, so that the address sanitizer sees a read past the end.
bool opens(std::string_view text) {
  const std::vector<char> copy(text.begin(), text.end());
  const AllocationWatch watch;
  bool ok = true;
  try {
    for (const auto& tensor : read_safetensors("m", std::as_bytes(std::span(copy)))) {
      EXPECT_LE(tensor.bytes.data() + tensor.bytes.size(),
                reinterpret_cast<const std::byte*>(copy.data() + copy.size()));
    }
  } catch (const LoadError& e) {
    EXPECT_FALSE(e.field().empty());
    ok = false;
  }
  EXPECT_LT(watch.largest(), kMostBytes);
  return ok;
}

TEST(SafetensorsCorruption, TruncationAtEveryByte) {
  const std::string bytes = valid_image().bytes();
  EXPECT_TRUE(opens(bytes));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(opens(std::string_view(bytes).substr(0, size))) << size;
  }
}

TEST(SafetensorsCorruption, OfEachByteNeverCrashes) {
  const std::string valid = valid_image().bytes();
  std::string bytes = valid;
  std::size_t refused = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const int change : {0x01, 0x02, 0x10, 0x80, 0xff}) {
      bytes[i] = static_cast<char>(bytes[i] ^ change);
      refused += opens(bytes) ? 0 : 1;
      bytes[i] = valid[i];
    }
  }
  EXPECT_GT(refused, 500u);
}

}  // namespace
}  // namespace rbee
