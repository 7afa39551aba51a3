// Each way of spoiling a GGUF file gives a LoadError that names the file and the field, without a
// large allocation.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/load_error.hpp"
#include "checkpoint/checkpoint.hpp"
#include "checkpoint/gguf_file.hpp"
#include "checkpoint/testing/allocation_watch.hpp"
#include "checkpoint/testing/gguf_image.hpp"
#include "checkpoint/testing/temp_folder.hpp"

namespace rbee {
namespace {

using testing::AllocationWatch;
using testing::GgufImage;
using testing::raw;
using testing::raw_string;
using testing::TempFolder;

constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t kMostBytes = 64 << 10;  // for files of less than 2 KiB

GgufImage valid_image() {
  GgufImage image;
  image.set("general.architecture", "llama")
      .set("llama.block_count", std::uint32_t{1})
      .set("llama.flag", true)
      .set_array<std::int32_t>("llama.list", {1, 2, 3})
      .set_strings("tokenizer.ggml.tokens", {"<unk>", "a", "bc"});
  const std::vector<float> values(16, 0.5f);
  image.add_tensor("a", {2, 8}, values);
  image.add_tensor("b", DType::q4_0, {2, 32}, std::string(36, 'q'));
  image.add_tensor("c", DType::f16, {5}, std::string(10, 'h'));
  return image;
}

struct Spoilt {
  const char* what;
  const char* field;  // part of the field that the error names
  void (*spoil)(GgufImage&);
};

const Spoilt kHeader[] = {
    {"magic of an older format", "magic", [](auto& g) { g.magic = std::string("GGML"); }},
    {"magic in small letters", "magic", [](auto& g) { g.magic = std::string("gguf"); }},
    {"magic of zeros", "magic", [](auto& g) { g.magic = std::string(4, '\0'); }},
    {"version 0", "version", [](auto& g) { g.version = 0; }},
    {"version 1", "version", [](auto& g) { g.version = 1; }},
    {"version 4", "version", [](auto& g) { g.version = 4; }},
    {"big-endian version 2", "version", [](auto& g) { g.version = 0x02000000; }},
    {"big-endian version 3", "version", [](auto& g) { g.version = 0x03000000; }},
    {"huge tensor count", "tensor count", [](auto& g) { g.tensor_count = kHuge; }},
    {"tensor count of 2^63", "tensor count", [](auto& g) { g.tensor_count = 1ull << 63; }},
    {"tensor count beyond the file", "tensor count", [](auto& g) { g.tensor_count = 1000; }},
    {"one tensor too many", "tensor 3", [](auto& g) { g.tensor_count = 4; }},
    {"one tensor too few", "data", [](auto& g) { g.tensor_count = 2; }},
    {"no tensors counted", "data", [](auto& g) { g.tensor_count = 0; }},
    {"huge key count", "key count", [](auto& g) { g.entry_count = kHuge; }},
    {"key count beyond the file", "key count", [](auto& g) { g.entry_count = 1000; }},
    {"one key too many", "tensor 0", [](auto& g) { g.entry_count = 6; }},
    {"one key too few", "tensor 'tokenizer.ggml.tokens'", [](auto& g) { g.entry_count = 4; }},
};

const Spoilt kKeys[] = {
    {"empty key", "key 1", [](auto& g) { g.entries[1].key = std::string(""); }},
    {"huge key length", "key 1", [](auto& g) { g.entries[1].key_length = kHuge; }},
    {"key beyond the limit", "key 1", [](auto& g) { g.entries[1].key = std::string(65536, 'k'); }},
    {"key beyond the file", "key 1", [](auto& g) { g.entries[1].key_length = 60000; }},
    {"key not UTF-8", "key 1", [](auto& g) { g.entries[1].key = std::string("llama.\xff"); }},
    {"key twice", "key 'llama.flag'",
     [](auto& g) { g.entries[1].key = std::string("llama.flag"); }},
    {"unknown value type", "'llama.block_count'", [](auto& g) { g.entries[1].type = 13; }},
    {"huge value type", "'llama.block_count'", [](auto& g) { g.entries[1].type = 0xffffffff; }},
    {"bool of 2", "'llama.flag'", [](auto& g) { g.entries[2].value = std::string("\x02"); }},
    {"bool of 255 in an array", "'x'",
     [](auto& g) { g.set_array_raw("x", GgufType::boolean, 2, "\x01\xff"); }},
    {"array of arrays", "'x'", [](auto& g) { g.set_array_raw("x", GgufType::array, 0, ""); }},
    {"array of an unknown type", "'x'",
     [](auto& g) { g.set_array_raw("x", GgufType{13}, 1, "1234"); }},
    {"huge array of bytes", "'x'", [](auto& g) { g.set_array_raw("x", GgufType::u8, kHuge, ""); }},
    {"array whose size overflows", "'x'",
     [](auto& g) { g.set_array_raw("x", GgufType::f64, 1ull << 61, ""); }},
    {"array beyond the file", "'x'", [](auto& g) { g.set_array_raw("x", GgufType::i32, 999, ""); }},
    {"huge array of strings", "'x'",
     [](auto& g) { g.set_array_raw("x", GgufType::string, 1ull << 60, ""); }},
    {"huge string in an array", "'x'",
     [](auto& g) { g.set_array_raw("x", GgufType::string, 1, raw(kHuge)); }},
    {"huge string", "'x'", [](auto& g) { g.set_raw("x", GgufType::string, raw(kHuge)); }},
    {"string beyond the file", "'x'",
     [](auto& g) { g.set_raw("x", GgufType::string, raw(std::uint64_t{5000})); }},
    {"no architecture", "'general.architecture'",
     [](auto& g) { g.entries[0].key = std::string("other"); }},
    {"empty architecture", "'general.architecture'",
     [](auto& g) { g.entries[0].value = raw_string(""); }},
    {"architecture of a number", "'general.architecture'",
     [](auto& g) {
       g.entries[0] = {"general.architecture", 4, raw(7u), {}};
     }},
    {"alignment 0", "'general.alignment'", [](auto& g) { g.set("general.alignment", 0u); }},
    {"alignment 3", "'general.alignment'", [](auto& g) { g.set("general.alignment", 3u); }},
    {"alignment 2^31", "'general.alignment'",
     [](auto& g) { g.set("general.alignment", 1u << 31); }},
    {"alignment -32", "'general.alignment'", [](auto& g) { g.set("general.alignment", -32); }},
    {"alignment of 2^64 - 32", "'general.alignment'",
     [](auto& g) { g.set("general.alignment", kHuge - 31); }},
    {"alignment of a real", "'general.alignment'",
     [](auto& g) { g.set("general.alignment", 32.0f); }},
    {"alignment other than the data's", "tensor 'c'",
     [](auto& g) { g.set("general.alignment", 64u); }},
    {"alignment beyond the file", "tensor 'a'",
     [](auto& g) { g.set("general.alignment", 1u << 20); }},
};

const Spoilt kTensors[] = {
    {"empty name", "tensor 1", [](auto& g) { g.tensors[1].name = std::string(""); }},
    {"name of 64 bytes", "tensor 1", [](auto& g) { g.tensors[1].name = std::string(64, 'n'); }},
    {"huge name length", "tensor 1", [](auto& g) { g.tensors[1].name_length = kHuge; }},
    {"name not UTF-8", "tensor 1", [](auto& g) { g.tensors[1].name = std::string("\xc0\x80"); }},
    {"name twice", "tensor 'a'", [](auto& g) { g.tensors[1].name = std::string("a"); }},
    {"no dimensions", "tensor 'b'", [](auto& g) { g.tensors[1].ne = {}; }},
    {"five dimensions", "tensor 'b'",
     [](auto& g) {
       g.tensors[1].ne = {32, 2, 1, 1, 1};
     }},
    {"2^32 - 1 dimensions", "tensor 'b'", [](auto& g) { g.tensors[1].n_dims = 0xffffffff; }},
    {"one dimension too many", "tensor 'b'", [](auto& g) { g.tensors[1].n_dims = 3; }},
    {"no columns", "tensor 'b'",
     [](auto& g) {
       g.tensors[1].ne = {0, 2};
     }},
    {"no rows", "tensor 'b'",
     [](auto& g) {
       g.tensors[1].ne = {32, 0};
     }},
    {"dimension of 2^63", "tensor 'b'", [](auto& g) { g.tensors[1].ne = {1ull << 63}; }},
    {"dimension of 2^64 - 32", "tensor 'b'",
     [](auto& g) {
       g.tensors[1].ne = {kHuge - 31, 2};
     }},
    {"product of 2^64", "tensor 'b'",
     [](auto& g) {
       g.tensors[1].ne = {1ull << 32, 1ull << 32};
     }},
    {"product of 2^63", "tensor 'b'",
     [](auto& g) {
       g.tensors[1].ne = {1ull << 62, 2};
     }},
    {"four dimensions that wrap to 1", "tensor 'a'",
     [](auto& g) {
       g.tensors[0].ne = {1ull << 16, 1ull << 16, 1ull << 16, 1ull << 16};
     }},
    {"size in bytes of 2^64", "tensor 'a'", [](auto& g) { g.tensors[0].ne = {1ull << 62}; }},
    {"more rows than data", "tensor 'c'",
     [](auto& g) {
       g.tensors[2].ne = {5, 100};
     }},
    {"a row too many", "tensor 'b'",
     [](auto& g) {
       g.tensors[0].ne = {8, 3};
     }},
    {"a row too few", "tensor 'b'",
     [](auto& g) {
       g.tensors[0].ne = {8, 1};
     }},
    {"part of a block of 32", "tensor 'b'",
     [](auto& g) {
       g.tensors[1].ne = {31, 2};
     }},
    {"part of a block of 256", "tensor 'b'", [](auto& g) { g.tensors[1].type = 14; }},
    {"type never given out", "tensor 'b'", [](auto& g) { g.tensors[1].type = 43; }},
    {"huge type", "tensor 'b'", [](auto& g) { g.tensors[1].type = 0xffffffff; }},
    {"withdrawn type 4", "tensor 'b'", [](auto& g) { g.tensors[1].type = 4; }},
    {"withdrawn type 5", "tensor 'b'", [](auto& g) { g.tensors[1].type = 5; }},
    {"withdrawn type 31", "tensor 'b'", [](auto& g) { g.tensors[1].type = 31; }},
    {"withdrawn type 33", "tensor 'b'", [](auto& g) { g.tensors[1].type = 33; }},
    {"withdrawn type 36", "tensor 'b'", [](auto& g) { g.tensors[1].type = 36; }},
    {"withdrawn type 38", "tensor 'b'", [](auto& g) { g.tensors[1].type = 38; }},
    {"type of larger blocks", "tensor 'c'", [](auto& g) { g.tensors[1].type = 8; }},
    {"last tensor smaller than its data", "data",
     [](auto& g) {
       g.tensors.pop_back();
       g.tensors[1].type = 0;
       g.tensors[1].ne = {1};
     }},
    {"first offset not 0", "tensor 'a'", [](auto& g) { g.tensors[0].offset = 32; }},
    {"offset not aligned", "tensor 'b'", [](auto& g) { g.tensors[1].offset += 1; }},
    {"offset of the tensor before", "tensor ", [](auto& g) { g.tensors[1].offset = 0; }},
    {"offset into the tensor before", "tensor 'b'", [](auto& g) { g.tensors[1].offset = 32; }},
    {"gap before a tensor", "tensor 'c'",
     [](auto& g) {
       g.tensors[2].offset += 32;
       g.data.resize(g.data.size() + 32);
     }},
    {"offset past the end", "tensor 'c'", [](auto& g) { g.tensors[2].offset = 1 << 20; }},
    {"offset of 2^64 - 32", "tensor 'c'", [](auto& g) { g.tensors[2].offset = kHuge - 31; }},
    {"data cut by a byte", "tensor 'c'", [](auto& g) { g.data.pop_back(); }},
    {"data cut in the middle", "tensor 'b'", [](auto& g) { g.data.resize(80); }},
    {"no data", "tensor 'a'", [](auto& g) { g.data.clear(); }},
    {"data after the last tensor", "data", [](auto& g) { g.data.resize(g.data.size() + 32); }},
};

void expect_refused(const Spoilt& spoilt, const std::string& bytes, const TempFolder& folder) {
  SCOPED_TRACE(spoilt.what);
  const auto path = folder.write("m.gguf", bytes);
  const AllocationWatch watch;
  try {
    Checkpoint::open(path);
    ADD_FAILURE() << "opened";
  } catch (const LoadError& e) {
    const std::size_t largest = watch.largest();
    EXPECT_EQ(e.file(), path.string());
    EXPECT_NE(e.field().find(spoilt.field), std::string::npos) << e.what();
    EXPECT_LT(largest, kMostBytes);
  }
}

template <std::size_t N>
void expect_all_refused(const Spoilt (&table)[N]) {
  const TempFolder folder;
  EXPECT_NO_THROW(Checkpoint::open(folder.write("m.gguf", valid_image().bytes())));
  for (const Spoilt& spoilt : table) {
    GgufImage image = valid_image();
    spoilt.spoil(image);
    expect_refused(spoilt, image.bytes(), folder);
  }
}

TEST(GgufCorruption, OfTheHeader) { expect_all_refused(kHeader); }
TEST(GgufCorruption, OfKeys) { expect_all_refused(kKeys); }
TEST(GgufCorruption, OfTensors) { expect_all_refused(kTensors); }

// On the heap at its exact size, so that the address sanitizer sees a read past the end.
bool opens(std::string_view text) {
  const std::vector<char> copy(text.begin(), text.end());
  const AllocationWatch watch;
  bool ok = false;
  try {
    const GgufFile file = read_gguf("m.gguf", std::as_bytes(std::span(copy)));
    for (const GgufTensor& tensor : file.tensors) {
      EXPECT_GE(tensor.bytes.data(), reinterpret_cast<const std::byte*>(copy.data()));
      EXPECT_LE(tensor.bytes.data() + tensor.bytes.size(),
                reinterpret_cast<const std::byte*>(copy.data() + copy.size()));
    }
    ok = true;
  } catch (const LoadError& e) {
    EXPECT_FALSE(e.field().empty());
  }
  EXPECT_LT(watch.largest(), kMostBytes);
  return ok;
}

TEST(GgufCorruption, TruncationAtEveryByte) {
  const std::string bytes = valid_image().bytes();
  EXPECT_TRUE(opens(bytes));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(opens(std::string_view(bytes).substr(0, size))) << size;
  }
  // Padding after the last tensor may be there or not.
  for (std::size_t pad = 0; pad < 32; ++pad) EXPECT_TRUE(opens(bytes + std::string(pad, '\0')));

  GgufImage vocabulary = valid_image();
  vocabulary.tensors.clear();
  const std::string header = vocabulary.bytes();
  EXPECT_TRUE(opens(header));
  for (std::size_t size = 0; size < header.size(); ++size) {
    EXPECT_FALSE(opens(std::string_view(header).substr(0, size))) << size;
  }
}

TEST(GgufCorruption, OfEachByteNeverCrashes) {
  const std::string valid = valid_image().bytes();
  std::string bytes = valid;
  std::size_t refused = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const int change :
         {0x01, 0x80, 0xff, static_cast<int>(static_cast<unsigned char>(bytes[i]))}) {
      bytes[i] = static_cast<char>(bytes[i] ^ change);
      refused += opens(bytes) ? 0 : 1;
      bytes[i] = valid[i];
    }
  }
  EXPECT_GT(refused, 500u);
}

}  // namespace
}  // namespace rbee
