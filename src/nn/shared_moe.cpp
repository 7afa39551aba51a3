#include "nn/shared_moe.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "checkpoint/describe.hpp"
#include "nn/config_values.hpp"
#include "nn/moe.hpp"
#include "nn/parts.hpp"

namespace rbee::nn {
namespace {

constexpr int kMaxExperts = 1 << 14;

constexpr Key kExperts{"n_routed_experts|num_experts", "expert_count"};
constexpr Key kTopK{"num_experts_per_tok|num_experts_per_token", "expert_used_count"};
constexpr Key kShared{"n_shared_experts|num_shared_experts", "expert_shared_count"};
constexpr Key kFfn{"moe_intermediate_size", "expert_feed_forward_length"};
constexpr Key kDenseUntil{"first_k_dense_replace", "leading_dense_block_count"};
constexpr Key kEvery{"moe_layer_freq", ""};
constexpr Key kGroups{"n_group|num_expert_group", "expert_group_count"};
constexpr Key kTopGroups{"topk_group", "expert_group_used_count"};
constexpr Key kMethod{"topk_method", ""};
constexpr Key kScale{"routed_scaling_factor", "expert_weights_scale"};
constexpr Key kNormalise{"norm_topk_prob|moe_renormalize", "expert_weights_norm"};
constexpr Key kGating{"scoring_func|moe_router_activation_func", ""};
constexpr Key kGgufGating{"", "expert_gating_func"};

constexpr LinearName kSharedGate{{"layers.{}.mlp.shared_experts.gate_proj.weight|"
                                  "layers.{}.block_sparse_moe.shared_experts.gate_proj.weight",
                                  "blk.{}.ffn_gate_shexp.weight"},
                                 {}};
constexpr LinearName kSharedUp{{"layers.{}.mlp.shared_experts.up_proj.weight|"
                                "layers.{}.block_sparse_moe.shared_experts.up_proj.weight",
                                "blk.{}.ffn_up_shexp.weight"},
                               {}};
constexpr LinearName kSharedDown{{"layers.{}.mlp.shared_experts.down_proj.weight|"
                                  "layers.{}.block_sparse_moe.shared_experts.down_proj.weight",
                                  "blk.{}.ffn_down_shexp.weight"},
                                 {}};

int count_or(const Checkpoint& checkpoint, const Key& key, int fallback) {
  return checkpoint.integer(key).value_or(0) == 0 ? fallback : count(checkpoint, key, kMaxExtent);
}

Gating find_gating(const Checkpoint& checkpoint, Gating fallback) {
  if (const auto name = checkpoint.string(kGating)) {
    if (*name == "softmax") return Gating::softmax;
    if (*name == "sigmoid") return Gating::sigmoid;
    bad_value(checkpoint, kGating, "softmax or sigmoid", in_quotes(*name));
  }
  const auto number = checkpoint.integer(kGgufGating).value_or(0);
  if (number == 0) return fallback;
  if (number == 1) return Gating::softmax;
  if (number == 2) return Gating::sigmoid;
  bad_value(checkpoint, kGgufGating, "1 (softmax) or 2 (sigmoid)", std::to_string(number));
}

Gating read_gating(const Checkpoint& checkpoint, Gating fallback) {
  const Gating gating = find_gating(checkpoint, fallback);
  checkpoint.note(kGgufGating, std::int64_t{gating == Gating::sigmoid ? 2 : 1});
  return gating;
}

// Groups are scored as the models with this gating are: the best expert (DeepSeek-V2), or the best
// two with their selection bias (V3). GGUF has no key for it.
void read_groups(const Checkpoint& checkpoint, int experts, Routing& routing) {
  const std::string method = checkpoint.string(kMethod).value_or("noaux_tc");
  if (method == "greedy") return;
  if (method != "group_limited_greedy" && method != "noaux_tc") {
    bad_value(checkpoint, kMethod, "greedy, group_limited_greedy or noaux_tc", in_quotes(method));
  }
  routing.n_groups = count_or(checkpoint, kGroups, 1);
  routing.top_groups = count_or(checkpoint, kTopGroups, 1);
  routing.group_score =
      routing.gating == Gating::sigmoid ? GroupScore::sum_of_best_two : GroupScore::best;
  if (routing.n_groups > experts || experts % routing.n_groups != 0) {
    bad_value(checkpoint, kGroups, fmt::format("a divisor of the {} experts", experts),
              std::to_string(routing.n_groups));
  }
  const int size = experts / routing.n_groups;
  if (routing.top_groups > routing.n_groups || routing.top_groups * size < routing.top_k) {
    bad_value(
        checkpoint, kTopGroups,
        fmt::format("up to {} groups, with {} experts in them", routing.n_groups, routing.top_k),
        fmt::format("{} of {}", routing.top_groups, size));
  }
}

}  // namespace

SharedMoeConfig SharedMoeConfig::read(const Checkpoint& checkpoint, const MoeDefaults& defaults) {
  SharedMoeConfig config;
  if (checkpoint.integer(kExperts).value_or(0) == 0) return config;
  config.experts = count(checkpoint, kExperts, kMaxExperts);
  config.ffn = count(checkpoint, kFfn, kMaxExtent);
  const int shared = count_or(checkpoint, kShared, 0);
  if (shared > kMaxExtent / config.ffn) {
    bad_value(checkpoint, kShared, "fewer shared experts", std::to_string(shared));
  }
  config.shared_ffn = shared * config.ffn;
  config.dense_until = count_or(checkpoint, kDenseUntil, 0);
  config.every = count_or(checkpoint, kEvery, 1);
  Routing& routing = config.routing;
  routing.gating = read_gating(checkpoint, defaults.gating);
  routing.top_k = count(checkpoint, kTopK, config.experts);
  // transformers' DeepSeek-V2 never does; its released models do not ask for it either.
  routing.normalise =
      routing.gating == Gating::sigmoid && flag(checkpoint, kNormalise, defaults.normalise);
  const auto scale = checkpoint.real(kScale).value_or(0);
  routing.scale = scale == 0 ? 1.0F : static_cast<float>(positive(checkpoint, kScale));
  read_groups(checkpoint, config.experts, routing);
  return config;
}

SharedMoe::SharedMoe(Loader& load, const DecoderConfig& config, const SharedMoeConfig& moe,
                     int layer)
    : params_(load_moe(load, config,
                       {.experts = moe.experts, .ffn = moe.ffn, .routing = moe.routing}, layer)) {
  if (moe.shared_ffn == 0) return;
  const auto shared = [&](const LinearName& name, int rows, int cols) {
    return load_linear(load, name, rows, cols, layer, Bias::if_present);
  };
  shared_.emplace(shared(kSharedGate, moe.shared_ffn, config.hidden),
                  shared(kSharedUp, moe.shared_ffn, config.hidden),
                  shared(kSharedDown, config.hidden, moe.shared_ffn), config.activation);
}

void SharedMoe::operator()(Ops& ops, const Tensor& residual, const Tensor& x) const {
  ops.moe_add(residual, x, params_);
  if (shared_) (*shared_)(ops, residual, x);
}

}  // namespace rbee::nn
