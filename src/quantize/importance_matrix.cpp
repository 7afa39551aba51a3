#include "quantize/importance_matrix.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/load_error.hpp"
#include "base/mapped_file.hpp"
#include "checkpoint/byte_reader.hpp"
#include "checkpoint/describe.hpp"
#include "checkpoint/gguf_file.hpp"

namespace rbee {
namespace {

constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";

std::string field_of(std::string_view name) { return "tensor " + in_quotes(name); }

std::vector<float> floats(std::span<const std::byte> bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

void check_sums(const std::string& file, std::string_view name, std::span<const float> values) {
  for (const float value : values) {
    if (std::isfinite(value) && value >= 0) continue;
    throw LoadError(file, field_of(name), "sums of squares", fmt::format("{}", value));
  }
}

std::vector<float> read_floats(const std::string& file, const GgufTensor& tensor) {
  if (!tensor.type->dtype || *tensor.type->dtype != DType::f32) {
    throw LoadError(file, field_of(tensor.name), "type F32", std::string(tensor.type->name));
  }
  std::vector<float> values = floats(tensor.bytes);
  check_sums(file, tensor.name, values);
  return values;
}

}  // namespace

ImportanceMatrix ImportanceMatrix::load(const std::filesystem::path& path) {
  const MappedFile mapped(path.string());
  return read(path.string(), mapped.bytes());
}

ImportanceMatrix ImportanceMatrix::read(const std::string& file, std::span<const std::byte> bytes) {
  constexpr std::string_view kMagic = "GGUF";
  const bool gguf =
      bytes.size() >= kMagic.size() && std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0;
  return gguf ? read_gguf_entries(file, bytes) : read_old_entries(file, bytes);
}

ImportanceMatrix ImportanceMatrix::read_gguf_entries(const std::string& file,
                                                     std::span<const std::byte> bytes) {
  const GgufFile gguf = read_gguf(file, bytes);
  const auto type = gguf.metadata.string("general.type");
  if (type != "imatrix") {
    throw LoadError(file, "general.type", "imatrix", type ? in_quotes(*type) : "no such key");
  }
  std::map<std::string_view, const GgufTensor*> by_name;
  for (const GgufTensor& tensor : gguf.tensors) by_name[tensor.name] = &tensor;
  ImportanceMatrix result;
  result.file_ = file;
  result.chunks_ =
      std::max<std::int64_t>(gguf.metadata.integer("imatrix.chunk_count").value_or(0), 0);
  const auto datasets = gguf.metadata.strings("imatrix.datasets");
  if (datasets && !datasets->empty()) result.dataset_ = datasets->front();
  for (const auto& [name, tensor] : by_name) {
    if (!name.ends_with(kSums)) continue;
    const std::string base(name.substr(0, name.size() - kSums.size()));
    const auto found = by_name.find(base + std::string(kCounts));
    if (found == by_name.end()) throw LoadError(file, field_of(base + ".counts"), "it", "none");
    Entry entry{read_floats(file, *tensor)};
    const std::vector<float> counts = read_floats(file, *found->second);
    if (counts.empty() || entry.means.size() % counts.size() != 0) {
      throw LoadError(file, field_of(name), fmt::format("rows for {} counts", counts.size()),
                      fmt::format("{} values", entry.means.size()));
    }
    entry.matrices = counts.size();
    const std::size_t cols = entry.means.size() / counts.size();
    for (std::size_t i = 0; i < entry.means.size(); ++i) {
      // Nothing is known of an expert that no token went to: all columns count alike.
      const float count = counts[i / cols];
      entry.means[i] = count > 0 ? entry.means[i] / count : 1;
    }
    check_sums(file, name, entry.means);
    result.entries_.emplace(base, std::move(entry));
  }
  return result;
}

// Little-endian: i32 entries; of each: i32 length and the name, i32 calls, i32 values and their
// f32, already divided by tokens and multiplied with calls. Then, in some files, i32 chunks, and
// i32 length and the name of the text.
ImportanceMatrix ImportanceMatrix::read_old_entries(const std::string& file,
                                                    std::span<const std::byte> bytes) {
  ByteReader reader(file, bytes);
  const auto length = [&](std::string_view field, std::size_t unit) {
    const auto n = reader.number<std::int32_t>(field);
    if (n < 1 || static_cast<std::size_t>(n) > reader.remaining() / unit) {
      throw LoadError(file, std::string(field), "a number that the file has room for",
                      std::to_string(n));
    }
    return static_cast<std::size_t>(n);
  };
  ImportanceMatrix result;
  result.file_ = file;
  const std::size_t count = length("number of entries", 1);
  for (std::size_t i = 0; i < count; ++i) {
    const auto text = reader.take(length("length of a name", 1), "name");
    std::string name(reinterpret_cast<const char*>(text.data()), text.size());
    const auto calls = reader.number<std::int32_t>("calls");
    const auto values =
        reader.take(length("number of values", sizeof(float)) * sizeof(float), name);
    Entry entry{floats(values)};
    if (calls > 0) {
      for (float& value : entry.means) value /= static_cast<float>(calls);
    }
    check_sums(file, name, entry.means);
    if (!result.entries_.emplace(name, std::move(entry)).second) {
      throw LoadError(file, field_of(name), "one entry", "two");
    }
  }
  if (reader.remaining() == 0) return result;
  result.chunks_ = std::max(reader.number<std::int32_t>("chunks"), 0);
  if (reader.remaining() == 0) return result;
  const auto size = reader.number<std::int32_t>("length of the dataset");
  const auto name = reader.take(static_cast<std::size_t>(std::max(size, 0)), "dataset");
  result.dataset_.assign(reinterpret_cast<const char*>(name.data()), name.size());
  return result;
}

std::span<const float> ImportanceMatrix::columns(std::string_view name, int matrix,
                                                 std::size_t cols) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) return {};
  const std::vector<float>& means = found->second.means;
  if (means.size() == cols) return means;
  // The older format does not say how many matrices there are.
  const auto at = static_cast<std::size_t>(matrix < 0 ? 0 : matrix);
  if (cols == 0 || matrix < 0 || means.size() % cols != 0 || at >= means.size() / cols) {
    throw LoadError(file_, field_of(name), fmt::format("values of {} columns", cols),
                    fmt::format("{} values", means.size()));
  }
  return std::span(means).subspan(at * cols, cols);
}

}  // namespace rbee
