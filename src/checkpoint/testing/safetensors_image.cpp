#include "checkpoint/testing/safetensors_image.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.hpp"
#include "checkpoint/testing/gguf_image.hpp"

namespace rbee::testing {

SafetensorsImage& SafetensorsImage::add_tensor(std::string_view name, std::string_view dtype,
                                               std::vector<std::int64_t> shape,
                                               std::string_view contents) {
  tensors.push_back({std::string(name), std::string(dtype), std::move(shape), data.size(),
                     data.size() + contents.size()});
  data += contents;
  return *this;
}

SafetensorsImage& SafetensorsImage::add_tensor(std::string_view name,
                                               std::vector<std::int64_t> shape,
                                               std::span<const float> values) {
  return add_tensor(name, "F32", std::move(shape),
                    {reinterpret_cast<const char*>(values.data()), values.size_bytes()});
}

std::string SafetensorsImage::header_text() const {
  if (header) return *header;
  // Member by member, so that a name can be there twice.
  std::string out = "{";
  if (!metadata.empty()) out += "\"__metadata__\":" + metadata;
  for (const Tensor& tensor : tensors) {
    if (out.size() > 1) out += ',';
    const Json description = {{"dtype", tensor.dtype},
                              {"shape", tensor.shape},
                              {"data_offsets", {tensor.begin, tensor.end}}};
    out += dump_json(tensor.name) + ":" + dump_json(description);
  }
  return out + "}";
}

std::string SafetensorsImage::bytes() const {
  const std::string text = header_text();
  return raw(header_length.value_or(text.size())) + text + data;
}

std::string index_text(const std::vector<std::pair<std::string, std::string>>& weight_map) {
  std::string out = R"({"metadata":{"total_size":0},"weight_map":{)";
  for (const auto& [tensor, file] : weight_map) {
    if (out.back() != '{') out += ',';
    out += dump_json(tensor) + ":" + dump_json(file);
  }
  return out + "}}";
}

}  // namespace rbee::testing
