#include "sparse.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "checkpoint/gguf_types.hpp"
#include "checkpoint/testing/gguf_image.hpp"
#include "checkpoint/testing/safetensors_image.hpp"
#include "core/dtype.hpp"

namespace rbee::released {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kShardBytes = 5'000'000'000;
constexpr std::string_view kShapeEnd = ".weight_shape";
constexpr std::string_view kDivisors = "rope_f";  // rope_freqs, rope_factors_long and _short

std::string replaced(std::string text, std::string_view what, std::int64_t number) {
  const std::size_t at = text.find(what);
  return at == std::string::npos ? text : text.replace(at, what.size(), std::to_string(number));
}

std::uint64_t hub_bytes(const SparseTensor& tensor) {
  const auto elements = static_cast<std::uint64_t>(tensor.elements());
  if (tensor.type == "BF16" || tensor.type == "F16") return 2 * elements;
  return tensor.type == "U8" || tensor.type == "F8_E4M3" ? elements : 4 * elements;
}

void append(const SparseTensor& tensor, testing::SafetensorsImage& image) {
  const std::uint64_t begin = image.tensors.empty() ? 0 : image.tensors.back().end;
  image.tensors.push_back(
      {tensor.name, tensor.type, tensor.shape, begin, begin + hub_bytes(tensor)});
}

// The shapes of packed matrices are numbers that opening a checkpoint reads.
void append_shapes(const std::vector<SparseTensor>& tensors, testing::SafetensorsImage& image) {
  constexpr std::string_view kPackedEnd = "_packed";
  for (const SparseTensor& tensor : tensors) {
    if (!tensor.name.ends_with(kPackedEnd)) continue;
    const std::string name = tensor.name.substr(0, tensor.name.size() - kPackedEnd.size());
    const auto rows = static_cast<std::int32_t>(tensor.shape[0]);
    const auto cols = static_cast<std::int32_t>(8 * tensor.shape[1]);
    image.add_tensor(name + "_shape", "I32", {2}, testing::raw(rows) + testing::raw(cols));
  }
}

// What frequencies are divided by, which must not be zeros.
void append_divisors(const std::vector<SparseTensor>& tensors, testing::GgufImage& image) {
  for (const SparseTensor& tensor : tensors) {
    if (!tensor.name.starts_with(kDivisors)) continue;
    const std::vector<float> ones(static_cast<std::size_t>(tensor.elements()), 1.0F);
    image.add_tensor(tensor.name, tensor.shape, ones);
  }
}

void append(const SparseTensor& tensor, testing::GgufImage& image, std::uint64_t& end) {
  const DType type = dtype_from_name(tensor.type).value();
  const auto cols = static_cast<std::size_t>(tensor.shape.back());
  const auto rows = static_cast<std::uint64_t>(tensor.elements()) / cols;
  image.tensors.push_back(
      {tensor.name, {tensor.shape.rbegin(), tensor.shape.rend()}, gguf_type_id(type), end, {}, {}});
  end += rows * row_bytes(type, cols);
  end = (end + image.alignment - 1) / image.alignment * image.alignment;
}

void set_key(testing::GgufImage& image, const std::string& key, const Json& value) {
  if (value.is_boolean()) {
    image.set(key, value.get<bool>());
  } else if (value.is_number_float()) {
    image.set(key, value.get<float>());
  } else if (value.is_number()) {
    image.set(key, value.get<std::uint32_t>());
  } else if (value.is_array()) {
    image.set_array(key, value.get<std::vector<std::uint32_t>>());
  } else {
    image.set(key, value.get_ref<const std::string&>().c_str());
  }
}

// Makes the file longer by bytes that take no room on the disk.
void lengthen(const fs::path& file, std::uint64_t bytes) {
  fs::resize_file(file, fs::file_size(file) + bytes);
}

}  // namespace

std::int64_t SparseTensor::elements() const {
  std::int64_t count = 1;
  for (const std::int64_t side : shape) count *= side;
  return count;
}

std::vector<fs::path> all_models() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(fs::path(RBEE_TEST_DATA) / "released")) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

Json read_model(const fs::path& file) {
  std::ifstream in(file);
  return parse_json(std::string(std::istreambuf_iterator<char>(in), {}));
}

std::vector<SparseTensor> unfold(const Json& rows) {
  std::vector<SparseTensor> tensors;
  for (const Json& row : rows) {
    const SparseTensor tensor{row[0].get<std::string>(), row[1].get<std::string>(),
                              row[2].get<std::vector<std::int64_t>>()};
    const Json layers = row.size() > 3 ? row[3] : Json::parse("[[0, 1]]");
    const auto experts = row.size() > 4 ? row[4].get<std::int64_t>() : 1;
    for (const Json& range : layers) {
      for (auto i = range[0].get<std::int64_t>(); i < range[1].get<std::int64_t>(); ++i) {
        const std::string name = replaced(tensor.name, "{}", i);
        for (std::int64_t x = 0; x < experts; ++x) {
          tensors.push_back({replaced(name, "{x}", x), tensor.type, tensor.shape});
        }
      }
    }
  }
  return tensors;
}

fs::path write_safetensors(const Json& model, const testing::TempFolder& folder) {
  const std::vector<SparseTensor> tensors = unfold(model["safetensors"]);
  std::vector<testing::SafetensorsImage> shards(1);
  append_shapes(tensors, shards.front());
  for (const SparseTensor& tensor : tensors) {
    if (tensor.name.ends_with(kShapeEnd)) continue;
    if (!shards.back().tensors.empty() && shards.back().tensors.back().end > kShardBytes) {
      shards.emplace_back();
    }
    append(tensor, shards.back());
  }
  std::vector<std::pair<std::string, std::string>> index;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string name =
        shards.size() == 1 ? "model.safetensors"
                           : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    const std::uint64_t missing = shards[i].tensors.back().end - shards[i].data.size();
    lengthen(folder.write(name, shards[i].bytes()), missing);
    for (const auto& tensor : shards[i].tensors) index.emplace_back(tensor.name, name);
  }
  folder.write("config.json", dump_json(model["config"]));
  if (shards.size() > 1) {
    folder.write("model.safetensors.index.json", testing::index_text(index));
  }
  return folder.path();
}

fs::path write_gguf(const Json& model, const testing::TempFolder& folder) {
  const Json& description = model["gguf"];
  const auto& architecture = description["architecture"].get_ref<const std::string&>();
  testing::GgufImage image;
  image.set("general.architecture", architecture.c_str());
  for (const auto& [key, value] : description["keys"].items()) {
    set_key(image, fmt::format("{}.{}", architecture, key), value);
  }
  const std::vector<SparseTensor> tensors = unfold(description["tensors"]);
  append_divisors(tensors, image);
  std::uint64_t end = (image.data.size() + image.alignment - 1) / image.alignment * image.alignment;
  const std::uint64_t written = end;
  for (const SparseTensor& tensor : tensors) {
    if (!tensor.name.starts_with(kDivisors)) append(tensor, image, end);
  }
  image.data.resize(written);
  fs::path file = folder.write("model.gguf", image.bytes());
  lengthen(file, end - written);
  return file;
}

}  // namespace rbee::released
