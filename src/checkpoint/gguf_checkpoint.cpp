#include "checkpoint/gguf_checkpoint.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "base/load_error.hpp"
#include "checkpoint/describe.hpp"
#include "checkpoint/gguf_file.hpp"

namespace rbee {
namespace {

constexpr std::int64_t kMaxParts = 65535;

std::string require_architecture(const GgufMetadata& metadata) {
  const auto architecture = metadata.string("general.architecture");
  if (!architecture || architecture->empty()) {
    throw LoadError(metadata.file(), "key 'general.architecture'", "a name",
                    architecture ? "an empty one" : "no such key");
  }
  return std::string(*architecture);
}

void expect(const GgufMetadata& metadata, std::string_view key, std::int64_t expected) {
  const auto found = metadata.integer(key);
  if (found == expected) return;
  throw LoadError(metadata.file(), "key " + in_quotes(key), std::to_string(expected),
                  found ? std::to_string(*found) : "no such key");
}

// How many parts the set has that this file begins; 1 when it is complete in itself.
std::int64_t count_parts(const GgufMetadata& metadata) {
  const std::int64_t count = metadata.integer("split.count").value_or(1);
  if (count < 0 || count > kMaxParts) {
    throw LoadError(metadata.file(), "key 'split.count'", "a number of parts up to 65535",
                    std::to_string(count));
  }
  const std::int64_t number = metadata.integer("split.no").value_or(0);
  if (number != 0) {
    throw LoadError(metadata.file(), "key 'split.no'",
                    "0: a split model is opened by its first part, name-00001-of-0000N.gguf",
                    std::to_string(number));
  }
  return count > 1 ? count : 1;
}

std::string part_suffix(std::int64_t part, std::int64_t count) {
  char text[64];
  std::snprintf(text, sizeof text, "-%05d-of-%05d.gguf", static_cast<int>(part + 1),
                static_cast<int>(count));
  return text;
}

// The path of part `part` (from 0), told from that of the first one.
std::filesystem::path part_path(const std::filesystem::path& first, std::int64_t part,
                                std::int64_t count) {
  const std::string name = first.filename().string();
  const std::string suffix = part_suffix(0, count);
  if (!name.ends_with(suffix)) {
    throw LoadError(
        first.string(), "file name",
        "one that ends in " + suffix + " for the first of " + std::to_string(count) + " parts",
        in_quotes(name));
  }
  return first.parent_path() /
         (name.substr(0, name.size() - suffix.size()) + part_suffix(part, count));
}

constexpr std::string_view kScale = ".scale";

// The values of "NAME.scale", checked against the matrices of "NAME.weight".
std::vector<float> read_scales(const TensorInfo& scales, const TensorInfo& weight) {
  const std::int64_t count = element_count(scales.shape);
  const bool fits = count == 1 || (weight.shape.size() == 3 && count == weight.shape[0]);
  if (scales.type != DType::f32 || !fits) {
    throw LoadError(scales.file, "tensor " + in_quotes(scales.name),
                    "F32, one value or one for each matrix of " + in_quotes(weight.name),
                    std::string(info(scales.type).name) + ", shape " + shape_text(scales.shape));
  }
  std::vector<float> values(static_cast<std::size_t>(count));
  std::memcpy(values.data(), scales.bytes.data(), scales.bytes.size());
  if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); })) {
    throw LoadError(scales.file, "tensor " + in_quotes(scales.name), "finite values",
                    "infinity or NaN");
  }
  return values;
}

// Moves the scales of quantised matrices, which files hold as tensors of their own, to these.
void attach_scales(std::vector<TensorInfo>& tensors) {
  std::map<std::string_view, TensorInfo*> weights;
  for (TensorInfo& tensor : tensors) {
    if (info(tensor.type).quantised && tensor.shape.size() >= 2) {
      weights.emplace(tensor.name, &tensor);
    }
  }
  std::set<std::string> attached;
  for (const TensorInfo& tensor : tensors) {
    if (!tensor.name.ends_with(kScale)) continue;
    const std::string base = tensor.name.substr(0, tensor.name.size() - kScale.size());
    const auto weight = weights.find(base + ".weight");
    if (weight == weights.end()) continue;
    if (!attached.insert(tensor.name).second) {
      throw LoadError(tensor.file, "tensor " + in_quotes(tensor.name), "one of that name", "two");
    }
    weight->second->scales = read_scales(tensor, *weight->second);
  }
  std::erase_if(tensors, [&](const TensorInfo& tensor) { return attached.contains(tensor.name); });
}

struct Tensors {
  std::vector<TensorInfo> known;
  std::vector<OpaqueTensor> opaque;

  std::size_t size() const { return known.size() + opaque.size(); }
};

void append(std::vector<GgufTensor> from, const std::string& file, Tensors& to) {
  for (GgufTensor& tensor : from) {
    std::string name(tensor.name);
    if (tensor.type->dtype) {
      to.known.push_back(
          {std::move(name), *tensor.type->dtype, std::move(tensor.shape), tensor.bytes, file});
    } else {
      to.opaque.push_back({std::move(name), std::string(tensor.type->name), std::move(tensor.shape),
                           tensor.bytes.size(), file});
    }
  }
}

}  // namespace

GgufCheckpoint::GgufCheckpoint(std::filesystem::path path)
    : path_(std::move(path)), metadata_(path_.string(), {}) {
  const auto read = [this](const std::filesystem::path& file) {
    maps_.emplace_back(file);
    return read_gguf(file.string(), maps_.back().bytes());
  };
  GgufFile first = read(path_);
  metadata_ = std::move(first.metadata);
  const std::int64_t parts = count_parts(metadata_);
  architecture_ = require_architecture(metadata_);
  Tensors tensors;
  append(std::move(first.tensors), path_.string(), tensors);

  for (std::int64_t part = 1; part < parts; ++part) {
    const std::filesystem::path file = part_path(path_, part, parts);
    GgufFile more = read(file);
    expect(more.metadata, "split.no", part);
    expect(more.metadata, "split.count", parts);
    append(std::move(more.tensors), file.string(), tensors);
  }
  if (parts > 1) {
    expect(metadata_, "split.tensors.count", static_cast<std::int64_t>(tensors.size()));
  }
  attach_scales(tensors.known);
  table_ = TensorTable(std::move(tensors.known), std::move(tensors.opaque));
}

}  // namespace rbee
