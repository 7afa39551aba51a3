#include "convert/source_plan.hpp"

#include <algorithm>

#include "base/load_error.hpp"
#include "checkpoint/gguf.hpp"
#include "convert/key_plan.hpp"
#include "convert/tensor_plan.hpp"
#include "convert/vocabulary_keys.hpp"
#include "model/family.hpp"
#include "model/tensor_values.hpp"
#include "tokenizer/open.hpp"

namespace rbee {
namespace {

// The name of a family in GGUF. DeepSeek's has two.
std::string gguf_architecture(const Family& family, const Checkpoint& checkpoint) {
  constexpr Key kModelType{"model_type", ""};
  const bool v32 = checkpoint.architecture() == "DeepseekV32ForCausalLM" ||
                   checkpoint.string(kModelType) == "deepseek_v32";
  return std::string(family.gguf[v32 && !family.gguf[1].empty() ? 1 : 0]);
}

std::string model_name(const std::filesystem::path& path) {
  const auto absolute = std::filesystem::absolute(path).lexically_normal();
  const auto name =
      absolute.has_filename() ? absolute.filename() : absolute.parent_path().filename();
  return name.empty() ? "model" : name.string();
}

SourcePlan plan_safetensors(const Checkpoint& checkpoint) {
  const NotingCheckpoint noting(checkpoint);
  const Family& family = find_family(noting, all_families());
  SourcePlan plan;
  plan.architecture = gguf_architecture(family, noting);
  Loader loader(noting, nullptr);
  RequestLog log;
  loader.observe(log);
  family.build(loader);
  loader.check_all_used();
  plan.tensors = plan_tensors(log.requests(), GgufLayout(family, plan.architecture, noting));
  plan.keys.set("general.architecture", plan.architecture);
  plan.keys.set("general.type", "model");
  plan.keys.set("general.name", model_name(checkpoint.path()));
  plan_keys(noting, plan.architecture, plan.tensors, plan.keys);
  const auto embedding = std::ranges::find(plan.tensors, "token_embd.weight", &PlannedTensor::name);
  const std::int64_t rows = embedding == plan.tensors.end() ? 0 : embedding->shape.front();
  add_vocabulary_keys(open_tokenizer_parts(checkpoint.path()), checkpoint.path().string(),
                      static_cast<std::size_t>(rows), plan.keys, plan.warnings);
  return plan;
}

SourcePlan plan_gguf(const Checkpoint& checkpoint) {
  SourcePlan plan;
  plan.architecture = checkpoint.architecture();
  for (const GgufEntry& entry : checkpoint.gguf()->entries()) {
    if (!entry.key.starts_with("split.") && entry.key != "general.alignment") plan.keys.copy(entry);
  }
  if (!checkpoint.opaque_tensors().empty()) {
    const OpaqueTensor& tensor = checkpoint.opaque_tensors().front();
    throw LoadError(tensor.file, tensor_field(tensor.name), "a type that can be written",
                    tensor.type);
  }
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    plan.tensors.push_back({tensor.name, tensor.shape, file_rows(tensor)});
  }
  return plan;
}

}  // namespace

SourcePlan plan_source(const Checkpoint& checkpoint) {
  return checkpoint.format() == Format::gguf ? plan_gguf(checkpoint) : plan_safetensors(checkpoint);
}

}  // namespace rbee
