#include "convert/importance_plan.hpp"

#include <fmt/format.h>

#include <string>

#include "base/load_error.hpp"

namespace rbee {
namespace {

// Whether the tensor is rounded on its way into the file.
bool is_rounded(const PlannedTensor& tensor, DType type) {
  return info(type).quantised && tensor.rows->type() != type;
}

TensorImportance importance_of(const PlannedTensor& tensor, const ImportanceMatrix& matrix) {
  const auto cols = static_cast<std::size_t>(tensor.shape.back());
  const int matrices = tensor.shape.size() > 2 ? static_cast<int>(tensor.shape.front()) : 1;
  TensorImportance out;
  for (int i = 0; i < matrices; ++i) {
    const auto columns = matrix.columns(tensor.name, matrices > 1 ? i : -1, cols);
    if (columns.empty()) return {};
    out.push_back(columns);
  }
  return out;
}

void set_keys(const ImportanceMatrix& matrix, GgufKeys& keys) {
  keys.set("quantize.imatrix.file", matrix.file());
  if (!matrix.dataset().empty()) keys.set("quantize.imatrix.dataset", matrix.dataset());
  keys.set("quantize.imatrix.entries_count", static_cast<std::uint32_t>(matrix.size()));
  if (matrix.chunks() > 0) {
    keys.set("quantize.imatrix.chunks_count", static_cast<std::uint32_t>(matrix.chunks()));
  }
}

}  // namespace

void plan_importance(SourcePlan& plan, const TypePlan& types, const ImportanceMatrix* matrix) {
  std::size_t rounded = 0, known = 0;
  std::string unknown;
  for (std::size_t i = 0; i < plan.tensors.size(); ++i) {
    PlannedTensor& tensor = plan.tensors[i];
    if (!is_rounded(tensor, types.types[i])) continue;
    if (matrix != nullptr) tensor.importance = importance_of(tensor, *matrix);
    if (tensor.importance.empty()) {
      require_no_importance(types.mixture, types.types[i], tensor.name);
    }
    // Nothing is collected on embeddings, and on the output as a rule.
    if (!tensor.name.starts_with("blk.")) continue;
    ++rounded, known += tensor.importance.empty() ? 0 : 1;
    if (tensor.importance.empty() && unknown.empty()) unknown = tensor.name;
  }
  if (matrix == nullptr) return;
  if (rounded == 0) {
    throw LoadError(matrix->file(), "--imatrix", "a --type that matrices are rounded to",
                    types.name);
  }
  if (known == 0) throw LoadError(matrix->file(), "entries", "some of this model", "none");
  if (known < rounded) {
    plan.warnings.push_back(fmt::format("{} has nothing on {} of {} tensors, {} for one",
                                        matrix->file(), rounded - known, rounded, unknown));
  }
  set_keys(*matrix, plan.keys);
}

}  // namespace rbee
