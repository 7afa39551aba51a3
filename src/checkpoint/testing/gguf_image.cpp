#include "checkpoint/testing/gguf_image.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "checkpoint/gguf_types.hpp"

namespace rbee::testing {
namespace {

void pad(std::string& bytes, std::uint64_t alignment) {
  if (alignment > 1) bytes.resize((bytes.size() + alignment - 1) / alignment * alignment, '\0');
}

}  // namespace

std::string raw_string(std::string_view text) {
  return raw(static_cast<std::uint64_t>(text.size())) + std::string(text);
}

GgufImage& GgufImage::set(std::string_view key, const char* text) {
  return set_raw(key, GgufType::string, raw_string(text));
}

GgufImage& GgufImage::set_strings(std::string_view key, const std::vector<std::string>& texts) {
  std::string bytes;
  for (const std::string& text : texts) bytes += raw_string(text);
  return set_array_raw(key, GgufType::string, texts.size(), bytes);
}

GgufImage& GgufImage::set_raw(std::string_view key, GgufType type, std::string value) {
  entries.push_back({std::string(key), static_cast<std::uint32_t>(type), std::move(value), {}});
  return *this;
}

GgufImage& GgufImage::set_array_raw(std::string_view key, GgufType element, std::uint64_t count,
                                    std::string_view values) {
  return set_raw(key, GgufType::array,
                 raw(static_cast<std::uint32_t>(element)) + raw(count) + std::string(values));
}

GgufImage& GgufImage::add_tensor(std::string_view name, std::uint32_t type,
                                 std::span<const std::int64_t> shape, std::string_view contents) {
  pad(data, alignment);
  tensors.push_back({std::string(name), {shape.rbegin(), shape.rend()}, type, data.size(), {}, {}});
  data += contents;
  return *this;
}

GgufImage& GgufImage::add_tensor(std::string_view name, DType type, std::vector<std::int64_t> shape,
                                 std::string_view contents) {
  return add_tensor(name, gguf_type_id(type), shape, contents);
}

GgufImage& GgufImage::add_tensor(std::string_view name, std::vector<std::int64_t> shape,
                                 std::span<const float> values) {
  return add_tensor(name, DType::f32, std::move(shape),
                    {reinterpret_cast<const char*>(values.data()), values.size_bytes()});
}

GgufImage::Entry& GgufImage::entry(std::string_view key) {
  const auto at = std::ranges::find(entries, key, &Entry::key);
  if (at == entries.end()) throw std::out_of_range("no key " + std::string(key));
  return *at;
}

std::string GgufImage::header() const {
  std::string out = magic + raw(version) + raw(tensor_count.value_or(tensors.size())) +
                    raw(entry_count.value_or(entries.size()));
  for (const Entry& entry : entries) {
    out += raw(entry.key_length.value_or(entry.key.size())) + entry.key + raw(entry.type) +
           entry.value;
  }
  for (const Tensor& tensor : tensors) {
    out += raw(tensor.name_length.value_or(tensor.name.size())) + tensor.name;
    out += raw(tensor.n_dims.value_or(static_cast<std::uint32_t>(tensor.ne.size())));
    for (const std::uint64_t ne : tensor.ne) out += raw(ne);
    out += raw(tensor.type) + raw(tensor.offset);
  }
  return out;
}

std::string GgufImage::bytes() const {
  std::string out = header();
  if (tensors.empty()) return out;
  pad(out, alignment);
  return out + data;
}

}  // namespace rbee::testing
