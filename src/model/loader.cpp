#include "model/loader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "base/load_error.hpp"
#include "base/mapped_file.hpp"
#include "checkpoint/describe.hpp"
#include "checkpoint/tensor_data.hpp"
#include "model/tensor_values.hpp"

namespace rbee {
namespace {

// What checkpoints on the hub put before the names of the language model's tensors.
constexpr std::array<std::string_view, 9> kHfPrefixes{"model.",
                                                      "",
                                                      "transformer.",
                                                      "backbone.",
                                                      "model.backbone.",
                                                      "language_model.",
                                                      "text_model.",
                                                      "model.language_model.",
                                                      "language_model.model."};

// Tensors that hold no weights of the language model: tables that are computed here, scales of
// activation types not used here, and the towers of multimodal checkpoints.
constexpr std::array<std::string_view, 7> kIgnoredEndings{
    "rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias", ".activation_scale",
    ".input_scale",        ".k_scale",   ".v_scale"};
constexpr std::array<std::string_view, 4> kIgnoredParts{"vision_tower.", "vision_model.", "visual.",
                                                        "multi_modal_projector."};

// In a dry run nothing is packed, but an optional weight must still tell whether it is there.
constexpr std::byte kPresent{};

// Calls visit with each of the spellings in "a|b|c", until it returns something.
template <class Visit>
const TensorInfo* first_spelling(std::string_view spellings, Visit visit) {
  while (!spellings.empty()) {
    const std::size_t end = spellings.find('|');
    if (const TensorInfo* found = visit(spellings.substr(0, end))) return found;
    if (end == std::string_view::npos) break;
    spellings.remove_prefix(end + 1);
  }
  return nullptr;
}

std::string with_layer(std::string_view spelling, int layer) {
  std::string name(spelling);
  if (const std::size_t at = name.find("{}"); at != std::string::npos) {
    name.replace(at, 2, std::to_string(layer));
  }
  return name;
}

// The matrix, or the next of several, that a request is for, without its bytes.
HostMatrix host_matrix(const TensorRequest& request) {
  return {{}, request.tensor.type, request.rows, request.cols, request.tensor.name};
}

std::string_view spelling(const Name& name, Format format) {
  return format == Format::gguf ? name.gguf : name.hf;
}

// The number after "layers." or "blk.", or -1.
int layer_of(std::string_view name) {
  for (const std::string_view marker : {"layers.", "blk."}) {
    std::size_t at = name.find(marker);
    if (at == std::string_view::npos) continue;
    at += marker.size();
    int layer = -1;
    for (; at < name.size() && name[at] >= '0' && name[at] <= '9' && layer < 1'000'000; ++at) {
      layer = std::max(layer, 0) * 10 + (name[at] - '0');
    }
    return layer;
  }
  return -1;
}

// Layers below this number belong to the decoder; those from there on predict further tokens
// (multi-token prediction), which is not done here.
int decoder_layers(const Checkpoint& checkpoint) {
  constexpr Key kExtra{"num_nextn_predict_layers", "nextn_predict_layers"};
  constexpr Key kLayers{"num_hidden_layers", "block_count"};
  const std::int64_t extra = checkpoint.integer(kExtra).value_or(0);
  const std::int64_t layers = checkpoint.integer(kLayers).value_or(0);
  if (extra <= 0 || layers <= 0) return std::numeric_limits<int>::max();
  // GGUF counts them as blocks, config.json does not.
  const std::int64_t own = checkpoint.format() == Format::gguf ? layers - extra : layers;
  return static_cast<int>(std::clamp<std::int64_t>(own, 0, std::numeric_limits<int>::max()));
}

bool is_ignored(std::string_view name, int n_layers) {
  return std::any_of(kIgnoredEndings.begin(), kIgnoredEndings.end(),
                     [&](std::string_view end) { return name.ends_with(end); }) ||
         std::any_of(kIgnoredParts.begin(), kIgnoredParts.end(),
                     [&](std::string_view part) { return name.find(part) != name.npos; }) ||
         layer_of(name) >= n_layers;
}

}  // namespace

std::string TensorRequest::gguf_name() const {
  std::string out = with_layer(name.gguf.substr(0, name.gguf.find('|')), layer);
  const auto replace = [&out](std::string_view from, const auto& choose) {
    if (const std::size_t at = out.find(from); at != out.npos) {
      out.replace(at, from.size(), choose());
    }
  };
  // Parts that GGUF holds as tensors of their own.
  if (heads.heads > 0) {
    replace("attn_kv_b", [this] { return heads.transpose ? "attn_k_b" : "attn_v_b"; });
  } else if (stored.row) {
    replace("ffn_gate_up_exps",
            [this] { return stored.row(0) == 0 ? "ffn_gate_exps" : "ffn_up_exps"; });
  }
  return out;
}

Stored Stored::range(int file_rows, int begin) {
  return {.row = [begin](int r) { return begin + r; }, .file_rows = file_rows};
}

Stored Stored::every(int file_rows, int first, int step) {
  return {.row = [=](int r) { return first + r * step; }, .file_rows = file_rows};
}

Loader::Loader(const Checkpoint& checkpoint, Backend* backend, int planned_context)
    : checkpoint_(checkpoint), backend_(backend), planned_context_(planned_context) {
  const int n_layers = decoder_layers(checkpoint);
  for (const TensorInfo& info : checkpoint.tensors()) {
    if (!is_ignored(info.name, n_layers)) total_bytes_ += info.file_bytes();
  }
}

const TensorInfo* Loader::find(const Name& name, int layer) const {
  const bool gguf = checkpoint_.format() == Format::gguf;
  return first_spelling(
      spelling(name, checkpoint_.format()), [&](std::string_view one) -> const TensorInfo* {
        const std::string base = with_layer(one, layer);
        if (gguf) return checkpoint_.find(base);
        for (const std::string_view prefix : kHfPrefixes) {
          if (const TensorInfo* info = checkpoint_.find(std::string(prefix) + base)) return info;
        }
        return nullptr;
      });
}

bool Loader::has(const Name& name, int layer) const { return find(name, layer) != nullptr; }

std::vector<std::int64_t> Loader::shape(const Name& name, int layer) const {
  const TensorInfo* info = find(name, layer);
  return info == nullptr ? std::vector<std::int64_t>{} : info->shape;
}

const TensorInfo* Loader::use(const Name& name, int layer) {
  const TensorInfo* found = find(name, layer);
  if (found != nullptr && used_.insert(found->name).second) {
    parameters_ += static_cast<std::size_t>(element_count(found->shape));
    used_bytes_ += found->file_bytes();
  }
  return found;
}

void Loader::tell(const TensorRequest& request) const {
  for (LoadObserver* observer : observers_) observer->asked(request);
}

void Loader::skip(const Name& name, int layer) {
  if (const TensorInfo* info = use(name, layer)) tell({name, layer, *info});
}

void Loader::missing(const Name& name, int layer, const std::string& expected) const {
  const std::string_view first = spelling(name, checkpoint_.format());
  throw LoadError(checkpoint_.path().string(),
                  tensor_field(with_layer(first.substr(0, first.find('|')), layer)), expected,
                  "no such tensor");
}

Weight Loader::pack(const HostMatrix& matrix, const TensorRequest& request, int index) {
  std::vector<std::vector<std::byte>> memory(observers_.size());
  HostMatrix result = matrix;
  result.lasting = !(request.tensor.encoded || request.stored.row || request.stored.transposed ||
                     request.heads.transpose);
  const bool copied = !result.lasting;
  result.scale = request.tensor.scale(static_cast<std::size_t>(std::max(index, 0)));
  for (std::size_t i = 0; i < observers_.size(); ++i) {
    result = observers_[i]->replacement(result, request, index, memory[i]);
  }
  count_copies(matrix, copied, result);
  const Weight weight = pack_as_it_is(result);
  for (LoadObserver* observer : observers_) observer->packed(weight, request, index);
  return weight;
}

void Loader::count_copies(const HostMatrix& matrix, bool copied, const HostMatrix& packed) {
  const auto bytes = [](const HostMatrix& one) {
    return static_cast<std::size_t>(one.rows) *
           row_bytes(one.type, static_cast<std::size_t>(one.cols));
  };
  const std::size_t copies =
      (copied ? bytes(matrix) : 0) + (packed.type != matrix.type ? bytes(packed) : 0);
  largest_copy_ = std::max(largest_copy_, copies);
}

Weight Loader::pack_as_it_is(const HostMatrix& matrix) {
  if (backend_ == nullptr) {
    packed_bytes_ += static_cast<std::size_t>(matrix.rows) *
                     row_bytes(matrix.type, static_cast<std::size_t>(matrix.cols));
    return {&kPresent, matrix.type, matrix.rows, matrix.cols};
  }
  packed_bytes_ += backend_->packed_bytes(matrix.type, matrix.rows, matrix.cols);
  return backend_->pack(matrix);
}

Weight Loader::pack_stored(std::span<const std::byte> file, const TensorRequest& request,
                           int index) {
  HostMatrix matrix = host_matrix(request);
  matrix.bytes = file;
  std::vector<std::byte> copy;
  matrix.bytes = stored_bytes(matrix, request.stored, copy);
  return pack(matrix, request, index);
}

void Loader::report_progress() const {
  if (progress_) progress_(used_bytes_, total_bytes_);
}

Weight Loader::maybe_matrix(const Name& name, int rows, int cols, int layer, const Stored& stored) {
  const TensorInfo* info = use(name, layer);
  if (info == nullptr) return {};
  return pack_matrix({name, layer, *info, rows, cols, stored});
}

Weight Loader::pack_matrix(const TensorRequest& request) {
  tell(request);
  const TensorInfo& tensor = request.tensor;
  expect_stored(tensor, 0, request.rows, request.cols, request.stored);
  if (!reads()) return pack(host_matrix(request), request, request.expert);
  const TensorData data(tensor);
  const Weight weight = pack_stored(data.bytes(), request, request.expert);
  if (!weight.in_file) MappedFile::release(tensor.bytes);
  report_progress();
  return weight;
}

Weight Loader::f32_matrix(const Name& name, int rows, int cols, int layer) {
  const TensorInfo* info = use(name, layer);
  if (info == nullptr) missing(name, layer, fmt::format("shape [{}, {}]", rows, cols));
  tell({name, layer, *info, rows, cols});
  const bool flat = rows == 1 && info->shape.size() == 1;
  const std::array<std::int64_t, 2> shape{rows, cols};
  expect_shape(*info, std::span(shape).subspan(flat ? 1 : 0));
  if (!reads()) return pack_as_it_is({{}, DType::f32, rows, cols, info->name});
  const std::vector<float> values = decode(*info);
  report_progress();
  return pack_as_it_is({std::as_bytes(std::span(values)), DType::f32, rows, cols, info->name});
}

Weight Loader::maybe_vector(const Name& name, int size, int layer, const Stored& stored) {
  const TensorInfo* info = use(name, layer);
  if (info == nullptr) return {};
  tell({name, layer, *info, 1, size, stored});
  expect_shape(*info, std::array<std::int64_t, 1>{stored.row ? stored.file_rows : size});
  std::vector<float> values = decode(*info);
  if (stored.row) {
    std::vector<float> picked;
    for (int i = 0; i < size; ++i)
      picked.push_back(values[static_cast<std::size_t>(stored.row(i))]);
    values = std::move(picked);
  }
  for (float& value : values) value += stored.add;
  const Weight weight = constant(values);
  report_progress();
  return weight;
}

Weight Loader::matrix(const Name& name, int rows, int cols, int layer, const Stored& stored) {
  const Weight weight = maybe_matrix(name, rows, cols, layer, stored);
  if (!weight) missing(name, layer, fmt::format("shape [{}, {}]", rows, cols));
  return weight;
}

Weight Loader::vector(const Name& name, int size, int layer, const Stored& stored) {
  const Weight weight = maybe_vector(name, size, layer, stored);
  if (!weight) missing(name, layer, fmt::format("shape [{}]", size));
  return weight;
}

Weight Loader::constant(std::span<const float> values) {
  packed_bytes_ += values.size_bytes();
  if (backend_ != nullptr) return backend_->pack_vector(values);
  return {&kPresent, DType::f32, 1, static_cast<int>(values.size())};
}

Weight Loader::constant_matrix(std::span<const float> values, int rows, int cols) {
  return pack_as_it_is({std::as_bytes(values), DType::f32, rows, cols, "computed at load"});
}

std::vector<float> Loader::values(const Name& name, int layer) {
  const TensorInfo* info = use(name, layer);
  if (info == nullptr) return {};
  tell({name, layer, *info});
  return decode(*info);
}

std::vector<float> Loader::values(const Name& name, std::span<const std::int64_t> shape,
                                  int layer) {
  const TensorInfo* info = use(name, layer);
  if (info == nullptr) missing(name, layer, shape_field(shape));
  tell({name, layer, *info});
  expect_shape(*info, shape);
  return decode(*info);
}

std::vector<float> Loader::flat_values(const Name& name, std::size_t count, int layer) {
  const TensorInfo* info = use(name, layer);
  const std::string expected = fmt::format("{} elements", count);
  if (info == nullptr) missing(name, layer, expected);
  tell({name, layer, *info});
  std::vector<float> values = decode(*info);
  if (values.size() != count) {
    throw LoadError(info->file, tensor_field(info->name), expected, shape_field(info->shape));
  }
  return values;
}

void Loader::on_progress(std::function<void(std::size_t, std::size_t)> callback) {
  progress_ = std::move(callback);
}

void Loader::check_all_used() const {
  constexpr std::size_t kNamed = 5;
  const int n_layers = decoder_layers(checkpoint_);
  std::vector<std::string> left;
  for (const TensorInfo& info : checkpoint_.tensors()) {
    if (!used_.contains(info.name) && !is_ignored(info.name, n_layers))
      left.push_back(in_quotes(info.name));
  }
  if (left.empty()) return;
  const auto named = std::span(left).first(std::min(left.size(), kNamed));
  throw LoadError(checkpoint_.path().string(), "tensors",
                  fmt::format("only those that {} is made of", checkpoint_.architecture()),
                  fmt::format("{} more: {}{}", left.size(), fmt::join(named, ", "),
                              left.size() > kNamed ? ", ..." : ""));
}

}  // namespace rbee
