#include "convert/derived_keys.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace rbee {
namespace {

// What all functions here work on.
struct Plan {
  const NotingCheckpoint& checkpoint;
  const std::string& architecture;
  std::vector<PlannedTensor>& tensors;
  GgufKeys& keys;

  void set(const std::string& key, std::int64_t value) const {
    keys.set(architecture + "." + key, static_cast<std::uint32_t>(value));
  }
  std::int64_t note(const std::string& key) const { return checkpoint.integer_note(key); }
  // The first tensor whose name ends so; nullptr when there is none.
  const PlannedTensor* ending(std::string_view end) const {
    const auto at = std::ranges::find_if(
        tensors, [&](const PlannedTensor& tensor) { return tensor.name.ends_with(end); });
    return at == tensors.end() ? nullptr : &*at;
  }
  const PlannedTensor* named(const std::string& name) const {
    const auto at = std::ranges::find(tensors, name, &PlannedTensor::name);
    return at == tensors.end() ? nullptr : &*at;
  }
  // Sets a key to an extent of that tensor, if there is one.
  void set_extent(const std::string& key, std::string_view end, std::int64_t divisor = 1) const {
    if (const PlannedTensor* tensor = ending(end)) set(key, tensor->shape.front() / divisor);
  }
};

// Attention is described as it runs on cached latents: one key head for all.
void add_latent_keys(const Plan& plan) {
  constexpr Key kNope{"qk_nope_head_dim", ""};
  const std::int64_t latent = plan.note("attention.kv_lora_rank");
  const std::int64_t rotated = plan.note("rope.dimension_count");
  plan.set("attention.key_length", latent + rotated);
  constexpr Key kHeadDim{"head_dim", ""};
  plan.set("attention.value_length", plan.architecture == "kimi-linear"
                                         ? plan.checkpoint.integer(kHeadDim).value_or(latent)
                                         : latent);
  plan.set("attention.key_length_mla", plan.checkpoint.integer(kNope).value_or(0) + rotated);
  if (plan.architecture != "kimi-linear") return plan.set("attention.head_count_kv", 1);
  std::vector<std::int32_t> heads;  // 0: a layer of delta attention
  for (std::int64_t i = 0; i < plan.note("block_count"); ++i) {
    heads.push_back(plan.named("blk." + std::to_string(i) + ".attn_kv_a_norm.weight") ? 1 : 0);
  }
  plan.keys.set(plan.architecture + ".attention.head_count_kv",
                std::span<const std::int32_t>(heads));
}

void add_indexer_keys(const Plan& plan) {
  constexpr Key kHeads{"index_n_heads", ""};
  constexpr Key kDim{"index_head_dim", ""};
  plan.set("attention.indexer.head_count", plan.checkpoint.integer(kHeads).value_or(64));
  plan.set("attention.indexer.key_length", plan.checkpoint.integer(kDim).value_or(128));
}

// Where config.json tells of several kinds of key heads, the fused matrix knows.
void add_falcon_keys(const Plan& plan) {
  if (const PlannedTensor* qkv = plan.ending(".attn_qkv.weight")) {
    const std::int64_t rows = qkv->shape.front() / plan.note("attention.key_length");
    plan.set("attention.head_count_kv", (rows - plan.note("attention.head_count")) / 2);
  }
  plan.keys.set("falcon.tensor_data_layout", "jploski");  // rows of queries, keys, values
}

void add_recurrent_keys(const Plan& plan) {
  plan.set("context_length", 1 << 20);
  plan.set("attention.head_count", 0);
  plan.set("feed_forward_length", 0);
}

void add_mamba2_keys(const Plan& plan) {
  add_recurrent_keys(plan);
  if (const PlannedTensor* out = plan.ending(".ssm_out.weight")) {
    plan.set("ssm.inner_size", out->shape.back());
  }
}

void add_rwkv_keys(const Plan& plan) {
  add_recurrent_keys(plan);
  plan.set_extent("feed_forward_length", ".channel_mix_key.weight");
  plan.set_extent("time_mix_extra_dim", ".time_mix_w1.weight", 5);
  plan.set_extent("time_decay_extra_dim", ".time_mix_decay_w1.weight");
}

// The first layer has no share of the values of the first layer; readers want its tensors.
void add_rwkv7_keys(const Plan& plan) {
  add_recurrent_keys(plan);
  plan.set_extent("feed_forward_length", ".channel_mix_key.weight");
  plan.set_extent("attention.decay_lora_rank", ".time_mix_w1.weight");
  plan.set_extent("attention.iclr_lora_rank", ".time_mix_a1.weight");
  plan.set_extent("attention.value_residual_mix_lora_rank", ".time_mix_v1.weight");
  plan.set_extent("attention.gate_lora_rank", ".time_mix_g1.weight");
  for (const std::string n : {"0", "1", "2"}) {
    const std::string wanted = "blk.0.time_mix_v" + n + ".weight";
    const PlannedTensor* like = plan.named("blk.0.time_mix_a" + n + ".weight");
    if (like == nullptr || plan.named(wanted) != nullptr) continue;
    PlannedTensor copy = *like;
    copy.name = wanted;
    plan.tensors.push_back(std::move(copy));
  }
}

struct Derived {
  std::string_view architecture;
  void (*add)(const Plan& plan);
};
constexpr std::array<Derived, 10> kDerived{{
    {"deepseek2", add_latent_keys},
    {"deepseek32", add_latent_keys},
    {"deepseek32", add_indexer_keys},
    {"kimi-linear", add_latent_keys},
    {"falcon", add_falcon_keys},
    {"mamba", add_recurrent_keys},
    {"mamba2", add_mamba2_keys},
    {"rwkv5", add_rwkv_keys},
    {"rwkv6", add_rwkv_keys},
    {"rwkv7", add_rwkv7_keys},
}};

}  // namespace

void add_derived_keys(const NotingCheckpoint& checkpoint, const std::string& architecture,
                      std::vector<PlannedTensor>& tensors, GgufKeys& keys) {
  for (const Derived& derived : kDerived) {
    if (derived.architecture == architecture) {
      derived.add({checkpoint, architecture, tensors, keys});
    }
  }
}

}  // namespace rbee
