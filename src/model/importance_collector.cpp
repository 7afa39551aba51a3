#include "model/importance_collector.hpp"

#include <algorithm>
#include <cmath>
#include <span>

#include "base/load_error.hpp"
#include "checkpoint/describe.hpp"
#include "checkpoint/gguf_writer.hpp"

namespace rbee {
namespace {

template <class T>
std::vector<float> as_floats(const std::vector<T>& values) {
  std::vector<float> out;
  for (const T value : values) out.push_back(static_cast<float>(value));
  return out;
}

}  // namespace

void ImportanceCollector::packed(const Weight& weight, const TensorRequest& request, int index) {
  const std::string name = request.gguf_name();
  if (!name.starts_with("blk.")) return;
  const auto matrix = static_cast<std::size_t>(std::max(index, 0));
  const auto cols = static_cast<std::size_t>(weight.cols);
  Entry& entry = entries_[name];
  // Several weights may be parts of one matrix of the file, and meet the same inputs.
  if (matrix < entry.counts.size() || (entry.cols != 0 && entry.cols != cols)) return;
  entry.cols = cols;
  entry.counts.resize(matrix + 1);
  entry.sums.resize((matrix + 1) * cols);
  places_[weight.data] = {&entry, matrix};
}

void ImportanceCollector::inputs(const Weight& weight, const Tensor& rows) {
  const auto found = places_.find(weight.data);
  if (found == places_.end()) return;
  Entry& entry = *found->second.entry;
  double* sums = entry.sums.data() + found->second.matrix * entry.cols;
  for (int r = 0; r < rows.rows; ++r) {
    const float* row = rows.data + std::ptrdiff_t{r} * rows.stride;
    for (std::size_t c = 0; c < entry.cols; ++c) {
      sums[c] += static_cast<double>(row[c]) * static_cast<double>(row[c]);
    }
  }
  entry.counts[found->second.matrix] += rows.rows;
}

void ImportanceCollector::write(const std::filesystem::path& path, const Text& text) const {
  GgufKeys keys;
  keys.set("general.type", "imatrix");
  keys.set("imatrix.datasets", std::span(&text.name, 1));
  keys.set("imatrix.chunk_count", static_cast<std::uint32_t>(text.chunks));
  keys.set("imatrix.chunk_size", static_cast<std::uint32_t>(text.chunk_tokens));
  std::vector<GgufTensorSpec> specs;
  std::vector<std::vector<float>> values;
  for (const auto& [name, entry] : entries_) {
    const auto matrices = static_cast<std::int64_t>(entry.counts.size());
    specs.push_back(
        {name + ".in_sum2", DType::f32, {matrices, static_cast<std::int64_t>(entry.cols)}});
    values.push_back(as_floats(entry.sums));
    if (!std::ranges::all_of(values.back(), [](float v) { return std::isfinite(v); })) {
      throw LoadError(path.string(), "sums of tensor " + in_quotes(name), "finite ones",
                      "infinity or NaN");
    }
    specs.push_back({name + ".counts", DType::f32, {matrices, 1}});
    values.push_back(as_floats(entry.counts));
  }
  GgufWriter writer(path, keys, specs);
  for (std::size_t i = 0; i < values.size(); ++i) {
    writer.write(i, 0, std::as_bytes(std::span(values[i])));
  }
  writer.sync();
  writer.publish();
}

}  // namespace rbee
