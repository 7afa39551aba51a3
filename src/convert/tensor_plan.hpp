// Which tensors a GGUF file of a model has, out of what its family asked a safetensors checkpoint
// for.
#pragma once
#include <vector>

#include "convert/gguf_layout.hpp"
#include "convert/request_log.hpp"
#include "convert/tensor_rows.hpp"

namespace rbee {

// Throws LoadError naming a tensor that has no place in a GGUF file. The rows refer to the tensors
// of the checkpoint.
std::vector<PlannedTensor> plan_tensors(const std::vector<LoggedRequest>& requests,
                                        const GgufLayout& layout);

}  // namespace rbee
