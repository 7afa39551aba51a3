// Which columns of the tensors of a file matter more.
#pragma once
#include "convert/source_plan.hpp"
#include "convert/type_plan.hpp"
#include "quantize/importance_matrix.hpp"

namespace rbee {

// Gives the tensors of the plan their importance, as views into the matrix, and the plan the keys
// that llama-quantize writes and a warning for tensors that the matrix has nothing on. matrix: may
// be null. Throws LoadError for a matrix of another model, for one that nothing is rounded by, and
// for types that need one (require_no_importance).
void plan_importance(SourcePlan& plan, const TypePlan& types, const ImportanceMatrix* matrix);

}  // namespace rbee
