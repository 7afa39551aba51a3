// All that a GGUF file of a model holds, but its types.
#pragma once
#include <string>
#include <vector>

#include "checkpoint/gguf_writer.hpp"
#include "convert/tensor_rows.hpp"

namespace rbee {

struct SourcePlan {
  std::string architecture;  // general.architecture
  GgufKeys keys;
  std::vector<PlannedTensor> tensors;
  std::vector<std::string> warnings;  // what the file cannot say
};

// Of a checkpoint of either format, which must outlive it. Throws LoadError.
SourcePlan plan_source(const Checkpoint& checkpoint);

}  // namespace rbee
