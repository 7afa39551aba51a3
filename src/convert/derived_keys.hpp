// Keys and tensors of single architectures that config.json has no counterpart of.
#pragma once
#include <string>
#include <vector>

#include "checkpoint/gguf_writer.hpp"
#include "convert/request_log.hpp"
#include "convert/tensor_rows.hpp"

namespace rbee {

void add_derived_keys(const NotingCheckpoint& checkpoint, const std::string& architecture,
                      std::vector<PlannedTensor>& tensors, GgufKeys& keys);

}  // namespace rbee
