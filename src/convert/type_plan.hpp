// Which type each tensor of a file gets.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.hpp"
#include "convert/source_plan.hpp"
#include "quantize/mixture.hpp"

namespace rbee {

struct TypePlan {
  std::string name;                        // of the type of the file
  Mixture mixture = Mixture::f32;          // the same; of no meaning where all is as in the source
  std::optional<std::uint32_t> file_type;  // general.file_type; none: as the source has it
  std::vector<DType> types;                // of the tensors of the plan
};

// type: a name of quantize/mixture.hpp. Empty: of a GGUF file, each tensor as it is; else the plain
// type that most of the source has. Matrices in MXFP4 stay so where the type is f16 or bf16.
// importance: whether there is an importance matrix. Throws LoadError for an unknown type.
TypePlan plan_types(const SourcePlan& plan, const Checkpoint& source, const std::string& type,
                    bool importance);

}  // namespace rbee
