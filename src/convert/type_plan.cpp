#include "convert/type_plan.hpp"

#include <algorithm>
#include <map>

#include "base/load_error.hpp"
#include "checkpoint/describe.hpp"

namespace rbee {
namespace {

// The plain type that most values have; bf16 for types that GGUF does not have.
Mixture usual_type(const SourcePlan& plan) {
  std::map<Mixture, std::int64_t> counts{{Mixture::bf16, 0}};
  for (const PlannedTensor& tensor : plan.tensors) {
    const DType type = tensor.rows->type();
    const Mixture mixture = type == DType::f32   ? Mixture::f32
                            : type == DType::f16 ? Mixture::f16
                                                 : Mixture::bf16;
    counts[mixture] += element_count(tensor.shape);
  }
  return std::ranges::max_element(counts, {}, [](const auto& count) { return count.second; })
      ->first;
}

Mixture wanted_type(const SourcePlan& plan, const std::string& type) {
  if (type.empty()) return usual_type(plan);
  if (const auto mixture = mixture_from_name(type)) return *mixture;
  throw LoadError("--type", "name", "one of " + mixture_names(), type);
}

TypePlan kept_types(const SourcePlan& plan, const Checkpoint& source) {
  for (const TensorInfo& tensor : source.tensors()) {
    if (tensor.scales.empty()) continue;
    throw LoadError("--type", "name", "one of " + mixture_names(),
                    "none, and " + in_quotes(tensor.name) +
                        " with a scale of its own cannot be copied as it is");
  }
  TypePlan out;
  out.name = "as the source";
  for (const PlannedTensor& tensor : plan.tensors) out.types.push_back(tensor.rows->type());
  return out;
}

// What only RWKV 5 has as a matrix.
bool is_decay(const std::string& name) { return name.find(".time_mix_decay.") != name.npos; }

}  // namespace

TypePlan plan_types(const SourcePlan& plan, const Checkpoint& source, const std::string& type,
                    bool importance) {
  if (type.empty() && source.format() == Format::gguf) return kept_types(plan, source);
  const Mixture mixture = wanted_type(plan, type);
  MixtureModel model = MixtureModel::read(source);
  model.architecture = plan.architecture;
  model.importance = importance;
  model.own_output =
      std::ranges::find(plan.tensors, "output.weight", &PlannedTensor::name) != plan.tensors.end();
  const bool keeps_mxfp4 = mixture == Mixture::f16 || mixture == Mixture::bf16;
  TypePlan out{.name = std::string(info(mixture).name),
               .mixture = mixture,
               .file_type = static_cast<std::uint32_t>(info(mixture).number),
               .types = {}};
  for (const PlannedTensor& tensor : plan.tensors) {
    DType chosen = type_for(mixture, model, tensor.name, tensor.shape);
    if (is_decay(tensor.name)) chosen = DType::f32;
    if (keeps_mxfp4 && tensor.rows->type() == DType::mxfp4 && chosen != DType::f32) {
      chosen = DType::mxfp4;
      out.file_type = static_cast<std::uint32_t>(info(Mixture::mxfp4_moe).number);
    }
    out.types.push_back(chosen);
  }
  return out;
}

}  // namespace rbee
