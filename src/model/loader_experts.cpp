// Weights of experts: one tensor for each of them, or one for all.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/mapped_file.hpp"
#include "checkpoint/tensor_data.hpp"
#include "model/loader.hpp"
#include "model/tensor_values.hpp"

namespace rbee {
namespace {

constexpr std::string_view kExpert = "{x}";

// Replaces every "{x}".
std::string with_expert(std::string_view spellings, int expert) {
  std::string name(spellings);
  const std::string number = std::to_string(expert);
  for (std::size_t at = 0; (at = name.find(kExpert, at)) != std::string::npos;) {
    name.replace(at, kExpert.size(), number);
  }
  return name;
}

// The spellings of "a|b|c" that have "{x}" in them, or those that have not.
std::string only(std::string_view spellings, bool of_each) {
  std::string kept;
  while (!spellings.empty()) {
    const std::size_t end = std::min(spellings.find('|'), spellings.size());
    const std::string_view one = spellings.substr(0, end);
    if ((one.find(kExpert) != one.npos) == of_each) {
      if (!kept.empty()) kept += '|';
      kept += one;
    }
    spellings.remove_prefix(std::min(end + 1, spellings.size()));
  }
  return kept;
}

// Both spellings of a name, in own memory.
class OwnedName {
 public:
  OwnedName(const Name& name, bool of_each, int expert)
      : hf_(with_expert(only(name.hf, of_each), expert)),
        gguf_(with_expert(only(name.gguf, of_each), expert)) {}
  Name name() const { return {hf_, gguf_}; }

 private:
  std::string hf_, gguf_;
};

}  // namespace

std::vector<Weight> Loader::pack_experts(const TensorRequest& request, int n) {
  tell(request);
  const TensorInfo& tensor = request.tensor;
  expect_stored(tensor, n, request.rows, request.cols, request.stored);
  std::vector<Weight> weights;
  for (int x = 0; x < n; ++x) {
    if (!reads()) {
      weights.push_back(
          pack({{}, tensor.type, request.rows, request.cols, tensor.name}, request, x));
      continue;
    }
    const TensorData data(tensor, x, n);
    weights.push_back(pack_stored(data.bytes(), request, x));
    if (!tensor.encoded && !weights.back().in_file) MappedFile::release(data.bytes());
  }
  report_progress();
  return weights;
}

std::vector<Weight> Loader::experts(const Name& name, int n, int rows, int cols, int layer,
                                    const Stored& stored) {
  const OwnedName all(name, /*of_each=*/false, 0);
  if (const TensorInfo* tensor = use(all.name(), layer)) {
    return pack_experts({name, layer, *tensor, rows, cols, stored}, n);
  }
  if (!has(OwnedName(name, /*of_each=*/true, 0).name(), layer)) {
    const std::string hf = with_expert(name.hf, 0), gguf = with_expert(name.gguf, 0);
    missing({hf, gguf}, layer, fmt::format("{} experts of shape [{}, {}]", n, rows, cols));
  }
  std::vector<Weight> weights;
  for (int x = 0; x < n; ++x) {
    const OwnedName each(name, /*of_each=*/true, x);
    const TensorInfo* tensor = use(each.name(), layer);
    if (tensor == nullptr) missing(each.name(), layer, fmt::format("shape [{}, {}]", rows, cols));
    weights.push_back(pack_matrix({name, layer, *tensor, rows, cols, stored, {}, x}));
  }
  return weights;
}

std::vector<Weight> Loader::maybe_expert_vectors(const Name& name, int n, int size, int layer,
                                                 const Stored& stored) {
  const TensorInfo* tensor = use(name, layer);
  if (tensor == nullptr) return {};
  tell({name, layer, *tensor, n, size, stored});
  const int file_size = stored.row ? stored.file_rows : size;
  expect_shape(*tensor, std::array<std::int64_t, 2>{n, file_size});
  const std::vector<float> values = decode(*tensor);
  std::vector<Weight> weights;
  std::vector<float> own;
  for (std::size_t x = 0; x < static_cast<std::size_t>(n); ++x) {
    const auto from = std::span(values).subspan(x * static_cast<std::size_t>(file_size));
    own.assign(from.begin(), from.begin() + size);
    for (int i = 0; stored.row && i < size; ++i) {
      own[static_cast<std::size_t>(i)] = from[static_cast<std::size_t>(stored.row(i))];
    }
    weights.push_back(constant(own));
  }
  report_progress();
  return weights;
}

}  // namespace rbee
