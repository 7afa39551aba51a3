// links: rbee_checkpoint
// Groups of stored tensors, made of the input, as quantised safetensors: what a repository may hold
// beside each other. The first byte chooses the configuration; then come tensors.
#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/load_error.hpp"
#include "checkpoint/dequantize.hpp"
#include "checkpoint/safetensors_encodings.hpp"
#include "checkpoint/tensor_data.hpp"

namespace {

constexpr std::array<std::string_view, 12> kConfigs{
    "null",
    R"({"quant_method": "gptq", "bits": 4})",
    R"({"quant_method": "gptq", "bits": 2, "checkpoint_format": "gptq_v2"})",
    R"({"quant_method": "gptq", "bits": 8})",
    R"({"quant_method": "awq", "bits": 4, "version": "gemm"})",
    R"({"quant_method": "compressed-tensors"})",
    R"({"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": {"num_bits": 8}}}})",
    R"({"quant_method": "bitsandbytes"})",
    R"({"quant_method": "mxfp4"})",
    R"({"quant_method": "modelopt"})",
    R"({"quant_method": "fp8", "weight_block_size": [2, 32]})",
    R"({"quant_method": "fp8", "weight_block_size": [0, "a"]})"};
constexpr std::array<std::string_view, 28> kNames{"m.weight",
                                                  "m.weight_packed",
                                                  "m.weight_scale",
                                                  "m.weight_scale_2",
                                                  "m.weight_global_scale",
                                                  "m.weight_scale_inv",
                                                  "m.weight_shape",
                                                  "m.weight_zero_point",
                                                  "m.weight_g_idx",
                                                  "m.input_scale",
                                                  "m.qweight",
                                                  "m.qzeros",
                                                  "m.scales",
                                                  "m.g_idx",
                                                  "m.SCB",
                                                  "m.weight_format",
                                                  "m.qscale_weight",
                                                  "m.weight.absmax",
                                                  "m.weight.quant_map",
                                                  "m.weight.nested_absmax",
                                                  "m.weight.nested_quant_map",
                                                  "m.weight.quant_state.bitsandbytes__nf4",
                                                  "m.weight.quant_state.bitsandbytes__fp4",
                                                  "m_blocks",
                                                  "m_scales",
                                                  "m.bias",
                                                  "m.input_global_scale",
                                                  "n.weight"};

struct Type {
  std::string_view name;
  std::size_t bytes;
  std::optional<rbee::DType> type;
};
const std::array<Type, 9> kTypes{{{"U8", 1, {}},
                                  {"I8", 1, {}},
                                  {"I32", 4, {}},
                                  {"I64", 8, {}},
                                  {"F8_E4M3", 1, {}},
                                  {"F8_E8M0", 1, {}},
                                  {"F32", 4, rbee::DType::f32},
                                  {"F16", 2, rbee::DType::f16},
                                  {"BF16", 2, rbee::DType::bf16}}};

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  bool empty() const { return at_ >= size_; }
  std::uint8_t next() { return empty() ? 0 : data_[at_++]; }

  template <class List>
  const auto& one_of(const List& list) {
    return list[next() % list.size()];
  }

  // The next bytes as they are, one of them over and over, or numbers that are 1 in F32.
  std::vector<std::byte> bytes(std::size_t n) {
    constexpr std::array<std::uint8_t, 4> kOne{0, 0, 0x80, 0x3F};
    std::vector<std::byte> out(n);
    const int kind = next() % 3;
    const std::uint8_t same = kind == 1 ? next() : 0;
    for (std::size_t i = 0; i < n; ++i) {
      out[i] = static_cast<std::byte>(kind == 0 ? next() : kind == 1 ? same : kOne[i % 4]);
    }
    return out;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t at_ = 0;
};

void read_values(const rbee::TensorInfo& info) {
  const std::int64_t count = rbee::element_count(info.shape);
  if (count < 1 || count > (1 << 20)) return;
  std::vector<float> values(static_cast<std::size_t>(count));
  rbee::dequantize_row(info.type, rbee::TensorData(info).bytes(), values);
  volatile float sum = 0;
  for (const float value : values) sum = sum + value * info.scale(0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kMostBytes = 1 << 16;
  Input input(data, size);
  const rbee::Json config = rbee::Json::parse(input.one_of(kConfigs));
  std::deque<std::vector<std::byte>> memory;
  std::vector<rbee::StoredTensor> stored;
  while (!input.empty() && stored.size() < 10) {
    const std::string_view name = input.one_of(kNames);
    const Type& type = input.one_of(kTypes);
    std::vector<std::int64_t> shape(input.next() % 5);
    for (std::int64_t& side : shape) side = input.next();
    const std::size_t bytes = static_cast<std::size_t>(rbee::element_count(shape)) * type.bytes;
    if (bytes > kMostBytes) continue;
    memory.push_back(input.bytes(bytes));
    stored.push_back({std::string(name), std::string(type.name), type.type, shape, memory.back(),
                      "input.safetensors"});
  }
  try {
    const rbee::Json* given = config.is_null() ? nullptr : &config;
    rbee::check_quantisation("config.json", given);
    for (const rbee::TensorInfo& info : rbee::decode_encodings(given, stored)) read_values(info);
  } catch (const rbee::LoadError&) {
  }
  return 0;
}
