// File types: which type each tensor of a model gets, by the names and rules of llama-quantize.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "checkpoint/checkpoint.hpp"
#include "core/dtype.hpp"

namespace rbee {

enum class Mixture : std::uint8_t {
  f32,
  f16,
  bf16,
  q8_0,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q2_k,
  q2_k_s,
  q3_k_s,
  q3_k_m,
  q3_k_l,
  q4_k_s,
  q4_k_m,
  q5_k_s,
  q5_k_m,
  q6_k,
  iq1_s,
  iq1_m,
  iq2_xxs,
  iq2_xs,
  iq2_s,
  iq2_m,
  iq3_xxs,
  iq3_xs,
  iq3_s,
  iq3_m,
  iq4_nl,
  iq4_xs,
  mxfp4,      // all matrices
  mxfp4_moe,  // the experts', all others Q8_0
  nvfp4,
  tq1_0,
  tq2_0,
  q1_0,
  q2_0,
};

struct MixtureInfo {
  Mixture mixture;
  std::string_view name;  // "q4_k_m"
  DType type;             // of most tensors
  int number;             // general.file_type
};

std::span<const MixtureInfo> all_mixtures() noexcept;
const MixtureInfo& info(Mixture mixture) noexcept;
// In letters of either case; "q3_k", "q4_k" and "q5_k" are those in "_m".
std::optional<Mixture> mixture_from_name(std::string_view name);
// "f32, f16, ...", for messages and help.
std::string mixture_names();

// What the choice depends on besides the tensor.
struct MixtureModel {
  std::string architecture{};  // as GGUF spells it: "falcon" has types of its own
  int layers = 0;
  int experts = 0;
  int query_groups = 1;     // query heads for each key head
  bool own_output = false;  // output.weight is a tensor apart from token_embd.weight
  bool importance = false;  // an importance matrix is used

  // Out of the keys and tensors of either format.
  static MixtureModel read(const Checkpoint& checkpoint);
};

// The type of a tensor of this GGUF name and shape (torch order). F32 for what is never quantised:
// vectors, norms, routers, convolutions, positions, the small factors of RWKV. A type whose blocks
// do not fill a row gives way to one of 32, then to F16.
// Where layers differ, they are told apart by their number, as a share of all layers.
DType type_for(Mixture mixture, const MixtureModel& model, std::string_view name,
               std::span<const std::int64_t> shape);

// Throws LoadError, naming the tensor, where llama-quantize rounds to a type with an importance
// matrix only, because the error would be too great without: fewer than about three bits.
void require_no_importance(Mixture mixture, DType type, std::string_view name);

}  // namespace rbee
