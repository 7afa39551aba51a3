#include "checkpoint/tensor_table.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "base/load_error.hpp"
#include "checkpoint/describe.hpp"

namespace rbee {
namespace {

template <class T>
const T* find_by_name(const std::vector<T>& sorted, std::string_view name) {
  const auto at = std::ranges::lower_bound(
      sorted, name, {}, [](const T& tensor) { return std::string_view(tensor.name); });
  return at != sorted.end() && at->name == name ? &*at : nullptr;
}

template <class T>
void sort_unique(std::vector<T>& tensors) {
  std::ranges::sort(tensors, {}, &T::name);
  const auto twice = std::ranges::adjacent_find(tensors, {}, &T::name);
  if (twice == tensors.end()) return;
  throw LoadError(std::next(twice)->file, "tensor " + in_quotes(twice->name), "one of that name",
                  "another in " + twice->file);
}

}  // namespace

TensorTable::TensorTable(std::vector<TensorInfo> tensors, std::vector<OpaqueTensor> opaque)
    : tensors_(std::move(tensors)), opaque_(std::move(opaque)) {
  sort_unique(tensors_);
  sort_unique(opaque_);
  for (const OpaqueTensor& tensor : opaque_) {
    if (const TensorInfo* twin = find_by_name(tensors_, tensor.name)) {
      throw LoadError(tensor.file, "tensor " + in_quotes(tensor.name), "one of that name",
                      "another in " + twin->file);
    }
  }
}

const TensorInfo* TensorTable::find(std::string_view name) const {
  if (const TensorInfo* tensor = find_by_name(tensors_, name)) return tensor;
  if (const OpaqueTensor* tensor = find_by_name(opaque_, name)) {
    throw LoadError(tensor->file, "tensor " + in_quotes(name),
                    "a type that this worker computes with", in_quotes(tensor->type));
  }
  return nullptr;
}

}  // namespace rbee
