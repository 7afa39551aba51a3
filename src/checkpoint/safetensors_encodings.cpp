#include "checkpoint/safetensors_encodings.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/load_error.hpp"
#include "checkpoint/codebooks.hpp"
#include "checkpoint/dequantize.hpp"
#include "checkpoint/describe.hpp"
#include "checkpoint/encoded_layouts.hpp"
#include "checkpoint/float8.hpp"

namespace rbee {
namespace {

using Shape = std::vector<std::int64_t>;

constexpr std::int64_t kMostSide = std::int64_t{1} << 31;

std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return a / b + (a % b != 0 ? 1 : 0); }

[[noreturn]] void bad(const StoredTensor& tensor, const std::string& expected,
                      const std::string& found) {
  throw LoadError(tensor.file, "tensor " + in_quotes(tensor.name), expected, found);
}

void expect_shape(const StoredTensor& tensor, const Shape& expected) {
  if (tensor.shape != expected) {
    bad(tensor, "shape " + shape_text(expected), "shape " + shape_text(tensor.shape));
  }
}

void expect_dtype(const StoredTensor& tensor, std::string_view expected) {
  if (tensor.dtype != expected) bad(tensor, std::string(expected), tensor.dtype);
}

// A matrix of some extent: sides that can be multiplied.
void expect_matrix(const StoredTensor& tensor) {
  if (tensor.shape.size() != 2 || tensor.shape[0] < 1 || tensor.shape[1] < 1 ||
      tensor.shape[0] >= kMostSide || tensor.shape[1] >= kMostSide) {
    bad(tensor, "a matrix", "shape " + shape_text(tensor.shape));
  }
}

// The values of a small tensor of a plain type or of 8-bit floats. Scales must be finite.
std::vector<float> values_of(const StoredTensor& tensor) {
  std::vector<float> values;
  if (tensor.type && !info(*tensor.type).quantised) {
    values.resize(tensor.bytes.size() / info(*tensor.type).block_bytes);
    dequantize_row(*tensor.type, tensor.bytes, values);
  } else if (tensor.dtype == "F8_E8M0" || tensor.dtype == "F8_E4M3" || tensor.dtype == "U8") {
    for (const std::byte b : tensor.bytes) {
      const auto bits = static_cast<std::uint8_t>(b);
      values.push_back(tensor.dtype == "F8_E4M3"   ? e4m3_to_float(bits)
                       : tensor.dtype == "F8_E8M0" ? e8m0_to_float(bits)
                                                   : static_cast<float>(bits));
    }
  } else {
    bad(tensor, "scales in F32, F16, BF16 or 8 bits", tensor.dtype);
  }
  const bool finite = std::ranges::all_of(values, [](float v) { return std::isfinite(v); });
  if (!finite) bad(tensor, "finite numbers", "an infinity or NaN");
  return values;
}

// Finds the groups among the stored tensors and turns each into a TensorInfo.
class Decoder {
 public:
  Decoder(const Json* quantisation, const std::vector<StoredTensor>& stored)
      : quantisation_(quantisation != nullptr ? *quantisation : Json::object()) {
    for (const StoredTensor& tensor : stored) by_name_.emplace(tensor.name, &tensor);
  }

  std::vector<TensorInfo> run(const std::vector<StoredTensor>& stored) {
    for (const StoredTensor& tensor : stored) {
      const std::string_view name = tensor.name;
      if (name.ends_with(".weight_packed") && tensor.dtype == "U8") {
        const std::string weight(without(name, "_packed"));
        nvfp4(tensor, weight, weight + "_global_scale", /*divides=*/true);
      } else if (tensor.dtype == "U8" && find(tensor.name + "_scale_2") != nullptr) {
        nvfp4(tensor, tensor.name, tensor.name + "_scale_2", /*divides=*/false);
      } else if (name.ends_with(".weight_packed")) {
        packed(tensor, std::string(without(name, "_packed")));
      } else if (name.ends_with(".qweight")) {
        const std::string module(without(name, ".qweight"));
        text("quant_method") == "awq" ? awq(tensor, module) : gptq(tensor, module);
      } else if (tensor.dtype == "F8_E4M3" && !name.ends_with("scale")) {
        fp8(tensor);
      } else if (tensor.dtype == "U8" && find(tensor.name + ".absmax") != nullptr) {
        codebook4(tensor);
      } else if (tensor.dtype == "U8" && name.ends_with("_blocks")) {
        mxfp4(tensor, std::string(without(name, "_blocks")));
      } else if (tensor.dtype == "I8" && name.ends_with(".weight")) {
        int8(tensor, std::string(without(name, ".weight")));
      }
    }
    return std::move(out_);
  }

  bool used(const std::string& name) const { return used_.contains(name); }

 private:
  static std::string_view without(std::string_view name, std::string_view end) {
    return name.substr(0, name.size() - end.size());
  }

  const StoredTensor* find(const std::string& name) const {
    const auto at = by_name_.find(name);
    return at == by_name_.end() ? nullptr : at->second;
  }

  // A member of the group, which is then used up.
  const StoredTensor* maybe(const std::string& name) {
    const StoredTensor* tensor = find(name);
    if (tensor != nullptr) used_.insert(name);
    return tensor;
  }

  const StoredTensor& member(const StoredTensor& of, const std::string& name) {
    if (const StoredTensor* tensor = maybe(name)) return *tensor;
    bad(of, "tensor " + in_quotes(name) + " beside it", "none of that name");
  }

  std::string text(const char* key) const {
    const auto at = quantisation_.find(key);
    return at != quantisation_.end() && at->is_string() ? at->get<std::string>() : std::string();
  }

  std::int64_t number(const Json& json, const char* key, std::int64_t fallback) const {
    const auto at = json.find(key);
    return at != json.end() && at->is_number_integer() ? at->get<std::int64_t>() : fallback;
  }

  void add(const StoredTensor& main, const std::string& name, DType type, const Shape& shape,
           std::shared_ptr<const EncodedMatrix> encoded) {
    used_.insert(main.name);
    TensorInfo& info = out_.emplace_back();
    info.name = name;
    info.type = type;
    info.shape = shape;
    info.file = main.file;
    info.encoded = std::move(encoded);
    info.encoded_bytes = main.bytes.size();
  }

  template <class Source>
  void add_affine(const StoredTensor& main, const std::string& name, DType type, const Shape& shape,
                  Source source) {
    add(main, name, type, shape,
        std::make_shared<AffineMatrix<Source>>(std::move(source), type, size(shape[1])));
  }

  // Scales [rows, groups], [rows], [rows, 1] or one for all.
  GroupScales group_scales(const StoredTensor& tensor, std::int64_t rows, std::int64_t groups,
                           float divisor = 1) {
    GroupScales scales{StoredScales(tensor, divisor), size(groups), true};
    const std::size_t count = scales.values.size();
    if (count == 1 && groups == 1) {
      scales.by_row = false;
    } else if (count != size(rows) * size(groups) || tensor.shape.front() != rows) {
      bad(tensor, fmt::format("scales for {} rows and {} groups", rows, groups),
          "shape " + shape_text(tensor.shape));
    }
    return scales;
  }

  void fp8(const StoredTensor& tensor) {
    const std::string& name = tensor.name;
    const std::string module(name.ends_with(".weight") ? without(name, ".weight") : name);
    const StoredTensor* scale = maybe(name + "_scale_inv");
    if (scale == nullptr) scale = maybe(name + "_scale");
    if (scale == nullptr) scale = maybe(module + ".qscale_weight");
    if (scale == nullptr) {
      if (!name.ends_with(".weight")) return;  // no weight: of no use, but of no harm
      bad(tensor, "scales beside it (weight_scale_inv or weight_scale)", "none");
    }
    for (const char* end : {".input_scale", ".activation_scale", ".qscale_act"})
      maybe(module + end);
    expect_matrix(tensor);
    const std::int64_t rows = tensor.shape[0], cols = tensor.shape[1];
    Fp8Matrix::Scales scales{StoredScales(*scale), size(rows), size(cols), 1};
    if (scale->shape.size() == 2 && scale->shape[1] * scale->shape[0] > 1 &&
        !(scale->shape[1] == 1 && scale->shape[0] == rows)) {
      const auto [block_rows, block_cols] = block_size(tensor);
      expect_shape(*scale, {ceil_div(rows, block_rows), ceil_div(cols, block_cols)});
      scales.block_rows = size(block_rows), scales.block_cols = size(block_cols);
      scales.across = size(scale->shape[1]);
    } else if (scales.values.size() == size(rows)) {
      scales.block_rows = 1;
    } else if (scales.values.size() != 1) {
      bad(*scale, fmt::format("one scale, or one for each of {} rows", rows),
          "shape " + shape_text(scale->shape));
    }
    const bool whole = cols % 32 == 0 && (scales.block_cols % 32 == 0 || scales.across == 1);
    const DType type = whole ? DType::f8_e4m3 : DType::f32;
    add(tensor, name, type, tensor.shape,
        std::make_shared<Fp8Matrix>(tensor, std::move(scales), type, size(cols)));
  }

  // Stacks of matrices, [.., rows, groups, 16] and [.., rows, groups]. The name stays: without its
  // end it is that of the same numbers in another layout.
  void mxfp4(const StoredTensor& tensor, const std::string& stem) {
    const StoredTensor& scales = member(tensor, stem + "_scales");
    if (tensor.shape.size() < 3 || tensor.shape.back() != 16) {
      bad(tensor, "blocks of 16 bytes", "shape " + shape_text(tensor.shape));
    }
    Shape shape(tensor.shape.begin(), tensor.shape.end() - 1);
    expect_shape(scales, shape);
    expect_dtype(scales, "U8");
    if (tensor.bytes.empty()) bad(tensor, "some blocks", "shape " + shape_text(tensor.shape));
    const std::int64_t groups = shape.back();
    shape.back() *= 32;  // no more than twice the bytes of the tensor
    add(tensor, tensor.name, DType::mxfp4, shape,
        std::make_shared<Mxfp4Matrix>(tensor.bytes, scales.bytes, size(groups)));
  }

  // Of compressed-tensors, whose scale of the whole matrix divides, and of ModelOpt.
  void nvfp4(const StoredTensor& codes, const std::string& name, const std::string& whole,
             bool divides) {
    const StoredTensor& scales = member(codes, name + "_scale");
    const StoredTensor& whole_scale = member(codes, whole);
    const std::string module(name.ends_with(".weight") ? without(name, ".weight") : name);
    for (const char* end : {".input_scale", ".input_global_scale"}) maybe(module + end);
    expect_matrix(codes);
    const std::int64_t rows = codes.shape[0], cols = 2 * codes.shape[1];
    if (cols % 64 != 0) bad(codes, "rows of whole 64 codes", "shape " + shape_text(codes.shape));
    expect_dtype(scales, "F8_E4M3");
    expect_shape(scales, {rows, cols / 16});
    std::vector<float> scale = values_of(whole_scale);
    if (scale.size() != 1) bad(whole_scale, "one number", std::to_string(scale.size()));
    if (divides) scale[0] = 1 / scale[0];
    if (!std::isfinite(scale[0])) bad(whole_scale, "a number to divide by", "one near zero");
    add(codes, name, DType::nvfp4, {rows, cols},
        std::make_shared<Nvfp4Matrix>(codes, scales, size(cols)));
    out_.back().scales = std::move(scale);
  }

  std::pair<std::int64_t, std::int64_t> block_size(const StoredTensor& tensor) const {
    const auto at = quantisation_.find("weight_block_size");
    if (at == quantisation_.end()) return {128, 128};
    if (at->is_array() && at->size() == 2 && (*at)[0].is_number_integer() &&
        (*at)[1].is_number_integer()) {
      const auto rows = (*at)[0].get<std::int64_t>(), cols = (*at)[1].get<std::int64_t>();
      if (rows > 0 && cols > 0) return {rows, cols};
    }
    bad(tensor, "weight_block_size of two positive numbers in config.json", at->dump());
  }

  // The weights' part of compressed-tensors' configuration.
  Json packed_config() const {
    const auto groups = quantisation_.find("config_groups");
    if (groups == quantisation_.end() || !groups->is_object() || groups->empty()) return {};
    const Json& first = groups->begin().value();
    return first.is_object() && first.contains("weights") ? first["weights"] : Json();
  }

  void packed(const StoredTensor& words, const std::string& name) {
    if (words.dtype != "I32") {
      bad(words, "codes in I32 words (pack-quantized)", words.dtype);
    }
    expect_matrix(words);
    const Json config = packed_config();
    const std::int64_t bits = number(config.is_object() ? config : Json::object(), "num_bits", 4);
    if (bits != 4 && bits != 8) bad(words, "4 or 8 bits", std::to_string(bits));
    const Shape shape = packed_shape(member(words, name + "_shape"), words, 32 / bits);
    const StoredTensor& scale = member(words, name + "_scale");
    if (const StoredTensor* order = find(name + "_g_idx")) {
      bad(*order, "groups in the order of the columns", "columns in another order (g_idx)");
    }
    const std::int64_t groups = scale.shape.size() == 2 ? scale.shape[1] : 1;
    if (groups < 1 || shape[1] % groups != 0) {
      bad(scale, fmt::format("groups that divide {} columns", shape[1]),
          "shape " + shape_text(scale.shape));
    }
    const std::int64_t group = shape[1] / groups;
    PackedSource source{words.bytes,
                        size(words.shape[1]),
                        static_cast<int>(bits),
                        size(group),
                        group_scales(scale, shape[0], groups),
                        {}};
    if (const StoredTensor* zeros = maybe(name + "_zero_point")) {
      expect_dtype(*zeros, "I32");
      expect_shape(*zeros, {ceil_div(shape[0], 32 / bits), groups});
      source.zeros = zeros->bytes;
    }
    add_affine(words, name, affine_type(static_cast<int>(bits), shape[1], group), shape,
               std::move(source));
  }

  Shape packed_shape(const StoredTensor& stored, const StoredTensor& words, std::int64_t per_word) {
    Shape shape;
    if (stored.shape == Shape{2} && (stored.dtype == "I64" || stored.dtype == "I32")) {
      for (std::size_t i = 0; i < 2; ++i) {
        const std::size_t width = stored.dtype == "I64" ? 8 : 4;
        std::int64_t value = 0;
        std::memcpy(&value, stored.bytes.data() + i * width, width);
        shape.push_back(value);
      }
    }
    if (shape.size() != 2 || shape[0] != words.shape[0] || shape[1] < 1 ||
        shape[1] > words.shape[1] * per_word || ceil_div(shape[1], per_word) != words.shape[1]) {
      bad(stored, fmt::format("the shape of the matrix in {}", in_quotes(words.name)),
          shape_text(shape));
    }
    return shape;
  }

  void gptq(const StoredTensor& words, const std::string& module) {
    const std::int64_t bits = number(quantisation_, "bits", 4);
    if (bits != 2 && bits != 4 && bits != 8) bad(words, "2, 4 or 8 bits", std::to_string(bits));
    expect_dtype(words, "I32");
    expect_matrix(words);
    const std::int64_t per_word = 32 / bits;
    const std::int64_t rows = words.shape[1], cols = words.shape[0] * per_word;
    const StoredTensor& scales = member(words, module + ".scales");
    expect_matrix(scales);
    const std::int64_t groups = scales.shape[0];
    expect_shape(scales, {groups, rows});
    const StoredTensor& zeros = member(words, module + ".qzeros");
    expect_dtype(zeros, "I32");
    if (rows % per_word != 0 || cols % groups != 0) {
      bad(words, fmt::format("whole words of {} codes and {} whole groups", per_word, groups),
          "shape " + shape_text(words.shape));
    }
    expect_shape(zeros, {groups, rows / per_word});
    const std::int64_t group = cols / groups;
    GptqSource source{words.bytes,
                      zeros.bytes,
                      size(rows),
                      static_cast<int>(bits),
                      text("checkpoint_format") == "gptq_v2" ? 0 : 1,
                      size(group),
                      {},
                      StoredScales(scales)};
    DType type = affine_type(static_cast<int>(bits), cols, group);
    if (const StoredTensor* order = maybe(module + ".g_idx")) {
      source.groups = column_groups(*order, cols, groups, group);
      if (!source.groups.empty()) type = DType::f16;
    }
    add_affine(words, module + ".weight", type, {rows, cols}, std::move(source));
  }

  // Empty when the groups follow the columns.
  std::vector<std::uint32_t> column_groups(const StoredTensor& order, std::int64_t cols,
                                           std::int64_t groups, std::int64_t group) const {
    expect_dtype(order, "I32");
    expect_shape(order, {cols});
    std::vector<std::uint32_t> of(size(cols));
    bool in_order = true;
    for (std::size_t k = 0; k < of.size(); ++k) {
      of[k] = word_at(order.bytes, k);
      if (of[k] >= size(groups)) bad(order, fmt::format("numbers below {}", groups), "others");
      in_order = in_order && of[k] == k / size(group);
    }
    return in_order ? std::vector<std::uint32_t>() : of;
  }

  void awq(const StoredTensor& words, const std::string& module) {
    if (number(quantisation_, "bits", 4) != 4) bad(words, "AWQ with 4 bits", "another number");
    const std::string version = text("version");
    if (!version.empty() && version != "gemm" && version != "GEMM") {
      bad(words, "AWQ of version gemm", in_quotes(version));
    }
    expect_dtype(words, "I32");
    expect_matrix(words);
    const std::int64_t cols = words.shape[0], rows = words.shape[1] * 8;
    const StoredTensor& scales = member(words, module + ".scales");
    expect_matrix(scales);
    const std::int64_t groups = scales.shape[0];
    expect_shape(scales, {groups, rows});
    if (cols % groups != 0) {
      bad(words, fmt::format("{} whole groups", groups), "shape " + shape_text(words.shape));
    }
    const StoredTensor& zeros = member(words, module + ".qzeros");
    expect_dtype(zeros, "I32");
    expect_shape(zeros, {groups, rows / 8});
    const std::int64_t group = cols / groups;
    add_affine(words, module + ".weight", affine_type(4, cols, group), {rows, cols},
               AwqSource{words.bytes, zeros.bytes, size(rows), size(group), StoredScales(scales)});
  }

  void int8(const StoredTensor& tensor, const std::string& module) {
    const StoredTensor* scale = maybe(module + ".SCB");
    const bool bitsandbytes = scale != nullptr;
    if (!bitsandbytes) scale = maybe(tensor.name + "_scale");
    if (scale == nullptr) bad(tensor, "scales beside it (SCB or weight_scale)", "none");
    if (const StoredTensor* zeros = find(tensor.name + "_zero_point")) {
      bad(*zeros, "no zero points beside integers of 8 bits", "some");
    }
    maybe(module + ".weight_format");
    maybe(module + ".input_scale");
    expect_matrix(tensor);
    GroupScales scales = group_scales(*scale, tensor.shape[0], 1, bitsandbytes ? 127 : 1);
    const DType type = affine_type(8, tensor.shape[1], tensor.shape[1]);
    add_affine(tensor, tensor.name, type, tensor.shape,
               ByteSource{tensor.bytes, size(tensor.shape[1]), std::move(scales)});
  }

  void codebook4(const StoredTensor& tensor) {
    const std::string& name = tensor.name;
    const StoredTensor* state = maybe(name + ".quant_state.bitsandbytes__nf4");
    const bool nf4 = state != nullptr;
    if (!nf4) state = maybe(name + ".quant_state.bitsandbytes__fp4");
    if (state == nullptr) bad(tensor, "its quant_state (bitsandbytes__nf4 or __fp4)", "none");
    check_codebook(member(tensor, name + ".quant_map"), nf4 ? kNf4 : kFp4);
    const char* begin = reinterpret_cast<const char*>(state->bytes.data());
    const Json json = Json::parse(begin, begin + state->bytes.size(), nullptr, false);
    if (!json.is_object() || !json.contains("shape")) bad(*state, "a JSON object", "other text");
    const Json& sides = json["shape"];
    Shape shape;
    if (sides.is_array() && sides.size() == 2 && sides[0].is_number_integer() &&
        sides[1].is_number_integer()) {
      shape = {sides[0].get<std::int64_t>(), sides[1].get<std::int64_t>()};
    }
    const std::int64_t run = number(json, "blocksize", 64);
    if (shape.empty() || shape[0] < 1 || shape[1] < 1 || shape[0] >= kMostSide ||
        shape[1] >= kMostSide ||
        ceil_div(shape[0] * shape[1], 2) != static_cast<std::int64_t>(tensor.bytes.size())) {
      bad(*state, "the shape of the matrix in " + in_quotes(name), json["shape"].dump());
    }
    if (shape[1] % 32 != 0 || run < 32 || run % 32 != 0) {
      bad(*state, "rows and blocks of whole 32 elements",
          fmt::format("{} columns, blocks of {}", shape[1], run));
    }
    std::vector<float> scales = run_scales(tensor, json, ceil_div(shape[0] * shape[1], run));
    const DType type = nf4 ? DType::nf4 : DType::fp4;
    add(tensor, name, type, shape,
        std::make_shared<Codebook4Matrix>(tensor.bytes, std::move(scales), size(run),
                                          size(shape[1])));
  }

  void check_codebook(const StoredTensor& map, const std::array<float, 16>& expected) const {
    const std::vector<float> found = values_of(map);
    const bool same = found.size() == expected.size() &&
                      std::equal(found.begin(), found.end(), expected.begin(),
                                 [](float a, float b) { return std::fabs(a - b) < 1e-6F; });
    if (!same) bad(map, "the published values of the type", "others");
  }

  // absmax of each run; with double quantisation it is stored in 8 bits itself.
  std::vector<float> run_scales(const StoredTensor& tensor, const Json& state, std::int64_t runs) {
    const StoredTensor& absmax = member(tensor, tensor.name + ".absmax");
    std::vector<float> scales = values_of(absmax);
    if (scales.size() != size(runs)) {
      bad(absmax, fmt::format("{} values", runs), fmt::format("{} values", scales.size()));
    }
    if (absmax.dtype != "U8") return scales;
    const StoredTensor& map_tensor = member(tensor, tensor.name + ".nested_quant_map");
    const std::vector<float> map = values_of(map_tensor);
    const StoredTensor& nested_tensor = member(tensor, tensor.name + ".nested_absmax");
    const std::vector<float> nested = values_of(nested_tensor);
    const std::int64_t block = number(state, "nested_blocksize", 256);
    if (map.size() != 256) bad(map_tensor, "256 values", std::to_string(map.size()));
    if (block < 1 || nested.size() != size(ceil_div(runs, block))) {
      bad(nested_tensor, fmt::format("a value for each {} of {}", block, runs),
          fmt::format("{} values", nested.size()));
    }
    const auto offset = state.find("nested_offset");
    const float add = offset != state.end() && offset->is_number() ? offset->get<float>() : 0.0F;
    for (std::size_t i = 0; i < scales.size(); ++i) {
      scales[i] = map[static_cast<std::size_t>(scales[i])] * nested[i / size(block)] + add;
    }
    return scales;
  }

  Json quantisation_;
  std::unordered_map<std::string, const StoredTensor*> by_name_;
  std::set<std::string> used_;
  std::vector<TensorInfo> out_;
};

}  // namespace

void check_quantisation(const std::string& file, const Json* quantisation) {
  if (quantisation == nullptr) return;
  constexpr std::array<std::string_view, 7> kKnown{
      "fp8", "mxfp4", "compressed-tensors", "gptq", "awq", "bitsandbytes", "modelopt"};
  const auto method = quantisation->find("quant_method");
  if (method == quantisation->end() || !method->is_string()) return;
  const auto name = method->get<std::string>();
  if (std::ranges::find(kKnown, name) != kKnown.end()) return;
  throw LoadError(file, "quantization_config.quant_method",
                  fmt::format("one of {}", fmt::join(kKnown, ", ")), in_quotes(name));
}

std::vector<TensorInfo> decode_encodings(const Json* quantisation,
                                         std::vector<StoredTensor>& stored) {
  Decoder decoder(quantisation, stored);
  std::vector<TensorInfo> decoded = decoder.run(stored);
  std::erase_if(stored, [&](const StoredTensor& tensor) { return decoder.used(tensor.name); });
  return decoded;
}

}  // namespace rbee
