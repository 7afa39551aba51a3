// Each encoding, written here as its definition says, against the values that it stands for.
#include "checkpoint/safetensors_encodings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <deque>
#include <nlohmann/json.hpp>
#include <random>

#include "base/load_error.hpp"
#include "checkpoint/codebooks.hpp"
#include "checkpoint/dequantize.hpp"
#include "checkpoint/float8.hpp"
#include "checkpoint/tensor_data.hpp"

namespace rbee {
namespace {

using ::testing::HasSubstr;
using Values = std::vector<float>;

template <class T>
std::size_t u(T n) {
  return static_cast<std::size_t>(n);
}

// Stored tensors that own their bytes.
class Store {
 public:
  template <class T>
  StoredTensor& add(const std::string& name, const std::string& dtype, std::optional<DType> type,
                    std::vector<std::int64_t> shape, const std::vector<T>& values) {
    auto& bytes = bytes_.emplace_back(values.size() * sizeof(T));
    if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
    return tensors.emplace_back(
        StoredTensor{name, dtype, type, std::move(shape), bytes, "model.safetensors"});
  }
  StoredTensor& floats(const std::string& name, std::vector<std::int64_t> shape,
                       const Values& values) {
    return add(name, "F32", DType::f32, std::move(shape), values);
  }
  StoredTensor& words(const std::string& name, std::vector<std::int64_t> shape,
                      const std::vector<std::uint32_t>& values) {
    return add(name, "I32", std::nullopt, std::move(shape), values);
  }
  StoredTensor& named(const std::string& name) {
    for (StoredTensor& tensor : tensors) {
      if (tensor.name == name) return tensor;
    }
    throw std::out_of_range(name);
  }

  std::vector<StoredTensor> tensors;

 private:
  std::deque<std::vector<std::byte>> bytes_;
};

Values decoded(const TensorInfo& info) {
  Values out(u(info.shape[0] * info.shape[1]));
  const TensorData data(info);
  dequantize_row(info.type, data.bytes(), out);
  return out;
}

// The only matrix that the store decodes to, with nothing left over.
TensorInfo decode_one(Store& store, const Json& config) {
  const auto tensors = decode_encodings(&config, store.tensors);
  EXPECT_EQ(tensors.size(), 1U);
  EXPECT_TRUE(store.tensors.empty()) << store.tensors.front().name;
  return tensors.at(0);
}

void expect_near(const Values& found, const Values& expected, float relative = 3e-7F) {
  ASSERT_EQ(found.size(), expected.size());
  float largest = 0;
  for (const float v : expected) largest = std::max(largest, std::fabs(v));
  for (std::size_t i = 0; i < found.size(); ++i) {
    ASSERT_NEAR(found[i], expected[i], relative * largest) << i;
  }
}

// Random codes, scales and zero points, and what they stand for.
struct Affine {
  int rows, cols, group, bits;
  std::vector<int> codes, zeros;  // [rows][cols], [rows][groups]
  Values scales;                  // [rows][groups]

  Affine(int n_rows, int n_cols, int per_group, int n_bits, bool symmetric)
      : rows(n_rows), cols(n_cols), group(per_group), bits(n_bits) {
    std::mt19937 rng(7);
    const int top = 1 << bits;
    for (int i = 0; i < rows * cols; ++i) codes.push_back(static_cast<int>(rng() % u(top)));
    for (int i = 0; i < rows * groups(); ++i) {
      zeros.push_back(symmetric ? top / 2 : 1 + static_cast<int>(rng() % u(top - 1)));
      scales.push_back(0.01F * (1 + static_cast<float>(rng() % 100) / 16));
    }
  }
  int groups() const { return cols / group; }
  Values values(const std::vector<int>& group_of = {}) const {
    Values out;
    for (int r = 0; r < rows; ++r) {
      for (int k = 0; k < cols; ++k) {
        const int g = r * groups() + (group_of.empty() ? k / group : group_of[u(k)]);
        out.push_back(scales[u(g)] * static_cast<float>(codes[u(r * cols + k)] - zeros[u(g)]));
      }
    }
    return out;
  }
};

void put(std::vector<std::uint32_t>& words, std::size_t word, int shift, int value) {
  words[word] |= static_cast<std::uint32_t>(value) << shift;
}

Store compressed(const Affine& a, bool symmetric) {
  Store store;
  const int per = 32 / a.bits;
  const int words_per_row = (a.cols + per - 1) / per;
  std::vector<std::uint32_t> words(u(a.rows * words_per_row));
  for (int r = 0; r < a.rows; ++r) {
    for (int k = 0; k < a.cols; ++k) {
      put(words, u(r * words_per_row + k / per), a.bits * (k % per), a.codes[u(r * a.cols + k)]);
    }
  }
  store.words("m.weight_packed", {a.rows, words_per_row}, words);
  store.add("m.weight_shape", "I64", std::nullopt, {2}, std::vector<std::int64_t>{a.rows, a.cols});
  store.floats("m.weight_scale", {a.rows, a.groups()}, a.scales);
  if (!symmetric) {
    std::vector<std::uint32_t> zeros(u((a.rows + per - 1) / per * a.groups()));
    for (int r = 0; r < a.rows; ++r) {
      for (int g = 0; g < a.groups(); ++g) {
        put(zeros, u(r / per * a.groups() + g), a.bits * (r % per), a.zeros[u(r * a.groups() + g)]);
      }
    }
    store.words("m.weight_zero_point", {(a.rows + per - 1) / per, a.groups()}, zeros);
  }
  return store;
}

Json compressed_config(int bits) {
  return {{"quant_method", "compressed-tensors"},
          {"config_groups", {{"group_0", {{"weights", {{"num_bits", bits}}}}}}}};
}

TEST(CompressedTensors, PackedIntegers) {
  for (const int bits : {4, 8}) {
    for (const bool symmetric : {true, false}) {
      for (const int group : {32, 64, 192}) {
        const Affine a(13, 192, group, bits, symmetric);
        Store store = compressed(a, symmetric);
        const TensorInfo info = decode_one(store, compressed_config(bits));
        EXPECT_EQ(info.name, "m.weight");
        EXPECT_EQ(info.type, bits == 4 ? DType::int4 : DType::int8);
        expect_near(decoded(info), a.values(), 1e-6F);
      }
    }
  }
}

TEST(CompressedTensors, OddShapesAreDecodedToFloats) {
  const Affine a(5, 30, 10, 4, true);
  Store store = compressed(a, true);
  const TensorInfo info = decode_one(store, compressed_config(4));
  EXPECT_EQ(info.type, DType::f32);
  expect_near(decoded(info), a.values());
}

Store gptq(const Affine& a, int zero_offset, const std::vector<int>& group_of) {
  Store store;
  const int per = 32 / a.bits;
  std::vector<std::uint32_t> words(u(a.cols / per * a.rows));
  std::vector<std::uint32_t> zeros(u(a.groups() * a.rows / per));
  Values scales(u(a.groups() * a.rows));
  for (int r = 0; r < a.rows; ++r) {
    for (int k = 0; k < a.cols; ++k) {
      put(words, u(k / per * a.rows + r), a.bits * (k % per), a.codes[u(r * a.cols + k)]);
    }
    for (int g = 0; g < a.groups(); ++g) {
      put(zeros, u(g * (a.rows / per) + r / per), a.bits * (r % per),
          a.zeros[u(r * a.groups() + g)] - zero_offset);
      scales[u(g * a.rows + r)] = a.scales[u(r * a.groups() + g)];
    }
  }
  store.words("m.qweight", {a.cols / per, a.rows}, words);
  store.words("m.qzeros", {a.groups(), a.rows / per}, zeros);
  store.floats("m.scales", {a.groups(), a.rows}, scales);
  std::vector<std::uint32_t> order;
  for (int k = 0; k < a.cols; ++k) {
    order.push_back(static_cast<std::uint32_t>(group_of.empty() ? k / a.group : group_of[u(k)]));
  }
  store.words("m.g_idx", {a.cols}, order);
  return store;
}

TEST(Gptq, BothVersionsOfTheFormat) {
  for (const int bits : {2, 4, 8}) {
    for (const int version : {1, 2}) {
      const Affine a(16, 128, 64, bits, false);
      Store store = gptq(a, version == 1 ? 1 : 0, {});
      Json config{{"quant_method", "gptq"}, {"bits", bits}};
      if (version == 2) config["checkpoint_format"] = "gptq_v2";
      const TensorInfo info = decode_one(store, config);
      EXPECT_EQ(info.name, "m.weight");
      EXPECT_EQ(info.type, bits == 8 ? DType::int8 : DType::int4);
      expect_near(decoded(info), a.values(), 1e-6F);
    }
  }
}

TEST(Gptq, ReorderedColumnsAreDecodedToHalves) {
  const Affine a(8, 64, 16, 4, false);
  std::vector<int> group_of;
  for (int k = 0; k < 64; ++k) group_of.push_back(k * 5 % 4);
  Store store = gptq(a, 1, group_of);
  const TensorInfo info = decode_one(store, {{"quant_method", "gptq"}, {"bits", 4}});
  EXPECT_EQ(info.type, DType::f16);
  expect_near(decoded(info), a.values(group_of), 1e-3F);
}

TEST(Awq, NibblesInItsOrder) {
  constexpr int kPlace[] = {0, 4, 1, 5, 2, 6, 3, 7};
  const Affine a(24, 128, 32, 4, false);
  Store store;
  std::vector<std::uint32_t> words(u(a.cols * 3)), zeros(u(a.groups() * 3));
  Values scales(u(a.groups() * a.rows));
  for (int r = 0; r < a.rows; ++r) {
    for (int k = 0; k < a.cols; ++k) {
      put(words, u(k * 3 + r / 8), 4 * kPlace[r % 8], a.codes[u(r * a.cols + k)]);
    }
    for (int g = 0; g < a.groups(); ++g) {
      put(zeros, u(g * 3 + r / 8), 4 * kPlace[r % 8], a.zeros[u(r * a.groups() + g)]);
      scales[u(g * a.rows + r)] = a.scales[u(r * a.groups() + g)];
    }
  }
  store.words("m.qweight", {a.cols, 3}, words);
  store.words("m.qzeros", {a.groups(), 3}, zeros);
  store.floats("m.scales", {a.groups(), a.rows}, scales);
  const Json config{{"quant_method", "awq"}, {"bits", 4}, {"version", "gemm"}};
  expect_near(decoded(decode_one(store, config)), a.values(), 1e-6F);
}

struct Fp8 {
  std::vector<std::uint8_t> codes;
  Values values;  // without scales
  explicit Fp8(int n) {
    std::mt19937 rng(3);
    for (int i = 0; i < n; ++i) {
      std::uint8_t code = static_cast<std::uint8_t>(rng());
      if ((code & 0x7f) == 0x7f) code = 0;
      codes.push_back(code);
      values.push_back(e4m3_to_float(code));
    }
  }
};

TEST(Fp8, ScalesOfBlocksWithShortOnesAtTheEdges) {
  const int rows = 40, cols = 96, side = 32, across = 3;
  const Fp8 fp8(rows * cols);
  Store store;
  store.add("m.weight", "F8_E4M3", std::nullopt, {rows, cols}, fp8.codes);
  const Values scales{0.5F, 3, 0.1F, 7, 0.25F, 1e-3F};
  store.floats("m.weight_scale_inv", {2, across}, scales);
  Values expected = fp8.values;
  for (int i = 0; i < rows * cols; ++i) {
    expected[u(i)] *= scales[u(i / cols / side * across + i % cols / side)];
  }
  const TensorInfo info = decode_one(store, {{"weight_block_size", {side, side}}});
  EXPECT_EQ(info.type, DType::f8_e4m3);
  EXPECT_EQ(decoded(info), expected);
}

TEST(Fp8, ScalesOfRowsAndOfTheMatrix) {
  for (const bool by_row : {true, false}) {
    const Fp8 fp8(6 * 32);
    Store store;
    store.add("m.weight", "F8_E4M3", std::nullopt, {6, 32}, fp8.codes);
    store.floats("m.input_scale", {1}, {1});
    const Values scales{1, 2, 3, 4, 5, 6};
    if (by_row) {
      store.floats("m.weight_scale", {6, 1}, scales);
    } else {
      store.floats("m.weight_scale", {1}, {0.7F});
    }
    Values expected = fp8.values;
    for (int i = 0; i < 6 * 32; ++i) expected[u(i)] *= by_row ? scales[u(i / 32)] : 0.7F;
    EXPECT_EQ(decoded(decode_one(store, Json::object())), expected);
  }
}

TEST(Fp8, OddWidthsAreDecodedToFloats) {
  const Fp8 fp8(4 * 24);
  Store store;
  store.add("m.weight", "F8_E4M3", std::nullopt, {4, 24}, fp8.codes);
  store.floats("m.weight_scale_inv", {1, 1}, {2});
  const TensorInfo info = decode_one(store, {{"weight_block_size", {32, 32}}});
  EXPECT_EQ(info.type, DType::f32);
  Values expected = fp8.values;
  for (float& v : expected) v *= 2;
  EXPECT_EQ(decoded(info), expected);
}

TEST(BitsAndBytes, FourBits) {
  for (const bool nf4 : {true, false}) {
    for (const bool nested : {false, true}) {
      const int rows = 6, cols = 96, n = rows * cols, run = 64;
      std::mt19937 rng(5);
      const auto& table = nf4 ? kNf4 : kFp4;
      std::vector<std::uint8_t> bytes(u(n / 2)), absmax8(u(n / run));
      Values absmax(u(n / run)), map(256), expected;
      for (std::size_t i = 0; i < 256; ++i) map[i] = static_cast<float>(i) / 100 - 1;
      for (auto& b : bytes) b = static_cast<std::uint8_t>(rng());
      for (std::size_t i = 0; i < absmax.size(); ++i) {
        absmax8[i] = static_cast<std::uint8_t>(rng());
        absmax[i] = nested ? map[absmax8[i]] * 0.3F + 2.5F : static_cast<float>(i + 1);
      }
      for (int i = 0; i < n; ++i) {
        const int code = i % 2 == 0 ? bytes[u(i / 2)] >> 4 : bytes[u(i / 2)] & 15;
        expected.push_back(table[u(code)] * absmax[u(i / run)]);
      }
      Store store;
      store.add("m.weight", "U8", std::nullopt, {n / 2, 1}, bytes);
      store.floats("m.weight.quant_map", {16}, Values(table.begin(), table.end()));
      Json state{{"shape", {rows, cols}}, {"blocksize", run}, {"dtype", "bfloat16"}};
      if (nested) {
        store.add("m.weight.absmax", "U8", std::nullopt, {n / run}, absmax8);
        store.floats("m.weight.nested_absmax", {1}, {0.3F});
        store.floats("m.weight.nested_quant_map", {256}, map);
        state["nested_blocksize"] = 256, state["nested_offset"] = 2.5;
      } else {
        store.floats("m.weight.absmax", {n / run}, absmax);
      }
      const std::string text = state.dump();
      store.add(
          nf4 ? "m.weight.quant_state.bitsandbytes__nf4" : "m.weight.quant_state.bitsandbytes__fp4",
          "U8", std::nullopt, {static_cast<std::int64_t>(text.size())},
          std::vector<char>(text.begin(), text.end()));
      const TensorInfo info = decode_one(store, {{"quant_method", "bitsandbytes"}});
      EXPECT_EQ(info.type, nf4 ? DType::nf4 : DType::fp4);
      expect_near(decoded(info), expected);
    }
  }
}

TEST(BitsAndBytes, EightBits) {
  std::vector<std::int8_t> codes;
  Values expected;
  const Values scb{12.7F, 3};
  for (int i = 0; i < 2 * 64; ++i) {
    codes.push_back(static_cast<std::int8_t>(i * 37));
    expected.push_back(static_cast<float>(codes.back()) * scb[u(i / 64)] / 127);
  }
  Store store;
  store.add("m.weight", "I8", std::nullopt, {2, 64}, codes);
  store.floats("m.SCB", {2}, scb);
  store.add("m.weight_format", "U8", std::nullopt, {1}, std::vector<char>{0});
  const TensorInfo info = decode_one(store, Json::object());
  EXPECT_EQ(info.type, DType::int8);
  expect_near(decoded(info), expected);
}

// Two matrices [2, 64]: element e of a row has code e mod 16, and each block its own exponent.
TEST(Mxfp4, NeighbouringNibbles) {
  Store store;
  std::vector<std::uint8_t> codes, exponents;
  for (int block = 0; block < 8; ++block) {
    for (int byte = 0; byte < 16; ++byte) {
      const int low = 2 * byte % 16;
      codes.push_back(static_cast<std::uint8_t>(low | (low + 1) << 4));
    }
    exponents.push_back(static_cast<std::uint8_t>(124 + block));
  }
  store.add("m_blocks", "U8", std::nullopt, {2, 2, 2, 16}, codes);
  store.add("m_scales", "U8", std::nullopt, {2, 2, 2}, exponents);
  const TensorInfo info = decode_one(store, {{"quant_method", "mxfp4"}});
  EXPECT_EQ(info.name, "m_blocks");
  EXPECT_EQ(info.type, DType::mxfp4);
  EXPECT_EQ(info.shape, (std::vector<std::int64_t>{2, 2, 64}));
  constexpr float kTable[] = {0, 0.5F, 1, 1.5F, 2, 3, 4, 6};
  for (int matrix = 0; matrix < 2; ++matrix) {
    const TensorData data(info, matrix, 2);
    Values found(128);
    dequantize_row(DType::mxfp4, data.bytes(), found);
    for (int i = 0; i < 128; ++i) {
      const float value = kTable[i % 8] * (i % 16 < 8 ? 1.0F : -1.0F);
      EXPECT_EQ(found[u(i)], std::ldexp(value, 124 + 4 * matrix + i / 32 - 127)) << i;
    }
  }
}

// Of finding the matrices, or else of making them.
std::string error_of(Store store, const Json& config) {
  try {
    for (const TensorInfo& info : decode_encodings(&config, store.tensors)) TensorData{info};
  } catch (const LoadError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Mxfp4, ErrorsNameTheTensor) {
  const auto error = [](const std::vector<std::int64_t>& blocks,
                        const std::vector<std::int64_t>& scales) {
    Store store;
    std::size_t bytes = 1;
    for (const std::int64_t side : blocks) bytes *= u(side);
    store.add("m_blocks", "U8", std::nullopt, blocks, std::vector<std::uint8_t>(bytes));
    if (!scales.empty()) {
      store.add("m_scales", "U8", std::nullopt, scales, std::vector<std::uint8_t>(bytes / 16));
    }
    return error_of(std::move(store), {{"quant_method", "mxfp4"}});
  };
  EXPECT_THAT(error({2, 2, 16}, {}), HasSubstr("'m_scales'"));
  EXPECT_THAT(error({2, 2, 16}, {4}), HasSubstr("'m_scales'"));
  EXPECT_THAT(error({2, 32}, {2, 2}), HasSubstr("blocks of 16"));
}

// Rows of two blocks of 64 codes, 0 to 15 over and over, with scales of 1 to 8.
Store nvfp4(bool modelopt, float whole) {
  Store store;
  std::vector<std::uint8_t> codes, scales;
  for (int byte = 0; byte < 3 * 64; ++byte) {
    const int low = 2 * byte % 16;
    codes.push_back(static_cast<std::uint8_t>(low | (low + 1) << 4));
  }
  for (int i = 0; i < 3 * 8; ++i) scales.push_back(static_cast<std::uint8_t>(0x38 + 4 * (i % 7)));
  const std::string name = "m.weight";
  store.add(modelopt ? name : name + "_packed", "U8", std::nullopt, {3, 64}, codes);
  store.add(name + "_scale", "F8_E4M3", std::nullopt, {3, 8}, scales);
  store.floats(name + (modelopt ? "_scale_2" : "_global_scale"),
               modelopt ? std::vector<std::int64_t>{} : std::vector<std::int64_t>{1}, {whole});
  store.floats(modelopt ? "m.input_scale" : "m.input_global_scale", {1}, {3});
  return store;
}

TEST(Nvfp4, OfBothMakers) {
  constexpr float kTable[] = {0, 0.5F, 1, 1.5F, 2, 3, 4, 6};
  for (const bool modelopt : {true, false}) {
    Store store = nvfp4(modelopt, modelopt ? 0.25F : 4);
    const TensorInfo info =
        decode_one(store, {{"quant_method", modelopt ? "modelopt" : "compressed-tensors"}});
    EXPECT_EQ(info.name, "m.weight");
    EXPECT_EQ(info.type, DType::nvfp4);
    EXPECT_EQ(info.shape, (std::vector<std::int64_t>{3, 128}));
    EXPECT_EQ(info.scales, Values{0.25F});
    const Values found = decoded(info);
    for (int i = 0; i < 3 * 128; ++i) {
      const float scale = e4m3_to_float(static_cast<std::uint8_t>(0x38 + 4 * (i / 16 % 7)));
      const float value = kTable[i % 8] * (i % 16 < 8 ? scale : -scale);
      EXPECT_EQ(found[u(i)], value) << i;
    }
  }
}

TEST(Nvfp4, ErrorsNameTheTensor) {
  const Json config{{"quant_method", "modelopt"}};
  const auto spoilt = [&](const std::string& name, auto spoil) {
    Store store = nvfp4(name.find("packed") == name.npos, 1);
    spoil(store.named(name));
    return error_of(std::move(store), config);
  };
  const auto narrow = [](StoredTensor& t) { t.shape = {4, 48}; };
  EXPECT_THAT(spoilt("m.weight", narrow), HasSubstr("'m.weight'"));
  EXPECT_THAT(spoilt("m.weight_packed", narrow), HasSubstr("whole 64"));
  EXPECT_THAT(spoilt("m.weight_scale",
                     [](StoredTensor& t) {
                       t.shape = {8, 3};
                     }),
              HasSubstr("'m.weight_scale'"));
  EXPECT_THAT(spoilt("m.weight_scale", [](StoredTensor& t) { t.name = "x"; }),
              HasSubstr("'m.weight_scale'"));
  EXPECT_THAT(error_of(nvfp4(false, 0), config), HasSubstr("'m.weight_global_scale'"));
  Store negative = nvfp4(true, 1);
  negative.add("n", "U8", std::nullopt, {24}, std::vector<std::uint8_t>(24, 0x80));
  negative.named("m.weight_scale").bytes = negative.tensors.back().bytes;
  EXPECT_THAT(error_of(std::move(negative), config), HasSubstr("above zero"));
}

TEST(Encodings, OtherTensorsStay) {
  Store store;
  store.floats("norm.weight", {4}, {1, 2, 3, 4});
  store.add("ids", "I64", std::nullopt, {1}, std::vector<std::int64_t>{1});
  EXPECT_TRUE(decode_encodings(nullptr, store.tensors).empty());
  EXPECT_EQ(store.tensors.size(), 2U);
}

TEST(Encodings, ErrorsNameTheTensor) {
  const Affine a(16, 64, 32, 4, false);
  const auto spoil = [&](const char* name, auto change) {
    Store store = gptq(a, 1, {});
    change(store.named(name));
    return error_of(std::move(store), {{"quant_method", "gptq"}, {"bits", 4}});
  };
  EXPECT_THAT(spoil("m.scales", [](StoredTensor& t) { t.name = "x"; }), HasSubstr("'m.scales'"));
  EXPECT_THAT(spoil("m.scales", [](StoredTensor& t) { t.shape = {3, 16}; }), HasSubstr("m."));
  EXPECT_THAT(spoil("m.qzeros",
                    [](StoredTensor& t) {
                      t.shape = {2, 3};
                    }),
              HasSubstr("'m.qzeros'"));
  EXPECT_THAT(spoil("m.qzeros", [](StoredTensor& t) { t.dtype = "I64"; }), HasSubstr("I64"));
  EXPECT_THAT(spoil("m.qweight", [](StoredTensor& t) { t.shape = {8}; }), HasSubstr("a matrix"));
  EXPECT_THAT(spoil("m.g_idx", [](StoredTensor& t) { t.shape = {8}; }), HasSubstr("'m.g_idx'"));
  EXPECT_THAT(error_of(gptq(a, 1, {}), {{"bits", 3}}), HasSubstr("2, 4 or 8 bits"));

  const auto spoil_packed = [&](const char* name, auto change) {
    Store store = compressed(a, false);
    change(store.named(name));
    return error_of(std::move(store), compressed_config(4));
  };
  EXPECT_THAT(spoil_packed("m.weight_shape", [](StoredTensor& t) { t.dtype = "F32"; }),
              HasSubstr("'m.weight_shape'"));
  EXPECT_THAT(spoil_packed("m.weight_packed", [](StoredTensor& t) { t.shape[0] = 99; }),
              HasSubstr("weight_shape"));
  EXPECT_THAT(spoil_packed("m.weight_scale",
                           [](StoredTensor& t) {
                             t.shape = {16, 3};
                           }),
              HasSubstr("'m.weight_scale'"));
  EXPECT_THAT(spoil_packed("m.weight_zero_point",
                           [](StoredTensor& t) {
                             t.shape = {1, 2};
                           }),
              HasSubstr("'m.weight_zero_point'"));

  Store bare;
  bare.add("m.weight", "F8_E4M3", std::nullopt, {1, 32}, std::vector<char>(32));
  EXPECT_THAT(error_of(std::move(bare), Json::object()), HasSubstr("weight_scale"));
  Store nan;
  nan.add("m.weight", "F8_E4M3", std::nullopt, {1, 32}, std::vector<char>(32, 0x7f));
  nan.floats("m.weight_scale", {1}, {1});
  EXPECT_THAT(error_of(std::move(nan), Json::object()), HasSubstr("NaN"));
  Store infinite;
  infinite.add("m.weight", "F8_E4M3", std::nullopt, {1, 32}, std::vector<char>(32));
  infinite.floats("m.weight_scale", {1}, {INFINITY});
  EXPECT_THAT(error_of(std::move(infinite), Json::object()), HasSubstr("finite"));
  Store blocks;
  blocks.add("m.weight", "F8_E4M3", std::nullopt, {64, 64}, std::vector<char>(64 * 64));
  blocks.floats("m.weight_scale_inv", {2, 3}, Values(6, 1));
  EXPECT_THAT(error_of(std::move(blocks), {{"weight_block_size", {32, 32}}}), HasSubstr("[2, 2]"));
}

}  // namespace
}  // namespace rbee
