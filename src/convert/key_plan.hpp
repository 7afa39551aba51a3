// The keys of a GGUF file that say what a model is like.
#pragma once
#include <string>
#include <vector>

#include "checkpoint/gguf_writer.hpp"
#include "convert/request_log.hpp"
#include "convert/tensor_rows.hpp"

namespace rbee {

// Keys "<architecture>.*" out of what the family read from config.json, and those that follow from
// it or from the tensors. Adds the tensors that stand for keys of config.json (rotary divisors).
void plan_keys(const NotingCheckpoint& checkpoint, const std::string& architecture,
               std::vector<PlannedTensor>& tensors, GgufKeys& keys);

}  // namespace rbee
